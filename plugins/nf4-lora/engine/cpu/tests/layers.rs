//! Element-wise and row-wise operations against the f64 reference.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use escada_engine_core::backend::{AdamW, At, AtMut, Backend, Dropout, LinearSource};
use escada_engine_core::rng;
use escada_engine_cpu::{CpuBackend, Isa, math, ops};

/// Sizes on and off vectors and tasks.
const SIZES: [usize; 4] = [1, 37, 1000, 40_003];

macro_rules! case {
    ($name:ident($($field:ident: $ty:ty),*), |$self:ident, $b:ident| $body:block) => {
        struct $name { $($field: $ty),* }
        impl Case for $name {
            fn run<B: Backend>(&$self, $b: &B) -> Vec<Vec<f32>> $body
        }
    };
}

case!(Norm(tokens: usize, channels: usize), |self, b| {
    let (t, c) = (self.tokens, self.channels);
    let (x, w, dy) = (buffer(b, &noise(t * c, 1)), buffer(b, &noise(c, 2)), buffer(b, &noise(t * c, 3)));
    let (mut out, mut rstd) = (b.alloc(t * c).unwrap(), b.alloc(t).unwrap());
    b.rms_norm(&x, At::start(&w), 1e-5, t, c, &mut out, &mut rstd);
    let (mut dx, mut added) = (buffer(b, &noise(t * c, 4)), buffer(b, &noise(t * c, 5)));
    b.rms_norm_backward(&x, At::start(&w), &rstd, &dy, t, c, &mut dx, false);
    b.rms_norm_backward(&x, At::start(&w), &rstd, &dy, t, c, &mut added, true);
    [&out, &rstd, &dx, &added].iter().map(|x| host(b, x)).collect()
});

#[test]
fn rms_norm_matches_the_reference() {
    for (tokens, channels) in [(1, 5), (3, 576), (200, 100)] {
        check("rms_norm", &Norm { tokens, channels }, CHAIN_TOLERANCE);
    }
}

// Gradients of everything that adds a row's vector: rows of a table (ids repeat), a bias, the weight of a norm. All add
// to what is there, from an offset on.
case!(RowGradients(tokens: usize, columns: usize, ids: u32), |self, b| {
    let (t, c, from) = (self.tokens, self.columns, 3);
    let (x, dy, rstd) = (buffer(b, &noise(t * c, 1)), buffer(b, &noise(t * c, 2)), buffer(b, &noise(t, 3)));
    let start = |rows: usize, seed| buffer(b, &noise(from + rows * c, seed));
    let (mut table, mut bias, mut weight) = (start(self.ids as usize, 4), start(1, 5), start(1, 6));
    b.embedding_gradient(&dy, &index(b, &random_u32(t, self.ids, 7)), t, c, AtMut::new(&mut table, from));
    b.bias_gradient(&dy, t, c, AtMut::new(&mut bias, from));
    b.rms_norm_gradient(&x, &rstd, &dy, t, c, AtMut::new(&mut weight, from));
    let mut y = buffer(b, &noise(t * c, 8));
    b.add_bias(At::new(&bias, from), &mut y, t, c);
    [&table, &bias, &weight, &y].iter().map(|x| host(b, x)).collect()
});

#[test]
fn row_gradients_match_the_reference() {
    for (tokens, columns, ids) in [(1, 5, 1), (40, 576, 7), (300, 100, 2), (17, 200, 1000)] {
        check(
            "row gradients",
            &RowGradients { tokens, columns, ids },
            CHAIN_TOLERANCE,
        );
    }
}

case!(Rope(tokens: usize, heads: usize, head_size: usize), |self, b| {
    let (t, half) = (self.tokens, self.head_size / 2);
    let positions = index(b, &random_u32(t, 50, 1));
    let angles = noise(50 * half, 2);
    let cos = buffer(b, &angles.iter().map(|x| (x * 3.0).cos()).collect::<Vec<_>>());
    let sin = buffer(b, &angles.iter().map(|x| (x * 3.0).sin()).collect::<Vec<_>>());
    let mut x = buffer(b, &noise(t * self.heads * self.head_size, 3));
    b.rope(&mut x, &positions, &cos, &sin, t, self.heads, self.head_size, false);
    let turned = host(b, &x);
    b.rope(&mut x, &positions, &cos, &sin, t, self.heads, self.head_size, true);
    vec![turned, host(b, &x)]
});

#[test]
fn rope_matches_the_reference_and_its_inverse_undoes_it() {
    for (tokens, heads, head_size) in [(1, 1, 16), (70, 9, 64), (33, 3, 20)] {
        let case = Rope {
            tokens,
            heads,
            head_size,
        };
        check("rope", &case, ELEMENT_TOLERANCE);
        let before = noise(tokens * heads * head_size, 3);
        assert_close(
            "rope inverse",
            &case.run(&CpuBackend::new(1).unwrap())[1],
            &before,
            ELEMENT_TOLERANCE,
        );
    }
}

