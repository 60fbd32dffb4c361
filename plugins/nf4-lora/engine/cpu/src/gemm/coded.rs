//! Weights kept in fewer bits than f32: decoded on the way into the product.

use super::dense::transpose_panel;
use super::driver::{Block, Panel, Panels};
use super::micro::{Tile, finish};
use crate::scratch::{Area, Scratch};
use crate::simd::Simd;

/// Bytes of a cache line.
pub const LINE_BYTES: usize = 64;

/// A weight `[N, K]` in panels of `NR` rows.
///
/// # Safety
/// `decode` fills what its docstring says.
#[allow(clippy::missing_safety_doc)]
pub unsafe trait Coded: Copy + Send + Sync {
    /// `K`
    fn columns(&self) -> usize;
    /// `N`
    fn rows(&self) -> usize;
    /// Stored panels.
    #[inline(always)]
    fn panels<S: Simd>(&self) -> usize {
        self.rows().div_ceil(2 * S::LANES)
    }
    /// Decodes columns `k0 .. k0+kc` of a part of a panel to `out`, column `k` at `out[(k - k0) * row ..]`.
    unsafe fn decode<S: Simd, const PART: u8>(
        &self,
        panel: usize,
        k0: usize,
        kc: usize,
        out: *mut f32,
        row: usize,
    );
    /// The register tile with the decoding in its inner loop: a few rows do not repay a pass through memory. The chain
    /// of each element is that of the tile over a decoded panel.
    unsafe fn fused<S: Simd, const MR: usize>(&self, panel: usize, k0: usize, t: &Tile);
    /// Asks for what `decode` will read.
    unsafe fn prefetch<S: Simd>(&self, panel: usize, k0: usize, kc: usize);
}

/// What `decode` gives of a stored panel: its first vector, its second, or both side by side.
pub const LOW: u8 = 0;
pub const HIGH: u8 = 1;
pub const BOTH: u8 = 2;

/// Stores what is wanted of two decoded vectors.
///
/// # Safety
/// `to` is valid for it.
#[inline(always)]
pub unsafe fn store<S: Simd, const PART: u8>(to: *mut f32, low: S::V, high: S::V) {
    S::store(to, if PART == HIGH { high } else { low });
    if PART == BOTH {
        S::store(to.add(S::LANES), high);
    }
}

/// The sums of a fused tile, and its rows of `A`.
pub struct Sums<S: Simd, const MR: usize> {
    sums: [[S::V; 2]; MR],
    a: *const f32,
}

impl<S: Simd, const MR: usize> Sums<S, MR> {
    /// Zeroes, before the first column.
    ///
    /// # Safety
    /// As all of `Simd`.
    #[inline(always)]
    pub unsafe fn start(t: &Tile) -> Self {
        Self {
            sums: [[S::splat(0.0); 2]; MR],
            a: t.a,
        }
    }

    /// One more column of the weight, of two vectors.
    ///
    /// # Safety
    /// The tile has one more column.
    #[inline(always)]
    pub unsafe fn add(&mut self, t: &Tile, low: S::V, high: S::V) {
        for (i, sums) in self.sums.iter_mut().enumerate() {
            let value = S::splat(*self.a.add(i * t.a_row));
            sums[0] = S::fma(value, low, sums[0]);
            sums[1] = S::fma(value, high, sums[1]);
        }
        self.a = self.a.add(t.a_col);
    }

    /// Writes the tile.
    ///
    /// # Safety
    /// The pointers of the tile are valid for its shape.
    #[inline(always)]
    pub unsafe fn finish(&self, t: &Tile) {
        finish::<S, MR, 2>(&self.sums, t.c, t.c_row, t.n, t.alpha, t.accumulate);
    }
}

/// `B[k, n]` = element `(n, k)` of the weight.
#[derive(Clone, Copy)]
pub struct CodedForward<C>(pub C);

/// `B[n, k]` = element `(n, k)` of the weight.
#[derive(Clone, Copy)]
pub struct CodedBackward<C>(pub C);

unsafe impl<C: Coded> Panels for CodedForward<C> {
    const DIRECT: bool = true;

    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, Block { k0, kc }: Block, scratch: *mut f32) -> Panel {
        let row = S::PANEL * S::LANES;
        let (mut vector, end) = (index * S::PANEL, (index + 1) * S::PANEL);
        let mut to = scratch;
        while vector < end && vector / 2 < self.0.panels::<S>() {
            let panel = vector / 2;
            // A working panel may start or end inside a stored one.
            let part = match (vector % 2, vector + 1 < end) {
                (0, true) => BOTH,
                (0, false) => LOW,
                _ => HIGH,
            };
            match part {
                BOTH => self.0.decode::<S, BOTH>(panel, k0, kc, to, row),
                LOW => self.0.decode::<S, LOW>(panel, k0, kc, to, row),
                _ => self.0.decode::<S, HIGH>(panel, k0, kc, to, row),
            }
            let vectors = if part == BOTH { 2 } else { 1 };
            vector += vectors;
            to = to.add(vectors * S::LANES);
        }
        Panel { data: scratch, row }
    }

    #[inline(always)]
    unsafe fn direct<S: Simd>(&self, index: usize, k0: usize, t: &Tile) {
        match t.m {
            1 => self.0.fused::<S, 1>(index, k0, t),
            2 => self.0.fused::<S, 2>(index, k0, t),
            3 => self.0.fused::<S, 3>(index, k0, t),
            4 => self.0.fused::<S, 4>(index, k0, t),
            _ if S::MR <= 4 => unreachable!(),
            5 => self.0.fused::<S, 5>(index, k0, t),
            6 => self.0.fused::<S, 6>(index, k0, t),
            _ if S::MR <= 6 => unreachable!(),
            7 => self.0.fused::<S, 7>(index, k0, t),
            8 => self.0.fused::<S, 8>(index, k0, t),
            _ if S::MR <= 8 => unreachable!(),
            9 => self.0.fused::<S, 9>(index, k0, t),
            10 => self.0.fused::<S, 10>(index, k0, t),
            11 => self.0.fused::<S, 11>(index, k0, t),
            _ => self.0.fused::<S, 12>(index, k0, t),
        }
    }
}

unsafe impl<C: Coded> Panels for CodedBackward<C> {
    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, Block { k0, kc }: Block, scratch: *mut f32) -> Panel {
        // The summed index is the weight's row: decode a piece of a stored panel, then turn it.
        let (nr, row) = (2 * S::LANES, S::PANEL * S::LANES);
        let column = index * row;
        let columns = (self.0.columns() - column).min(row);
        let held = Scratch::take(Area::Piece, row * nr);
        let piece = held.start();
        let mut done = 0;
        while done < kc {
            let (panel, inside) = ((k0 + done) / nr, (k0 + done) % nr);
            let rows = (nr - inside).min(kc - done);
            // The next piece is far away.
            self.0.prefetch::<S>(panel + 1, column, columns);
            self.0.decode::<S, BOTH>(panel, column, columns, piece, nr);
            let to = scratch.add(done * row);
            transpose_panel::<S>(piece.add(inside), nr, columns, rows, to, S::PANEL);
            done += rows;
        }
        Panel { data: scratch, row }
    }
}
