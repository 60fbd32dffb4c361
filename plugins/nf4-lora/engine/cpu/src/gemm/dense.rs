//! f32 operands: row-major matrices packed on the fly, and weights kept as panels.

use super::driver::{Block, Panel, Panels};
use crate::buffer::Aligned;
use crate::isa::Isa;
use crate::simd::Simd;
use crate::team::{Parts, Team};

/// `B[k, n] = data[k*ld + n]`, `[K, N]` row-major.
#[derive(Clone, Copy)]
pub struct RowMajor {
    pub data: *const f32,
    pub ld: usize,
    pub n: usize,
}

/// `B[k, n] = data[n*ld + k]`, `[N, K]` row-major.
#[derive(Clone, Copy)]
pub struct Transposed {
    pub data: *const f32,
    pub ld: usize,
    pub n: usize,
}

/// `B[k, n]` = element `(n, k)` of a weight `[N, K]` kept as panels: read in place.
#[derive(Clone, Copy)]
pub struct WeightForward {
    pub data: *const f32,
    pub k: usize,
}

/// `B[n, k]` = element `(n, k)` of a weight `[N, K]` kept as panels: transposed on the fly.
#[derive(Clone, Copy)]
pub struct WeightBackward {
    pub data: *const f32,
    /// Columns of the weight.
    pub k: usize,
}

macro_rules! shared {
    ($($name:ident),*) => {$(
        // SAFETY: read-only views whose memory the caller of the product keeps borrowed.
        unsafe impl Send for $name {}
        unsafe impl Sync for $name {}
    )*};
}
shared!(RowMajor, Transposed, WeightForward, WeightBackward);

unsafe impl Panels for RowMajor {
    const NEEDS_SCRATCH: bool = true;
    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, block: Block, scratch: *mut f32) -> Panel {
        let nr = 2 * S::LANES;
        let column = index * nr;
        let columns = self.n - column;
        let data = self.data.add(block.k0 * self.ld + column);
        if columns == S::LANES {
            return Panel { data, row: self.ld };
        }
        copy_panel::<S>(data, self.ld, columns, block.kc, scratch);
        Panel {
            data: scratch,
            row: nr,
        }
    }
}

/// f32 of a cache line.
const LINE: usize = 16;
/// Rows that are fetched ahead of being copied.
const AHEAD: usize = 8;

/// Copies `kc` rows of up to `NR` columns (`n` exist) into a panel, zeroes behind them.
#[inline(always)]
unsafe fn copy_panel<S: Simd>(src: *const f32, ld: usize, n: usize, kc: usize, panel: *mut f32) {
    let nr = 2 * S::LANES;
    let first = n.min(S::LANES);
    let second = n.min(nr) - first;
    for k in 0..kc {
        let (from, to) = (src.add(k * ld), panel.add(k * nr));
        // Rows are far apart: the hardware does not foresee the next.
        S::prefetch(from.wrapping_add(AHEAD * ld));
        S::prefetch(from.wrapping_add(AHEAD * ld + S::LANES));
        if second == S::LANES {
            S::store(to, S::load(from));
            S::store(to.add(S::LANES), S::load(from.add(S::LANES)));
        } else {
            S::store(to, S::load_first(from, first));
            S::store(to.add(S::LANES), S::load_first(from.add(first), second));
        }
    }
}

unsafe impl Panels for Transposed {
    const NEEDS_SCRATCH: bool = true;
    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, Block { k0, kc }: Block, scratch: *mut f32) -> Panel {
        let row = index * 2 * S::LANES;
        let src = self.data.add(row * self.ld + k0);
        transpose_panel::<S>(src, self.ld, (self.n - row).min(2 * S::LANES), kc, scratch);
        Panel {
            data: scratch,
            row: 2 * S::LANES,
        }
    }
}

/// Turns `n <= NR` rows of `kc` elements into a panel `[kc, NR]`, zeroes behind them.
///
/// # Safety
/// The pointers are valid for these shapes, `src` with rows `ld` apart.
#[inline(always)]
pub unsafe fn transpose_panel<S: Simd>(src: *const f32, ld: usize, n: usize, kc: usize, panel: *mut f32) {
    let (l, nr) = (S::LANES, 2 * S::LANES);
    for half in 0..2 {
        let rows = n.saturating_sub(half * l).min(l);
        let (from, to) = (src.add(half * l * ld), panel.add(half * l));
        let whole = if rows == l { kc / l * l } else { 0 };
        for k in (0..whole).step_by(l) {
            S::transpose(from.add(k), ld, to.add(k * nr), nr);
        }
        for k in whole..kc {
            for i in 0..l {
                *to.add(k * nr + i) = if i < rows { *from.add(i * ld + k) } else { 0.0 };
            }
        }
    }
}

unsafe impl Panels for WeightForward {
    const NEEDS_SCRATCH: bool = false;
    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, block: Block, _: *mut f32) -> Panel {
        let row = 2 * S::LANES;
        let data = self.data.add((index * self.k + block.k0) * row);
        Panel { data, row }
    }
}

unsafe impl Panels for WeightBackward {
    const NEEDS_SCRATCH: bool = true;
    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, Block { k0, kc }: Block, scratch: *mut f32) -> Panel {
        // Here the summed index is the weight's row; blocks start on multiples of 16, so that they may start and end
        // inside a stored panel.
        let nr = 2 * S::LANES;
        let column = index * nr;
        let columns = (self.k - column).min(nr);
        let mut done = 0;
        while done < kc {
            let (panel, inside) = ((k0 + done) / nr, (k0 + done) % nr);
            let rows = (nr - inside).min(kc - done);
            let src = self.data.add((panel * self.k + column) * nr + inside);
            // The next square lies far away.
            let next = src.wrapping_add(self.k * nr);
            for line in 0..columns * nr / LINE {
                S::prefetch(next.wrapping_add(line * LINE));
            }
            transpose_panel::<S>(src, nr, columns, rows, scratch.add(done * nr));
            done += rows;
        }
        Panel {
            data: scratch,
            row: 2 * S::LANES,
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
    pub fn forward(&self) -> WeightForward {
        WeightForward {
            data: self.panels.as_ptr(),
            k: self.cols,
        }
    }

    /// Source for `dY · W`.
    pub fn backward(&self) -> WeightBackward {
        WeightBackward {
            data: self.panels.as_ptr(),
            k: self.cols,
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
