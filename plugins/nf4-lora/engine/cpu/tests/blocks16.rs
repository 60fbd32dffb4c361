//! Products in 16 bits against a scalar model of their rule, bit for bit, and against f32 within the error that is stated.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use escada_engine_core::backend::{At, Backend, LinearSource, LowRank};
use escada_engine_cpu::{CpuBackend, Isa};

const BLOCK: usize = 128;
const K_PART: usize = 1536;
const MOST: f32 = 4095.0;

/// The back end in 16 bits, where this machine has the instructions; a machine without them says so.
fn sixteen(threads: usize) -> Option<CpuBackend> {
    let backend = CpuBackend::new(threads).unwrap();
    let found = backend.sixteen_bits();
    #[cfg(target_arch = "x86_64")]
    let wanted = is_x86_feature_detected!("avx512vnni") && Isa::Avx512.available();
    #[cfg(not(target_arch = "x86_64"))]
    let wanted = false;
    assert_eq!(found.is_some(), wanted);
    found
}

/// A run of values as integers and its scale.
fn coded(values: impl Iterator<Item = f32>) -> (Vec<i64>, f32) {
    let values: Vec<f32> = values.collect();
    let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    if largest < 1e-30 {
        return (vec![0; values.len()], 0.0);
    }
    let inverse = MOST / largest;
    let code = |x: &f32| (x * inverse).round_ties_even() as i64;
    (values.iter().map(code).collect(), largest / MOST)
}

struct Low<'a> {
    rank: usize,
    scale: f32,
    /// `[m, rank]`
    inner: &'a [f32],
    /// `outer(step, column)`
    outer: &'a dyn Fn(usize, usize) -> f32,
}

/// Element `(i, j)` of `a [m, k] · b` with `b(p, j)`, added to `before`.
fn model(
    a: &[f32],
    k: usize,
    i: usize,
    b: &dyn Fn(usize) -> f32,
    before: Option<f32>,
    low: Option<(&Low<'_>, usize)>,
) -> f32 {
    let mut value = before;
    for part in (0..k).step_by(K_PART) {
        let end = k.min(part + K_PART);
        let mut sum = 0.0f32;
        for start in (part..end).step_by(BLOCK) {
            let stop = end.min(start + BLOCK);
            let (x, row) = coded((start..stop).map(|p| a[i * k + p]));
            let (w, column) = coded((start..stop).map(b));
            let exact: i64 = x.iter().zip(&w).map(|(x, w)| x * w).sum();
            assert!(exact.abs() < 1 << 31);
            sum = (exact as f32 * column).mul_add(row, sum);
        }
        if let (Some((low, j)), true) = (low, end == k) {
            for step in 0..low.rank {
                let outer = low.scale * (low.outer)(step, j);
                sum = low.inner[i * low.rank + step].mul_add(outer, sum);
            }
        }
        value = Some(value.map_or(sum, |value| sum + value));
    }
    value.unwrap()
}

/// `y [m, n]` of the weight `[n, k]` in f32 and `x [m, k]`.
fn forward(backend: &CpuBackend, weight: &[f32], x: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    let linear = backend.upload_linear(f32_source(n, k, weight)).unwrap();
    // Not zeros: what is not written would show.
    let mut y = buffer(backend, &vec![1.0; m * n]);
    backend.linear_forward(&linear, &buffer(backend, x), &mut y, m, false);
    host(backend, &y)
}

fn f32_source(rows: usize, cols: usize, data: &[f32]) -> LinearSource<'_> {
    LinearSource::F32 { rows, cols, data }
}

fn far(got: &[f32], want: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let (mut off, mut all) = (0.0, 0.0);
    for (got, want) in got.iter().zip(want) {
        off += square(f64::from(*got) - f64::from(*want));
        all += square(f64::from(*want));
    }
    (off / all).sqrt()
}

#[test]
fn every_bit_is_that_of_the_rule() {
    // Rows: a strip and more, and not whole; columns: less than a vector, several panels; steps: odd, one part, two.
    for (m, n, k) in [
        (32, 5, 7),
        (41, 100, 257),
        (33, 49, 128),
        (64, 48, 1537),
        (35, 17, 3100),
    ] {
        let weight = noise(n * k, 1);
        let (x, dy) = (noise(m * k, 2), noise(m * n, 3));
        let (before_y, before_dx) = (noise(m * n, 4), noise(m * k, 5));
        for accumulate in [false, true] {
            let mut seen: Option<(Vec<f32>, Vec<f32>)> = None;
            for threads in THREADS {
                let Some(backend) = sixteen(threads) else { return };
                let linear = backend.upload_linear(f32_source(n, k, &weight)).unwrap();
                let (mut y, mut dx) = (buffer(&backend, &before_y), buffer(&backend, &before_dx));
                backend.linear_forward(&linear, &buffer(&backend, &x), &mut y, m, accumulate);
                backend.linear_backward(&linear, &buffer(&backend, &dy), &mut dx, m, accumulate);
                let got = (host(&backend, &y), host(&backend, &dx));
                if let Some(seen) = &seen {
                    assert!(*seen == got, "{threads} threads");
                    continue;
                }
                for (i, j) in [(0, 0), (m - 1, n - 1), (m / 2, n / 3), (7, n / 2), (31, 0)] {
                    let before = accumulate.then(|| before_y[i * n + j]);
                    let want = model(&x, k, i, &|p| weight[j * k + p], before, None);
                    assert_eq!(
                        got.0[i * n + j].to_bits(),
                        want.to_bits(),
                        "y {m} {n} {k} at {i} {j}"
                    );
                    let j = j * (k / n).max(1) % k;
                    let before = accumulate.then(|| before_dx[i * k + j]);
                    let want = model(&dy, n, i, &|p| weight[p * k + j], before, None);
                    assert_eq!(
                        got.1[i * k + j].to_bits(),
                        want.to_bits(),
                        "dx {m} {n} {k} at {i} {j}"
                    );
                }
                seen = Some(got);
            }
        }
    }
}

