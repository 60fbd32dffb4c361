//! The register tile of products in 16 bits: 8 rows by three vectors of columns.

use super::blocks16::BLOCK;
use std::arch::x86_64::*;

/// `f32` that a tile works in.
pub const SUMS: usize = STRIP * COLUMNS;
/// Columns of a vector.
pub const LANES: usize = 16;
/// Vectors of a panel.
pub const VECTORS: usize = 3;
/// Rows of a tile.
pub const STRIP: usize = 8;
const COLUMNS: usize = VECTORS * LANES;
/// Pairs of a panel that are fetched ahead of their use.
const AHEAD: usize = 16;

/// `c [rows, columns] = a · b + low · outer`, added to `c` when `accumulate`.
/// Addresses, not borrows: only unsafe functions go there, and their callers answer for shapes and lifetimes.
#[derive(Clone, Copy)]
pub struct Tile16 {
    /// At most `STRIP`; the operands have `STRIP`, but for `low`.
    pub rows: usize,
    pub columns: usize,
    pub k: usize,
    /// `[STRIP, pairs(k)]` of two i16
    pub a: *const i32,
    /// `[STRIP, blocks(k)] f32`
    pub a_scales: *const f32,
    /// `[pairs(k), COLUMNS]` of two i16
    pub b: *const i32,
    /// `[blocks(k), COLUMNS] f32`
    pub b_scales: *const f32,
    pub rank: usize,
    /// `[rows, rank] f32`
    pub low: *const f32,
    /// `[rank, COLUMNS] f32`
    pub outer: *const f32,
    pub c: *mut f32,
    pub c_row: usize,
    pub accumulate: bool,
    /// `[STRIP, COLUMNS] f32` to work in, on a cache line.
    pub sums: *mut f32,
    /// The next strip `[STRIP, pairs(k)]` is fetched by `turns` tiles; this one is number `turn`.
    pub next: *const i32,
    pub turn: usize,
    pub turns: usize,
}

/// Pairs between two looks at whether it is this tile's turn to fetch.
const STEPS: usize = 8;
/// i32 of a cache line.
const LINE: usize = 16;

impl Tile16 {
    /// # Safety
    /// The machine has AVX-512 VNNI; the pointers are valid for the shapes.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    pub unsafe fn multiply(&self) {
        for i in 0..self.rows {
            for v in 0..VECTORS {
                _mm_prefetch::<_MM_HINT_T0>(self.c.wrapping_add(i * self.c_row + v * LANES).cast());
            }
        }
        let blocks = self.k.div_ceil(BLOCK);
        let mut turn = self.turns - 1 - self.turn;
        for block in 0..blocks {
            self.block(block, blocks, &mut turn);
        }
        self.finish();
    }

    /// One block of the summed index: exact, then scaled and added.
    // Counted loops: iterators over the arrays would take their address.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    unsafe fn block(&self, block: usize, blocks: usize, turn: &mut usize) {
        let pairs = self.k.div_ceil(2);
        let (mut pair, to) = (block * BLOCK / 2, pairs.min((block + 1) * BLOCK / 2));
        let mut acc = [[_mm512_setzero_si512(); VECTORS]; STRIP];
        let mut b = self.b.add(pair * COLUMNS);
        while pair < to {
            *turn += 1;
            if *turn == self.turns {
                *turn = 0;
                for line in 0..STEPS * STRIP / LINE {
                    _mm_prefetch::<_MM_HINT_T1>(self.next.wrapping_add(pair * STRIP + line * LINE).cast());
                }
            }
            let end = to.min(pair + STEPS);
            while pair < end {
                let mut columns = [_mm512_setzero_si512(); VECTORS];
                for v in 0..VECTORS {
                    columns[v] = _mm512_loadu_si512(b.add(v * LANES).cast());
                    _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(AHEAD * COLUMNS + v * LANES).cast());
                }
                for i in 0..STRIP {
                    let value = _mm512_set1_epi32(*self.a.add(i * pairs + pair));
                    for v in 0..VECTORS {
                        acc[i][v] = _mm512_dpwssd_epi32(acc[i][v], value, columns[v]);
                    }
                }
                b = b.add(COLUMNS);
                pair += 1;
            }
        }
        let mut columns = [_mm512_setzero_ps(); VECTORS];
        for v in 0..VECTORS {
            columns[v] = _mm512_loadu_ps(self.b_scales.add(block * COLUMNS + v * LANES));
        }
        for i in 0..STRIP {
            let row = _mm512_set1_ps(*self.a_scales.add(i * blocks + block));
            for v in 0..VECTORS {
                let to = self.sums.add(i * COLUMNS + v * LANES);
                let product = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[i][v]), columns[v]);
                let before = if block == 0 {
                    _mm512_setzero_ps()
                } else {
                    _mm512_load_ps(to)
                };
                _mm512_store_ps(to, _mm512_fmadd_ps(product, row, before));
            }
        }
    }

    /// Adds the tail and writes the rows that are there.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    unsafe fn finish(&self) {
        let mut acc = [[_mm512_setzero_ps(); VECTORS]; STRIP];
        for i in 0..STRIP {
            for v in 0..VECTORS {
                acc[i][v] = _mm512_load_ps(self.sums.add(i * COLUMNS + v * LANES));
            }
        }
        let last = self.rows - 1;
        for step in 0..self.rank {
            let mut columns = [_mm512_setzero_ps(); VECTORS];
            for v in 0..VECTORS {
                columns[v] = _mm512_loadu_ps(self.outer.add(step * COLUMNS + v * LANES));
            }
            for i in 0..STRIP {
                let value = _mm512_set1_ps(*self.low.add(i.min(last) * self.rank + step));
                for v in 0..VECTORS {
                    acc[i][v] = _mm512_fmadd_ps(value, columns[v], acc[i][v]);
                }
            }
        }
        for i in 0..STRIP {
            for v in 0..VECTORS {
                let left = self.columns.saturating_sub(v * LANES).min(LANES);
                let left = if i < self.rows { left } else { 0 };
                let mask = ((1u32 << left) - 1) as __mmask16;
                let to = self.c.wrapping_add(i * self.c_row + v * LANES);
                let mut value = acc[i][v];
                if self.accumulate {
                    value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, to));
                }
                _mm512_mask_storeu_ps(to, mask, value);
            }
        }
    }
}
