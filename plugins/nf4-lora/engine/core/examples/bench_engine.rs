//! One measured process of `npm run bench:engine`: loads, runs forward passes, generates, trains, and prints one JSON
//! object with the seconds of every timed call and the peak resident memory of each phase.
//!
//! `cargo run --release -p escada-engine-core --example bench_engine -- TASK.json`; the task's fields are `Task`'s.
#![allow(clippy::unwrap_used)]

use escada_engine_core::DropoutPlan;
use escada_engine_core::backend::{Backend, LinearSource};
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::decoder::{Decoder, Feed, PASS_TOKENS};
use escada_engine_core::generate::{GenerateOptions, Prompt, generate};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::Adapter;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::{HEAD_ROWS, Pass};
use escada_engine_core::process::peak_rss_bytes;
use escada_engine_core::rng;
use escada_engine_core::train_config::TrainConfig;
use escada_engine_cpu::CpuBackend;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What to measure.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    model: PathBuf,
    format: WeightFormat,
    threads: usize,
    /// Training rows of `inputs + 1` token ids; the first `prompt_tokens` of each are the prompt to generate from.
    rows: Vec<Vec<u32>>,
    /// Index of the first token that carries loss.
    labelled_from: usize,
    prompt_tokens: usize,
    new_tokens: usize,
    warm_up: usize,
    /// Timed calls of training.
    steps: usize,
    /// Timed calls of forward passes and generation.
    calls: usize,
    /// Only load and generate.
    generation_only: bool,
    config: TrainConfig,
}

type Measured = (Vec<f64>, u64);

/// Calls of generation before the timed ones.
const GENERATION_WARM_UP: usize = 1;

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let task: Task = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let backend = CpuBackend::new(task.threads).unwrap();
    let started = Instant::now();
    let quantization = Quantization {
        format: task.format,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, &task.model, quantization).unwrap();
    let load = (vec![started.elapsed().as_secs_f64()], peak_rss_bytes());
    let [generate, generate_one] =
        [task.rows.len(), 1].map(|rows| generation(&task, &backend, &loaded, rows));
    let mut result = json!({
        "isaClass": backend.isa_class(),
        "load": phase(&load), "generate": generate, "generateOne": generate_one,
    });
    if !task.generation_only {
        let forward = forward(&task, &backend, &loaded);
        let sixteen = task
            .config
            .allows_sixteen_bits()
            .then(|| backend.sixteen_bits().unwrap());
        let (train, losses) = training(&task, sixteen.as_ref().unwrap_or(&backend), &loaded);
        result["forward"] = phase(&forward);
        result["train"] = phase(&train);
        result["lossesNats"] = json!(losses);
        result["gemmGflops"] = json!(gemm_gflops(&backend));
    }
    println!("{result}");
}

fn phase((seconds, peak): &Measured) -> Value {
    json!({ "seconds": seconds, "peakRssBytes": peak })
}

