//! The NF4 encoder. Codes and first-level scales equal those of bitsandbytes (CPU and CUDA) for every bf16 source;
//! second-level codes follow its CUDA rule (nearest value, ties to the even code).
//!
//! Blocks whose largest magnitude is below 1e-38 are multiplied by 1e38 instead of a reciprocal that would overflow.

use crate::error::{Code, EngineError, Result};
use crate::nf4::{AbsMax, BLOCKSIZES, Nf4Tensor};
use crate::nf4_tables::{DYNAMIC_MAP, THRESHOLDS};

/// Values per second-level block.
const NESTED_BLOCKSIZE: usize = 256;
const SMALLEST_DIVISOR: f32 = 1e-38;
/// Code of 0.0, also written into the unused nibble of an odd count.
const ZERO_CODE: u8 = 7;
/// Values classified at once. The usual block; with 32, optimised builds unroll the loops into scalar code and take
/// three times as long. Smaller blocks are padded.
const LANES: usize = 64;

/// Quantizes a row-major matrix `[rows, cols]`.
///
/// `blocksize` is one of [`BLOCKSIZES`] (64 is usual). With `double_quant` the scales become 8-bit codes with one f32 per
/// 256 of them.
///
/// Errors: `RequestInvalid` for a bad block size or a length other than `rows * cols`; `NonFinite` if a value is NaN
/// or infinite.
pub fn quantize(
    values: &[f32],
    rows: usize,
    cols: usize,
    blocksize: usize,
    double_quant: bool,
) -> Result<Nf4Tensor> {
    check_request(values, rows, cols, blocksize)?;
    let mut packed = vec![0_u8; values.len().div_ceil(2)];
    let mut absmax = Vec::with_capacity(values.len().div_ceil(blocksize));
    encode_blocks(values, blocksize, &mut packed, &mut absmax);
    // NaN and infinity survive the maximum of bit patterns, so that one look per block is enough.
    if let Some(block) = absmax.iter().position(|value| !value.is_finite()) {
        let from = block * blocksize;
        let detail = format!(
            "a weight between positions {from} and {} is NaN or infinite",
            from + blocksize - 1
        );
        return Err(EngineError::new(Code::NonFinite, detail));
    }
    let absmax = if double_quant {
        nest_absmax(&absmax, mean(&absmax))
    } else {
        AbsMax::Plain(absmax)
    };
    Ok(Nf4Tensor {
        rows,
        cols,
        blocksize,
        packed,
        absmax,
    })
}

/// Errors: `RequestInvalid` for a size other than [`BLOCKSIZES`].
pub fn check_blocksize(blocksize: usize) -> Result<()> {
    if BLOCKSIZES.contains(&blocksize) {
        return Ok(());
    }
    let sizes = BLOCKSIZES.map(|size| size.to_string()).join(", ");
    let detail = format!("blockSize {blocksize}: NF4 has blocks of {sizes} values; 64 is usual");
    Err(EngineError::new(Code::RequestInvalid, detail))
}

fn check_request(values: &[f32], rows: usize, cols: usize, blocksize: usize) -> Result<()> {
    check_blocksize(blocksize)?;
    let refuse = |detail: String| Err(EngineError::new(Code::RequestInvalid, detail));
    if rows.checked_mul(cols) != Some(values.len()) {
        return refuse(format!(
            "{} values do not fill a {rows} x {cols} matrix",
            values.len()
        ));
    }
    Ok(())
}

/// Fills `packed` and `absmax`. The same code is compiled for two vector widths; it only multiplies and compares, so
/// both give the same bits.
fn encode_blocks(values: &[f32], blocksize: usize, packed: &mut [u8], absmax: &mut Vec<f32>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { encode_blocks_avx2(values, blocksize, packed, absmax) };
    }
    encode_blocks_portable(values, blocksize, packed, absmax);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn encode_blocks_avx2(values: &[f32], blocksize: usize, packed: &mut [u8], absmax: &mut Vec<f32>) {
    encode_blocks_portable(values, blocksize, packed, absmax);
}

#[inline(always)]
fn encode_blocks_portable(values: &[f32], blocksize: usize, packed: &mut [u8], absmax: &mut Vec<f32>) {
    for (block, bytes) in values.chunks(blocksize).zip(packed.chunks_mut(blocksize / 2)) {
        let largest = largest_magnitude(block);
        encode_block(block, reciprocal(largest), bytes);
        absmax.push(largest);
    }
}

