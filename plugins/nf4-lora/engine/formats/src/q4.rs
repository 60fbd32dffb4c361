//! Weights in 4 bits as GGUF's Q4_0 and Q4_1 have them: blocks of 32 values of a row with a scale and a shift.

use crate::gguf_blocks::BlockType;
use half::f16;

/// Values of a block.
pub const Q4_BLOCK: usize = 32;

/// A weight `[rows, cols]`, `cols` a multiple of 32: element `(i, j)` is `codes[i, j] * scales[i, j/32] + shifts[i, j/32]`.
/// Scales of 16 bits make the product exact in f32, so that it does not matter whether product and sum are fused.
#[derive(Debug, Clone, PartialEq)]
pub struct Q4Tensor {
    pub rows: usize,
    pub cols: usize,
    /// `[rows, cols] u8` below 16
    pub codes: Vec<u8>,
    /// `[rows, cols/32] f32`
    pub scales: Vec<f32>,
    /// `[rows, cols/32] f32`
    pub shifts: Vec<f32>,
}

impl Q4Tensor {
    /// Splits blocks of whole rows; `None` for other types, where rows are not whole blocks, the bytes are not that many,
    /// or a scale or shift is not finite.
    pub fn from_blocks(block: BlockType, rows: usize, cols: usize, bytes: &[u8]) -> Option<Self> {
        let shifted = match block {
            BlockType::Q4_0 => false,
            BlockType::Q4_1 => true,
            _ => return None,
        };
        let count = rows.checked_mul(cols)? / Q4_BLOCK;
        if !cols.is_multiple_of(Q4_BLOCK) || count.checked_mul(block.block_bytes())? != bytes.len() {
            return None;
        }
        let mut tensor = Self {
            rows,
            cols,
            codes: Vec::with_capacity(rows * cols),
            scales: Vec::with_capacity(count),
            shifts: Vec::with_capacity(count),
        };
        for bytes in bytes.chunks_exact(block.block_bytes()) {
            let half = |at: usize| f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32();
            let scale = half(0);
            tensor.scales.push(scale);
            // Q4_0 is `scale * (code - 8)`; a multiple by 8 is exact.
            tensor.shifts.push(if shifted { half(2) } else { -8.0 * scale });
            let codes = &bytes[if shifted { 4 } else { 2 }..];
            tensor.codes.extend(codes.iter().map(|byte| byte & 15));
            tensor.codes.extend(codes.iter().map(|byte| byte >> 4));
        }
        let finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
        (finite(&tensor.scales) && finite(&tensor.shifts)).then_some(tensor)
    }

    /// Writes the values to `out [rows, cols]`.
    pub fn decode_into(&self, out: &mut [f32]) {
        let blocks = self
            .codes
            .chunks_exact(Q4_BLOCK)
            .zip(out.chunks_exact_mut(Q4_BLOCK));
        for ((codes, out), (scale, shift)) in blocks.zip(self.scales.iter().zip(&self.shifts)) {
            for (code, slot) in codes.iter().zip(out) {
                *slot = f32::from(*code) * scale + shift;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_blocks_bit_for_bit() {
        for block in [BlockType::Q4_0, BlockType::Q4_1] {
            let bytes: Vec<u8> = (0..block.block_bytes() * 6)
                .map(|at| match at % block.block_bytes() {
                    // Upper bytes of f16 far from infinity.
                    1 | 3 => (at * 7 % 100) as u8,
                    _ => (at * 89 % 256) as u8,
                })
                .collect();
            let mut expected = vec![0.0; 192];
            block.decode(&bytes, &mut expected);
            let tensor = Q4Tensor::from_blocks(block, 3, 64, &bytes);
            let mut values = vec![0.0; 192];
            if let Some(tensor) = &tensor {
                tensor.decode_into(&mut values);
            }
            // A zero may have the other sign.
            assert!(expected.iter().zip(&values).all(|(a, b)| a == b), "{block:?}");
            assert!(values.iter().any(|v| *v != 0.0));
            assert_eq!(Q4Tensor::from_blocks(block, 3, 63, &bytes), None);
            assert_eq!(Q4Tensor::from_blocks(block, 4, 64, &bytes), None);
        }
        assert_eq!(Q4Tensor::from_blocks(BlockType::Q8_0, 1, 32, &[0; 34]), None);
    }

    #[test]
    fn infinite_scales_are_left_to_the_general_way() {
        let mut block = vec![0_u8; 18];
        block[..2].copy_from_slice(&f16::INFINITY.to_le_bytes());
        assert_eq!(Q4Tensor::from_blocks(BlockType::Q4_0, 1, 32, &block), None);
    }
}
