//! Helpers of the integration tests: repeatable data, every class and thread count, comparison with the reference.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use escada_engine_core::backend::Backend;
use escada_engine_core::reference::Reference;
use escada_engine_cpu::{CpuBackend, Isa};
use escada_engine_formats::nf4::{AbsMax, Nf4Tensor};
use escada_engine_formats::q4::Q4Tensor;
use escada_engine_formats::q8::Q8Tensor;

/// Largest difference from the f64 reference, relative to the largest value: f32 chains of up to a few thousand
/// terms in blocks of 256.
pub const CHAIN_TOLERANCE: f32 = 1e-5;
/// Element-wise operations with an exponential of 2 ulp and a few roundings.
pub const ELEMENT_TOLERANCE: f32 = 1e-6;
/// Attention: two chains and an exponential of a difference of scores; gradients subtract two sums of about 10.
pub const ATTENTION_TOLERANCE: f32 = 3e-5;
/// Thread counts that must agree bit for bit.
pub const THREADS: [usize; 3] = [1, 2, 3];

/// Repeatable numbers in -1..1.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

pub fn random_u32(len: usize, below: u32, seed: u64) -> Vec<u32> {
    noise(len, seed)
        .iter()
        .map(|x| (((x + 1.0) * 0.5 * below as f32) as u32).min(below - 1))
        .collect()
}

/// A random NF4 tensor, doubly quantized when `nested`.
pub fn nf4(rows: usize, cols: usize, blocksize: usize, nested: bool, seed: u64) -> Nf4Tensor {
    let bytes = |len: usize, seed| {
        noise(len, seed)
            .iter()
            .map(|x| (x.abs() * 256.0) as u8)
            .collect::<Vec<u8>>()
    };
    let n = rows * cols;
    let blocks = n.div_ceil(blocksize);
    let absmax = if nested {
        let mut table = Box::new([0.0f32; 256]);
        table
            .iter_mut()
            .enumerate()
            .for_each(|(i, x)| *x = (i as f32 - 127.0) / 129.0);
        AbsMax::Nested {
            codes: bytes(blocks, seed + 1),
            table,
            absmax: noise(blocks.div_ceil(256), seed + 2)
                .iter()
                .map(|x| x.abs())
                .collect(),
            offset: 0.731,
            nested_blocksize: 256,
        }
    } else {
        AbsMax::Plain(noise(blocks, seed + 3).iter().map(|x| x.abs()).collect())
    };
    Nf4Tensor {
        rows,
        cols,
        blocksize,
        packed: bytes(n.div_ceil(2), seed),
        absmax,
    }
}

/// A random tensor in GGUF's 8-bit blocks.
pub fn q8(rows: usize, cols: usize) -> Q8Tensor {
    let codes = noise(rows * cols, 11);
    Q8Tensor {
        rows,
        cols,
        codes: codes.iter().map(|v| (v * 127.0) as i8).collect(),
        scales: noise(rows * cols / 32, 12),
    }
}

/// A random tensor in GGUF's 4-bit blocks: scales with the 11 bits of an f16, as every file has them.
pub fn q4(rows: usize, cols: usize) -> Q4Tensor {
    let short = |v: &f32| f32::from_bits(v.to_bits() & 0xFFFF_E000);
    let halves = |seed| noise(rows * cols / 32, seed).iter().map(short).collect();
    Q4Tensor {
        rows,
        cols,
        codes: random_u32(rows * cols, 16, 13)
            .iter()
            .map(|code| *code as u8)
            .collect(),
        scales: halves(14),
        shifts: halves(15),
    }
}

pub fn buffer<B: Backend>(backend: &B, data: &[f32]) -> B::Buffer {
    let mut buffer = backend.alloc(data.len()).unwrap();
    backend.upload(data, &mut buffer, 0).unwrap();
    buffer
}

pub fn index<B: Backend>(backend: &B, data: &[u32]) -> B::Index {
    let mut index = backend.alloc_index(data.len()).unwrap();
    backend.upload_index(data, &mut index).unwrap();
    index
}

pub fn host<B: Backend>(backend: &B, buffer: &B::Buffer) -> Vec<f32> {
    let mut data = vec![0.0; backend.len(buffer)];
    backend.download(buffer, 0, &mut data).unwrap();
    data
}

pub fn host_index<B: Backend>(backend: &B, index: &B::Index) -> Vec<u32> {
    let mut data = vec![0; backend.index_len(index)];
    backend.download_index(index, &mut data).unwrap();
    data
}

/// A computation that can run on any back end.
pub trait Case {
    fn run<B: Backend>(&self, backend: &B) -> Vec<Vec<f32>>;
}

pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

pub fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    // Inputs are of order one: where the true result cancels to nothing, their roundings remain.
    let largest = want.iter().fold(0.1f32, |m, x| m.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let difference = (g - w).abs();
        assert!(
            difference <= tolerance * largest,
            "{what}: [{i}] {g} != {w} (largest {largest})"
        );
    }
}

/// Runs the case on every class of this machine and every thread count; compares threads bit for bit and classes
/// with the reference.
pub fn check(name: &str, case: &impl Case, tolerance: f32) {
    let want = case.run(&Reference);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let mut first: Option<Vec<Vec<u32>>> = None;
        for threads in THREADS {
            let backend = CpuBackend::with_isa(threads, isa).unwrap();
            let got = case.run(&backend);
            let what = format!("{name} {} threads {threads}", isa.class_name());
            for (part, (g, w)) in got.iter().zip(&want).enumerate() {
                assert_close(&format!("{what} output {part}"), g, w, tolerance);
            }
            let got: Vec<Vec<u32>> = got.iter().map(|part| bits(part)).collect();
            match &first {
                None => first = Some(got),
                Some(first) => assert!(*first == got, "{what}: differs from one thread"),
            }
        }
    }
}