case!(Gate(n: usize, scale: f32), |self, b| {
    let n = self.n;
    let scaled = |seed| buffer(b, &noise(n, seed).iter().map(|x| x * self.scale).collect::<Vec<_>>());
    let (gate, up, d) = (scaled(1), scaled(2), scaled(3));
    let (mut out, mut d_gate, mut d_up) = (b.alloc(n).unwrap(), b.alloc(n).unwrap(), b.alloc(n).unwrap());
    b.swiglu(&gate, &up, &mut out, n);
    b.swiglu_backward(&gate, &up, &d, &mut d_gate, &mut d_up, n);
    [&out, &d_gate, &d_up].iter().map(|x| host(b, x)).collect()
});

#[test]
fn swiglu_matches_the_reference() {
    for n in SIZES {
        for scale in [1.0, 20.0, 200.0] {
            check("swiglu", &Gate { n, scale }, ELEMENT_TOLERANCE);
        }
    }
}

case!(Loss(rows: usize, columns: usize, scale: f32), |self, b| {
    let (r, v) = (self.rows, self.columns);
    let logits = noise(r * v, 1).iter().map(|x| x * self.scale).collect::<Vec<_>>();
    let mut logits = buffer(b, &logits);
    let targets = index(b, &random_u32(r, v as u32, 2));
    let (mut losses, mut log_probs, mut best) =
        (b.alloc(r).unwrap(), b.alloc(r).unwrap(), b.alloc_index(r).unwrap());
    b.arg_max(&logits, r, v, &mut best);
    b.log_probs(&logits, &targets, r, v, &mut log_probs);
    b.cross_entropy(&mut logits, &targets, r, v, 0.25, &mut losses);
    let best = host_index(b, &best).iter().map(|x| *x as f32).collect();
    vec![host(b, &losses), host(b, &log_probs), host(b, &logits), best]
});

#[test]
fn losses_match_the_reference() {
    for (rows, columns) in [(1, 1), (5, 37), (3, 5000), (40, 1025)] {
        for scale in [1.0, 30.0] {
            check("loss", &Loss { rows, columns, scale }, ELEMENT_TOLERANCE);
        }
    }
}

#[test]
fn arg_max_takes_the_first_of_equals_and_never_a_nan() {
    let mut logits = vec![0.5f32; 3 * 3000];
    logits[1200] = 2.0;
    logits[2999] = 2.0;
    logits[3000] = f32::NAN;
    logits[3000 + 17] = 0.75;
    logits[6000..].fill(f32::NEG_INFINITY);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let b = CpuBackend::with_isa(1, isa).unwrap();
        let mut out = b.alloc_index(3).unwrap();
        b.arg_max(&buffer(&b, &logits), 3, 3000, &mut out);
        assert_eq!(host_index(&b, &out), [1200, 17, 0]);
    }
}

#[test]
fn a_nan_or_infinite_logit_shows_in_the_loss() {
    for bad in [f32::NAN, f32::INFINITY] {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let b = CpuBackend::with_isa(1, isa).unwrap();
            let mut logits = noise(100, 1);
            logits[40] = bad;
            let (mut logits, mut losses) = (buffer(&b, &logits), b.alloc(1).unwrap());
            b.cross_entropy(&mut logits, &index(&b, &[3]), 1, 100, 1.0, &mut losses);
            assert!(!host(&b, &losses)[0].is_finite());
        }
    }
}

case!(Moves(count: usize, cols: usize), |self, b| {
    let (n, c) = (self.count, self.cols);
    let src = buffer(b, &noise(n * c, 1));
    // A permutation: no row twice.
    let rows = index(b, &rng::permutation(3, 0, n));
    let mut gathered = b.alloc(n * c).unwrap();
    b.gather_rows(&src, &rows, n, c, &mut gathered);
    let (mut scattered, mut added) = (b.alloc(n * c).unwrap(), buffer(b, &noise(n * c, 2)));
    b.scatter_rows(&src, &rows, n, c, &mut scattered);
    b.scatter_add_rows(&src, &rows, n, c, &mut added);
    let table = b.upload_linear(LinearSource::F32 { rows: n, cols: c, data: &noise(n * c, 4) }).unwrap();
    let mut embedded = b.alloc(n * c).unwrap();
    b.embedding(&table, &rows, n, &mut embedded);
    [&gathered, &scattered, &added, &embedded].iter().map(|x| host(b, x)).collect()
});

#[test]
fn rows_move_as_in_the_reference() {
    for (count, cols) in [(1, 3), (70, 576), (300, 33)] {
        check("moves", &Moves { count, cols }, 0.0);
    }
}

case!(Sums(n: usize), |self, b| {
    let n = self.n;
    let (x, y) = (buffer(b, &noise(n + 2, 1)), buffer(b, &noise(n + 2, 2)));
    let (mut sum, mut added, mut copied, mut filled) =
        (buffer(b, &noise(n + 2, 3)), buffer(b, &noise(n + 2, 4)), buffer(b, &noise(n + 2, 5)), buffer(b, &noise(n + 2, 6)));
    b.sum(&x, &y, &mut sum, n);
    b.add(&x, &mut added, n);
    b.copy(At::new(&x, 1), AtMut::new(&mut copied, 2), n);
    b.scale(AtMut::new(&mut copied, 1), n, 0.3);
    b.fill(AtMut::new(&mut filled, 1), n, 7.0);
    let squares = b.sum_squares(At::new(&x, 1), n).unwrap() as f32;
    let mut parts: Vec<Vec<f32>> = [&sum, &added, &copied, &filled].iter().map(|x| host(b, x)).collect();
    parts.push(vec![squares]);
    parts
});

