//! Prints GFLOP/s of the matrix products for the shapes of a 135M-parameter Llama model.
//!
//! `cargo run --release -p escada-engine-cpu --example peak [avx512|avx2|neon|portable]`

use escada_engine_cpu::gemm::dense::DenseWeight;
use escada_engine_cpu::gemm::driver::{Panels, Product, multiply};
use escada_engine_cpu::gemm::four_bits::Nf4Weight;
use escada_engine_cpu::isa::Isa;
use escada_engine_cpu::team::Team;
use escada_engine_formats::nf4::{AbsMax, Nf4Tensor};
use std::time::Instant;

/// `[N, K]` of the model's linear layers.
const SHAPES: [(usize, usize); 5] = [(576, 576), (192, 576), (1536, 576), (576, 1536), (49152, 576)];
const ROWS: [usize; 5] = [1, 8, 32, 64, 512];
/// Each figure is the fastest call of this long: on a shared machine a mean would measure the neighbours.
const SECONDS: f64 = 0.2;
const MIN_CALLS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let isa = match std::env::args().nth(1).as_deref() {
        Some("avx512") => Isa::Avx512,
        Some("avx2") => Isa::Avx2Fma,
        Some("neon") => Isa::Neon,
        Some("portable") => Isa::Portable,
        _ => Isa::detect(),
    };
    if !isa.available() {
        return Err(format!("this machine cannot run {}", isa.class_name()).into());
    }
    println!(
        "{} GFLOP/s: forward f32, forward NF4, backward f32, backward NF4",
        isa.class_name()
    );
    for threads in [1, 2] {
        let team = Team::new(threads)?;
        for (n, k) in SHAPES {
            let dense = DenseWeight::pack(&team, isa, n, k, &noise(n * k, 1)).ok_or("no memory")?;
            let nf4 = Nf4Weight::pack(&team, isa, &random_nf4(n, k)).ok_or("no memory")?;
            for m in ROWS {
                let forward = [
                    rate(&team, isa, m, n, k, dense.forward()),
                    rate(&team, isa, m, n, k, nf4.forward()),
                ];
                let backward = [
                    rate(&team, isa, m, k, n, dense.backward()),
                    rate(&team, isa, m, k, n, nf4.backward()),
                ];
                println!(
                    "threads {threads} N {n:5} K {k:4} M {m:3}: {:7.1} {:7.1} {:7.1} {:7.1}",
                    forward[0], forward[1], backward[0], backward[1]
                );
            }
        }
    }
    Ok(())
}

fn rate<P: Panels>(team: &Team, isa: Isa, m: usize, n: usize, k: usize, panels: P) -> f64 {
    let a = noise(m * k, 2);
    let mut c = vec![0.0f32; m * n];
    let product = Product {
        m,
        n,
        k,
        a: a.as_ptr(),
        a_row: k,
        a_col: 1,
        c: c.as_mut_ptr(),
        alpha: 1.0,
        accumulate: false,
        tail: None,
    };
    let (mut best, start) = (f64::INFINITY, Instant::now());
    let mut calls = 0;
    while calls < MIN_CALLS || start.elapsed().as_secs_f64() < SECONDS {
        let call = Instant::now();
        // SAFETY: the buffers above have the shapes given.
        unsafe { multiply(team, isa, &product, panels) };
        best = best.min(call.elapsed().as_secs_f64());
        calls += 1;
    }
    2.0 * (m * n * k) as f64 / best / 1e9
}

/// Repeatable numbers in -1..1.
fn noise(len: usize, seed: u64) -> Vec<f32> {
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

fn random_nf4(rows: usize, cols: usize) -> Nf4Tensor {
    let packed = noise(rows * cols / 2, 3)
        .iter()
        .map(|x| (x.abs() * 255.0) as u8)
        .collect();
    let absmax = AbsMax::Plain(noise(rows * cols / 64, 4).iter().map(|x| x.abs()).collect());
    Nf4Tensor {
        rows,
        cols,
        blocksize: 64,
        packed,
        absmax,
    }
}
