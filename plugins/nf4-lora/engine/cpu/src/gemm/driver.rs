//! Blocking and distribution of a product over the team.

use super::dense::{copy_panel, transpose_panel};
use super::micro::{Next, Tile};
use crate::isa::Isa;
use crate::scratch::with_scratch;
use crate::simd::Simd;
use crate::team::Team;

/// Longest block of `K`: a packed strip of `MR` rows stays in the first-level cache while panels pass by.
pub const K_BLOCK: usize = 640;
/// Most vectors of columns of one task: their blocks of `K` stay in the second-level cache while strips pass by.
const TASK_VECTORS: usize = 24;
/// Most panels of one task: they have two vectors or more.
const TASK_PANELS: usize = TASK_VECTORS / 2;
/// Fewest panels that repay packing a strip.
const PACK_PANELS: usize = 2;
/// Multiply-adds below which a product is not worth waking the team for.
const SERIAL_WORK: usize = 100_000;
/// Tasks per thread to even out unequal progress.
const TASKS_PER_THREAD: usize = 3;
/// Fewest rows of a task when the rows are split: each task fetches its panels anew.
const SPLIT_ROWS: usize = 96;

/// Rows of a task are whole strips of every class.
const STRIPS: usize = 24;

/// Length of the blocks of `K` (the last may be shorter): depends on `k` only, for equal bits everywhere.
pub fn k_block(k: usize) -> usize {
    k.div_ceil(k.div_ceil(K_BLOCK).max(1)).next_multiple_of(16)
}

/// Length of the blocks of a long `K` whose operands lie a row apart at every step: as many pages as are at hand.
const TURNED_BLOCK: usize = 64;
/// Most rows or columns of a result that is written anew after each such block.
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

/// A block of a panel: row `p` at `data[p * row ..]`.
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

/// Few more steps of the summed index, from other operands: `C += scale * a [m, rank] · outer`.
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
    #[inline(always)]
    unsafe fn append<S: Simd>(&self, column: usize, n: usize, panel: *mut f32) {
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

/// The operands other than `B`.
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

/// A rectangle of `C`: rows `m0..m1`, panels `p0..p1`.
#[derive(Clone, Copy)]
pub struct Part {
    pub m0: usize,
    pub m1: usize,
    pub p0: usize,
    pub p1: usize,
}

/// How `C` is cut into tasks.
pub struct Grid {
    rows: usize,
    panels: usize,
    row_tasks: usize,
    panel_tasks: usize,
    m: usize,
    all_panels: usize,
}

impl Grid {
    /// Cuts `m` rows by `panels` panels of `vectors` of a product with `work` multiply-adds.
    pub fn new(m: usize, panels: usize, vectors: usize, work: usize, threads: usize) -> Grid {
        let wanted = if threads == 1 || work < SERIAL_WORK {
            1
        } else {
            threads * TASKS_PER_THREAD
        };
        // Rows are split first: a task with many panels uses each packed strip often.
        let most_splits = (m / SPLIT_ROWS).max(1);
        let panel_tasks = wanted
            .div_ceil(most_splits)
            .max(panels.div_ceil(TASK_VECTORS / vectors))
            .max(1);
        let per_task = panels.div_ceil(panel_tasks).max(1);
        let panel_tasks = panels.div_ceil(per_task);
        let splits = wanted.div_ceil(panel_tasks.max(1)).min(most_splits);
        let rows = m.div_ceil(splits).next_multiple_of(STRIPS).max(1);
        Grid {
            rows,
            panels: per_task,
            row_tasks: m.div_ceil(rows),
            panel_tasks,
            m,
            all_panels: panels,
        }
    }
    /// Number of parts.
    pub fn tasks(&self) -> usize {
        self.row_tasks * self.panel_tasks
    }
    /// Part number `task`.
    pub fn part(&self, task: usize) -> Part {
        let (m0, p0) = (
            task % self.row_tasks * self.rows,
            task / self.row_tasks * self.panels,
        );
        Part {
            m0,
            m1: (m0 + self.rows).min(self.m),
            p0,
            p1: (p0 + self.panels).min(self.all_panels),
        }
    }
}

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
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512(product, panels, part, direct),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2Fma => avx2(product, panels, part, direct),
        _ => run_part::<crate::simd::Portable, P>(product, panels, part, direct),
    }
}

#[inline(always)]
unsafe fn run_part<S: Simd, P: Panels>(product: Product, panels: P, part: Part, direct: bool) {
    let kc_full = product.block();
    let count = part.p1 - part.p0;
    let row = S::PANEL * S::LANES;
    let panel_size = (kc_full + product.tail.map_or(0, |tail| tail.rank)) * row;
    let scratch = if direct {
        std::ptr::null_mut()
    } else {
        with_scratch(0, count * panel_size)
    };
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

#[inline(always)]
unsafe fn multiply_block<S: Simd>(
    block: &Tile,
    tail: Option<&Tail>,
    n: usize,
    fetched: &[Panel],
    part: Part,
) {
    let pack = tail.is_some() || fetched.len() >= PACK_PANELS;
    let k = block.k + tail.map_or(0, |tail| tail.rank);
    let mut m0 = part.m0;
    while m0 < part.m1 {
        let left = part.m1 - m0;
        let packed = pack && left >= S::STRIP;
        let m = if packed { S::STRIP } else { left };
        let source = block.a.add(m0 * block.a_row);
        let (a, a_row) = match tail {
            _ if packed => (strip::<S>(block, tail, m0), 0),
            Some(tail) => (joined_rows::<S>(block, tail, m0, m), k),
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

/// Fewer rows than a strip with the tail behind each, `[m, k]`: one chain for every element, as in a strip.
#[inline(always)]
unsafe fn joined_rows<S: Simd>(block: &Tile, tail: &Tail, m0: usize, m: usize) -> *const f32 {
    let to = with_scratch(3, (K_BLOCK + Tail::MOST) * S::STRIP);
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

/// `STRIP` rows of the block, and of the tail behind it, as a packed strip `[k, STRIP]`.
#[inline(always)]
unsafe fn strip<S: Simd>(block: &Tile, tail: Option<&Tail>, m0: usize) -> *const f32 {
    let to = with_scratch(3, (K_BLOCK + Tail::MOST) * S::STRIP);
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
