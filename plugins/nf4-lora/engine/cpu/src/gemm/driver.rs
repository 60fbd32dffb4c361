//! Blocking and distribution of a product over the team.

use super::block::{Tail, multiply_block};
use super::grid::{Grid, Part, TASK_VECTORS};
use super::micro::{Next, Tile};
use crate::isa::Isa;
use crate::scratch::{Area, Scratch};
use crate::simd::Simd;
use crate::team::Team;

/// Longest block of `K`: a packed strip stays in the first-level cache while panels pass by.
pub const K_BLOCK: usize = 640;
/// Most panels of one task: they have two vectors or more.
const TASK_PANELS: usize = TASK_VECTORS / 2;

/// Length of the blocks of `K` (the last may be shorter): depends on `k` only, for equal bits everywhere.
pub fn k_block(k: usize) -> usize {
    k.div_ceil(k.div_ceil(K_BLOCK).max(1)).next_multiple_of(16)
}

/// Length of the blocks of a long `K` whose operands lie a row apart at every step: as many pages as are at hand.
const TURNED_BLOCK: usize = 64;
/// Most rows or columns of a result that is written again after each such block.
const SLIM: usize = 64;

impl Product {
    /// Length of the blocks of `K`: depends on the shape only.
    fn block(&self) -> usize {
        if self.a_col != 1 && self.m.min(self.n) <= SLIM {
            TURNED_BLOCK.min(self.k)
        } else {
            k_block(self.k)
        }
    }
}

/// Part of `K` that is fetched: rows `k0 .. k0+kc` of the panels.
#[derive(Clone, Copy)]
pub struct Block {
    pub k0: usize,
    pub kc: usize,
}

/// A block of a panel: row `p` at `data[p * row ..]`, as an address that only `Panels` and what multiplies with it use.
#[derive(Clone, Copy)]
pub struct Panel {
    pub data: *const f32,
    pub row: usize,
}

/// Where the panels of `B` come from.
///
/// # Safety
/// Implementors return blocks valid for `kc` rows of `PANEL` vectors, or of as many as have columns.
#[allow(clippy::missing_safety_doc)]
pub unsafe trait Panels: Copy + Send + Sync {
    /// The block of panel `index` (`PANEL` vectors of columns): in place, or written to `scratch [kc, PANEL * L]`.
    unsafe fn fetch<S: Simd>(&self, index: usize, block: Block, scratch: *mut f32) -> Panel;
    /// Whether `direct` is there.
    const DIRECT: bool = false;
    /// Computes a tile of at most `MR` rows and two vectors straight from stored panel `index`, without `fetch`; same bits.
    unsafe fn direct<S: Simd>(&self, _index: usize, _k0: usize, _tile: &Tile) {}
}

/// The operands other than `B`, as addresses: only `multiply`, whose caller answers for them, reads and writes there.
#[derive(Clone, Copy)]
pub struct Product {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    /// Element `(i, p)` at `a[i*a_row + p*a_col]`; one of the two is 1.
    pub a: *const f32,
    pub a_row: usize,
    pub a_col: usize,
    /// `[m, n]`, contiguous.
    pub c: *mut f32,
    pub alpha: f32,
    pub accumulate: bool,
    /// At most `Tail::MOST` steps; with `alpha` 1 and row-major `a`, for panels that are fetched.
    pub tail: Option<Tail>,
}

// SAFETY: tasks read `a` and write disjoint parts of `c`; the caller of `multiply` holds both borrows meanwhile.
unsafe impl Send for Product {}
unsafe impl Sync for Product {}

