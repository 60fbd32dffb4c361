//! Matrix products against the f64 reference: sizes on and off the tiles, both weight forms, all layouts.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use escada_engine_core::backend::{At, AtMut, Backend, Layout, LinearSource, LowRank, Matmul};
use escada_engine_cpu::gemm::four_bits::Nf4Weight;
use escada_engine_cpu::team::Team;
use escada_engine_cpu::{CpuBackend, Isa};
use escada_engine_formats::nf4::{BLOCKSIZES, Nf4Tensor};
use escada_engine_formats::q4::Q4Tensor;
use escada_engine_formats::q8::Q8Tensor;

enum Weight {
    F32(Vec<f32>),
    Nf4(Nf4Tensor),
    Q4(Q4Tensor),
    Q8(Q8Tensor),
}

struct Linear {
    weight: Weight,
    n: usize,
    k: usize,
    m: usize,
    accumulate: bool,
}

impl Linear {
    fn source(&self) -> LinearSource<'_> {
        match &self.weight {
            Weight::F32(data) => LinearSource::F32 {
                rows: self.n,
                cols: self.k,
                data,
            },
            Weight::Nf4(tensor) => LinearSource::Nf4(tensor),
            Weight::Q4(tensor) => LinearSource::Q4(tensor),
            Weight::Q8(tensor) => LinearSource::Q8(tensor),
        }
    }
}

impl Case for Linear {
    fn run<B: Backend>(&self, backend: &B) -> Vec<Vec<f32>> {
        let (m, n, k) = (self.m, self.n, self.k);
        let weight = backend.upload_linear(self.source()).unwrap();
        let x = buffer(backend, &noise(m * k, 5));
        // One element more than needed, which must survive.
        let mut y = buffer(backend, &noise(m * n + 1, 6));
        backend.linear_forward(&weight, &x, &mut y, m, self.accumulate);
        let dy = buffer(backend, &noise(m * n, 7));
        let mut dx = buffer(backend, &noise(m * k + 1, 8));
        backend.linear_backward(&weight, &dy, &mut dx, m, self.accumulate);
        vec![host(backend, &y), host(backend, &dx)]
    }
}

#[test]
fn linear_layers_match_the_reference() {
    for (n, k) in [
        (1, 1),
        (31, 64),
        (33, 100),
        (576, 64),
        (70, 300),
        (192, 576),
        (65, 37),
    ] {
        for m in [1, 2, 5, 11, 12, 13, 29, 61] {
            for accumulate in [false, true] {
                let weight = Weight::F32(noise(n * k, 1));
                let case = Linear {
                    weight,
                    n,
                    k,
                    m,
                    accumulate,
                };
                check(&format!("f32 {m}x{n}x{k}"), &case, CHAIN_TOLERANCE);
                let weight = Weight::F32(bf16_noise(n * k, 1));
                let case = Linear {
                    weight,
                    n,
                    k,
                    m,
                    accumulate,
                };
                check(&format!("bf16 {m}x{n}x{k}"), &case, CHAIN_TOLERANCE);
                let weight = Weight::Nf4(nf4(n, k, 64, accumulate, 2));
                let case = Linear {
                    weight,
                    n,
                    k,
                    m,
                    accumulate,
                };
                check(&format!("nf4 {m}x{n}x{k}"), &case, CHAIN_TOLERANCE);
            }
        }
    }
}

/// A product with a weight and one of low rank on top, both ways.
struct Adapted {
    linear: Linear,
    rank: usize,
}

impl Case for Adapted {
    fn run<B: Backend>(&self, backend: &B) -> Vec<Vec<f32>> {
        let Linear {
            n, k, m, accumulate, ..
        } = self.linear;
        let rank = self.rank;
        let weight = backend.upload_linear(self.linear.source()).unwrap();
        let (inner, outer) = (noise(m * rank + 3, 21), noise(n.max(k) * rank + 5, 22));
        let (inner, outer) = (buffer(backend, &inner), buffer(backend, &outer));
        let low = |columns| LowRank {
            rank,
            scale: 1.5,
            inner: At::new(&inner, 3),
            outer: At::new(&outer, 5),
            columns,
        };
        let (x, dy) = (noise(m * k, 5), noise(m * n, 7));
        let (x, dy) = (buffer(backend, &x), buffer(backend, &dy));
        let mut y = buffer(backend, &noise(m * n + 1, 6));
        let mut dx = buffer(backend, &noise(m * k + 1, 8));
        backend.linear_forward_low_rank(&weight, &x, &mut y, m, accumulate, low(n));
        backend.linear_backward_low_rank(&weight, &dy, &mut dx, m, accumulate, low(k));
        vec![host(backend, &y), host(backend, &dx)]
    }
}

