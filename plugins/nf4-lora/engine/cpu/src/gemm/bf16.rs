//! Weights in 16 bits (bfloat16), widened on the way into the product: arithmetic and sums are f32.
//!
//! A panel holds `NR` rows of the weight, `[K, NR] u16`: the upper halves of the f32 values.

use super::coded::{Coded, CodedBackward, CodedForward, LINE_BYTES, Sums, store};
use super::micro::Tile;
use crate::buffer::Aligned;
use crate::isa::Isa;
use crate::simd::Simd;
use crate::team::{Parts, Team};
use std::marker::PhantomData;

/// Columns that are fetched ahead of their use.
const AHEAD: usize = 32;

/// Whether every value is a bfloat16, so that nothing is lost by keeping it in 16 bits.
pub fn fits(values: &[f32]) -> bool {
    values.iter().all(|v| v.to_bits() & 0xFFFF == 0)
}

/// A weight `[N, K]` as panels `[N/NR, K, NR] u16`, zero rows behind `N`.
pub struct Bf16Weight {
    pub rows: usize,
    pub cols: usize,
    panels: Aligned<u16>,
    panel_columns: usize,
}

impl Bf16Weight {
    /// Packs a row-major `[rows, cols]` of values that `fits` holds for; `None` when there is no memory.
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
                let slots = to.iter_mut().skip(inside).step_by(nr);
                for (slot, value) in slots.zip(&data[start..start + cols]) {
                    *slot = (value.to_bits() >> 16) as u16;
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
        self.panels.len() * size_of::<u16>()
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

    /// Copies row `row`, widened, to `out [cols]`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let nr = self.panel_columns;
        let start = row / nr * nr * self.cols + row % nr;
        for (k, value) in out.iter_mut().enumerate() {
            *value = f32::from_bits(u32::from(self.panels[start + k * nr]) << 16);
        }
    }
}

/// The panels of a weight, which stays borrowed.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: *const u16,
    n: usize,
    k: usize,
    weight: PhantomData<&'a ()>,
}

// SAFETY: a read-only view of memory that it keeps borrowed.
unsafe impl Send for View<'_> {}
unsafe impl Sync for View<'_> {}

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
        let (l, nr) = (S::LANES, 2 * S::LANES);
        let from = self.data.add((panel * self.k + k0) * nr);
        for k in 0..kc {
            let from = from.add(k * nr);
            store::<S, PART>(out.add(k * row), S::widen(from), S::widen(from.add(l)));
        }
    }

    #[inline(always)]
    unsafe fn fused<S: Simd, const MR: usize>(&self, panel: usize, k0: usize, t: &Tile) {
        let (l, nr) = (S::LANES, 2 * S::LANES);
        let mut sums = Sums::<S, MR>::start(t);
        let mut b = self.data.add((panel * self.k + k0) * nr);
        for _ in 0..t.k {
            S::prefetch(b.wrapping_add(AHEAD * nr).cast());
            let (low, high) = (S::widen(b), S::widen(b.add(l)));
            sums.add(t, low, high);
            b = b.add(nr);
        }
        sums.finish(t);
    }

    #[inline(always)]
    unsafe fn prefetch<S: Simd>(&self, panel: usize, k0: usize, kc: usize) {
        let nr = 2 * S::LANES;
        let from = self.data.wrapping_add((panel * self.k + k0) * nr);
        for line in 0..kc * nr * size_of::<u16>() / LINE_BYTES {
            S::prefetch(from.wrapping_byte_add(line * LINE_BYTES).cast());
        }
    }
}
