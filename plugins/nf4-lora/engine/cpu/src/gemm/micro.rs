//! The register tile: `MR` rows by one or two vectors of columns, all of one block of `K`.

use crate::simd::Simd;

/// `c [m, n] = alpha * a [m, k] · b [k, n]`, added to `c` when `accumulate`.
/// Addresses, not borrows: only unsafe functions go there, and their callers answer for shapes and lifetimes.
#[derive(Clone, Copy)]
pub struct Tile {
    pub m: usize,
    /// Columns of `c`, at most two vectors; of a `packed` strip at most `PANEL`.
    pub n: usize,
    pub k: usize,
    /// Element `(i, p)` at `a[i*a_row + p*a_col]`, or at `a[p*STRIP + i]` of a `packed` strip of `STRIP` rows.
    pub a: *const f32,
    pub a_row: usize,
    pub a_col: usize,
    pub packed: bool,
    /// What a packed strip's tile fetches on the side: the next strip's rows, before they are packed.
    pub next: Next,
    /// Row `p` at `b[p*b_row ..]`, readable for whole vectors.
    pub b: *const f32,
    pub b_row: usize,
    pub c: *mut f32,
    pub c_row: usize,
    pub alpha: f32,
    pub accumulate: bool,
}

/// Rows `row` apart that are fetched into the second-level cache, as far as a tile is long.
#[derive(Clone, Copy)]
pub struct Next {
    pub from: *const f32,
    pub row: usize,
    pub rows: usize,
}

impl Next {
    pub const NONE: Self = Self {
        from: std::ptr::null(),
        row: 0,
        rows: 0,
    };
}

/// Any number of rows; the columns fit two vectors. What `Simd::tile` compiles once per class.
///
/// # Safety
/// The pointers of the tile are valid for its shape.
#[inline(always)]
pub unsafe fn tile_body<S: Simd>(t: &Tile) {
    if t.packed {
        match (S::STRIP, t.n.div_ceil(S::LANES)) {
            (4, 2) => packed::<S, 4, 2>(t),
            (4, _) => packed::<S, 4, 1>(t),
            (6, 2) => packed::<S, 6, 2>(t),
            (6, _) => packed::<S, 6, 1>(t),
            (_, 3) => packed::<S, 8, 3>(t),
            (_, 2) => packed::<S, 8, 2>(t),
            _ => packed::<S, 8, 1>(t),
        }
    } else if t.n > S::LANES {
        rows::<S, 2>(t)
    } else {
        rows::<S, 1>(t)
    }
}

#[inline(always)]
unsafe fn rows<S: Simd, const NV: usize>(t: &Tile) {
    let mut row = 0;
    while row < t.m {
        let left = t.m - row;
        // A little more than one tile goes as two halves: a small tile cannot hide the latency of its multiply-adds.
        let count = if left > S::MR && left < S::MR * 3 / 2 {
            left.div_ceil(2)
        } else {
            left.min(S::MR)
        };
        let part = Tile {
            m: count,
            a: t.a.add(row * t.a_row),
            c: t.c.add(row * t.c_row),
            ..*t
        };
        match count {
            1 => kernel::<S, 1, NV>(&part),
            2 => kernel::<S, 2, NV>(&part),
            3 => kernel::<S, 3, NV>(&part),
            4 => kernel::<S, 4, NV>(&part),
            _ if S::MR <= 4 => unreachable!(),
            5 => kernel::<S, 5, NV>(&part),
            6 => kernel::<S, 6, NV>(&part),
            _ if S::MR <= 6 => unreachable!(),
            7 => kernel::<S, 7, NV>(&part),
            8 => kernel::<S, 8, NV>(&part),
            _ if S::MR <= 8 => unreachable!(),
            9 => kernel::<S, 9, NV>(&part),
            10 => kernel::<S, 10, NV>(&part),
            11 => kernel::<S, 11, NV>(&part),
            _ => kernel::<S, 12, NV>(&part),
        }
        row += count;
    }
}

