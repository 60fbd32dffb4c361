//! What refilling slots is worth on requests of unequal length: the same prompts once in batches that end together
//! (one call a batch) and once in one call, alternating; prints one JSON object.
//!
//! `cargo run --release -p escada-engine-core --example bench_batching -- MODEL [threads] [batchRows] [rounds]`
#![allow(clippy::unwrap_used)]

use escada_engine_core::generate::{GenerateOptions, Generated, Prompt, generate};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::Adapter;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::Message;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Some are answered in a word, some take all tokens they may have.
const QUESTIONS: [&str; 8] = [
    "Is water wet? Answer yes or no.",
    "Write a short story about a lighthouse.",
    "What is the capital of France? One word.",
    "Explain how a bicycle stays upright.",
    "Name one colour.",
    "Give five tips for growing tomatoes.",
    "What is two plus two? Only the number.",
    "Describe the sea in one sentence.",
];
const MAX_NEW_TOKENS: usize = 96;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, otherwise: usize| arguments.get(at).map_or(otherwise, |n| n.parse().unwrap());
    let (threads, batch_rows, rounds) = (number(2, 2), number(3, 8), number(4, 3));
    let backend = CpuBackend::new(threads).unwrap();
    let quantization = Quantization {
        format: WeightFormat::Nf4,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, Path::new(&arguments[1]), quantization).unwrap();
    let prompts: Vec<Prompt> = (0..3 * QUESTIONS.len()).map(|i| prompt(&loaded, i)).collect();
    let run = |prompts: &[Prompt]| answers(&backend, &loaded, prompts, batch_rows);
    run(&prompts[..1]);
    let (mut together, mut refilled, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let started = Instant::now();
        let before: Vec<Generated> = prompts.chunks(batch_rows).flat_map(run).collect();
        together.push(started.elapsed().as_secs_f64());
        let started = Instant::now();
        let after = run(&prompts);
        refilled.push(started.elapsed().as_secs_f64());
        assert!(before == after, "both ways must give the same answers");
        tokens = after.iter().map(|row| row.tokens.len()).collect();
    }
    let sum: usize = tokens.iter().sum();
    let speed = |seconds: &[f64]| seconds.iter().map(|s| sum as f64 / s).collect::<Vec<_>>();
    let result = json!({
        "rows": prompts.len(), "batchRows": batch_rows, "threads": threads, "newTokens": tokens,
        "togetherTokensPerSecond": speed(&together), "refilledTokensPerSecond": speed(&refilled),
    });
    println!("{result}");
}

fn prompt(loaded: &Loaded<CpuBackend>, i: usize) -> Prompt {
    let text = format!("{} ({})", QUESTIONS[i % QUESTIONS.len()], i / QUESTIONS.len() + 1);
    let message = Message {
        role: serde_json::from_value(json!("user")).unwrap(),
        content: text,
    };
    Prompt {
        tokens: loaded.prompt(&[message]).unwrap(),
        key: i as u64,
    }
}

fn answers(
    backend: &CpuBackend,
    loaded: &Loaded<CpuBackend>,
    prompts: &[Prompt],
    batch_rows: usize,
) -> Vec<Generated> {
    let options = GenerateOptions {
        max_new_tokens: MAX_NEW_TOKENS,
        batch_rows,
        sampling: None,
        end_ids: loaded.tokenizer.eos_ids(),
        stops: &|_| Ok(false),
    };
    let adapter: Option<&Adapter<CpuBackend>> = None;
    let (progress, flag) = (&mut |_: usize, _: usize| (), AtomicBool::new(false));
    let outcome = generate(
        backend,
        &loaded.model,
        adapter,
        prompts,
        &options,
        progress,
        &flag,
    );
    outcome.unwrap().rows
}
