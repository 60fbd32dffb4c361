//! Gradients: one task is one sequence and one key head with all query heads that share it. Nobody else writes its
//! parts of dQ, dK and dV, and it adds to them in one order: by key block, query block, head.

use super::{
    KEY_BLOCK, Keys, QUERY_BLOCK, group, pack_transposed, padded, right_operand, scores_tile, wide_tile,
};
use crate::gemm::micro::{Next, Tile};
use crate::math::exp;
use crate::scratch::{Area, Scratch};
use crate::simd::Simd;
use crate::simd_entry;
use escada_engine_core::backend::AttentionShape;

/// A sequence and a key head. Pointers are at the sequence's first row; shapes as in `Backend::attention_backward`.
/// Addresses, not borrows: only unsafe functions go there, and their callers answer for shapes and lifetimes.
#[derive(Clone, Copy)]
pub struct BackwardTask {
    pub shape: AttentionShape,
    pub kv_head: usize,
    pub tokens: usize,
    /// `[tokens, NH*HS]`
    pub q: *const f32,
    pub out: *const f32,
    pub d_out: *const f32,
    pub dq: *mut f32,
    /// `[tokens, NKV*HS]`
    pub k: *const f32,
    pub v: *const f32,
    pub dk: *mut f32,
    pub dv: *mut f32,
    /// `[tokens, NH]`
    pub lse: *const f32,
}

/// Working memory of a task.
struct Memory {
    k_panels: *mut f32,
    v_panels: *mut f32,
    k_copy: *mut f32,
    q_copy: *mut f32,
    d_copy: *mut f32,
    weights: *mut f32,
    slopes: *mut f32,
    /// `[tokens, group]`: Σ dO·O of each row and head.
    delta: *mut f32,
}

/// A block of keys.
struct KeyBlock {
    from: usize,
    count: usize,
    /// Key rows as a right operand.
    k: *const f32,
    k_row: usize,
}

#[inline(always)]
unsafe fn memory<S: Simd>(t: &BackwardTask) -> (Scratch, Memory) {
    let (hs, ld) = (t.shape.head_size, padded::<S>(t.shape.head_size));
    let sizes = [
        KEY_BLOCK * hs,
        KEY_BLOCK * hs,
        KEY_BLOCK * ld,
        QUERY_BLOCK * ld,
        QUERY_BLOCK * ld,
        QUERY_BLOCK * KEY_BLOCK,
        QUERY_BLOCK * KEY_BLOCK,
        t.tokens * group(&t.shape),
    ];
    let scratch = Scratch::take(Area::Attention, sizes.iter().sum());
    let at = |i: usize| scratch.start().add(sizes[..i].iter().sum());
    let memory = Memory {
        k_panels: at(0),
        v_panels: at(1),
        k_copy: at(2),
        q_copy: at(3),
        d_copy: at(4),
        weights: at(5),
        slopes: at(6),
        delta: at(7),
    };
    (scratch, memory)
}

#[inline(always)]
unsafe fn backward_body<S: Simd>(t: &BackwardTask) {
    let (_scratch, memory) = memory::<S>(t);
    let (hs, group) = (t.shape.head_size, group(&t.shape));
    let (stride, width) = (t.shape.heads * hs, t.shape.kv_heads * hs);
    let (head, column) = (t.kv_head * group, t.kv_head * hs);
    for row in 0..t.tokens {
        let at = row * stride + head * hs;
        std::ptr::write_bytes(t.dq.add(at), 0, group * hs);
        std::ptr::write_bytes(t.dk.add(row * width + column), 0, hs);
        std::ptr::write_bytes(t.dv.add(row * width + column), 0, hs);
        for h in 0..group {
            let from = at + h * hs;
            *memory.delta.add(row * group + h) = dot::<S>(t.out.add(from), t.d_out.add(from), hs);
        }
    }
    let k = t.k.add(column);
    let v = t.v.add(column);
    let keys = Keys {
        k: [k, k],
        v: [v, v],
        first: t.tokens,
        width,
    };
    for from in (0..t.tokens).step_by(KEY_BLOCK) {
        let count = KEY_BLOCK.min(t.tokens - from);
        pack_transposed::<S>(&keys, keys.k, from, count, hs, memory.k_panels);
        pack_transposed::<S>(&keys, keys.v, from, count, hs, memory.v_panels);
        let (k, k_row) = right_operand::<S>(&keys, keys.k, from, count, hs, memory.k_copy);
        let block = KeyBlock {
            from,
            count,
            k,
            k_row,
        };
        // Rows before the block see none of its keys, nor do those that a window keeps from its last key.
        let end = t.tokens.min((from + count - 1).saturating_add(t.shape.window));
        for row in (from..end).step_by(QUERY_BLOCK) {
            for h in 0..group {
                query_block::<S>(t, &memory, &block, row, h);
            }
        }
    }
}

