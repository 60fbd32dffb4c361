//! One block of `K` of a task: strips of rows, packed, against panels that were fetched.

use super::dense::{copy_panel, transpose_panel};
use super::driver::{K_BLOCK, Panel};
use super::grid::Part;
use super::micro::{Next, Tile};
use crate::scratch::{Area, Scratch};
use crate::simd::Simd;

/// Fewest panels that repay packing a strip.
const PACK_PANELS: usize = 2;

/// Few more steps of the summed index, from other operands: `C += scale * a [m, rank] · outer`.
/// Addresses, not borrows: only unsafe functions go there, and their callers answer for shapes and lifetimes.
#[derive(Clone, Copy)]
pub struct Tail {
    pub rank: usize,
    pub scale: f32,
    /// `[m, rank]`, contiguous.
    pub a: *const f32,
    /// `[n, rank]` if `turned`, else `[rank, n]`; contiguous.
    pub outer: *const f32,
    pub turned: bool,
}

impl Tail {
    /// Longest tail that goes along with a block: it lengthens strips and panels in their caches.
    pub const MOST: usize = 64;

    /// Appends the steps to a panel for the columns from `column` on.
    ///
    /// # Safety
    /// The pointers are valid for the shapes, `panel` for `rank` more rows.
    #[inline(always)]
    pub unsafe fn append<S: Simd>(&self, column: usize, n: usize, panel: *mut f32) {
        let row = S::PANEL * S::LANES;
        let columns = (n - column).min(row);
        if self.turned {
            let from = self.outer.add(column * self.rank);
            transpose_panel::<S>(from, self.rank, columns, self.rank, panel, S::PANEL);
        } else {
            copy_panel::<S>(self.outer.add(column), n, columns, self.rank, panel);
        }
        let scale = S::splat(self.scale);
        for at in (0..self.rank * row).step_by(S::LANES) {
            S::store(panel.add(at), S::mul(scale, S::load(panel.add(at))));
        }
    }
}

/// Multiplies the rows of `part` with its panels.
///
/// # Safety
/// The pointers are valid for the shapes.
#[inline(always)]
pub unsafe fn multiply_block<S: Simd>(
    block: &Tile,
    tail: Option<&Tail>,
    n: usize,
    fetched: &[Panel],
    part: Part,
) {
    let pack = tail.is_some() || fetched.len() >= PACK_PANELS;
    let k = block.k + tail.map_or(0, |tail| tail.rank);
    let strips = pack.then(|| Scratch::take(Area::Strip, (K_BLOCK + Tail::MOST) * S::STRIP));
    let to = strips.as_ref().map_or(std::ptr::null_mut(), Scratch::start);
    let mut m0 = part.m0;
    while m0 < part.m1 {
        let left = part.m1 - m0;
        let packed = pack && left >= S::STRIP;
        let m = if packed { S::STRIP } else { left };
        let source = block.a.add(m0 * block.a_row);
        let (a, a_row) = match tail {
            _ if packed => (strip::<S>(block, tail, m0, to), 0),
            Some(tail) => (joined_rows(block, tail, m0, m, to), k),
            None => (source, block.a_row),
        };
        for (j, b) in fetched.iter().enumerate() {
            let column = (part.p0 + j) * S::PANEL * S::LANES;
            let tile = Tile {
                m,
                n: (S::PANEL * S::LANES).min(n - column),
                k,
                a,
                a_row,
                packed,
                b: b.data,
                b_row: b.row,
                c: block.c.add(m0 * block.c_row + column),
                ..*block
            };
            if packed {
                let next = next_rows::<S>(block, source, left - m, j, fetched.len());
                S::tile(&Tile { next, ..tile });
            } else {
                narrow_tiles::<S>(&tile);
            }
        }
        m0 += m;
    }
}

/// Fewer rows than a strip with the tail behind each, `to [m, k]`: one chain for every element, as in a strip.
#[inline(always)]
unsafe fn joined_rows(block: &Tile, tail: &Tail, m0: usize, m: usize, to: *mut f32) -> *const f32 {
    let k = block.k + tail.rank;
    for i in 0..m {
        let (row, low) = (
            block.a.add((m0 + i) * block.a_row),
            tail.a.add((m0 + i) * tail.rank),
        );
        std::ptr::copy_nonoverlapping(row, to.add(i * k), block.k);
        std::ptr::copy_nonoverlapping(low, to.add(i * k + block.k), tail.rank);
    }
    to
}

/// The share of tile `j` of `count` in fetching the rows of the next strip.
#[inline(always)]
unsafe fn next_rows<S: Simd>(block: &Tile, source: *const f32, left: usize, j: usize, count: usize) -> Next {
    if left < S::STRIP || block.a_col != 1 {
        return Next::NONE;
    }
    let (from, to) = (j * S::STRIP / count, (j + 1) * S::STRIP / count);
    Next {
        from: source.wrapping_add((S::STRIP + from) * block.a_row),
        row: block.a_row,
        rows: to - from,
    }
}

/// `t` at most two vectors at a time.
#[inline(always)]
unsafe fn narrow_tiles<S: Simd>(t: &Tile) {
    for start in (0..t.n).step_by(2 * S::LANES) {
        S::tile(&Tile {
            n: (t.n - start).min(2 * S::LANES),
            b: t.b.add(start),
            c: t.c.add(start),
            ..*t
        });
    }
}

/// `STRIP` rows of the block, and of the tail behind it, as a packed strip `to [k, STRIP]`.
#[inline(always)]
unsafe fn strip<S: Simd>(block: &Tile, tail: Option<&Tail>, m0: usize, to: *mut f32) -> *const f32 {
    let source = block.a.add(m0 * block.a_row);
    if block.a_col == 1 {
        S::pack_strip(source, block.a_row, block.k, to);
    } else {
        // A column-major operand: rows lie side by side.
        for p in 0..block.k {
            let from = source.add(p * block.a_col);
            std::ptr::copy_nonoverlapping(from, to.add(p * S::STRIP), S::STRIP);
        }
    }
    if let Some(tail) = tail {
        let source = tail.a.add(m0 * tail.rank);
        S::pack_strip(source, tail.rank, tail.rank, to.add(block.k * S::STRIP));
    }
    to
}
