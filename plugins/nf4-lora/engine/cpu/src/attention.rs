//! Causal attention with grouped queries over sequences packed without padding.
//!
//! Keys are taken in blocks of `KEY_BLOCK` by their logical position, scores are register tiles over a transposed
//! block, and the running softmax of a row depends on its own keys only: a key the row may not see weighs exactly 0.

mod backward;
mod forward;

pub use backward::{BackwardTask, backward};
pub use forward::{ForwardTask, Run, forward};

use crate::gemm::micro::{Next, Tile};
use crate::simd::Simd;
use escada_engine_core::backend::AttentionShape;

/// Keys of one block.
pub const KEY_BLOCK: usize = 64;
/// Query rows of one block: a multiple of every tile height.
pub const QUERY_BLOCK: usize = 48;

/// Rows `[*, width]` of keys and values: up to two segments that follow one another.
/// Addresses, not borrows: only unsafe functions go there, and their callers answer for shapes and lifetimes.
#[derive(Clone, Copy)]
pub struct Keys {
    /// First row of each segment, at the column of the head's key group.
    pub k: [*const f32; 2],
    pub v: [*const f32; 2],
    /// Rows of the first segment.
    pub first: usize,
    /// Elements from row to row.
    pub width: usize,
}

impl Keys {
    #[inline(always)]
    unsafe fn row(&self, segments: [*const f32; 2], position: usize) -> *const f32 {
        if position < self.first {
            segments[0].add(position * self.width)
        } else {
            segments[1].add((position - self.first) * self.width)
        }
    }
    /// Whether rows `from..to` lie in one segment.
    fn in_one(&self, from: usize, to: usize) -> bool {
        to <= self.first || from >= self.first
    }
}

/// Elements from row to row of a packed `[*, HS]`: whole panels.
#[inline(always)]
fn padded<S: Simd>(head_size: usize) -> usize {
    head_size.next_multiple_of(2 * S::LANES)
}

/// Packs `count` rows from logical position `from` into panels `[KEY_BLOCK/NR, HS, NR]`, zeroes behind them.
#[inline(always)]
unsafe fn pack_transposed<S: Simd>(
    keys: &Keys,
    segments: [*const f32; 2],
    from: usize,
    count: usize,
    head_size: usize,
    out: *mut f32,
) {
    let nr = 2 * S::LANES;
    let mut start = 0;
    while start < KEY_BLOCK {
        let panel = out.add(start * head_size);
        let rows = count.saturating_sub(start).min(nr);
        if rows == nr && keys.in_one(from + start, from + start + nr) {
            let src = keys.row(segments, from + start);
            crate::gemm::dense::transpose_panel::<S>(src, keys.width, nr, head_size, panel, 2);
        } else {
            std::ptr::write_bytes(panel, 0, head_size * nr);
            for i in 0..rows {
                let src = keys.row(segments, from + start + i);
                for c in 0..head_size {
                    *panel.add(c * nr + i) = *src.add(c);
                }
            }
        }
        start += nr;
    }
}

/// `count` rows of `HS` columns usable as the right operand of a tile: in place when whole vectors can be read from
/// them, else copied to `out [count, padded]`. Returns the pointer and the elements from row to row.
#[inline(always)]
unsafe fn right_operand<S: Simd>(
    keys: &Keys,
    segments: [*const f32; 2],
    from: usize,
    count: usize,
    head_size: usize,
    out: *mut f32,
) -> (*const f32, usize) {
    if head_size.is_multiple_of(S::LANES) && keys.in_one(from, from + count) {
        return (keys.row(segments, from), keys.width);
    }
    let ld = padded::<S>(head_size);
    for i in 0..count {
        let to = out.add(i * ld);
        std::ptr::copy_nonoverlapping(keys.row(segments, from + i), to, head_size);
        std::ptr::write_bytes(to.add(head_size), 0, ld - head_size);
    }
    (out, ld)
}

/// `scores [m, KEY_BLOCK] = alpha * a [m, HS] · panels`.
#[inline(always)]
unsafe fn scores_tile<S: Simd>(
    m: usize,
    a: *const f32,
    a_row: usize,
    head_size: usize,
    panels: *const f32,
    alpha: f32,
    scores: *mut f32,
) {
    let nr = 2 * S::LANES;
    for start in (0..KEY_BLOCK).step_by(nr) {
        S::tile(&Tile {
            m,
            n: nr,
            k: head_size,
            a,
            a_row,
            a_col: 1,
            packed: false,
            next: Next::NONE,
            b: panels.add(start * head_size),
            b_row: nr,
            c: scores.add(start),
            c_row: KEY_BLOCK,
            alpha,
            accumulate: false,
        });
    }
}

/// `t` over any number of columns, two vectors at a time.
#[inline(always)]
unsafe fn wide_tile<S: Simd>(t: &Tile) {
    let nr = 2 * S::LANES;
    for start in (0..t.n).step_by(nr) {
        S::tile(&Tile {
            n: (t.n - start).min(nr),
            b: t.b.add(start),
            c: t.c.add(start),
            ..*t
        });
    }
}

/// Query heads that share a key head.
fn group(shape: &AttentionShape) -> usize {
    shape.heads / shape.kv_heads
}
