//! Tokens per second of training, prefill and generation on a real model with the CPU back end.
//!
//! `cargo run --release -p escada-engine-core --example bench_smollm2 -- model.gguf [train|generate|prefill|all] [threads]`
#![allow(clippy::unwrap_used)]

use escada_engine_core::DropoutPlan;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::decoder::{Decoder, Feed, PASS_TOKENS};
use escada_engine_core::generate::{GenerateOptions, Prompt, generate};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::{Adapter, LoraLayout};
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::{HEAD_ROWS, Pass};
use escada_engine_core::rng;
use escada_engine_core::train_config::Optim;
use escada_engine_cpu::CpuBackend;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

const ROW_TOKENS: usize = 110;
const LABELLED: usize = 40;

fn tokens(row: u64, count: usize) -> Vec<u32> {
    (0..count)
        .map(|i| 100 + rng::word(1, row, i as u64) % 40_000)
        .collect()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap();
    let what = arguments.next().unwrap_or_else(|| "all".to_owned());
    let threads = arguments.next().map_or(2, |n| n.parse().unwrap());
    let backend = CpuBackend::new(threads).unwrap();
    let started = Instant::now();
    let quantization = Quantization {
        format: WeightFormat::Nf4,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, path.as_ref(), quantization).unwrap();
    println!(
        "load: {:.2} s, {} threads",
        started.elapsed().as_secs_f64(),
        threads
    );
    let layout = LoraLayout::new(&loaded.model.shape, |_, _| Some((16, 2.0))).unwrap();
    let values = layout.start_values(0);
    let adapter = Adapter::new(&backend, layout, &values).unwrap();
    if ["train", "all"].contains(&what.as_str()) {
        for case in [(4, 0), (4, 24), (8, 0), (8, 24)] {
            bench_training(&backend, &loaded, &adapter, case);
        }
    }
    if ["prefill", "all"].contains(&what.as_str()) {
        bench_prefill(&backend, &loaded);
        bench_decode(&backend, &loaded, None);
        bench_decode(&backend, &loaded, Some(&adapter));
    }
    if ["generate", "all"].contains(&what.as_str()) {
        bench_generation(&backend, &loaded, None);
        bench_generation(&backend, &loaded, Some(&adapter));
    }
}

fn bench_training(
    backend: &CpuBackend,
    loaded: &Loaded<CpuBackend>,
    adapter: &Adapter<CpuBackend>,
    (rows, shared): (usize, usize),
) {
    let rows: Vec<TokenRow> = (0..rows as u64)
        .map(|i| {
            let mut all = tokens(99, shared);
            all.extend(tokens(i, ROW_TOKENS - shared));
            TokenRow {
                tokens: all,
                labelled_from: ROW_TOKENS - LABELLED,
            }
        })
        .collect();
    let rows: Vec<&TokenRow> = rows.iter().collect();
    let mut optimizer = Optimizer::fresh(backend, &adapter.layout.parameters(), Optim::AdamwTorch).unwrap();
    let mut pass = Pass::new(backend, &loaded.model.shape).unwrap();
    let mut batch = Batch::new(backend).unwrap();
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        let started = Instant::now();
        batch
            .pack(backend, &rows, HEAD_ROWS, PrefixSharing::WhenWorthwhile)
            .unwrap();
        let gradients = &mut optimizer.gradients;
        pass.run(
            backend,
            &loaded.model,
            adapter,
            DropoutPlan::NONE,
            &batch,
            1e-3,
            gradients,
        )
        .unwrap();
        best = best.min(started.elapsed().as_secs_f64());
    }
    println!(
        "train {} rows, {shared} of {ROW_TOKENS} tokens shared: {:.3} s, {:.0} tokens/s",
        rows.len(),
        best,
        batch.full_tokens as f64 / best
    );
}

fn bench_prefill(backend: &CpuBackend, loaded: &Loaded<CpuBackend>) {
    let mut decoder = Decoder::new(backend, &loaded.model, None, &[], 1, PASS_TOKENS).unwrap();
    let prompt = tokens(7, PASS_TOKENS);
    let mut best = f64::INFINITY;
    for _ in 0..4 {
        let started = Instant::now();
        decoder
            .feed(&[Feed {
                slot: 0,
                before: 0,
                tokens: &prompt,
            }])
            .unwrap();
        best = best.min(started.elapsed().as_secs_f64());
    }
    println!(
        "prefill {PASS_TOKENS}: {best:.3} s, {:.0} tokens/s",
        PASS_TOKENS as f64 / best
    );
}

/// One token for each of 32 rows: the layers, then the head.
fn bench_decode(backend: &CpuBackend, loaded: &Loaded<CpuBackend>, adapter: Option<&Adapter<CpuBackend>>) {
    let mut decoder = Decoder::new(backend, &loaded.model, adapter, &tokens(7, 40), 32, 80).unwrap();
    let rows: Vec<Vec<u32>> = (0..32).map(|i| tokens(i, 80)).collect();
    let (mut layers, mut head) = (f64::INFINITY, f64::INFINITY);
    for before in 0..40 {
        let started = Instant::now();
        let feed = |slot: usize| Feed {
            slot,
            before,
            tokens: &rows[slot][before..before + 1],
        };
        decoder.feed(&(0..32).map(feed).collect::<Vec<_>>()).unwrap();
        layers = layers.min(started.elapsed().as_secs_f64());
        let started = Instant::now();
        decoder.arg_max(&(0..32).collect::<Vec<u32>>()).unwrap();
        head = head.min(started.elapsed().as_secs_f64());
    }
    println!(
        "decode 32 rows ({}): layers {:.1} ms, head {:.1} ms",
        if adapter.is_some() { "adapter" } else { "base" },
        layers * 1e3,
        head * 1e3
    );
}

fn bench_generation(
    backend: &CpuBackend,
    loaded: &Loaded<CpuBackend>,
    adapter: Option<&Adapter<CpuBackend>>,
) {
    let prompts: Vec<Prompt> = (0..32)
        .map(|i| {
            let mut all = tokens(99, 40);
            all.extend(tokens(i, 30));
            Prompt { tokens: all, key: i }
        })
        .collect();
    let options = GenerateOptions {
        max_new_tokens: 40,
        batch_rows: 32,
        sampling: None,
        end_ids: &[],
        stops: &|_| Ok(false),
    };
    let mut best = f64::INFINITY;
    for _ in 0..2 {
        let started = Instant::now();
        let flag = AtomicBool::new(false);
        generate(
            backend,
            &loaded.model,
            adapter,
            &prompts,
            &options,
            &mut |_, _| (),
            &flag,
        )
        .unwrap();
        best = best.min(started.elapsed().as_secs_f64());
    }
    println!(
        "generate 32 x 40 ({}): {best:.2} s, {:.0} tokens/s",
        if adapter.is_some() { "adapter" } else { "base" },
        32.0 * 40.0 / best
    );
}
