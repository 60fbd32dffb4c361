//! What every operation of the engine takes: `npm run bench:kernels` prints it as a table.
//!
//! `cargo run --release -p escada-engine-core --example kernel_table -- TASK.json`; the task's fields are `Task`'s. Prints one
//! JSON object: for each phase (a training step, a forward pass, decoding with 1 and with 8 rows) the calls, seconds, FLOP and
//! bytes of every operation, between measurements of the machine's limits (multiply-adds on registers, copying in memory).
#![allow(clippy::unwrap_used)]

mod limits;
mod profiled;

use escada_engine_core::DropoutPlan;
use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::Adapter;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::{HEAD_ROWS, Pass};
use escada_engine_core::train_config::TrainConfig;
use escada_engine_cpu::CpuBackend;
use limits::Limits;
use profiled::{Kernel, Profiled};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

type B = Profiled<CpuBackend>;

/// What to measure.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    model: PathBuf,
    format: WeightFormat,
    threads: usize,
    /// Training rows of `inputs + 1` token ids.
    rows: Vec<Vec<u32>>,
    labelled_from: usize,
    warm_up: usize,
    /// Counted calls of each phase.
    steps: usize,
    config: TrainConfig,
}

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let task: Task = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let backend = CpuBackend::new(task.threads).unwrap();
    let sixteen = task
        .config
        .allows_sixteen_bits()
        .then(|| backend.sixteen_bits().unwrap());
    let backend = Profiled::new(sixteen.unwrap_or(backend));
    let quantization = Quantization {
        format: task.format,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, &task.model, quantization).unwrap();
    let mut limits = Limits::new(task.threads);
    let mut phases = serde_json::Map::new();
    limits.measure();
    phases.insert(
        "train".to_owned(),
        training(&task, &backend, &loaded, &mut limits),
    );
    for rows in [1, 8] {
        let counted = decoding(&task, &backend, &loaded, rows);
        limits.measure();
        phases.insert(format!("decode{rows}"), counted);
    }
    let result = json!({
        "threads": task.threads,
        "peakGflops": limits.gflops(),
        "copyGbytesPerSecond": limits.copy_gbytes(),
        "phases": phases,
    });
    println!("{result}");
}

fn table(kernels: BTreeMap<String, Kernel>, calls: usize) -> Value {
    let row = |(name, k): (String, Kernel)| {
        let per = 1.0 / calls as f64;
        let value = json!({
            "calls": k.calls as f64 * per, "seconds": k.seconds * per, "flop": k.flop * per, "bytes": k.bytes * per,
        });
        (name, value)
    };
    kernels
        .into_iter()
        .map(row)
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Optimizer steps on one batch: forward, backward, clipping, AdamW.
fn training(task: &Task, backend: &B, loaded: &Loaded<B>, limits: &mut Limits) -> Value {
    let layout = task.config.layout(&loaded.model.shape).unwrap();
    let values = layout.start_values(task.config.seed);
    let mut adapter = Adapter::new(backend, layout, &values).unwrap();
    let row = |tokens: &Vec<u32>| TokenRow {
        tokens: tokens.clone(),
        labelled_from: task.labelled_from,
    };
    let rows: Vec<TokenRow> = task.rows.iter().map(row).collect();
    let rows: Vec<&TokenRow> = rows.iter().collect();
    let labelled: usize = rows.iter().map(|r| r.labelled()).sum();
    let mut optimizer = Optimizer::fresh(backend, &adapter.layout.parameters(), task.config.optim).unwrap();
    let mut pass = Pass::new(backend, &loaded.model.shape).unwrap();
    let mut batch = Batch::new(backend).unwrap();
    let (plan, sharing) = (DropoutPlan::NONE, PrefixSharing::WhenWorthwhile);
    let weight = 1.0 / labelled as f32;
    for step in 0..task.warm_up + task.steps {
        if step == task.warm_up {
            backend.take();
        }
        batch.pack(backend, &rows, HEAD_ROWS, sharing).unwrap();
        optimizer.clear(backend);
        let gradients = &mut optimizer.gradients;
        pass.run(backend, &loaded.model, &adapter, plan, &batch, weight, gradients)
            .unwrap();
        optimizer
            .step(
                backend,
                &task.config,
                step,
                task.config.learning_rate,
                &mut adapter.parameters,
            )
            .unwrap();
        limits.measure();
    }
    table(backend.take(), task.steps)
}

/// Greedy tokens after the rows' own: the time of one token for each of `rows` sequences.
fn decoding(task: &Task, backend: &B, loaded: &Loaded<B>, rows: usize) -> Value {
    let inputs = task.rows[0].len() - 1;
    let room = inputs + task.warm_up + task.steps;
    let mut decoder = Decoder::new(backend, &loaded.model, None, &[], rows, room).unwrap();
    let mut tokens: Vec<Vec<u32>> = task.rows[..rows]
        .iter()
        .map(|row| row[..inputs].to_vec())
        .collect();
    let mut before = 0;
    for step in 0..=task.warm_up + task.steps {
        // The first call reads the prompts.
        if step == task.warm_up + 1 {
            backend.take();
        }
        let feeds: Vec<Feed<'_>> = (0..rows)
            .map(|slot| Feed {
                slot,
                before,
                tokens: &tokens[slot],
            })
            .collect();
        decoder.feed(&feeds).unwrap();
        let width = tokens[0].len();
        let last: Vec<u32> = (1..=rows).map(|i| (i * width - 1) as u32).collect();
        let next = decoder.arg_max(&last).unwrap();
        before += width;
        tokens = next.iter().map(|&id| vec![id]).collect();
    }
    table(backend.take(), task.steps)
}