#[test]
fn an_adapter_goes_along() {
    let (m, n, k, rank) = (37, 60, 300, 5);
    let Some(backend) = sixteen(2) else { return };
    let weight = noise(n * k, 1);
    let linear = backend.upload_linear(f32_source(n, k, &weight)).unwrap();
    let (x, inner, outer) = (noise(m * k, 2), noise(m * rank, 3), noise(n * rank, 4));
    let (a, b) = (buffer(&backend, &inner), buffer(&backend, &outer));
    let low = LowRank {
        rank,
        scale: 0.5,
        columns: n,
        inner: At {
            buffer: &a,
            offset: 0,
        },
        outer: At {
            buffer: &b,
            offset: 0,
        },
    };
    let mut y = buffer(&backend, &vec![0.0; m * n]);
    backend.linear_forward_low_rank(&linear, &buffer(&backend, &x), &mut y, m, false, low);
    let got = host(&backend, &y);
    let low = Low {
        rank,
        scale: 0.5,
        inner: &inner,
        outer: &|step, j| outer[j * rank + step],
    };
    for (i, j) in [(0, 0), (36, 59), (32, 48), (17, 31)] {
        let want = model(&x, k, i, &|p| weight[j * k + p], None, Some((&low, j)));
        assert_eq!(got[i * n + j].to_bits(), want.to_bits(), "{i} {j}");
    }
}

#[test]
fn every_form_of_weight_stays_within_the_stated_error() {
    let (m, n, k) = (96, 192, 640);
    let f32s = noise(n * k, 1);
    let rounded: Vec<f32> = f32s
        .iter()
        .map(|x| f32::from_bits(x.to_bits() & 0xffff_0000))
        .collect();
    let (nf4, q4, q8) = (nf4(n, k, 64, true, 9), q4(n, k), q8(n, k));
    let sources = [
        f32_source(n, k, &f32s),
        f32_source(n, k, &rounded),
        LinearSource::Nf4(&nf4),
        LinearSource::Q4(&q4),
        LinearSource::Q8(&q8),
    ];
    let (x, dy) = (noise(m * k, 2), noise(m * n, 3));
    for source in sources {
        let Some(backend) = sixteen(2) else { return };
        let plain = CpuBackend::new(2).unwrap();
        let linear = plain.upload_linear(source).unwrap();
        let run = |backend: &CpuBackend| {
            let (mut y, mut dx) = (
                buffer(backend, &vec![0.0; m * n]),
                buffer(backend, &vec![0.0; m * k]),
            );
            backend.linear_forward(&linear, &buffer(backend, &x), &mut y, m, false);
            backend.linear_backward(&linear, &buffer(backend, &dy), &mut dx, m, false);
            [host(backend, &y), host(backend, &dx)]
        };
        for (got, want) in run(&backend).iter().zip(run(&plain)) {
            let off = far(got, &want);
            assert!(off > 0.0 && off < 4e-4, "{off:e}");
        }
    }
}

#[test]
fn few_rows_are_computed_in_f32() {
    let (m, n, k) = (31, 64, 256);
    let Some(backend) = sixteen(2) else { return };
    let plain = CpuBackend::new(2).unwrap();
    let (weight, x) = (noise(n * k, 1), noise(m * k, 2));
    let run = |backend| forward(backend, &weight, &x, [m, n, k]);
    assert!(run(&backend) == run(&plain));
    assert_ne!(backend.isa_class(), plain.isa_class());
}

#[test]
fn what_is_not_finite_stays_so_and_tiny_values_are_zero() {
    let (m, n, k) = (40, 50, 200);
    let Some(backend) = sixteen(2) else { return };
    let weight = noise(n * k, 1);
    let mut x = noise(m * k, 2);
    x[3 * k + 150] = f32::NAN;
    x[5 * k] = f32::INFINITY;
    x[7 * k..8 * k].fill(1e-35);
    let y = forward(&backend, &weight, &x, [m, n, k]);
    for (i, row) in y.chunks(n).enumerate() {
        match i {
            3 | 5 => assert!(row.iter().all(|y| y.is_nan())),
            7 => assert!(row.iter().all(|y| *y == 0.0)),
            _ => assert!(row.iter().all(|y| y.is_finite() && *y != 0.0)),
        }
    }
}

#[test]
fn more_rows_than_are_prepared_at_once() {
    let (m, n, k) = (2_100, 20, 130);
    let Some(backend) = sixteen(3) else { return };
    let weight = noise(n * k, 1);
    let x = noise(m * k, 2);
    let got = forward(&backend, &weight, &x, [m, n, k]);
    for (i, j) in [(0, 0), (2_047, 19), (2_048, 0), (2_099, 19)] {
        let want = model(&x, k, i, &|p| weight[j * k + p], None, None);
        assert_eq!(got[i * n + j].to_bits(), want.to_bits(), "{i} {j}");
    }
}