/// Largest |x|. Compared as integers: for non-negative floats the order is the same, NaN sorts above infinity, and
/// the loop vectorizes.
#[inline(always)]
fn largest_magnitude(block: &[f32]) -> f32 {
    f32::from_bits(
        block
            .iter()
            .fold(0, |largest, value| largest.max(value.to_bits() & 0x7fff_ffff)),
    )
}

fn reciprocal(absmax: f32) -> f32 {
    if absmax < SMALLEST_DIVISOR {
        1.0 / SMALLEST_DIVISOR
    } else {
        1.0 / absmax
    }
}

/// Packs the codes of one block; `bytes.len() == ceil(block.len() / 2)`.
#[inline(always)]
fn encode_block(block: &[f32], scale: f32, bytes: &mut [u8]) {
    let (groups, rest) = block.as_chunks::<LANES>();
    let (full, last) = bytes.split_at_mut(groups.len() * LANES / 2);
    for (group, out) in groups.iter().zip(full.chunks_exact_mut(LANES / 2)) {
        pack(&classify(group, scale), out);
    }
    if !rest.is_empty() {
        let mut group = [0.0; LANES];
        group[..rest.len()].copy_from_slice(rest);
        let mut codes = classify(&group, scale);
        codes[rest.len()..].fill(ZERO_CODE);
        pack(&codes, last);
    }
}

/// Code = number of thresholds strictly below the scaled value. Plain counted loops over fixed arrays without branches
/// or overflow checks: the form that compilers turn into vector code.
#[inline(always)]
fn classify(group: &[f32; LANES], scale: f32) -> [u8; LANES] {
    let (mut scaled, mut counts, mut codes) = ([0.0; LANES], [0_i32; LANES], [0; LANES]);
    for lane in 0..LANES {
        scaled[lane] = group[lane] * scale;
    }
    for threshold in THRESHOLDS {
        for lane in 0..LANES {
            counts[lane] = counts[lane].wrapping_add(i32::from(scaled[lane] > threshold));
        }
    }
    for lane in 0..LANES {
        codes[lane] = counts[lane] as u8;
    }
    codes
}

#[inline(always)]
fn pack(codes: &[u8; LANES], out: &mut [u8]) {
    for (byte, pair) in out.iter_mut().zip(codes.as_chunks::<2>().0) {
        *byte = pair[0] << 4 | pair[1];
    }
}

/// The mean in f64, rounded once. (torch's own f32 reduction is one ulp off it now and then.)
fn mean(absmax: &[f32]) -> f32 {
    let sum: f64 = absmax.iter().copied().map(f64::from).sum();
    if absmax.is_empty() {
        0.0
    } else {
        (sum / absmax.len() as f64) as f32
    }
}

/// Double quantization: subtracts `offset` (usually the mean), then 8-bit codes of the dynamic map with one scale per
/// 256 of them. `absmax` must be finite.
pub fn nest_absmax(absmax: &[f32], offset: f32) -> AbsMax {
    let mut codes = Vec::with_capacity(absmax.len());
    let mut nested = Vec::with_capacity(absmax.len().div_ceil(NESTED_BLOCKSIZE));
    for block in absmax.chunks(NESTED_BLOCKSIZE) {
        let centred: Vec<f32> = block.iter().map(|value| value - offset).collect();
        let largest = largest_magnitude(&centred);
        let scale = if largest == 0.0 { 0.0 } else { reciprocal(largest) };
        codes.extend(
            centred
                .iter()
                .map(|value| nearest_in(&DYNAMIC_MAP, value * scale)),
        );
        nested.push(largest);
    }
    let table = Box::new(DYNAMIC_MAP);
    AbsMax::Nested {
        codes,
        table,
        absmax: nested,
        offset,
        nested_blocksize: NESTED_BLOCKSIZE,
    }
}

/// Index of the entry of an ascending `map` that is nearest to `value` by the f32 midpoint; a tie goes to the even
/// index, NaN to 0.
pub fn nearest_in(map: &[f32; 256], value: f32) -> u8 {
    let above = map.partition_point(|entry| *entry < value);
    if above == 0 {
        return 0;
    }
    if above == map.len() {
        return 255;
    }
    let below = above - 1;
    let midpoint = (map[below] + map[above]) * 0.5;
    let upper = value > midpoint || (value == midpoint && above.is_multiple_of(2));
    (if upper { above } else { below }) as u8
}