/// `C = alpha * A · B` with `B` from `panels`; all operands as in `Product`.
///
/// # Safety
/// The pointers of `product` and `panels` are valid for the shapes, and `isa` can run here.
pub unsafe fn multiply<P: Panels>(team: &Team, isa: Isa, product: &Product, panels: P) {
    let Product { m, n, k, .. } = *product;
    if k == 0 && !product.accumulate {
        std::ptr::write_bytes(product.c, 0, m * n);
    }
    let direct = P::DIRECT && m <= isa.direct_rows();
    let vectors = if direct { 2 } else { isa.panel_vectors() };
    let panels_of_n = n.div_ceil(vectors * isa.lanes());
    let grid = Grid::new(m, panels_of_n, vectors, m * n * k, team.threads());
    team.run(grid.tasks(), |task| {
        let part = grid.part(task);
        // SAFETY: parts are disjoint in `c`; the rest is the caller's promise.
        unsafe { part_entry(isa, *product, panels, part, direct) }
    });
}

// The entry macro has no type parameters, so the panel source travels through one generic function per class here.
unsafe fn part_entry<P: Panels>(isa: Isa, product: Product, panels: P, part: Part, direct: bool) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    unsafe fn avx512<P: Panels>(product: Product, panels: P, part: Part, direct: bool) {
        run_part::<crate::simd::Avx512, P>(product, panels, part, direct)
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<P: Panels>(product: Product, panels: P, part: Part, direct: bool) {
        run_part::<crate::simd::Avx2Fma, P>(product, panels, part, direct)
    }
    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    unsafe fn neon<P: Panels>(product: Product, panels: P, part: Part, direct: bool) {
        run_part::<crate::simd::Neon, P>(product, panels, part, direct)
    }
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512(product, panels, part, direct),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2Fma => avx2(product, panels, part, direct),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon(product, panels, part, direct),
        _ => run_part::<crate::simd::Portable, P>(product, panels, part, direct),
    }
}

#[inline(always)]
unsafe fn run_part<S: Simd, P: Panels>(product: Product, panels: P, part: Part, direct: bool) {
    let kc_full = product.block();
    let count = part.p1 - part.p0;
    let row = S::PANEL * S::LANES;
    let panel_size = (kc_full + product.tail.map_or(0, |tail| tail.rank)) * row;
    let held = (!direct).then(|| Scratch::take(Area::Panels, count * panel_size));
    let scratch = held.as_ref().map_or(std::ptr::null_mut(), Scratch::start);
    let none = Panel {
        data: std::ptr::null(),
        row,
    };
    let mut fetched = [none; TASK_PANELS];
    let mut k0 = 0;
    while k0 < product.k {
        let kc = kc_full.min(product.k - k0);
        let block = Tile {
            m: part.m1 - part.m0,
            n: 0,
            k: kc,
            a: product.a.add(k0 * product.a_col),
            a_row: product.a_row,
            a_col: product.a_col,
            packed: false,
            next: Next::NONE,
            b: std::ptr::null(),
            b_row: row,
            c: product.c,
            c_row: product.n,
            alpha: product.alpha,
            accumulate: product.accumulate || k0 > 0,
        };
        if direct {
            direct_block::<S, P>(&panels, k0, &block, product.n, part);
            k0 += kc;
            continue;
        }
        for (j, slot) in fetched.iter_mut().enumerate().take(count) {
            let own = scratch.add(j * panel_size);
            *slot = panels.fetch::<S>(part.p0 + j, Block { k0, kc }, own);
        }
        let tail = product.tail.filter(|_| k0 + kc == product.k);
        if let Some(tail) = &tail {
            for j in 0..count {
                let panel = scratch.add(j * panel_size + kc * row);
                tail.append::<S>((part.p0 + j) * row, product.n, panel);
            }
        }
        multiply_block::<S>(&block, tail.as_ref(), product.n, &fetched[..count], part);
        k0 += kc;
    }
}

#[inline(always)]
unsafe fn direct_block<S: Simd, P: Panels>(panels: &P, k0: usize, block: &Tile, n: usize, part: Part) {
    let nr = 2 * S::LANES;
    for index in part.p0..part.p1 {
        let column = index * nr;
        let a = block.a.add(part.m0 * block.a_row);
        let c = block.c.add(part.m0 * block.c_row + column);
        panels.direct::<S>(
            index,
            k0,
            &Tile {
                n: nr.min(n - column),
                a,
                c,
                ..*block
            },
        );
    }
}