#[test]
fn sums_match_the_reference() {
    for n in SIZES.into_iter().chain([200_001]) {
        check("sums", &Sums { n }, ELEMENT_TOLERANCE);
    }
}

case!(Drop(n: usize, probability: f32), |self, b| {
    let n = self.n;
    let x = buffer(b, &noise(n, 1));
    let site = Dropout { probability: self.probability, key: 0x1234_5678_9abc_def0, stream: 77 };
    let (mut out, mut added) = (buffer(b, &noise(n, 2)), buffer(b, &noise(n, 3)));
    b.dropout(&x, &mut out, n, site, false);
    b.dropout(&x, &mut added, n, site, true);
    vec![host(b, &out), host(b, &added)]
});

#[test]
fn dropout_matches_the_reference() {
    for n in SIZES {
        for probability in [0.0, 0.1, 0.5] {
            check("dropout", &Drop { n, probability }, ELEMENT_TOLERANCE);
        }
    }
}

case!(Optimizer(n: usize), |self, b| {
    let n = self.n;
    let (mut p, g) = (buffer(b, &noise(n, 1)), buffer(b, &noise(n, 2)));
    let (mut m, v) = (buffer(b, &noise(n, 3)), noise(n, 4));
    let mut v = buffer(b, &v.iter().map(|x| x.abs()).collect::<Vec<_>>());
    let spec = AdamW {
        gradient_scale: 0.7,
        decay: 0.999,
        beta1: 0.9,
        one_minus_beta1: 0.1,
        beta2: 0.999,
        one_minus_beta2: 0.001,
        step_size: 1e-2,
        bias_correction2_sqrt: 0.3,
        epsilon: 1e-8,
    };
    b.adamw(
        spec,
        AtMut::start(&mut p),
        At::start(&g),
        AtMut::start(&mut m),
        AtMut::start(&mut v),
        n,
    );
    [&p, &m, &v].iter().map(|x| host(b, x)).collect()
});

#[test]
fn adamw_matches_the_reference() {
    for n in SIZES {
        check("adamw", &Optimizer { n }, ELEMENT_TOLERANCE);
    }
}

#[test]
fn weight_gradient_of_the_norm_matches_its_formula() {
    let (t, c) = (50, 70);
    let (x, dy, rstd) = (noise(t * c, 1), noise(t * c, 2), noise(t, 3));
    let want: Vec<f32> = (0..c)
        .map(|i| {
            (0..t)
                .map(|r| f64::from(x[r * c + i]) * f64::from(rstd[r]) * f64::from(dy[r * c + i]))
                .sum::<f64>() as f32
        })
        .collect();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let mut dw = vec![0.0; c];
        let (first, second) = dw.split_at_mut(33);
        // SAFETY: the class is available, the slices have the shapes.
        unsafe {
            ops::norm::rms_norm_weight_gradient(isa, &x, &rstd, &dy, 0, c, first);
            ops::norm::rms_norm_weight_gradient(isa, &x, &rstd, &dy, 33, c, second);
        }
        assert_close("norm weight gradient", &dw, &want, CHAIN_TOLERANCE);
    }
}

#[test]
fn logarithm_is_accurate() {
    for x in [
        1e-300,
        1e-3,
        0.5,
        0.999_999,
        1.0,
        1.000_001,
        std::f64::consts::E,
        10.0,
        49_152.0,
        1e300,
    ] {
        let error = (math::ln(x) - x.ln()).abs();
        assert!(error <= 4e-16 * x.ln().abs().max(1e-3), "ln {x}: {error}");
    }
    assert!(math::ln(-1.0).is_nan() && math::ln(0.0).is_nan() && math::ln(f64::INFINITY).is_infinite());
}

#[test]
fn exponential_is_accurate() {
    /// Units in the last place of the f64 result.
    const ULP: f64 = 2.0;
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let b = CpuBackend::with_isa(1, isa).unwrap();
        // silu(x) / x = 1 / (1 + exp(-x)); for large -x that is exp(x) to full precision.
        let x: Vec<f32> = (0..60_000).map(|i| -18.0 - i as f32 * 0.001).collect();
        let mut out = b.alloc(x.len()).unwrap();
        b.swiglu(
            &buffer(&b, &x),
            &buffer(&b, &vec![1.0; x.len()]),
            &mut out,
            x.len(),
        );
        for (x, y) in x.iter().zip(host(&b, &out)) {
            let want = f64::from(*x) / (1.0 + (-f64::from(*x)).exp());
            let ulp = want.abs() * f64::from(f32::EPSILON);
            // Addition, division and product add half a unit each.
            assert!(
                (f64::from(y) - want).abs() <= (ULP + 1.5) * ulp,
                "{x}: {y} != {want}"
            );
        }
    }
}
