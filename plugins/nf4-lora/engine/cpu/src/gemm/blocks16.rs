//! Products in 16 bits: block floating point. A row of the left operand and a column of the right one are integers of at most
//! `MOST`, with one f32 scale for each `BLOCK` steps of the summed index. Within a block the sum is exact (32-bit integers
//! hold it); blocks are added in f32. What is rounded is each operand, once: by at most half a step, 1/8190 of the largest
//! value of its block.

use super::driver::{Block, K_BLOCK, Panels, Product};
use super::grid::{Grid, Part};
use super::tile16::{LANES, STRIP, SUMS, Tile16, VECTORS};
use crate::scratch::{Area, Scratch};
use crate::simd::Avx512;
use crate::team::Team;
use std::arch::x86_64::*;

/// Steps of the summed index that share a scale.
pub const BLOCK: usize = 128;
/// Largest integer: `BLOCK * MOST²` is below 2³¹.
pub const MOST: f32 = 4095.0;
/// Largest value of a block that counts as zero: its scale could not be inverted.
const TINY: f32 = 1e-30;
/// Longest part of `K` that is prepared at once, whole blocks.
const K_PART: usize = 12 * BLOCK;
/// Most rows that are prepared at once: 6 MiB of integers.
const ROW_PART: usize = 2048;
/// Fewer rows do not repay preparing the panels.
const MIN_ROWS: usize = 32;
/// Steps of the summed index that are fetched of a panel at once; whole blocks.
const FETCH: usize = K_BLOCK / BLOCK * BLOCK;
/// Columns of a working panel.
const COLUMNS: usize = VECTORS * LANES;
/// Rows of a preparing task.
const ROWS_OF_TASK: usize = 64;

/// Whether this machine has the instructions and the product is one that gains.
pub fn takes(product: &Product) -> bool {
    let plain = product.a_col == 1 && product.alpha == 1.0;
    plain && product.m >= MIN_ROWS && product.k > 0 && available()
}

/// Whether this machine has the instructions.
pub fn available() -> bool {
    is_x86_feature_detected!("avx512vnni") && crate::isa::Isa::Avx512.available()
}

/// Rows of the left operand as integers, `rows` from `m0` on and `k` columns from `k0` on.
#[derive(Clone, Copy)]
struct Left {
    m0: usize,
    rows: usize,
    k0: usize,
    k: usize,
    /// `[rows, pairs(k)]` of two i16 each, rows filled up to whole strips.
    codes: *mut i32,
    /// `[rows, blocks(k)] f32`
    scales: *mut f32,
}

// SAFETY: tasks write disjoint rows, then only read.
unsafe impl Send for Left {}
unsafe impl Sync for Left {}

fn blocks(k: usize) -> usize {
    k.div_ceil(BLOCK)
}