#[test]
fn products_of_low_rank_go_along_with_those_of_the_weight() {
    for (n, k) in [(1, 1), (33, 100), (192, 576), (300, 1312)] {
        for m in [1, 12, 13, 61, 200] {
            // Up to 64 within the product, then by itself.
            for rank in [1, 7, 16, 64, 65] {
                let accumulate = (m + rank) % 2 == 0;
                let linear = Linear {
                    weight: Weight::Nf4(nf4(n, k, 64, accumulate, 2)),
                    n,
                    k,
                    m,
                    accumulate,
                };
                let case = Adapted { linear, rank };
                check(&format!("rank {rank} on {m}x{n}x{k}"), &case, CHAIN_TOLERANCE);
            }
        }
    }
}

/// Values that are bfloat16.
fn bf16_noise(len: usize, seed: u64) -> Vec<f32> {
    let round = |v: f32| f32::from_bits(v.to_bits() & 0xFFFF_0000);
    noise(len, seed).into_iter().map(round).collect()
}

#[test]
fn weights_in_4_and_8_bits_match_the_reference() {
    for (n, k) in [(1, 32), (33, 96), (70, 640), (300, 1312)] {
        for m in [1, 2, 5, 11, 12, 13, 29, 61] {
            for accumulate in [false, true] {
                let weight = Weight::Q8(q8(n, k));
                let case = Linear {
                    weight,
                    n,
                    k,
                    m,
                    accumulate,
                };
                check(&format!("q8 {m}x{n}x{k}"), &case, CHAIN_TOLERANCE);
                let weight = Weight::Q4(q4(n, k));
                let case = Linear { weight, ..case };
                check(&format!("q4 {m}x{n}x{k}"), &case, CHAIN_TOLERANCE);
            }
        }
    }
}

#[test]
fn weights_in_4_and_8_bits_give_the_bits_of_their_values() {
    let (eight, four) = (q8(96, 320), q4(96, 320));
    let mut values = vec![0.0; 96 * 320];
    eight.decode_into(&mut values);
    gives_the_bits_of(&values, LinearSource::Q8(&eight), 3);
    four.decode_into(&mut values);
    gives_the_bits_of(&values, LinearSource::Q4(&four), 5);
}

/// `coded` has the `values [96, 320]`, in less than `1 / smaller` of their memory.
fn gives_the_bits_of(values: &[f32], coded: LinearSource<'_>, smaller: usize) {
    let (rows, cols) = (96, 320);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let backend = CpuBackend::with_isa(2, isa).unwrap();
        let coded = backend.upload_linear(coded).unwrap();
        let data = values;
        let plain = backend
            .upload_linear(LinearSource::F32 { rows, cols, data })
            .unwrap();
        assert!(backend.linear_bytes(&coded) < backend.linear_bytes(&plain) / smaller);
        for m in [1, 7, 12, 40, 100] {
            let (x, dy) = (noise(m * cols, 5), noise(m * rows, 6));
            let (x, dy) = (buffer(&backend, &x), buffer(&backend, &dy));
            let [narrow, wide] = [&coded, &plain].map(|weight| {
                let mut y = backend.alloc(m * rows).unwrap();
                backend.linear_forward(weight, &x, &mut y, m, false);
                let mut dx = backend.alloc(m * cols).unwrap();
                backend.linear_backward(weight, &dy, &mut dx, m, false);
                [bits(&host(&backend, &y)), bits(&host(&backend, &dx))]
            });
            assert_eq!(narrow, wide, "{isa:?}, {m} rows");
        }
        let mut row = backend.alloc(cols).unwrap();
        backend.embedding(&coded, &index(&backend, &[5]), 1, &mut row);
        assert_eq!(
            bits(&host(&backend, &row)[..cols]),
            bits(&values[5 * cols..6 * cols])
        );
    }
}

#[test]
fn bfloat16_values_take_half_the_memory_and_give_the_same_bits() {
    let (n, k) = (96, 320);
    let mut values = bf16_noise((n + 1) * k, 1);
    // One more row that no bfloat16 holds keeps the whole weight in 32 bits.
    values[n * k..].fill(0.1);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let backend = CpuBackend::with_isa(2, isa).unwrap();
        let weight = |rows: usize| {
            let data = &values[..rows * k];
            let source = LinearSource::F32 { rows, cols: k, data };
            backend.upload_linear(source).unwrap()
        };
        let (halved, whole) = (weight(n), weight(n + 1));
        assert_eq!(backend.linear_bytes(&halved), n * k * 2);
        assert!(backend.linear_bytes(&whole) >= (n + 1) * k * 4);
        for m in [1, 7, 12, 40, 100] {
            let x = buffer(&backend, &noise(m * k, 5));
            let (mut narrow, mut wide) = (buffer(&backend, &[0.0]), buffer(&backend, &[0.0]));
            for (y, weight, rows) in [(&mut narrow, &halved, n), (&mut wide, &whole, n + 1)] {
                *y = backend.alloc(m * rows).unwrap();
                backend.linear_forward(weight, &x, y, m, false);
            }
            let (narrow, wide) = (host(&backend, &narrow), host(&backend, &wide));
            for (a, b) in narrow.chunks(n).zip(wide.chunks(n + 1)) {
                assert_eq!(bits(a), bits(&b[..n]), "{isa:?}, {m} rows");
            }
        }
        let mut row = vec![0.0; k];
        let ids = index(&backend, &[5]);
        let mut out = backend.alloc(k).unwrap();
        backend.embedding(&halved, &ids, 1, &mut out);
        backend.download(&out, 0, &mut row).unwrap();
        assert_eq!(bits(&row), bits(&values[5 * k..6 * k]));
    }
}