/// Warm-up and timed calls; the peak is that of this phase alone.
fn timed(warm_up: usize, count: usize, mut call: impl FnMut()) -> Measured {
    reset_peak();
    let mut seconds = Vec::new();
    for at in 0..warm_up + count {
        let started = Instant::now();
        call();
        if at >= warm_up {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    (seconds, peak_rss_bytes())
}

/// All rows through the model, logits of each row's last position.
fn forward(task: &Task, backend: &CpuBackend, loaded: &Loaded<CpuBackend>) -> Measured {
    let inputs = task.rows[0].len() - 1;
    let together = (PASS_TOKENS / inputs).max(1);
    timed(1, task.calls, || {
        let mut decoder = Decoder::new(backend, &loaded.model, None, &[], task.rows.len(), inputs).unwrap();
        let feeds: Vec<Feed<'_>> = task
            .rows
            .iter()
            .enumerate()
            .map(|(slot, row)| Feed {
                slot,
                before: 0,
                tokens: &row[..inputs],
            })
            .collect();
        for part in feeds.chunks(together) {
            decoder.feed(part).unwrap();
            let last: Vec<u32> = (1..=part.len()).map(|i| (i * inputs - 1) as u32).collect();
            decoder.arg_max(&last).unwrap();
        }
    })
}

/// Greedy tokens for the prompts of the first `count` rows, none of them ending early; beside the whole call the seconds
/// until every row had its first token (all prompts fit one pass).
fn generation(task: &Task, backend: &CpuBackend, loaded: &Loaded<CpuBackend>, count: usize) -> Value {
    let prompts: Vec<Prompt> = task.rows[..count]
        .iter()
        .zip(0..)
        .map(|(row, key)| Prompt {
            tokens: row[..task.prompt_tokens].to_vec(),
            key,
        })
        .collect();
    let options = GenerateOptions {
        max_new_tokens: task.new_tokens,
        batch_rows: count,
        sampling: None,
        end_ids: &[],
        stops: &|_| Ok(false),
    };
    let flag = AtomicBool::new(false);
    let mut prompt_seconds = Vec::new();
    let measured = timed(GENERATION_WARM_UP, task.calls, || {
        let (started, mut first) = (Instant::now(), None);
        let mut progress = |_, new_tokens| {
            if new_tokens >= count {
                first.get_or_insert_with(|| started.elapsed().as_secs_f64());
            }
        };
        let model = &loaded.model;
        generate(backend, model, None, &prompts, &options, &mut progress, &flag).unwrap();
        prompt_seconds.extend(first);
    });
    let mut result = phase(&measured);
    result["promptSeconds"] = json!(prompt_seconds[GENERATION_WARM_UP..]);
    result
}

/// Optimizer steps on one batch: forward, backward, clipping, AdamW.
fn training(task: &Task, backend: &CpuBackend, loaded: &Loaded<CpuBackend>) -> (Measured, Vec<f64>) {
    let layout = task.config.layout(&loaded.model.shape).unwrap();
    let values = layout.start_values(task.config.seed);
    let adapter = &mut Adapter::new(backend, layout, &values).unwrap();
    let rows: Vec<TokenRow> = task
        .rows
        .iter()
        .map(|tokens| TokenRow {
            tokens: tokens.clone(),
            labelled_from: task.labelled_from,
        })
        .collect();
    let rows: Vec<&TokenRow> = rows.iter().collect();
    let labelled: usize = rows.iter().map(|r| r.labelled()).sum();
    let mut optimizer = Optimizer::fresh(backend, &adapter.layout.parameters(), task.config.optim).unwrap();
    let mut pass = Pass::new(backend, &loaded.model.shape).unwrap();
    let mut batch = Batch::new(backend).unwrap();
    let (plan, sharing) = (DropoutPlan::NONE, PrefixSharing::WhenWorthwhile);
    let (weight, rate) = (1.0 / labelled as f32, task.config.learning_rate);
    let mut losses = Vec::new();
    let measured = timed(task.warm_up, task.steps, || {
        batch.pack(backend, &rows, HEAD_ROWS, sharing).unwrap();
        optimizer.clear(backend);
        let gradients = &mut optimizer.gradients;
        let loss = pass
            .run(backend, &loaded.model, adapter, plan, &batch, weight, gradients)
            .unwrap();
        let step = losses.len();
        optimizer
            .step(backend, &task.config, step, rate, &mut adapter.parameters)
            .unwrap();
        losses.push(loss / labelled as f64);
    });
    (measured, losses)
}

/// Fastest f32 product of the shapes that PyTorch is measured on too.
fn gemm_gflops(backend: &CpuBackend) -> f64 {
    let noise = |len: usize| -> Vec<f32> {
        (0..len)
            .map(|i| rng::unit_f32(rng::word(1, 2, i as u64)) - 0.5)
            .collect()
    };
    let rate = |(n, k): (usize, usize)| {
        let m = 1024;
        let data = noise(n * k);
        let source = LinearSource::F32 {
            rows: n,
            cols: k,
            data: &data,
        };
        let weight = backend.upload_linear(source).unwrap();
        let (mut x, mut y) = (backend.alloc(m * k).unwrap(), backend.alloc(m * n).unwrap());
        backend.upload(&noise(m * k), &mut x, 0).unwrap();
        let seconds = (0..40).map(|_| {
            let started = Instant::now();
            backend.linear_forward(&weight, &x, &mut y, m, false);
            started.elapsed().as_secs_f64()
        });
        2.0 * (m * n * k) as f64 / seconds.fold(f64::INFINITY, f64::min) / 1e9
    };
    [(576, 576), (1536, 576), (576, 1536), (1024, 1024)]
        .map(rate)
        .into_iter()
        .fold(0.0, f64::max)
}

fn reset_peak() {
    // Where this is not allowed the peaks only grow from phase to phase.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
