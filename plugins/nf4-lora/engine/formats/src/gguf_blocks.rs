//! Tensor types of GGUF and their decoding to f32.

use crate::tensor::{decode_bf16, decode_f16, decode_f32};
use half::{bf16, f16};

/// A tensor type this engine decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockType {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
}

impl BlockType {
    /// The type with GGML's number `id`; `None` if this engine does not decode it.
    pub fn from_id(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            8 => Self::Q8_0,
            30 => Self::BF16,
            _ => return None,
        })
    }

    /// GGML's number of the type.
    pub fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q8_0 => 8,
            Self::BF16 => 30,
        }
    }

    /// Values per block.
    pub fn block_values(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 => QUANT_VALUES,
        }
    }

    /// Bytes per block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
        }
    }

    /// Decodes whole blocks: `bytes` holds exactly `out.len() / block_values()` of them.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        debug_assert_eq!(bytes.len() / self.block_bytes() * self.block_values(), out.len());
        match self {
            Self::F32 => decode_f32(bytes, out),
            Self::F16 => decode_f16(bytes, out),
            Self::BF16 => decode_bf16(bytes, out),
            Self::Q8_0 => each_block(bytes, out, decode_q8_0),
            Self::Q4_0 => each_block(bytes, out, decode_q4_0),
            Self::Q4_1 => each_block(bytes, out, decode_q4_1),
        }
    }

    /// Whole blocks of `values`, with the rounding of GGML's reference quantizers. `None` for Q4_1, which is only read,
    /// and when a value does not fit the type's f16.
    pub fn encode(self, values: &[f32]) -> Option<Vec<u8>> {
        match self {
            Self::F32 => Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Self::F16 => {
                let halves: Vec<f16> = values.iter().map(|v| f16::from_f32(*v)).collect();
                let fits = halves.iter().all(|half| half.is_finite());
                fits.then(|| halves.iter().flat_map(|half| half.to_le_bytes()).collect())
            }
            Self::BF16 => Some(
                values
                    .iter()
                    .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                    .collect(),
            ),
            Self::Q8_0 => encode_blocks(values, encode_q8_0),
            Self::Q4_0 => encode_blocks(values, encode_q4_0),
            Self::Q4_1 => None,
        }
    }
}

fn encode_blocks(
    values: &[f32],
    encode: impl Fn(&[f32; QUANT_VALUES], &mut Vec<u8>) -> Option<()>,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for block in values.as_chunks::<QUANT_VALUES>().0 {
        encode(block, &mut out)?;
    }
    Some(out)
}

/// The scale as f16 bytes; `None` when it overflows.
fn scale_bytes(scale: f32) -> Option<[u8; 2]> {
    let half = f16::from_f32(scale);
    half.is_finite().then(|| half.to_le_bytes())
}

/// `d = max |x| / 127`, codes `round(x / d)` with the d before its own rounding.
fn encode_q8_0(values: &[f32; QUANT_VALUES], out: &mut Vec<u8>) -> Option<()> {
    let largest = values.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    let d = largest / 127.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    out.extend(scale_bytes(d)?);
    out.extend(values.iter().map(|v| ((v * inverse).round() as i8) as u8));
    Some(())
}

/// `d` = the value of largest magnitude over -8, codes `trunc(x / d + 8.5)` up to 15.
fn encode_q4_0(values: &[f32; QUANT_VALUES], out: &mut Vec<u8>) -> Option<()> {
    let largest = values
        .iter()
        .fold(0.0f32, |l, v| if v.abs() > l.abs() { *v } else { l });
    let d = largest / -8.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    out.extend(scale_bytes(d)?);
    let code = |v: f32| ((v * inverse + 8.5) as u8).min(15);
    let (low, high) = values.split_at(HALF_VALUES);
    out.extend(low.iter().zip(high).map(|(a, b)| code(*a) | code(*b) << 4));
    Some(())
}

/// The name of GGML's type number, for messages.
pub(crate) fn type_name(id: u32) -> String {
    let name = match id {
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        20 => "IQ4_NL",
        23 => "IQ4_XS",
        _ => return format!("number {id}"),
    };
    name.to_owned()
}

const QUANT_VALUES: usize = 32;
const HALF_VALUES: usize = QUANT_VALUES / 2;

fn each_block<const BYTES: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; QUANT_VALUES]),
) {
    let blocks = bytes.as_chunks::<BYTES>().0;
    for (block, values) in blocks.iter().zip(out.as_chunks_mut::<QUANT_VALUES>().0) {
        decode(block, values);
    }
}

fn scale(low: u8, high: u8) -> f32 {
    f16::from_le_bytes([low, high]).to_f32()
}

