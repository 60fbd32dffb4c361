//! Weights kept in fewer bits than f32: decoded on the way into the product.

use super::dense::transpose_panel;
use super::driver::{Block, Panel, Panels};
use super::micro::Tile;
use crate::scratch::with_scratch;
use crate::simd::Simd;

/// Bytes of a cache line.
pub const LINE_BYTES: usize = 64;

/// A weight `[N, K]` in panels of `NR` rows.
///
/// # Safety
/// `decode` fills `out [kc, NR]`.
#[allow(clippy::missing_safety_doc)]
pub unsafe trait Coded: Copy + Send + Sync {
    /// `K`
    fn columns(&self) -> usize;
    /// Decodes columns `k0 .. k0+kc` of a panel to `out [kc, NR]`.
    unsafe fn decode<S: Simd>(&self, panel: usize, k0: usize, kc: usize, out: *mut f32);
    /// The register tile with the decoding in its inner loop: a few rows do not repay a pass through memory. The chain
    /// of each element is that of the tile over a decoded panel.
    unsafe fn fused<S: Simd, const MR: usize>(&self, panel: usize, k0: usize, t: &Tile);
    /// Asks for what `decode` will read.
    unsafe fn prefetch<S: Simd>(&self, panel: usize, k0: usize, kc: usize);
}

/// `B[k, n]` = element `(n, k)` of the weight.
#[derive(Clone, Copy)]
pub struct CodedForward<C>(pub C);

/// `B[n, k]` = element `(n, k)` of the weight.
#[derive(Clone, Copy)]
pub struct CodedBackward<C>(pub C);

unsafe impl<C: Coded> Panels for CodedForward<C> {
    const NEEDS_SCRATCH: bool = true;
    const DIRECT: bool = true;

    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, Block { k0, kc }: Block, scratch: *mut f32) -> Panel {
        self.0.decode::<S>(index, k0, kc, scratch);
        Panel {
            data: scratch,
            row: 2 * S::LANES,
        }
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
            9 => self.0.fused::<S, 9>(index, k0, t),
            10 => self.0.fused::<S, 10>(index, k0, t),
            11 => self.0.fused::<S, 11>(index, k0, t),
            _ => self.0.fused::<S, 12>(index, k0, t),
        }
    }
}

unsafe impl<C: Coded> Panels for CodedBackward<C> {
    const NEEDS_SCRATCH: bool = true;

    #[inline(always)]
    unsafe fn fetch<S: Simd>(&self, index: usize, Block { k0, kc }: Block, scratch: *mut f32) -> Panel {
        // The summed index is the weight's row: decode a square of a stored panel, then turn it.
        let nr = 2 * S::LANES;
        let column = index * nr;
        let columns = (self.0.columns() - column).min(nr);
        let square = with_scratch(1, nr * nr);
        let mut done = 0;
        while done < kc {
            let (panel, inside) = ((k0 + done) / nr, (k0 + done) % nr);
            let rows = (nr - inside).min(kc - done);
            // The next square lies far away.
            self.0.prefetch::<S>(panel + 1, column, columns);
            self.0.decode::<S>(panel, column, columns, square);
            transpose_panel::<S>(square.add(inside), nr, columns, rows, scratch.add(done * nr));
            done += rows;
        }
        Panel {
            data: scratch,
            row: nr,
        }
    }
}
