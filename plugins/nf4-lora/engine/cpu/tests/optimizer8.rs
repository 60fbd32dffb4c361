//! AdamW on 8-bit moments against the scalar f64 model of the reference back end.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use escada_engine_core::backend::{AdamW8, At, AtMut, Backend, MOMENT_BLOCK, Moments8};
use escada_engine_core::reference::Reference;
use escada_engine_cpu::{CpuBackend, Isa};

/// Parameters and both moments of one tensor on the host.
#[derive(Clone, PartialEq)]
struct State {
    p: Vec<f32>,
    m: Vec<u8>,
    v: Vec<u8>,
    m_scales: Vec<f32>,
    v_scales: Vec<f32>,
}

impl State {
    fn fresh(p: Vec<f32>) -> Self {
        let (n, blocks) = (p.len(), p.len().div_ceil(MOMENT_BLOCK));
        Self {
            p,
            m: vec![0; n],
            v: vec![0; n],
            m_scales: vec![0.0; blocks],
            v_scales: vec![0.0; blocks],
        }
    }

    /// One step, everything one element (and one block) into its buffers.
    fn step<B: Backend>(&self, b: &B, g: &[f32], spec: AdamW8) -> Self {
        let behind = |x: &[f32]| buffer(b, &[&[0.0], x].concat());
        let bytes = |x: &[u8]| {
            let mut to = b.alloc_bytes(x.len() + 1).unwrap();
            b.upload_bytes(x, &mut to, 1).unwrap();
            to
        };
        let (mut p, g) = (behind(&self.p), behind(g));
        let (mut m, mut v) = (bytes(&self.m), bytes(&self.v));
        let (mut m_scales, mut v_scales) = (behind(&self.m_scales), behind(&self.v_scales));
        let moments = Moments8 {
            m: AtMut::new(&mut m, 1),
            v: AtMut::new(&mut v, 1),
            m_scales: AtMut::new(&mut m_scales, 1),
            v_scales: AtMut::new(&mut v_scales, 1),
        };
        b.adamw_8bit(spec, AtMut::new(&mut p, 1), At::new(&g, 1), moments, self.p.len());
        let mut to = self.clone();
        b.download(&p, 1, &mut to.p).unwrap();
        b.download(&m_scales, 1, &mut to.m_scales).unwrap();
        b.download(&v_scales, 1, &mut to.v_scales).unwrap();
        b.download_bytes(&m, 1, &mut to.m).unwrap();
        b.download_bytes(&v, 1, &mut to.v).unwrap();
        to
    }
}

/// The scalars of step `t` (from 1) as the optimizer computes them.
fn spec(t: i32, weight_decay: f64) -> AdamW8 {
    let (lr, c1, c2) = (1e-2, 1.0 - 0.9f64.powi(t), (1.0 - 0.999f64.powi(t)).sqrt());
    AdamW8 {
        gradient_scale: 0.7,
        decay: (1.0 - lr * weight_decay) as f32,
        beta1: 0.9,
        one_minus_beta1: 1.0 - 0.9f32,
        beta2: 0.999,
        one_minus_beta2: 1.0 - 0.999f32,
        step_size: (lr * c2 / c1) as f32,
        epsilon: (c2 * 1e-8) as f32,
    }
}

/// Gradients with a block of zeroes, tiny negative ones and very different sizes.
fn gradients(n: usize, seed: u64) -> Vec<f32> {
    let mut g = noise(n, seed);
    for (i, value) in g.iter_mut().enumerate() {
        *value *= [1.0, 1e-3, 1e-6, 1e2][i / 7 % 4];
        if (MOMENT_BLOCK..2 * MOMENT_BLOCK).contains(&i) {
            *value = 0.0;
        }
        if i % 97 == 5 {
            *value = -1e-20;
        }
    }
    g
}

/// Equal to a few roundings of numbers of the given size.
fn close(a: f32, b: f32, size: f32) -> bool {
    (a - b).abs() <= 1e-6 * size.abs().max(1e-30)
}

