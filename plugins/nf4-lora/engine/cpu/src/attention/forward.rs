//! Forward: one task is a block of query rows of one sequence for one key head (and all query heads that share it).

use super::{
    KEY_BLOCK, Keys, QUERY_BLOCK, group, pack_transposed, padded, right_operand, scores_tile, wide_tile,
};
use crate::gemm::micro::Tile;
use crate::math::{exp, ln};
use crate::scratch::with_scratch;
use crate::simd::Simd;
use crate::simd_entry;
use escada_engine_core::backend::AttentionShape;

/// A block of query rows and their keys.
#[derive(Clone, Copy)]
pub struct ForwardTask {
    pub shape: AttentionShape,
    /// Number of the key head.
    pub kv_head: usize,
    pub keys: Keys,
    /// Query rows, at most `QUERY_BLOCK`.
    pub rows: usize,
    /// Keys the first of these rows sees; each further row sees one more.
    pub visible: usize,
    /// `[rows, NH*HS]`
    pub q: *const f32,
    /// `[rows, NH*HS]`
    pub out: *mut f32,
    /// `[rows, NH]`, or null.
    pub lse: *mut f32,
}

/// Rows of scores that are handled together: `m` rows whose operands lie `stride` apart.
struct Rows {
    m: usize,
    q: *const f32,
    out: *mut f32,
    stride: usize,
    /// Keys row `i` sees: `visible + i * more`.
    visible: usize,
    more: usize,
    /// Running maximum and sum of each row.
    max: *mut f32,
    sum: *mut f32,
}

#[inline(always)]
unsafe fn forward_body<S: Simd>(t: &ForwardTask) {
    let (hs, group) = (t.shape.head_size, group(&t.shape));
    let (stride, ld) = (t.shape.heads * hs, padded::<S>(hs));
    let sizes = [
        KEY_BLOCK * hs,
        KEY_BLOCK * ld,
        QUERY_BLOCK.max(group) * KEY_BLOCK,
        2 * group * QUERY_BLOCK,
    ];
    let panels = with_scratch(2, sizes.iter().sum());
    let copies = panels.add(sizes[0]);
    let scores = copies.add(sizes[1]);
    let state = scores.add(sizes[2]);
    let head = t.kv_head * group;
    // A single row (decoding) takes all heads of the group as the rows of one tile.
    let (parts, m) = if t.rows == 1 { (1, group) } else { (group, t.rows) };
    let rows = |part: usize| Rows {
        m,
        q: t.q.add((head + part) * hs),
        out: t.out.add((head + part) * hs),
        stride: if t.rows == 1 { hs } else { stride },
        visible: t.visible,
        more: usize::from(t.rows > 1),
        max: state.add(part * m),
        sum: state.add((group * QUERY_BLOCK) + part * m),
    };
    for part in 0..parts {
        start_rows(&rows(part), hs);
    }
    let total = t.visible + t.rows - 1;
    for from in (0..total).step_by(KEY_BLOCK) {
        let count = KEY_BLOCK.min(total - from);
        pack_transposed::<S>(&t.keys, t.keys.k, from, count, hs, panels);
        let (v, v_row) = right_operand::<S>(&t.keys, t.keys.v, from, count, hs, copies);
        for part in 0..parts {
            let rows = rows(part);
            scores_tile::<S>(rows.m, rows.q, rows.stride, hs, panels, t.shape.scale, scores);
            for i in 0..rows.m {
                let seen = (rows.visible + i * rows.more).saturating_sub(from).min(KEY_BLOCK);
                soften::<S>(scores.add(i * KEY_BLOCK), seen, &rows, i, hs);
            }
            add_values::<S>(&rows, scores, count, v, v_row, hs);
        }
    }
    for part in 0..parts {
        finish_rows::<S>(&rows(part), hs);
    }
    if !t.lse.is_null() {
        for part in 0..parts {
            let rows = rows(part);
            for i in 0..rows.m {
                let (row, column) = if t.rows == 1 {
                    (0, head + i)
                } else {
                    (i, head + part)
                };
                *t.lse.add(row * t.shape.heads + column) = log_sum(*rows.max.add(i), *rows.sum.add(i));
            }
        }
    }
}

fn log_sum(max: f32, sum: f32) -> f32 {
    (f64::from(max) + ln(f64::from(sum))) as f32
}

#[inline(always)]
unsafe fn start_rows(rows: &Rows, head_size: usize) {
    for i in 0..rows.m {
        *rows.max.add(i) = f32::NEG_INFINITY;
        *rows.sum.add(i) = 0.0;
        std::ptr::write_bytes(rows.out.add(i * rows.stride), 0, head_size);
    }
}

/// Turns the scores of one row into weights under the new running maximum and rescales what the row has so far.
#[inline(always)]
unsafe fn soften<S: Simd>(scores: *mut f32, seen: usize, rows: &Rows, i: usize, head_size: usize) {
    if seen == 0 {
        std::ptr::write_bytes(scores, 0, KEY_BLOCK);
        return;
    }
    for j in seen..KEY_BLOCK {
        *scores.add(j) = f32::NEG_INFINITY;
    }
    let mut best = S::load(scores);
    for j in (S::LANES..KEY_BLOCK).step_by(S::LANES) {
        best = S::max(S::load(scores.add(j)), best);
    }
    let old = *rows.max.add(i);
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
    *rows.max.add(i) = max;
    *rows.sum.add(i) = *rows.sum.add(i) * factor + S::reduce_sum(total);
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
        b: v,
        b_row: v_row,
        c: rows.out,
        c_row: rows.stride,
        alpha: 1.0,
        accumulate: true,
    });
}

#[inline(always)]
unsafe fn finish_rows<S: Simd>(rows: &Rows, head_size: usize) {
    for i in 0..rows.m {
        scale_row::<S>(rows.out.add(i * rows.stride), head_size, 1.0 / *rows.sum.add(i));
    }
}

simd_entry! {
    /// Attention of one block of query rows.
    pub unsafe fn forward(task: &ForwardTask) = forward_body;
}
