//! One measured training of `npm run bench:memory`: planned and measured peak of resident memory, seconds of every step.
//!
//! `cargo run --release -p escada-engine-core --example memory_peak -- TASK.json`; the task's fields are `Task`'s.
#![allow(clippy::unwrap_used)]

use escada_engine_core::batch::TokenRow;
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::process;
use escada_engine_core::rng;
use escada_engine_core::train::{TrainEvent, TrainRequest, train, train_full};
use escada_engine_core::train_config::{Method, TrainConfig};
use escada_engine_cpu::CpuBackend;
use serde::Deserialize;
use serde_json::json;
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
    /// Of random token ids, without a common prefix; the second half of each carries loss.
    rows: usize,
    row_tokens: usize,
    /// An empty folder.
    out_dir: PathBuf,
    config: TrainConfig,
}

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let task: Task = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let backend = CpuBackend::new(task.threads).unwrap();
    let quantization = Quantization {
        format: task.format,
        block_size: 64,
        double_quant: true,
    };
    let full = task.config.method == Method::Full;
    // Full fine-tuning reads the weights itself, in f32.
    let loaded = (!full).then(|| Loaded::open(&backend, &task.model, quantization).unwrap());
    let rows: Vec<TokenRow> = (0..task.rows as u64)
        .map(|row| TokenRow {
            tokens: (0..task.row_tokens)
                .map(|i| 100 + rng::word(1, row, i as u64) % 40_000)
                .collect(),
            labelled_from: task.row_tokens / 2,
        })
        .collect();
    let request = TrainRequest {
        rows: &rows,
        row_ids: &[],
        config: &task.config,
        out_dir: &task.out_dir,
        model_digest: "bench",
        base_model: "base",
        engine_build: "bench",
        samples: None,
    };
    let (mut seconds, mut last) = (Vec::new(), Instant::now());
    let mut emit = |_: TrainEvent| {
        seconds.push(last.elapsed().as_secs_f64());
        last = Instant::now();
    };
    // Where this is not allowed the peak is that of loading, too.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = process::rss_bytes();
    let flag = AtomicBool::new(false);
    let result = match &loaded {
        Some(loaded) => train(&backend, &loaded.model, &request, &mut emit, &flag),
        None => train_full(&backend, &task.model, &request, &mut emit, &flag),
    }
    .unwrap();
    println!(
        "{}",
        json!({
            "residentBytes": before, "plannedPeakBytes": result.planned_peak_bytes,
            "measuredPeakBytes": process::peak_rss_bytes(), "memoryPlan": result.memory_plan,
            "stepSeconds": seconds, "sha256": result.sha256(),
        })
    );
}