/// f16 d, 32 i8: `d * q`.
fn decode_q8_0(block: &[u8; 34], values: &mut [f32; QUANT_VALUES]) {
    let d = scale(block[0], block[1]);
    for (value, code) in values.iter_mut().zip(&block[2..]) {
        *value = d * f32::from(*code as i8);
    }
}

/// f16 d, 16 bytes whose low nibbles are values 0..15 and high nibbles 16..31: `d * (q - 8)`.
fn decode_q4_0(block: &[u8; 18], values: &mut [f32; QUANT_VALUES]) {
    let d = scale(block[0], block[1]);
    for (at, code) in block[2..].iter().enumerate() {
        values[at] = d * (f32::from(code & 15) - 8.0);
        values[at + HALF_VALUES] = d * (f32::from(code >> 4) - 8.0);
    }
}

/// f16 d, f16 m, 16 bytes in the order of Q4_0: `d * q + m` (the product is exact in f32).
fn decode_q4_1(block: &[u8; 20], values: &mut [f32; QUANT_VALUES]) {
    let d = scale(block[0], block[1]);
    let m = scale(block[2], block[3]);
    for (at, code) in block[4..].iter().enumerate() {
        values[at] = d * f32::from(code & 15) + m;
        values[at + HALF_VALUES] = d * f32::from(code >> 4) + m;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_bytes(value: f32) -> [u8; 2] {
        f16::from_f32(value).to_le_bytes()
    }

    #[test]
    fn q4_1_keeps_low_nibbles_first() {
        let mut block = [half_bytes(0.5), half_bytes(-1.0)].concat();
        block.extend((0..16).map(|i| (i as u8) | (15 - i as u8) << 4));
        let mut out = [0.0; 32];
        BlockType::Q4_1.decode(&block, &mut out);
        for i in 0..16 {
            assert_eq!(out[i], 0.5 * i as f32 - 1.0);
            assert_eq!(out[16 + i], 0.5 * (15 - i) as f32 - 1.0);
        }
    }

    /// Bytes made by gguf-py 0.19's `quants.quantize` of the same values.
    #[test]
    fn encodes_as_the_reference_does() {
        let mut values: Vec<f32> = (0..64).map(|i| (i * 37 % 64 - 31) as f32 * 0.013).collect();
        values[40] = -0.5001;
        let hex = |block: BlockType| crate::atomic::hex(&block.encode(&values).unwrap_or_default());
        assert_eq!(
            hex(BlockType::Q8_0),
            "b51a8518ad40d467fc9124b94be073089d30c457ec7f14a93cd063f88d20b547dc6f081c\
             03aa24cb45ec660d812ed54ff69d17be38df5900a721c842e9630ab12bd24cf3"
        );
        assert_eq!(
            hex(BlockType::Q4_0),
            "a8aacf379d047be248bf269df36ad148ae15002cc863ea852ca74ec970eb953db752d974"
        );
    }

    #[test]
    fn encoding_errs_by_half_a_step_and_keeps_what_was_decoded() {
        let values: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32 - 31.0) * 0.013).collect();
        for (block, steps) in [(BlockType::Q8_0, 127.0), (BlockType::Q4_0, 8.0)] {
            let bytes = block.encode(&values).unwrap_or_default();
            assert_eq!(bytes.len(), 2 * block.block_bytes());
            let mut out = vec![0.0; 64];
            block.decode(&bytes, &mut out);
            for (chunk, decoded) in values.chunks(32).zip(out.chunks(32)) {
                let largest = chunk.iter().fold(0.0f32, |l, v| l.max(v.abs()));
                for (a, b) in chunk.iter().zip(decoded) {
                    // The end opposite to the largest value of Q4_0 has one code fewer.
                    let bound = if steps == 8.0 { 1.0 } else { 0.51 };
                    assert!((a - b).abs() <= bound * largest / steps, "{a} {b}");
                }
            }
        }
        assert_eq!(BlockType::Q8_0.encode(&[0.0; 32]), Some(vec![0; 34]));
        assert_eq!(BlockType::F16.encode(&[70_000.0]), None);
    }

    #[test]
    fn q4_0_subtracts_eight_and_q8_0_is_signed() {
        let mut block = half_bytes(0.25).to_vec();
        block.extend([0xf0_u8; 16]);
        let mut out = [0.0; 32];
        BlockType::Q4_0.decode(&block, &mut out);
        assert_eq!((out[0], out[31]), (-2.0, 1.75));

        let mut block = half_bytes(0.5).to_vec();
        block.extend((0..32).map(|i| (i as i8 - 16) as u8));
        BlockType::Q8_0.decode(&block, &mut out);
        assert_eq!((out[0], out[16], out[31]), (-8.0, 0.0, 7.5));
    }
}