#[test]
fn large_products_match_the_reference() {
    let weight = Weight::Nf4(nf4(300, 640, 64, true, 3));
    check(
        "nf4 large",
        &Linear {
            weight,
            n: 300,
            k: 640,
            m: 517,
            accumulate: false,
        },
        CHAIN_TOLERANCE,
    );
}

#[test]
fn decoded_rows_equal_the_format_bit_for_bit() {
    let usual = [(70, 128, 64, true), (33, 100, 64, true), (5, 37, 32, false)];
    // Widths that no block divides, fewer values than a block among them.
    let sizes = BLOCKSIZES
        .into_iter()
        .flat_map(|size| [(70, 96, size, true), (41, 37, size, false)]);
    for (rows, cols, blocksize, nested) in usual.into_iter().chain(sizes) {
        let tensor = nf4(rows, cols, blocksize, nested, 9);
        let mut want = vec![0.0; rows * cols];
        tensor.decode_into(&mut want);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let weight = Nf4Weight::pack(&Team::new(1).unwrap(), isa, &tensor).unwrap();
            let backend = CpuBackend::with_isa(2, isa).unwrap();
            let linear = backend.upload_linear(LinearSource::Nf4(&tensor)).unwrap();
            // The product with the identity passes every weight through the vector decoder unchanged.
            let mut identity = vec![0.0; cols * cols];
            (0..cols).for_each(|i| identity[i * cols + i] = 1.0);
            let mut y = backend.alloc(cols * rows).unwrap();
            backend.linear_forward(&linear, &buffer(&backend, &identity), &mut y, cols, false);
            let y = host(&backend, &y);
            for row in 0..rows {
                let mut got = vec![0.0; cols];
                weight.row(isa, row, &mut got);
                let wanted = &want[row * cols..(row + 1) * cols];
                assert_eq!(bits(&got), bits(wanted), "row {row} of {rows}x{cols}");
                for k in 0..cols {
                    // The sum of -0 and +0 is +0: compare values.
                    assert_eq!(y[k * rows + row], wanted[k], "product, row {row}, column {k}");
                }
            }
        }
    }
}

struct Dense {
    spec: Matmul,
}

impl Case for Dense {
    fn run<B: Backend>(&self, backend: &B) -> Vec<Vec<f32>> {
        let Matmul { m, n, k, .. } = self.spec;
        let a = buffer(backend, &noise(m * k + 3, 10));
        let b = buffer(backend, &noise(n * k + 5, 11));
        let mut c = buffer(backend, &noise(m * n + 9, 12));
        backend.matmul(self.spec, At::new(&a, 3), At::new(&b, 5), AtMut::new(&mut c, 7));
        vec![host(backend, &c)]
    }
}

#[test]
fn dense_layouts_match_the_reference() {
    for layout in [Layout::Nt, Layout::Nn, Layout::Tn] {
        for (m, n, k) in [
            (1, 8, 40),
            (7, 16, 65),
            (16, 100, 300),
            (100, 16, 290),
            (45, 45, 45),
            (300, 64, 17),
        ] {
            for (alpha, accumulate) in [(1.0, false), (0.37, true)] {
                let spec = Matmul {
                    layout,
                    m,
                    n,
                    k,
                    alpha,
                    accumulate,
                };
                check(
                    &format!("{layout:?} {m}x{n}x{k}"),
                    &Dense { spec },
                    CHAIN_TOLERANCE,
                );
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    let (n, k) = (150, 192);
    let tensor = nf4(n, k, 64, true, 20);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let backend = CpuBackend::with_isa(2, isa).unwrap();
        for source in [
            LinearSource::Nf4(&tensor),
            LinearSource::F32 {
                rows: n,
                cols: k,
                data: &noise(n * k, 21),
            },
        ] {
            let weight = backend.upload_linear(source).unwrap();
            let x = noise(70 * k, 22);
            let mut all = backend.alloc(70 * n).unwrap();
            backend.linear_forward(&weight, &buffer(&backend, &x), &mut all, 70, false);
            let all = host(&backend, &all);
            for count in [1, 3, 12, 14] {
                for start in [0, 5, 40] {
                    let rows = buffer(&backend, &x[start * k..(start + count) * k]);
                    let mut y = backend.alloc(count * n).unwrap();
                    backend.linear_forward(&weight, &rows, &mut y, count, false);
                    assert_eq!(
                        bits(&host(&backend, &y)),
                        bits(&all[start * n..(start + count) * n]),
                        "{count} rows"
                    );
                }
            }
        }
    }
}
