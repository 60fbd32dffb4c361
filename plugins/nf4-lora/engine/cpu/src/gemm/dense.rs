//! f32 operands: row-major matrices packed on the fly, and weights kept as panels.

use super::coded::{Coded, CodedBackward, CodedForward, Sums, store};
use super::driver::{Block, Panel, Panels};
use super::micro::Tile;
use crate::buffer::Aligned;
use crate::isa::Isa;
use crate::simd::Simd;
use crate::team::{Parts, Team};
use std::marker::PhantomData;

/// `B[k, n] = data[k*ld + n]`, `[K, N]` row-major.
/// Addresses, not borrows: only unsafe functions go there, and their callers answer for shapes and lifetimes.
#[derive(Clone, Copy)]
pub struct RowMajor {
    pub data: *const f32,
    pub ld: usize,
    pub n: usize,
    /// Rows of the product: a few do not repay copying panels.
    pub m: usize,
}

/// Most rows of a product that read their panels in place.
const IN_PLACE_ROWS: usize = 32;

/// `B[k, n] = data[n*ld + k]`, `[N, K]` row-major.
/// Addresses, not borrows: only unsafe functions go there, and their callers answer for shapes and lifetimes.
#[derive(Clone, Copy)]
pub struct Transposed {
    pub data: *const f32,
    pub ld: usize,
    pub n: usize,
}

macro_rules! shared {
    ($($name:ty),*) => {$(
        // SAFETY: read-only views whose memory the caller of the product keeps borrowed.
        unsafe impl Send for $name {}
        unsafe impl Sync for $name {}
    )*};
}
shared!(RowMajor, Transposed, View<'_>);

unsafe impl Panels for RowMajor {
    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, block: Block, scratch: *mut f32) -> Panel {
        let row = S::PANEL * S::LANES;
        let column = index * row;
        let columns = self.n - column;
        let data = self.data.add(block.k0 * self.ld + column);
        let whole = columns.min(row).is_multiple_of(S::LANES);
        if columns == S::LANES || whole && self.m <= IN_PLACE_ROWS {
            return Panel { data, row: self.ld };
        }
        copy_panel::<S>(data, self.ld, columns.min(row), block.kc, scratch);
        Panel { data: scratch, row }
    }
}

/// f32 of a cache line.
const LINE: usize = 16;
/// Rows that are fetched ahead of being copied.
const AHEAD: usize = 8;
/// Columns of a weight that are fetched ahead of their use.
const FUSED_AHEAD: usize = 16;

/// Copies `kc` rows of `n` columns into a panel of `PANEL` vectors, zeroes behind them up to a whole vector.
///
/// # Safety
/// The pointers are valid for these shapes, `src` with rows `ld` apart.
#[inline(always)]
pub unsafe fn copy_panel<S: Simd>(src: *const f32, ld: usize, n: usize, kc: usize, panel: *mut f32) {
    let row = S::PANEL * S::LANES;
    for k in 0..kc {
        let (from, to) = (src.add(k * ld), panel.add(k * row));
        for v in 0..n.div_ceil(S::LANES) {
            let at = v * S::LANES;
            // Rows are far apart: the hardware does not foresee the next.
            S::prefetch(from.wrapping_add(AHEAD * ld + at));
            let left = n.saturating_sub(at);
            if left >= S::LANES {
                S::store(to.add(at), S::load(from.add(at)));
            } else {
                S::store(to.add(at), S::load_first(from.wrapping_add(at), left));
            }
        }
    }
}

unsafe impl Panels for Transposed {
    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, Block { k0, kc }: Block, scratch: *mut f32) -> Panel {
        let row = S::PANEL * S::LANES;
        let first = index * row;
        let src = self.data.add(first * self.ld + k0);
        transpose_panel::<S>(src, self.ld, (self.n - first).min(row), kc, scratch, S::PANEL);
        Panel { data: scratch, row }
    }
}

/// Turns `n` rows of `kc` elements into a panel `[kc, vectors * L]`, zeroes behind them up to a whole vector.
///
/// # Safety
/// The pointers are valid for these shapes, `src` with rows `ld` apart.
#[inline(always)]
pub unsafe fn transpose_panel<S: Simd>(
    src: *const f32,
    ld: usize,
    n: usize,
    kc: usize,
    panel: *mut f32,
    vectors: usize,
) {
    let (l, row) = (S::LANES, vectors * S::LANES);
    for v in 0..n.div_ceil(l) {
        let rows = (n - v * l).min(l);
        let (from, to) = (src.wrapping_add(v * l * ld), panel.add(v * l));
        let whole = if rows == l { kc / l * l } else { 0 };
        for k in (0..whole).step_by(l) {
            S::transpose(from.add(k), ld, to.add(k * row), row);
        }
        for k in whole..kc {
            for i in 0..l {
                *to.add(k * row + i) = if i < rows { *from.add(i * ld + k) } else { 0.0 };
            }
        }
    }
}

