//! Cutting attention into tasks.

use super::{Buffer, CpuBackend, Index};
use crate::attention::{BackwardTask, ForwardTask, KEY_BLOCK, Keys, QUERY_BLOCK, Run, backward, forward};
use escada_engine_core::backend::{AttentionShape, CachedKeys, Sequences};

/// Pointers of one call, shared by its tasks.
#[derive(Clone, Copy)]
struct Call {
    q: *const f32,
    out: *mut f32,
    lse: *mut f32,
}

// SAFETY: tasks read `q` and write disjoint rows and heads of `out` and `lse`.
unsafe impl Send for Call {}
unsafe impl Sync for Call {}

/// Base pointers of a gradient call, shared by its tasks.
#[derive(Clone, Copy)]
struct GradientCall {
    inputs: [*const f32; 6],
    outputs: [*mut f32; 3],
}

// SAFETY: tasks write disjoint rows and heads of the outputs.
unsafe impl Send for GradientCall {}
unsafe impl Sync for GradientCall {}

/// Key pointers of a cached call.
#[derive(Clone, Copy)]
struct Cache {
    shared: [*const f32; 2],
    slots: [*const f32; 2],
}

// SAFETY: read only.
unsafe impl Send for Cache {}
unsafe impl Sync for Cache {}

/// A closure captures single fields, raw pointers that are not `Sync`; a method call makes it capture the struct.
trait Whole: Copy {
    fn whole(&self) -> Self {
        *self
    }
}
impl Whole for Call {}
impl Whole for GradientCall {}
impl Whole for Cache {}

fn check(buffers: &[(&Buffer, usize)]) {
    assert!(
        buffers.iter().all(|(buffer, len)| buffer.len() >= *len),
        "attention operand shorter than its shape"
    );
}

/// Rows `start..end` of a sequence.
fn bounds(sequences: &Sequences<'_, Index>, s: usize) -> (usize, usize) {
    let (start, end) = (sequences.starts[s] as usize, sequences.starts[s + 1] as usize);
    assert!(
        start <= end && end <= sequences.tokens,
        "sequence outside of the tokens"
    );
    (start, end)
}