/// `C = A · B` and the tail, as `driver::multiply` for row-major `a` and `alpha` 1, operands rounded as said above.
///
/// # Safety
/// As `driver::multiply`; `takes(product)`.
pub unsafe fn multiply<P: Panels>(team: &Team, product: &Product, panels: P) {
    let (m, k) = (product.m, product.k);
    for m0 in (0..m).step_by(ROW_PART) {
        let rows = ROW_PART.min(m - m0);
        for k0 in (0..k).step_by(K_PART) {
            let k = K_PART.min(k - k0);
            let strips = rows.next_multiple_of(STRIP);
            let codes = Scratch::take(Area::LeftCodes, strips * k.div_ceil(2));
            let scales = Scratch::take(Area::LeftScales, strips * blocks(k));
            let left = Left {
                m0,
                rows,
                k0,
                k,
                codes: codes.start().cast(),
                scales: scales.start(),
            };
            team.run(rows.div_ceil(ROWS_OF_TASK), |task| {
                // SAFETY: the rows of tasks are disjoint; the rest is the caller's promise.
                unsafe { prepare_rows(product, left, task * ROWS_OF_TASK) }
            });
            let bytes = (k.div_ceil(2) + blocks(k)) * COLUMNS * size_of::<f32>();
            let grid = Grid::by_panels(rows, product.n.div_ceil(COLUMNS), bytes, team.threads());
            team.run(grid.tasks(), |task| {
                // SAFETY: parts are disjoint in `c`.
                unsafe { run_part(product, panels, left, grid.part(task)) }
            });
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn prepare_rows(product: &Product, left: Left, from: usize) {
    let (pairs, blocks) = (left.k.div_ceil(2), blocks(left.k));
    for row in from..(from + ROWS_OF_TASK).min(left.rows) {
        let source = product.a.add((left.m0 + row) * product.a_row + left.k0);
        let (codes, scales) = (left.codes.add(row * pairs), left.scales.add(row * blocks));
        for block in 0..blocks {
            let k0 = block * BLOCK;
            let to = codes.cast::<i16>().add(k0);
            *scales.add(block) = prepare_run(source.add(k0), BLOCK.min(left.k - k0), to);
        }
    }
}

/// One block of a row as integers, an odd end filled up with a zero. Returns the scale.
#[inline(always)]
unsafe fn prepare_run(from: *const f32, k: usize, to: *mut i16) -> f32 {
    let mut largest = _mm512_setzero_si512();
    let first = |at: usize| (((1u32 << (k - at).min(LANES)) - 1) & 0xffff) as __mmask16;
    for at in (0..k).step_by(LANES) {
        let bits = _mm512_castps_si512(_mm512_maskz_loadu_ps(first(at), from.add(at)));
        largest = _mm512_max_epi32(largest, magnitude(bits));
    }
    let (scale, inverse) = scale_of(f32::from_bits(_mm512_reduce_max_epi32(largest) as u32));
    let inverse = _mm512_set1_ps(inverse);
    for at in (0..k).step_by(LANES) {
        let x = _mm512_maskz_loadu_ps(first(at), from.add(at));
        let codes = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(x, inverse)));
        // An odd `k` has room for one more.
        let lanes = (k.next_multiple_of(2) - at).min(LANES);
        _mm256_mask_storeu_epi16(to.add(at), ((1u32 << lanes) - 1) as __mmask16, codes);
    }
    scale
}

/// Without the sign: as integers these order as the magnitudes do, with NaN above infinity above all numbers.
#[inline(always)]
unsafe fn magnitude(bits: __m512i) -> __m512i {
    _mm512_and_si512(bits, _mm512_set1_epi32(0x7fff_ffff))
}

/// Scale of a block with this largest magnitude, and its inverse. What is not finite makes the scale NaN, so that the
/// results are.
fn scale_of(largest: f32) -> (f32, f32) {
    if !largest.is_finite() {
        (f32::NAN, 0.0)
    } else if largest < TINY {
        (0.0, 0.0)
    } else {
        (largest / MOST, MOST / largest)
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn run_part<P: Panels>(product: &Product, panels: P, left: Left, part: Part) {
    let (pairs, blocks, n) = (left.k.div_ceil(2), blocks(left.k), product.n);
    let tail = product.tail.filter(|_| left.k0 + left.k == product.k);
    let rank = tail.map_or(0, |tail| tail.rank);
    let panel_size = (pairs + blocks + rank) * COLUMNS;
    let held = Scratch::take(Area::Panels, (part.p1 - part.p0) * panel_size);
    let scratch = held.start();
    for index in part.p0..part.p1 {
        let own = scratch.add((index - part.p0) * panel_size);
        let scales = own.add(pairs * COLUMNS);
        let columns = (n - index * COLUMNS).min(COLUMNS);
        prepare_panel(panels, index, columns, left, own.cast(), scales);
        if let Some(tail) = &tail {
            tail.append::<Avx512>(index * COLUMNS, n, scales.add(blocks * COLUMNS));
        }
    }
    let held_sums = Scratch::take(Area::Sums, SUMS);
    let sums = held_sums.start();
    let mut m0 = part.m0;
    while m0 < part.m1 {
        let rows = STRIP.min(part.m1 - m0);
        for index in part.p0..part.p1 {
            let own = scratch.add((index - part.p0) * panel_size);
            let column = index * COLUMNS;
            let row = left.m0 + m0;
            let scales = own.add(pairs * COLUMNS);
            Tile16 {
                rows,
                columns: (n - column).min(COLUMNS),
                k: left.k,
                a: left.codes.add(m0 * pairs),
                a_scales: left.scales.add(m0 * blocks),
                b: own.cast(),
                b_scales: scales,
                rank,
                low: tail.map_or(std::ptr::null(), |tail| tail.a.add(row * rank)),
                outer: scales.add(blocks * COLUMNS),
                c: product.c.add(row * n + column),
                c_row: n,
                accumulate: product.accumulate || left.k0 > 0,
                sums,
                next: left.codes.wrapping_add((m0 + STRIP) * pairs),
                turn: index - part.p0,
                turns: part.p1 - part.p0,
            }
            .multiply();
        }
        m0 += rows;
    }
}

/// A panel as pairs of integers `[pairs(k), COLUMNS]` and scales `[blocks(k), COLUMNS]`.
#[inline(always)]
unsafe fn prepare_panel<P: Panels>(
    panels: P,
    index: usize,
    columns: usize,
    left: Left,
    codes: *mut i32,
    scales: *mut f32,
) {
    let held = Scratch::take(Area::Fetched, FETCH * COLUMNS);
    let fetched = held.start();
    let vectors = columns.div_ceil(LANES);
    for start in (0..left.k).step_by(FETCH) {
        let kc = FETCH.min(left.k - start);
        let k0 = left.k0 + start;
        let panel = panels.fetch::<Avx512>(index, Block { k0, kc }, fetched);
        for inside in (0..kc).step_by(BLOCK) {
            let (k, at) = (BLOCK.min(kc - inside), start + inside);
            for v in 0..vectors {
                let from = panel.data.add(inside * panel.row + v * LANES);
                let to = codes.add(at / 2 * COLUMNS + v * LANES);
                prepare_columns(
                    from,
                    panel.row,
                    k,
                    to,
                    scales.add(at / BLOCK * COLUMNS + v * LANES),
                );
            }
        }
    }
}

/// One block of a vector of columns.
#[inline(always)]
unsafe fn prepare_columns(from: *const f32, row: usize, k: usize, to: *mut i32, scales: *mut f32) {
    let mut largest = _mm512_setzero_si512();
    for p in 0..k {
        let bits = _mm512_castps_si512(_mm512_loadu_ps(from.add(p * row)));
        largest = _mm512_max_epi32(largest, magnitude(bits));
    }
    let finite = _mm512_cmplt_epi32_mask(largest, _mm512_set1_epi32(0x7f80_0000));
    let largest = _mm512_castsi512_ps(largest);
    let large = finite & _mm512_cmp_ps_mask::<_CMP_GE_OQ>(largest, _mm512_set1_ps(TINY));
    let most = _mm512_set1_ps(MOST);
    let inverse = _mm512_maskz_div_ps(large, most, largest);
    let scale = _mm512_maskz_div_ps(large, largest, most);
    _mm512_storeu_ps(
        scales,
        _mm512_mask_blend_ps(finite, _mm512_set1_ps(f32::NAN), scale),
    );
    let code =
        |p: usize| unsafe { _mm512_cvtps_epi32(_mm512_mul_ps(inverse, _mm512_loadu_ps(from.add(p * row)))) };
    let low_half = _mm512_set1_epi32(0xffff);
    for p in (0..k).step_by(2) {
        let even = _mm512_and_si512(code(p), low_half);
        let odd = if p + 1 < k {
            code(p + 1)
        } else {
            _mm512_setzero_si512()
        };
        let pair = _mm512_or_si512(even, _mm512_slli_epi32::<16>(odd));
        _mm512_storeu_si512(to.add(p / 2 * COLUMNS).cast(), pair);
    }
}