fn check(from: &State, got: &State, want: &State) {
    for (i, (a, b)) in got.p.iter().zip(&want.p).enumerate() {
        assert!(
            close(*a, *b, from.p[i].abs() + b.abs() + 0.01),
            "parameter {i}: {a} instead of {b} (from {})",
            from.p[i]
        );
    }
    for (a, b) in got.m_scales.iter().zip(&want.m_scales) {
        assert!(close(*a, *b, *b), "scale of m: {a} instead of {b}");
    }
    for (a, b) in got.v_scales.iter().zip(&want.v_scales) {
        assert!(close(*a, *b, *b), "scale of v: {a} instead of {b}");
    }
    // Only a value within a rounding of a midpoint may fall on its other side.
    for (a, b) in [(&got.m, &want.m), (&got.v, &want.v)] {
        let other = a.iter().zip(b.iter()).filter(|(a, b)| a != b).count();
        let far = a
            .iter()
            .zip(b.iter())
            .filter(|(a, b)| a.abs_diff(**b) > 1)
            .count();
        assert!(
            far == 0 && other * 2000 <= a.len(),
            "{other} codes differ, {far} by more than one"
        );
    }
}

#[test]
fn matches_the_scalar_f64_model_over_steps() {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let b = CpuBackend::with_isa(2, isa).unwrap();
        for n in [4096, 4097, 20_000] {
            let mut state = State::fresh(noise(n, 1));
            for t in 1..=6 {
                let g = gradients(n, 10 + t as u64);
                let (got, want) = (
                    state.step(&b, &g, spec(t, 0.01)),
                    state.step(&Reference, &g, spec(t, 0.01)),
                );
                check(&state, &got, &want);
                state = got;
            }
        }
    }
}

#[test]
fn classes_and_thread_counts_agree_bit_for_bit() {
    let (n, g) = (70_001, gradients(70_001, 3));
    let start = State::fresh(noise(n, 2));
    let run = |isa: Isa, threads: usize| {
        let b = CpuBackend::with_isa(threads, isa).unwrap();
        (1..4).fold(start.clone(), |state, t| state.step(&b, &g, spec(t, 0.01)))
    };
    let want = run(Isa::Portable, 1);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        for threads in THREADS {
            assert!(run(isa, threads) == want, "{isa:?} with {threads} threads");
        }
    }
}

#[test]
fn edges_are_those_of_the_cuda_kernel() {
    let b = CpuBackend::new(1).unwrap();
    // A block of zeroes: code 255 for m, 0 for v, scales 0, parameters only decayed.
    let start = State::fresh(vec![2.0; 4096]);
    let zero = start.step(&b, &vec![0.0; 4096], spec(1, 0.1));
    assert!(zero.m.iter().all(|code| *code == 255) && zero.v.iter().all(|code| *code == 0));
    assert!(
        zero.m_scales
            .iter()
            .chain(&zero.v_scales)
            .all(|scale| *scale == 0.0)
    );
    assert!(zero.p.iter().all(|p| *p == 2.0 * spec(1, 0.1).decay));
    // Zero, minus zero and a tiny negative among larger values; a NaN leaves its parameter alone.
    let mut g = vec![1.0f32; 4096];
    (g[0], g[1], g[2], g[3]) = (0.0, -0.0, -1e-12, f32::NAN);
    let mut start = State::fresh(vec![2.0; 4096]);
    // 127 is zero; code 0 times the fresh scale 0 is minus zero.
    start.m = vec![127; 4096];
    start.m[1] = 0;
    let next = start.step(&b, &g, spec(1, 0.1));
    assert_eq!(next.m[..5], [127, 126, 126, 127, 255]);
    assert_eq!(next.v[..4], [0, 0, 0, 0]);
    assert_eq!(next.p[3], 2.0);
    assert!(next.p.iter().all(|p| p.is_finite()));
}
