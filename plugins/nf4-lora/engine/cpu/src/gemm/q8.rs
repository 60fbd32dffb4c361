//! Weights in 8 bits (GGUF's Q8_0), decoded on the way into the product: arithmetic and sums are f32.
//!
//! A panel holds `NR` rows of the weight: codes `[K, NR] i8`, and `[K/32, NR]` scales in f32. A decoded weight is
//! `code * scale`, which f32 holds exactly where the scale had 16 bits.

use super::coded::{Coded, CodedBackward, CodedForward, LINE_BYTES, Sums, store};
use super::micro::Tile;
use crate::buffer::Aligned;
use crate::isa::Isa;
use crate::simd::Simd;
use crate::team::{Parts, Team};
use escada_engine_formats::q8::{Q8_BLOCK, Q8Tensor};
use std::marker::PhantomData;

/// Columns that are fetched ahead of their use.
const AHEAD: usize = 64;

/// A weight `[N, K]`, zero rows behind `N`.
pub struct Q8Weight {
    pub rows: usize,
    pub cols: usize,
    /// `[N/NR, K, NR] i8`
    codes: Aligned<i8>,
    /// `[N/NR, K/32, NR] f32`
    scales: Aligned<f32>,
    panel_columns: usize,
}

impl Q8Weight {
    /// Rearranges a stored tensor; `None` when there is no memory.
    pub fn pack(team: &Team, isa: Isa, tensor: &Q8Tensor) -> Option<Self> {
        let nr = isa.panel_columns();
        let (rows, cols) = (tensor.rows, tensor.cols);
        let panels = rows.div_ceil(nr);
        let mut codes = Aligned::try_zeroed(panels.checked_mul(nr)?.checked_mul(cols)?)?;
        let mut scales = Aligned::try_zeroed(panels.checked_mul(nr)?.checked_mul(cols / Q8_BLOCK)?)?;
        turn(team, nr, rows, cols, &tensor.codes, &mut codes);
        turn(team, nr, rows, cols / Q8_BLOCK, &tensor.scales, &mut scales);
        Some(Self {
            rows,
            cols,
            codes,
            scales,
            panel_columns: nr,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.codes.len() + self.scales.len() * size_of::<f32>()
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
            codes: self.codes.as_ptr(),
            scales: self.scales.as_ptr(),
            n: self.rows,
            k: self.cols,
            weight: PhantomData,
        }
    }

    /// Copies row `row`, decoded, to `out [cols]`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let nr = self.panel_columns;
        let (panel, inside) = (row / nr, row % nr);
        for (k, value) in out.iter_mut().enumerate() {
            let code = self.codes[(panel * self.cols + k) * nr + inside];
            let scale = self.scales[(panel * (self.cols / Q8_BLOCK) + k / Q8_BLOCK) * nr + inside];
            *value = f32::from(code) * scale;
        }
    }
}

/// Row-major `from [rows, cols]` as panels `[rows/nr, cols, nr]`.
fn turn<T: Copy + Send + Sync>(team: &Team, nr: usize, rows: usize, cols: usize, from: &[T], to: &mut [T]) {
    let parts = Parts::new(to);
    team.run(rows.div_ceil(nr), |panel| {
        let size = nr * cols;
        // SAFETY: panels are disjoint.
        let to = unsafe { parts.part(panel * size..(panel + 1) * size) };
        for inside in 0..nr.min(rows - panel * nr) {
            let start = (panel * nr + inside) * cols;
            let slots = to.iter_mut().skip(inside).step_by(nr);
            for (slot, value) in slots.zip(&from[start..start + cols]) {
                *slot = *value;
            }
        }
    });
}

/// The panels of a weight, which stays borrowed.
#[derive(Clone, Copy)]
pub struct View<'a> {
    codes: *const i8,
    scales: *const f32,
    n: usize,
    k: usize,
    weight: PhantomData<&'a ()>,
}

// SAFETY: a read-only view of memory that it keeps borrowed.
unsafe impl Send for View<'_> {}
unsafe impl Sync for View<'_> {}

impl View<'_> {
    /// Calls `each` with every run of columns of one scale in `k0 .. k0+kc`: the columns, and the two vectors of scales.
    #[inline(always)]
    unsafe fn runs<S: Simd>(
        &self,
        panel: usize,
        k0: usize,
        kc: usize,
        mut each: impl FnMut(usize, usize, S::V, S::V),
    ) {
        let nr = 2 * S::LANES;
        let mut k = k0;
        while k < k0 + kc {
            let block = k / Q8_BLOCK;
            let end = ((block + 1) * Q8_BLOCK).min(k0 + kc);
            let scale = self.scales.add((panel * (self.k / Q8_BLOCK) + block) * nr);
            each(k, end, S::load(scale), S::load(scale.add(S::LANES)));
            k = end;
        }
    }
}

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
        let mut codes = self.codes.add((panel * self.k + k0) * nr);
        let mut to = out;
        self.runs::<S>(panel, k0, kc, |from, end, low_scale, high_scale| {
            for _ in from..end {
                let low = S::mul(S::from_bytes(codes), low_scale);
                let high = S::mul(S::from_bytes(codes.add(l)), high_scale);
                store::<S, PART>(to, low, high);
                codes = codes.add(nr);
                to = to.add(row);
            }
        });
    }

    #[inline(always)]
    unsafe fn fused<S: Simd, const MR: usize>(&self, panel: usize, k0: usize, t: &Tile) {
        let (l, nr) = (S::LANES, 2 * S::LANES);
        let mut sums = Sums::<S, MR>::start(t);
        let mut codes = self.codes.add((panel * self.k + k0) * nr);
        self.runs::<S>(panel, k0, t.k, |from, end, low_scale, high_scale| {
            for _ in from..end {
                S::prefetch(codes.wrapping_add(AHEAD * nr).cast());
                let low = S::mul(S::from_bytes(codes), low_scale);
                let high = S::mul(S::from_bytes(codes.add(l)), high_scale);
                sums.add(t, low, high);
                codes = codes.add(nr);
            }
        });
        sums.finish(t);
    }

    #[inline(always)]
    unsafe fn prefetch<S: Simd>(&self, panel: usize, k0: usize, kc: usize) {
        let nr = 2 * S::LANES;
        let codes = self.codes.wrapping_add((panel * self.k + k0) * nr);
        for line in 0..kc * nr / LINE_BYTES {
            S::prefetch(codes.wrapping_add(line * LINE_BYTES).cast());
        }
    }
}