/// A weight `[N, K]` as panels `[N/NR, K, NR]`, zero rows behind `N`.
pub struct DenseWeight {
    pub rows: usize,
    pub cols: usize,
    panels: Aligned<f32>,
    panel_columns: usize,
}

impl DenseWeight {
    /// Packs a row-major `[rows, cols]`; `None` when there is no memory.
    pub fn pack(team: &Team, isa: Isa, rows: usize, cols: usize, data: &[f32]) -> Option<Self> {
        let nr = isa.panel_columns();
        let count = rows.div_ceil(nr);
        let mut panels = Aligned::try_zeroed(count.checked_mul(nr)?.checked_mul(cols)?)?;
        let parts = Parts::new(&mut panels);
        team.run(count, |panel| {
            let size = nr * cols;
            // SAFETY: panels are disjoint.
            let to = unsafe { parts.part(panel * size..(panel + 1) * size) };
            for inside in 0..nr.min(rows - panel * nr) {
                let start = (panel * nr + inside) * cols;
                for (slot, value) in to
                    .iter_mut()
                    .skip(inside)
                    .step_by(nr)
                    .zip(&data[start..start + cols])
                {
                    *slot = *value;
                }
            }
        });
        Some(Self {
            rows,
            cols,
            panels,
            panel_columns: nr,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.panels.len() * size_of::<f32>()
    }

    /// Source for `X · Wᵀ`.
    pub fn forward(&self) -> CodedForward<View<'_>> {
        CodedForward(self.view())
    }

    /// Source for `dY · W`.
    pub fn backward(&self) -> CodedBackward<View<'_>> {
        CodedBackward(self.view())
    }

    fn view(&self) -> View<'_> {
        View {
            data: self.panels.as_ptr(),
            n: self.rows,
            k: self.cols,
            weight: PhantomData,
        }
    }

    /// Copies row `row` to `out [cols]`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let nr = self.panel_columns;
        let start = row / nr * nr * self.cols + row % nr;
        for (k, value) in out.iter_mut().enumerate() {
            *value = self.panels[start + k * nr];
        }
    }
}

/// The panels of a weight, which stays borrowed.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: *const f32,
    n: usize,
    k: usize,
    weight: PhantomData<&'a ()>,
}

// Decoding is copying: a panel that is as wide as the registers, in a cache, repays it where many rows pass by.
unsafe impl Coded for View<'_> {
    #[inline(always)]
    fn columns(&self) -> usize {
        self.k
    }

    #[inline(always)]
    fn rows(&self) -> usize {
        self.n
    }

    #[inline(always)]
    unsafe fn decode<S: Simd, const PART: u8>(
        &self,
        panel: usize,
        k0: usize,
        kc: usize,
        out: *mut f32,
        row: usize,
    ) {
        let nr = 2 * S::LANES;
        let from = self.data.add((panel * self.k + k0) * nr);
        for k in 0..kc {
            let from = from.add(k * nr);
            S::prefetch(from.wrapping_add(FUSED_AHEAD * nr));
            S::prefetch(from.wrapping_add(FUSED_AHEAD * nr + S::LANES));
            store::<S, PART>(out.add(k * row), S::load(from), S::load(from.add(S::LANES)));
        }
    }

    #[inline(always)]
    unsafe fn fused<S: Simd, const MR: usize>(&self, panel: usize, k0: usize, t: &Tile) {
        let nr = 2 * S::LANES;
        let mut sums = Sums::<S, MR>::start(t);
        let mut b = self.data.add((panel * self.k + k0) * nr);
        for _ in 0..t.k {
            S::prefetch(b.wrapping_add(FUSED_AHEAD * nr));
            S::prefetch(b.wrapping_add(FUSED_AHEAD * nr + S::LANES));
            let (low, high) = (S::load(b), S::load(b.add(S::LANES)));
            sums.add(t, low, high);
            b = b.add(nr);
        }
        sums.finish(t);
    }

    #[inline(always)]
    unsafe fn prefetch<S: Simd>(&self, panel: usize, k0: usize, kc: usize) {
        let from = self.data.wrapping_add((panel * self.k + k0) * 2 * S::LANES);
        for line in 0..kc * 2 * S::LANES / LINE {
            S::prefetch(from.wrapping_add(line * LINE));
        }
    }
}
