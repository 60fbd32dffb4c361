//! Attention against the f64 reference: ragged sequences, grouped heads, odd head sizes, caches.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use escada_engine_core::backend::{AttentionShape, Backend, CachedKeys, Sequences};
use escada_engine_cpu::{CpuBackend, Isa};

fn shape(heads: usize, kv_heads: usize, head_size: usize) -> AttentionShape {
    AttentionShape {
        heads,
        kv_heads,
        head_size,
        scale: 1.0 / (head_size as f32).sqrt(),
        window: usize::MAX,
    }
}

/// All keys, a few, one block, and a length that cuts blocks.
const WINDOWS: [usize; 4] = [usize::MAX, 2, 64, 37];

fn starts(lengths: &[usize]) -> Vec<u32> {
    let mut at = 0;
    let mut starts = vec![0];
    for length in lengths {
        at += *length as u32;
        starts.push(at);
    }
    starts
}

struct Training {
    shape: AttentionShape,
    lengths: Vec<usize>,
}

impl Case for Training {
    fn run<B: Backend>(&self, backend: &B) -> Vec<Vec<f32>> {
        let AttentionShape {
            heads,
            kv_heads,
            head_size,
            ..
        } = self.shape;
        let starts = index(backend, &starts(&self.lengths));
        let tokens: usize = self.lengths.iter().sum();
        let longest = self.lengths.iter().copied().max().unwrap();
        let sequences = || Sequences {
            starts: &starts,
            count: self.lengths.len(),
            tokens,
            longest,
        };
        let wide = |seed| {
            buffer(
                backend,
                &noise(tokens * heads * head_size, seed)
                    .iter()
                    .map(|x| x * 3.0)
                    .collect::<Vec<_>>(),
            )
        };
        let narrow = |seed| buffer(backend, &noise(tokens * kv_heads * head_size, seed));
        let (q, k, v, d_out) = (wide(1), narrow(2), narrow(3), wide(4));
        let (mut out, mut lse) = (wide(5), backend.alloc(tokens * heads).unwrap());
        backend.attention(self.shape, sequences(), &q, &k, &v, &mut out, &mut lse);
        let (mut dq, mut dk, mut dv) = (wide(6), narrow(7), narrow(8));
        backend.attention_backward(
            self.shape,
            sequences(),
            &q,
            &k,
            &v,
            &out,
            &lse,
            &d_out,
            &mut dq,
            &mut dk,
            &mut dv,
        );
        [&out, &lse, &dq, &dk, &dv]
            .iter()
            .map(|x| host(backend, x))
            .collect()
    }
}

#[test]
fn training_attention_matches_the_reference() {
    for (heads, kv_heads, head_size) in [(2, 2, 16), (9, 3, 64), (4, 1, 20), (2, 1, 128), (3, 3, 48)] {
        for lengths in [vec![1], vec![3, 70, 1, 64], vec![130, 49], vec![48, 96]] {
            for window in WINDOWS {
                let shape = shape(heads, kv_heads, head_size);
                let case = Training {
                    shape: AttentionShape { window, ..shape },
                    lengths: lengths.clone(),
                };
                let name = format!("attention {heads}/{kv_heads}/{head_size} {lengths:?} window {window}");
                check(&name, &case, ATTENTION_TOLERANCE);
            }
        }
    }
}

struct Cached {
    shape: AttentionShape,
    shared: usize,
    /// Keys the slots hold before, new query rows.
    slots: Vec<(usize, usize)>,
}

const SLOT_TOKENS: usize = 150;

impl Case for Cached {
    fn run<B: Backend>(&self, backend: &B) -> Vec<Vec<f32>> {
        let AttentionShape {
            heads,
            kv_heads,
            head_size,
            ..
        } = self.shape;
        let width = kv_heads * head_size;
        let count = self.slots.len();
        let lengths: Vec<usize> = self.slots.iter().map(|slot| slot.1).collect();
        let tokens: usize = lengths.iter().sum();
        let starts = index(backend, &starts(&lengths));
        let order: Vec<u32> = (0..count as u32).rev().collect();
        let before: Vec<u32> = self.slots.iter().map(|slot| slot.0 as u32).collect();
        let (slots, before) = (index(backend, &order), index(backend, &before));
        let shared_k = buffer(backend, &noise(self.shared * width, 1));
        let shared_v = buffer(backend, &noise(self.shared * width, 2));
        let slot_k = buffer(backend, &noise(count * SLOT_TOKENS * width, 3));
        let slot_v = buffer(backend, &noise(count * SLOT_TOKENS * width, 4));
        let q = buffer(backend, &noise(tokens * heads * head_size, 5));
        let mut out = backend.alloc(tokens * heads * head_size).unwrap();
        let longest = lengths.iter().copied().max().unwrap();
        let keys = CachedKeys {
            shared_k: &shared_k,
            shared_v: &shared_v,
            shared_tokens: self.shared,
            slot_k: &slot_k,
            slot_v: &slot_v,
            slot_tokens: SLOT_TOKENS,
            slots: &slots,
            slot_before: &before,
            longest_keys: self.shared + SLOT_TOKENS,
        };
        let queries = Sequences {
            starts: &starts,
            count,
            tokens,
            longest,
        };
        backend.attention_cached(self.shape, queries, keys, &q, &mut out);
        vec![host(backend, &out)]
    }
}

