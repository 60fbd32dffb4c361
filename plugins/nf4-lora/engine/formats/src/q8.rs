//! Weights in 8 bits as GGUF's Q8_0 has them: blocks of 32 values of a row with one scale.

use half::f16;

/// Values of a block.
pub const Q8_BLOCK: usize = 32;

/// A weight `[rows, cols]`, `cols` a multiple of 32: element `(i, j)` is `codes[i, j] * scales[i, j/32]`, exact in f32
/// where the scale came from 16 bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Q8Tensor {
    pub rows: usize,
    pub cols: usize,
    /// `[rows, cols] i8`
    pub codes: Vec<i8>,
    /// `[rows, cols/32] f32`
    pub scales: Vec<f32>,
}

impl Q8Tensor {
    /// Splits Q8_0 blocks (an f16 scale, 32 codes) of whole rows; `None` where rows are not whole blocks, the bytes are
    /// not that many, or a scale is not finite.
    pub fn from_blocks(rows: usize, cols: usize, bytes: &[u8]) -> Option<Self> {
        const BYTES: usize = 2 + Q8_BLOCK;
        let blocks = rows.checked_mul(cols)? / Q8_BLOCK;
        if !cols.is_multiple_of(Q8_BLOCK) || blocks.checked_mul(BYTES)? != bytes.len() {
            return None;
        }
        let scale = |block: &[u8]| f16::from_le_bytes([block[0], block[1]]).to_f32();
        let scales: Vec<f32> = bytes.chunks_exact(BYTES).map(scale).collect();
        let codes = bytes
            .chunks_exact(BYTES)
            .flat_map(|block| block[2..].iter().map(|&code| code as i8))
            .collect();
        scales.iter().all(|s| s.is_finite()).then_some(Self {
            rows,
            cols,
            codes,
            scales,
        })
    }

    /// Writes the values to `out [rows, cols]`.
    pub fn decode_into(&self, out: &mut [f32]) {
        let blocks = self
            .codes
            .chunks_exact(Q8_BLOCK)
            .zip(out.chunks_exact_mut(Q8_BLOCK));
        for ((codes, out), &scale) in blocks.zip(&self.scales) {
            for (code, slot) in codes.iter().zip(out) {
                *slot = f32::from(*code) * scale;
            }
        }
    }
}
