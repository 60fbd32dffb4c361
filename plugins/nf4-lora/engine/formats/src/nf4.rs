//! NF4 storage, bit-compatible with bitsandbytes (flattened row-major blocks, high nibble first).

pub use crate::nf4_encode::{check_blocksize, nearest_in, nest_absmax, quantize};
use crate::nf4_tables::CODES;

/// Values per first-level block: the sizes that bitsandbytes writes and reads.
pub const BLOCKSIZES: [usize; 8] = [32, 64, 128, 256, 512, 1024, 2048, 4096];

/// First-level scale of each block.
#[derive(Debug, Clone, PartialEq)]
pub enum AbsMax {
    /// `[ceil(n/blocksize)] f32`.
    Plain(Vec<f32>),
    /// Double quantization: value of block i = `table[codes[i]] * absmax[i / nested_blocksize] + offset`,
    /// product rounded to f32 first, then the sum (no FMA).
    Nested {
        /// `[ceil(n/blocksize)] u8`.
        codes: Vec<u8>,
        /// `[256] f32`, the table of the file (never re-derived).
        table: Box<[f32; 256]>,
        /// `[ceil(len(codes)/nested_blocksize)] f32`.
        absmax: Vec<f32>,
        offset: f32,
        nested_blocksize: usize,
    },
}

/// A weight matrix `[rows, cols]` in NF4.
#[derive(Debug, Clone, PartialEq)]
pub struct Nf4Tensor {
    pub rows: usize,
    pub cols: usize,
    /// Values per first-level block, counted over the flattened tensor (blocks may cross rows).
    pub blocksize: usize,
    /// `[ceil(rows*cols/2)] u8`, high nibble first.
    pub packed: Vec<u8>,
    pub absmax: AbsMax,
}

impl AbsMax {
    /// Whether the scales are themselves quantized.
    pub fn is_nested(&self) -> bool {
        matches!(self, AbsMax::Nested { .. })
    }

    /// Number of first-level blocks.
    pub fn blocks(&self) -> usize {
        match self {
            AbsMax::Plain(values) => values.len(),
            AbsMax::Nested { codes, .. } => codes.len(),
        }
    }

    /// Scale of block `block`, decoded if it is itself quantized.
    #[inline]
    pub fn value(&self, block: usize) -> f32 {
        match self {
            AbsMax::Plain(values) => values[block],
            AbsMax::Nested {
                codes,
                table,
                absmax,
                offset,
                nested_blocksize,
            } => {
                let product = table[usize::from(codes[block])] * absmax[block / nested_blocksize];
                product + offset
            }
        }
    }

    /// Bytes held in memory.
    pub fn size_bytes(&self) -> usize {
        match self {
            AbsMax::Plain(values) => 4 * values.len(),
            AbsMax::Nested { codes, absmax, .. } => codes.len() + 4 * (absmax.len() + 256 + 1),
        }
    }
}

impl Nf4Tensor {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// True for a matrix without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Scale of first-level block `block` in f32.
    #[inline]
    pub fn block_absmax(&self, block: usize) -> f32 {
        self.absmax.value(block)
    }

    /// Bytes held in memory: packed codes and scales.
    pub fn size_bytes(&self) -> usize {
        self.packed.len() + self.absmax.size_bytes()
    }

    /// Decodes all values, row-major: `out[i] = CODES[code i] * absmax(block of i)`, one f32 rounding.
    /// `out.len()` must be `rows * cols`.
    pub fn decode_into(&self, out: &mut [f32]) {
        assert_eq!(out.len(), self.len(), "decode_into: wrong length of the output");
        let half = self.blocksize / 2;
        let blocks = out.chunks_mut(self.blocksize).zip(self.packed.chunks(half));
        for (block, (values, packed)) in blocks.enumerate() {
            decode_block(packed, self.block_absmax(block), values);
        }
    }

    /// Decodes `row`; `out.len()` must be `cols`. Rows need not start on a block.
    pub fn decode_row_into(&self, row: usize, out: &mut [f32]) {
        assert_eq!(
            out.len(),
            self.cols,
            "decode_row_into: wrong length of the output"
        );
        let start = row * self.cols;
        for (at, value) in (start..).zip(out) {
            let pair = self.packed[at / 2];
            let code = if at.is_multiple_of(2) {
                pair >> 4
            } else {
                pair & 15
            };
            *value = CODES[usize::from(code)] * self.block_absmax(at / self.blocksize);
        }
    }
}

/// The scale times each of the 16 values is made once per block: the same products, a 16th of the multiplications.
fn decode_block(packed: &[u8], absmax: f32, values: &mut [f32]) {
    let scaled = CODES.map(|code| code * absmax);
    let (pairs, last) = values.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(packed) {
        *pair = [scaled[usize::from(byte >> 4)], scaled[usize::from(byte & 15)]];
    }
    if let ([value], Some(byte)) = (last, packed.last()) {
        *value = scaled[usize::from(byte >> 4)];
    }
}