/// Adds what one query block of one head and one key block contribute.
#[inline(always)]
unsafe fn query_block<S: Simd>(t: &BackwardTask, memory: &Memory, block: &KeyBlock, row: usize, h: usize) {
    let (hs, group) = (t.shape.head_size, group(&t.shape));
    let (stride, width) = (t.shape.heads * hs, t.shape.kv_heads * hs);
    let m = QUERY_BLOCK.min(t.tokens - row);
    let at = row * stride + (t.kv_head * group + h) * hs;
    let (q, d) = (t.q.add(at), t.d_out.add(at));
    scores_tile::<S>(m, q, stride, hs, memory.k_panels, t.shape.scale, memory.weights);
    scores_tile::<S>(m, d, stride, hs, memory.v_panels, 1.0, memory.slopes);
    for i in 0..m {
        let seen = (row + i + 1).saturating_sub(block.from).min(block.count);
        let hidden = (row + i + 1)
            .saturating_sub(t.shape.window)
            .saturating_sub(block.from);
        let lse = *t.lse.add((row + i) * t.shape.heads + t.kv_head * group + h);
        let delta = *memory.delta.add((row + i) * group + h);
        let (weights, slopes) = (
            memory.weights.add(i * KEY_BLOCK),
            memory.slopes.add(i * KEY_BLOCK),
        );
        differentiate::<S>(
            weights,
            slopes,
            (hidden.min(seen), seen),
            lse,
            delta,
            t.shape.scale,
        );
    }
    let (q_rows, q_row) = operand::<S>(q, stride, m, hs, memory.q_copy);
    let (d_rows, d_row) = operand::<S>(d, stride, m, hs, memory.d_copy);
    let to = block.from * width + t.kv_head * hs;
    let turned = Tile {
        m: block.count,
        n: hs,
        k: m,
        a: memory.weights,
        a_row: 1,
        a_col: KEY_BLOCK,
        packed: false,
        next: Next::NONE,
        b: d_rows,
        b_row: d_row,
        c: t.dv.add(to),
        c_row: width,
        alpha: 1.0,
        accumulate: true,
    };
    wide_tile::<S>(&turned);
    wide_tile::<S>(&Tile {
        a: memory.slopes,
        b: q_rows,
        b_row: q_row,
        c: t.dk.add(to),
        ..turned
    });
    wide_tile::<S>(&Tile {
        m,
        k: block.count,
        a: memory.slopes,
        a_row: KEY_BLOCK,
        a_col: 1,
        packed: false,
        next: Next::NONE,
        b: block.k,
        b_row: block.k_row,
        c: t.dq.add(at),
        c_row: stride,
        ..turned
    });
}

/// Query-side rows as a right operand.
#[inline(always)]
unsafe fn operand<S: Simd>(
    src: *const f32,
    stride: usize,
    m: usize,
    hs: usize,
    out: *mut f32,
) -> (*const f32, usize) {
    let rows = Keys {
        k: [src, src],
        v: [src, src],
        first: m,
        width: stride,
    };
    right_operand::<S>(&rows, rows.k, 0, m, hs, out)
}

/// Scores become weights `p = exp(score - lse)`, value products become `p * (product - delta) * scale`; 0
/// outside of `hidden..seen`.
#[inline(always)]
unsafe fn differentiate<S: Simd>(
    weights: *mut f32,
    slopes: *mut f32,
    (hidden, seen): (usize, usize),
    lse: f32,
    delta: f32,
    scale: f32,
) {
    for j in (0..KEY_BLOCK).step_by(S::LANES) {
        let p = exp::<S>(S::sub(S::load(weights.add(j)), S::splat(lse)));
        let slope = S::mul(p, S::sub(S::load(slopes.add(j)), S::splat(delta)));
        S::store(weights.add(j), p);
        S::store(slopes.add(j), S::mul(slope, S::splat(scale)));
    }
    for x in [weights, slopes] {
        std::ptr::write_bytes(x, 0, hidden);
        std::ptr::write_bytes(x.add(seen), 0, KEY_BLOCK - seen);
    }
}

#[inline(always)]
unsafe fn dot<S: Simd>(a: *const f32, b: *const f32, n: usize) -> f32 {
    let mut sum = S::splat(0.0);
    let mut i = 0;
    while i < n {
        let lanes = S::LANES.min(n - i);
        sum = S::fma(
            S::load_first(a.add(i), lanes),
            S::load_first(b.add(i), lanes),
            sum,
        );
        i += lanes;
    }
    S::reduce_sum(sum)
}

simd_entry! {
    /// Gradients of one sequence and key head.
    pub unsafe fn backward(task: &BackwardTask) = backward_body;
}