impl CpuBackend {
    /// Runs `work(sequence, kv_head, first row, last row + 1)` for all blocks of query rows.
    fn query_blocks(
        &self,
        shape: &AttentionShape,
        sequences: &Sequences<'_, Index>,
        work: impl Fn(usize, usize, usize, usize) + Sync,
    ) {
        let blocks = sequences.longest.div_ceil(QUERY_BLOCK);
        self.team.run(sequences.count * shape.kv_heads * blocks, |task| {
            // Late blocks see most keys: they go first, so that no thread is left with a long one.
            let block = blocks - 1 - task / (sequences.count * shape.kv_heads);
            let (s, kv_head) = (task / shape.kv_heads % sequences.count, task % shape.kv_heads);
            let (start, end) = bounds(sequences, s);
            let from = start + block * QUERY_BLOCK;
            if from < end {
                work(s, kv_head, from, end.min(from + QUERY_BLOCK));
            }
        });
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn attend(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, Index>,
        q: &Buffer,
        k: &Buffer,
        v: &Buffer,
        out: &mut Buffer,
        lse: &mut Buffer,
    ) {
        let (stride, width) = (shape.heads * shape.head_size, shape.kv_heads * shape.head_size);
        let t = sequences.tokens;
        check(&[
            (q, t * stride),
            (k, t * width),
            (v, t * width),
            (out, t * stride),
            (lse, t * shape.heads),
        ]);
        let call = Call {
            q: q.as_ptr(),
            out: out.as_mut_ptr(),
            lse: lse.as_mut_ptr(),
        };
        self.query_blocks(&shape, &sequences, |s, kv_head, from, to| {
            let call = call.whole();
            let (start, _) = bounds(&sequences, s);
            let at = start * width + kv_head * shape.head_size;
            let (keys, values) = (k[at..].as_ptr(), v[at..].as_ptr());
            let keys = Keys {
                k: [keys, keys],
                v: [values, values],
                first: usize::MAX,
                width,
            };
            let run = Run {
                row: 0,
                rows: to - from,
                keys,
                visible: from - start + 1,
            };
            // SAFETY: lengths were checked; the task owns its rows and heads.
            unsafe {
                let task = ForwardTask {
                    shape,
                    kv_head,
                    rows: to - from,
                    runs: &[run],
                    shared_blocks: 0,
                    q: call.q.add(from * stride),
                    out: call.out.add(from * stride),
                    lse: call.lse.add(from * shape.heads),
                };
                forward(self.isa, &task);
            }
        });
    }

    pub(super) fn attend_backward(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, Index>,
        inputs: [&Buffer; 6],
        outputs: [&mut Buffer; 3],
    ) {
        let (stride, width) = (shape.heads * shape.head_size, shape.kv_heads * shape.head_size);
        let t = sequences.tokens;
        let [q, k, v, out, d_out, lse] = inputs;
        let [dq, dk, dv] = outputs;
        check(&[
            (q, t * stride),
            (k, t * width),
            (v, t * width),
            (out, t * stride),
            (d_out, t * stride),
        ]);
        check(&[
            (lse, t * shape.heads),
            (dq, t * stride),
            (dk, t * width),
            (dv, t * width),
        ]);
        let call = GradientCall {
            inputs: inputs.map(|buffer| buffer.as_ptr()),
            outputs: [dq.as_mut_ptr(), dk.as_mut_ptr(), dv.as_mut_ptr()],
        };
        self.team.run(sequences.count * shape.kv_heads, |task| {
            let call = call.whole();
            let (s, kv_head) = (task / shape.kv_heads, task % shape.kv_heads);
            let (start, end) = bounds(&sequences, s);
            let (wide, narrow) = (start * stride, start * width);
            // SAFETY: lengths were checked; the task owns its sequence's rows of these heads.
            unsafe {
                let task = BackwardTask {
                    shape,
                    kv_head,
                    tokens: end - start,
                    q: call.inputs[0].add(wide),
                    k: call.inputs[1].add(narrow),
                    v: call.inputs[2].add(narrow),
                    out: call.inputs[3].add(wide),
                    d_out: call.inputs[4].add(wide),
                    lse: call.inputs[5].add(start * shape.heads),
                    dq: call.outputs[0].add(wide),
                    dk: call.outputs[1].add(narrow),
                    dv: call.outputs[2].add(narrow),
                };
                backward(self.isa, &task);
            }
        });
    }

    pub(super) fn attend_cached(
        &self,
        shape: AttentionShape,
        queries: Sequences<'_, Index>,
        keys: CachedKeys<'_, Buffer, Index>,
        q: &Buffer,
        out: &mut Buffer,
    ) {
        let (stride, width) = (shape.heads * shape.head_size, shape.kv_heads * shape.head_size);
        let shared = keys.shared_tokens * width;
        check(&[(q, queries.tokens * stride), (out, queries.tokens * stride)]);
        check(&[(keys.shared_k, shared), (keys.shared_v, shared)]);
        let call = Call {
            q: q.as_ptr(),
            out: out.as_mut_ptr(),
            lse: std::ptr::null_mut(),
        };
        let cache = Cache {
            shared: [keys.shared_k.as_ptr(), keys.shared_v.as_ptr()],
            slots: [keys.slot_k.as_ptr(), keys.slot_v.as_ptr()],
        };
        let rows = self.rows_per_task(queries.tokens, shape.kv_heads);
        // Behind a window no key is seen by all.
        let shared_blocks = if shape.window == usize::MAX {
            keys.shared_tokens / KEY_BLOCK
        } else {
            0
        };
        let blocks = queries.tokens.div_ceil(rows);
        self.team.run(blocks * shape.kv_heads, |task| {
            let (call, cache) = (call.whole(), cache.whole());
            let (kv_head, from) = (task % shape.kv_heads, task / shape.kv_heads * rows);
            let to = (from + rows).min(queries.tokens);
            let column = kv_head * shape.head_size;
            let mut runs = [Run {
                row: 0,
                rows: 0,
                keys: cache.keys(0, column, &keys, width),
                visible: 0,
            }; QUERY_BLOCK];
            let count = cache.runs(&queries, &keys, (from, to), (column, width), &mut runs);
            // SAFETY: lengths were checked; the task owns its rows and heads.
            unsafe {
                let task = ForwardTask {
                    shape,
                    kv_head,
                    rows: to - from,
                    runs: &runs[..count],
                    shared_blocks,
                    q: call.q.add(from * stride),
                    out: call.out.add(from * stride),
                    lse: call.lse,
                };
                forward(self.isa, &task);
            }
        });
    }

    /// Query rows of one task of a cached call: enough tasks for the team, since rows of a task share the packing.
    fn rows_per_task(&self, tokens: usize, kv_heads: usize) -> usize {
        let wanted = (2 * self.team.threads()).div_ceil(kv_heads);
        tokens.div_ceil(wanted).clamp(1, QUERY_BLOCK)
    }
}

impl Cache {
    /// Keys of the sequence whose slot starts at row `slot`.
    fn keys(&self, slot: usize, column: usize, keys: &CachedKeys<'_, Buffer, Index>, width: usize) -> Keys {
        // Offsets only: the rows that are read are checked in `runs`.
        let at = |base: [*const f32; 2], offset: usize| base.map(|p| p.wrapping_add(offset));
        let (shared, own) = (at(self.shared, column), at(self.slots, slot * width + column));
        Keys {
            k: [shared[0], own[0]],
            v: [shared[1], own[1]],
            first: keys.shared_tokens,
            width,
        }
    }

    /// Writes the runs of query rows `rows.0 .. rows.1` and returns their number.
    fn runs(
        &self,
        queries: &Sequences<'_, Index>,
        keys: &CachedKeys<'_, Buffer, Index>,
        rows: (usize, usize),
        (column, width): (usize, usize),
        runs: &mut [Run],
    ) -> usize {
        let mut count = 0;
        for s in 0..queries.count {
            let (start, end) = bounds(queries, s);
            let (from, to) = (start.max(rows.0), end.min(rows.1));
            if from >= to {
                continue;
            }
            let (slot, before) = (
                keys.slots[s] as usize * keys.slot_tokens,
                keys.slot_before[s] as usize,
            );
            let held = (slot + before + to - start) * width;
            check(&[(keys.slot_k, held), (keys.slot_v, held)]);
            runs[count] = Run {
                row: from - rows.0,
                rows: to - from,
                keys: self.keys(slot, column, keys, width),
                visible: keys.shared_tokens + before + from - start + 1,
            };
            count += 1;
        }
        count
    }
}
