//! NF4 storage, bit-compatible with bitsandbytes (flattened row-major blocks, high nibble first).

/// First-level scale of each block.
pub enum AbsMax {
    /// `[ceil(n/blocksize)] f32`.
    Plain(Vec<f32>),
    /// Double quantization: value of block i = `table[codes[i]] * absmax[i / blocksize] + offset`,
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
pub struct Nf4Tensor {
    pub rows: usize,
    pub cols: usize,
    /// Values per first-level block, counted over the flattened tensor (blocks may cross rows).
    pub blocksize: usize,
    /// `[ceil(rows*cols/2)] u8`, high nibble first.
    pub packed: Vec<u8>,
    pub absmax: AbsMax,
}