#[test]
fn cached_attention_matches_the_reference() {
    for (heads, kv_heads, head_size) in [(9, 3, 64), (4, 2, 20), (2, 1, 16)] {
        for shared in [0, 5, 64, 100] {
            for slots in [
                vec![(0, 1)],
                vec![(10, 1), (149, 1), (0, 1)],
                vec![(0, 70), (3, 1), (20, 49)],
            ] {
                for window in WINDOWS {
                    let shape = shape(heads, kv_heads, head_size);
                    let case = Cached {
                        shape: AttentionShape { window, ..shape },
                        shared,
                        slots: slots.clone(),
                    };
                    let name = format!("cached {shared} {slots:?} window {window}");
                    check(&name, &case, ATTENTION_TOLERANCE);
                }
            }
        }
    }
}

/// The same keys, all in the slot or partly shared; row by row or at once; with the training form: equal bits.
#[test]
fn sharing_a_prefix_and_splitting_the_queries_keep_the_bits() {
    for window in WINDOWS {
        splitting_keeps_the_bits(AttentionShape {
            window,
            ..shape(6, 2, 32)
        });
    }
}

fn splitting_keeps_the_bits(shape: AttentionShape) {
    let (width, stride, total) = (64, 192, 140);
    let (k, v, q) = (
        noise(total * width, 1),
        noise(total * width, 2),
        noise(total * stride, 3),
    );
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let backend = CpuBackend::with_isa(2, isa).unwrap();
        let run = |shared: usize, from: usize, to: usize| {
            let starts = index(&backend, &[0, (to - from) as u32]);
            let slots = index(&backend, &[0]);
            let before = index(&backend, &[(from - shared) as u32]);
            let parts = [
                &k[..shared * width],
                &v[..shared * width],
                &k[shared * width..],
                &v[shared * width..],
            ];
            let [shared_k, shared_v, slot_k, slot_v] = parts.map(|part| buffer(&backend, part));
            let queries = buffer(&backend, &q[from * stride..to * stride]);
            let mut out = backend.alloc((to - from) * stride).unwrap();
            let keys = CachedKeys {
                shared_k: &shared_k,
                shared_v: &shared_v,
                shared_tokens: shared,
                slot_k: &slot_k,
                slot_v: &slot_v,
                slot_tokens: total - shared,
                slots: &slots,
                slot_before: &before,
                longest_keys: total,
            };
            let count = to - from;
            let sequences = Sequences {
                starts: &starts,
                count: 1,
                tokens: count,
                longest: count,
            };
            backend.attention_cached(shape, sequences, keys, &queries, &mut out);
            bits(&host(&backend, &out))
        };
        let whole = run(0, 0, total);
        for shared in [1, 64, 100] {
            assert!(
                run(shared, shared, total) == whole[shared * stride..],
                "shared {shared}"
            );
        }
        for row in [0, 63, 64, 139] {
            assert!(
                run(0, row, row + 1) == whole[row * stride..(row + 1) * stride],
                "row {row}"
            );
        }
        let starts = index(&backend, &[0, total as u32]);
        let sequences = Sequences {
            starts: &starts,
            count: 1,
            tokens: total,
            longest: total,
        };
        let (mut out, mut lse) = (
            backend.alloc(total * stride).unwrap(),
            backend.alloc(total * 6).unwrap(),
        );
        let [q, k, v] = [&q, &k, &v].map(|x| buffer(&backend, x));
        backend.attention(shape, sequences, &q, &k, &v, &mut out, &mut lse);
        assert!(bits(&host(&backend, &out)) == whole, "training form");
    }
}
