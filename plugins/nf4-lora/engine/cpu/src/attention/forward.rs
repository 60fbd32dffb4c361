//! Forward: one task is a block of query rows for one key head (and all query heads that share it).

use super::{
    KEY_BLOCK, Keys, QUERY_BLOCK, group, pack_transposed, padded, right_operand, scores_tile, wide_tile,
};
use crate::gemm::micro::{Next, Tile};
use crate::math::{exp, ln};
use crate::scratch::{Area, Scratch};
use crate::simd::Simd;
use crate::simd_entry;
use escada_engine_core::backend::AttentionShape;

/// Consecutive query rows of one sequence.
#[derive(Clone, Copy)]
pub struct Run {
    /// First row within the task.
    pub row: usize,
    pub rows: usize,
    pub keys: Keys,
    /// Keys the first of these rows sees; each further row sees one more.
    pub visible: usize,
}

/// A block of query rows and their keys.
/// Addresses, not borrows: only unsafe functions go there, and their callers answer for shapes and lifetimes.
#[derive(Clone, Copy)]
pub struct ForwardTask<'a> {
    pub shape: AttentionShape,
    /// Number of the key head.
    pub kv_head: usize,
    /// Query rows, at most `QUERY_BLOCK`.
    pub rows: usize,
    /// The rows, sequence by sequence.
    pub runs: &'a [Run],
    /// Leading blocks of keys that all rows see in full and that are the same rows of memory for all.
    pub shared_blocks: usize,
    /// `[rows, NH*HS]`
    pub q: *const f32,
    /// `[rows, NH*HS]`
    pub out: *mut f32,
    /// `[rows, NH]`, or null.
    pub lse: *mut f32,
}

/// Working memory of a task.
struct Memory {
    panels: *mut f32,
    copies: *mut f32,
    scores: *mut f32,
    /// Running maximum and sum, `[group, QUERY_BLOCK]` each.
    max: *mut f32,
    sum: *mut f32,
}

/// Rows of scores that are handled together.
struct Rows {
    m: usize,
    q: *const f32,
    out: *mut f32,
    /// Elements from row to row of `q` and `out`.
    stride: usize,
    /// Keys row `i` sees: `visible + i * more`.
    visible: usize,
    more: usize,
    /// Running maximum and sum of row `i` at `[i * state]`.
    max: *mut f32,
    sum: *mut f32,
    state: usize,
}

#[inline(always)]
unsafe fn forward_body<S: Simd>(t: &ForwardTask<'_>) {
    let (hs, group) = (t.shape.head_size, group(&t.shape));
    let ld = padded::<S>(hs);
    let state = group * QUERY_BLOCK;
    let sizes = [
        KEY_BLOCK * hs,
        KEY_BLOCK * ld,
        QUERY_BLOCK.max(group) * KEY_BLOCK,
        state,
        state,
    ];
    let scratch = Scratch::take(Area::Attention, sizes.iter().sum());
    let at = |i: usize| scratch.start().add(sizes[..i].iter().sum());
    let memory = Memory {
        panels: at(0),
        copies: at(1),
        scores: at(2),
        max: at(3),
        sum: at(4),
    };
    let (head, stride) = (t.kv_head * group, t.shape.heads * hs);
    for row in 0..t.rows {
        std::ptr::write_bytes(t.out.add(row * stride + head * hs), 0, group * hs);
    }
    for i in 0..state {
        *memory.max.add(i) = f32::NEG_INFINITY;
        *memory.sum.add(i) = 0.0;
    }
    let shared = t.shared_blocks * KEY_BLOCK;
    if let (Some(run), 1..) = (t.runs.first(), shared) {
        let all = Run {
            row: 0,
            rows: t.rows,
            keys: run.keys,
            visible: shared,
        };
        key_blocks::<S>(t, &memory, &all, (0, shared), 0);
    }
    for run in t.runs {
        // Blocks start at multiples of their size whatever the window, so that a row's sums do not depend on others.
        let oldest = run.visible.saturating_sub(t.shape.window) / KEY_BLOCK * KEY_BLOCK;
        let keys = (shared.max(oldest), run.visible + run.rows - 1);
        key_blocks::<S>(t, &memory, run, keys, 1);
    }
    for row in 0..t.rows {
        for h in 0..group {
            let (max, sum) = (
                *memory.max.add(h * QUERY_BLOCK + row),
                *memory.sum.add(h * QUERY_BLOCK + row),
            );
            scale_row::<S>(t.out.add(row * stride + (head + h) * hs), hs, 1.0 / sum);
            if !t.lse.is_null() {
                *t.lse.add(row * t.shape.heads + head + h) = log_sum(max, sum);
            }
        }
    }
}