#[inline(always)]
unsafe fn kernel<S: Simd, const MR: usize, const NV: usize>(t: &Tile) {
    let mut acc = [[S::splat(0.0); NV]; MR];
    let (mut a, mut b) = (t.a, t.b);
    for _ in 0..t.k {
        let mut columns = [S::splat(0.0); NV];
        for (v, column) in columns.iter_mut().enumerate() {
            *column = S::load(b.add(v * S::LANES));
            S::prefetch(b.wrapping_add(AHEAD * t.b_row + v * S::LANES));
        }
        // Of a column-major operand every step is another cache line, too far apart for the hardware to foresee.
        S::prefetch(a.wrapping_add(AHEAD * t.a_col));
        for (i, sums) in acc.iter_mut().enumerate() {
            let value = S::splat(*a.add(i * t.a_row));
            for v in 0..NV {
                sums[v] = S::fma(value, columns[v], sums[v]);
            }
        }
        a = a.add(t.a_col);
        b = b.add(t.b_row);
    }
    finish::<S, MR, NV>(&acc, t.c, t.c_row, t.n, t.alpha, t.accumulate);
}

/// Rows of a panel that are fetched ahead of their use: 2 or 3 KiB, some hundred cycles.
const AHEAD: usize = 16;
/// f32 of a cache line.
const LINE: usize = 16;

/// `kernel` over a packed strip: the panel comes from the second-level cache, so it is fetched ahead; `c`, which may be
/// anywhere, at the start.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn packed<S: Simd, const MR: usize, const NV: usize>(t: &Tile) {
    for i in 0..MR {
        for v in 0..NV {
            S::prefetch(t.c.wrapping_add(i * t.c_row + v * S::LANES));
        }
    }
    let mut acc = [[S::splat(0.0); NV]; MR];
    let (mut a, mut b) = (t.a, t.b);
    let mut done = 0;
    while done < t.k {
        // One line of each row that is fetched on the side, then as many steps as it has numbers.
        for i in 0..t.next.rows {
            S::prefetch_far(t.next.from.wrapping_add(i * t.next.row + done));
        }
        let steps = LINE.min(t.k - done);
        for _ in 0..steps {
            let mut columns = [S::splat(0.0); NV];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = S::load(b.add(v * S::LANES));
                S::prefetch(b.wrapping_add(AHEAD * t.b_row + v * S::LANES));
            }
            for i in 0..MR {
                let value = S::splat(*a.add(i));
                for v in 0..NV {
                    acc[i][v] = S::fma(value, columns[v], acc[i][v]);
                }
            }
            a = a.add(MR);
            b = b.add(t.b_row);
        }
        done += steps;
    }
    finish::<S, MR, NV>(&acc, t.c, t.c_row, t.n, t.alpha, t.accumulate);
}

/// Writes `alpha * acc` (plus the old value) to `MR` rows of `n` columns.
///
/// # Safety
/// `c` is valid for `MR` rows of `n` columns.
// Counted loops: iterators over the arrays would take their address.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
pub unsafe fn finish<S: Simd, const MR: usize, const NV: usize>(
    acc: &[[S::V; NV]; MR],
    c: *mut f32,
    c_row: usize,
    n: usize,
    alpha: f32,
    accumulate: bool,
) {
    // Two plain loops that unroll entirely: anything cleverer makes the compiler keep the sums in memory.
    let alpha = S::splat(alpha);
    if n == NV * S::LANES {
        if accumulate {
            for i in 0..MR {
                for v in 0..NV {
                    let p = c.add(i * c_row + v * S::LANES);
                    S::store(p, S::fma(alpha, acc[i][v], S::load(p)));
                }
            }
        } else {
            for i in 0..MR {
                for v in 0..NV {
                    S::store(c.add(i * c_row + v * S::LANES), S::mul(alpha, acc[i][v]));
                }
            }
        }
        return;
    }
    let mut sums = [[[0.0f32; MAX_LANES]; NV]; MR];
    for i in 0..MR {
        for v in 0..NV {
            S::store(sums[i][v].as_mut_ptr(), acc[i][v]);
        }
    }
    finish_part::<S, MR, NV>(&sums, c, c_row, n, alpha, accumulate);
}

/// Lanes of the widest vector.
const MAX_LANES: usize = 16;

#[inline(always)]
unsafe fn finish_part<S: Simd, const MR: usize, const NV: usize>(
    sums: &[[[f32; MAX_LANES]; NV]; MR],
    c: *mut f32,
    c_row: usize,
    n: usize,
    alpha: S::V,
    accumulate: bool,
) {
    for (i, row) in sums.iter().enumerate() {
        for (v, sum) in row.iter().enumerate() {
            let p = c.add(i * c_row + v * S::LANES);
            let left = n.saturating_sub(v * S::LANES).min(S::LANES);
            let value = S::load(sum.as_ptr());
            let value = if accumulate {
                S::fma(alpha, value, S::load_first(p, left))
            } else {
                S::mul(alpha, value)
            };
            S::store_first(p, value, left);
        }
    }
}
