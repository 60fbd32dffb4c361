//! A decoded tensor and the conversions from 16-bit storage.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A tensor in memory, row-major f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Outermost dimension first, as Hugging Face checkpoints list it (`[rows, cols]` for a linear layer).
    pub shape: Vec<usize>,
    /// `[product of shape] f32`.
    pub values: Vec<f32>,
}

/// Little-endian f32 bytes to values; `bytes.len() == 4 * out.len()`.
pub(crate) fn decode_f32(bytes: &[u8], out: &mut [f32]) {
    for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*raw);
    }
}

/// Little-endian IEEE half bytes to values; `bytes.len() == 2 * out.len()`.
pub(crate) fn decode_f16(bytes: &[u8], out: &mut [f32]) {
    let mut staged = [f16::ZERO; STAGE_VALUES];
    for (values, raw) in out.chunks_mut(STAGE_VALUES).zip(bytes.chunks(2 * STAGE_VALUES)) {
        let staged = &mut staged[..values.len()];
        for (half, pair) in staged.iter_mut().zip(raw.as_chunks::<2>().0) {
            *half = f16::from_le_bytes(*pair);
        }
        staged.convert_to_f32_slice(values);
    }
}

/// Little-endian bfloat16 bytes to values; `bytes.len() == 2 * out.len()`.
pub(crate) fn decode_bf16(bytes: &[u8], out: &mut [f32]) {
    for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = bf16::from_le_bytes(*raw).to_f32();
    }
}

/// Halves converted per batch: large enough for the hardware conversion, small enough for the stack.
const STAGE_VALUES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_every_half_and_bfloat16_pattern() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let mut out = vec![0.0_f32; 1 << 16];
        decode_f16(&bytes, &mut out);
        for (pattern, value) in (0..=u16::MAX).zip(&out) {
            let expected = f16::from_bits(pattern).to_f32();
            assert!(
                value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan(),
                "{pattern:04x}"
            );
        }
        decode_bf16(&bytes, &mut out);
        for (pattern, value) in (0..=u16::MAX).zip(&out) {
            let expected = f32::from_bits(u32::from(pattern) << 16);
            assert!(
                value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan(),
                "{pattern:04x}"
            );
        }
    }

    #[test]
    fn decodes_f32_bytes() {
        let mut out = [0.0_f32; 2];
        decode_f32(&[0, 0, 128, 63, 0, 0, 0, 192], &mut out);
        assert_eq!(out, [1.0, -2.0]);
    }
}