/// Adds what the keys `keys.0 .. keys.1` contribute to the rows of a run; row `i` sees `visible + i * more` keys.
#[inline(always)]
unsafe fn key_blocks<S: Simd>(
    t: &ForwardTask<'_>,
    memory: &Memory,
    run: &Run,
    keys: (usize, usize),
    more: usize,
) {
    let (hs, group) = (t.shape.head_size, group(&t.shape));
    let (head, stride) = (t.kv_head * group, t.shape.heads * hs);
    // A single row (decoding) takes all heads of the group as the rows of one tile.
    let single = run.rows == 1;
    let (parts, m) = if single { (1, group) } else { (group, run.rows) };
    for from in (keys.0..keys.1).step_by(KEY_BLOCK) {
        let count = KEY_BLOCK.min(keys.1 - from);
        pack_transposed::<S>(&run.keys, run.keys.k, from, count, hs, memory.panels);
        let (v, v_row) = right_operand::<S>(&run.keys, run.keys.v, from, count, hs, memory.copies);
        for part in 0..parts {
            let at = run.row * stride + (head + part) * hs;
            let rows = Rows {
                m,
                q: t.q.add(at),
                out: t.out.add(at),
                stride: if single { hs } else { stride },
                visible: run.visible,
                more: if single { 0 } else { more },
                max: memory.max.add(part * QUERY_BLOCK + run.row),
                sum: memory.sum.add(part * QUERY_BLOCK + run.row),
                state: if single { QUERY_BLOCK } else { 1 },
            };
            scores_tile::<S>(
                m,
                rows.q,
                rows.stride,
                hs,
                memory.panels,
                t.shape.scale,
                memory.scores,
            );
            for i in 0..m {
                let visible = rows.visible + i * rows.more;
                let seen = visible.saturating_sub(from).min(KEY_BLOCK);
                let hidden = visible.saturating_sub(t.shape.window).saturating_sub(from);
                soften::<S>(memory.scores.add(i * KEY_BLOCK), (hidden, seen), &rows, i, hs);
            }
            add_values::<S>(&rows, memory.scores, count, v, v_row, hs);
        }
    }
}

fn log_sum(max: f32, sum: f32) -> f32 {
    (f64::from(max) + ln(f64::from(sum))) as f32
}

/// Turns the scores of one row, of which it sees `hidden..seen`, into weights under the new running maximum and rescales what the row has so far.
#[inline(always)]
unsafe fn soften<S: Simd>(
    scores: *mut f32,
    (hidden, seen): (usize, usize),
    rows: &Rows,
    i: usize,
    head_size: usize,
) {
    if seen <= hidden {
        std::ptr::write_bytes(scores, 0, KEY_BLOCK);
        return;
    }
    for j in (0..hidden).chain(seen..KEY_BLOCK) {
        *scores.add(j) = f32::NEG_INFINITY;
    }
    let mut best = S::load(scores);
    for j in (S::LANES..KEY_BLOCK).step_by(S::LANES) {
        best = S::max(S::load(scores.add(j)), best);
    }
    let old = *rows.max.add(i * rows.state);
    let block = S::reduce_max(best);
    let max = if block > old { block } else { old };
    let mut total = S::splat(0.0);
    for j in (0..KEY_BLOCK).step_by(S::LANES) {
        let weight = exp::<S>(S::sub(S::load(scores.add(j)), S::splat(max)));
        S::store(scores.add(j), weight);
        total = S::add(total, weight);
    }
    let mut factor = [0.0f32; 16];
    S::store(factor.as_mut_ptr(), exp::<S>(S::splat(old - max)));
    let factor = factor[0];
    *rows.max.add(i * rows.state) = max;
    *rows.sum.add(i * rows.state) = *rows.sum.add(i * rows.state) * factor + S::reduce_sum(total);
    if factor != 1.0 {
        scale_row::<S>(rows.out.add(i * rows.stride), head_size, factor);
    }
}

#[inline(always)]
unsafe fn scale_row<S: Simd>(row: *mut f32, head_size: usize, factor: f32) {
    let mut c = 0;
    while c < head_size {
        let n = S::LANES.min(head_size - c);
        let value = S::mul(S::load_first(row.add(c), n), S::splat(factor));
        S::store_first(row.add(c), value, n);
        c += n;
    }
}

#[inline(always)]
unsafe fn add_values<S: Simd>(
    rows: &Rows,
    weights: *const f32,
    count: usize,
    v: *const f32,
    v_row: usize,
    head_size: usize,
) {
    wide_tile::<S>(&Tile {
        m: rows.m,
        n: head_size,
        k: count,
        a: weights,
        a_row: KEY_BLOCK,
        a_col: 1,
        packed: false,
        next: Next::NONE,
        b: v,
        b_row: v_row,
        c: rows.out,
        c_row: rows.stride,
        alpha: 1.0,
        accumulate: true,
    });
}

simd_entry! {
    /// Attention of one block of query rows.
    pub unsafe fn forward(task: &ForwardTask<'_>) = forward_body;
}
