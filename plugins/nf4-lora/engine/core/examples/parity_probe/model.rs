//! Requests that need a model: logits, replies, gradients, training.

use escada_engine_core::DropoutPlan;
use escada_engine_core::adapter_file;
use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::embed::embed;
use escada_engine_core::generate::{GenerateOptions, Prompt, generate};
use escada_engine_core::loaded::Loaded;
use escada_engine_core::lora::Adapter;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::{HEAD_ROWS, Pass};
use escada_engine_core::schedule::learning_rate;
use escada_engine_core::train_config::{Optim, TrainConfig};
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::safetensors_writer::{OutTensor, write_safetensors};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Writes `logits [sequences * positions, V] f32` of the base model.
#[derive(Deserialize)]
pub struct Logits {
    ids: Vec<Vec<u32>>,
    /// Per sequence, counted from 0.
    positions: Vec<Vec<u32>>,
    out: PathBuf,
}

/// Writes `embeddings [texts, C] f32` of the base model.
#[derive(Deserialize)]
pub struct Embed {
    ids: Vec<Vec<u32>>,
    out: PathBuf,
}

/// A training row.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    ids: Vec<u32>,
    labelled_from: usize,
}

/// Gradients of one batch, written under the names of PEFT's file.
#[derive(Deserialize)]
pub struct Gradients {
    /// PEFT folder.
    adapter: PathBuf,
    rows: Vec<Row>,
    out: PathBuf,
    /// Products in 16 bits, where the machine has them.
    #[serde(default, rename = "sixteenBits")]
    sixteen_bits: bool,
}

/// Optimizer steps over given batches from a given adapter; the final adapter is written like the gradients.
#[derive(Deserialize)]
pub struct Train {
    adapter: PathBuf,
    rows: Vec<Row>,
    /// Row numbers of each step.
    batches: Vec<Vec<usize>>,
    config: TrainConfig,
    out: PathBuf,
}

type Cpu<'a> = (&'a CpuBackend, &'a Loaded<CpuBackend>);

pub fn logits(backend: &CpuBackend, loaded: &Loaded<CpuBackend>, request: &Logits) -> Value {
    let mut all = Vec::new();
    for (ids, positions) in request.ids.iter().zip(&request.positions) {
        let mut decoder = Decoder::new(backend, &loaded.model, None, &[], 1, ids.len()).unwrap();
        let feed = Feed {
            slot: 0,
            before: 0,
            tokens: ids,
        };
        decoder.feed(&[feed]).unwrap();
        all.extend(decoder.logits(positions).unwrap());
    }
    let vocabulary = loaded.model.shape.vocabulary;
    let tensor = OutTensor::f32("logits", vec![all.len() / vocabulary, vocabulary], &all);
    write(&request.out, vec![tensor]);
    json!({ "rows": all.len() / vocabulary })
}

pub fn embeddings(backend: &CpuBackend, loaded: &Loaded<CpuBackend>, request: &Embed) -> Value {
    let (progress, flag) = (&mut |_: usize, _: usize| (), AtomicBool::new(false));
    let (model, texts) = (&loaded.model, &request.ids);
    let values = embed(backend, model, None, texts, false, progress, &flag).unwrap();
    let shape = vec![texts.len(), model.shape.hidden];
    write(&request.out, vec![OutTensor::f32("embeddings", shape, &values)]);
    json!({ "rows": texts.len() })
}

pub fn greedy(
    backend: &CpuBackend,
    loaded: &Loaded<CpuBackend>,
    prompts: &[Vec<u32>],
    new_tokens: usize,
) -> Value {
    let prompts: Vec<Prompt> = prompts
        .iter()
        .zip(0..)
        .map(|(ids, key)| Prompt {
            tokens: ids.clone(),
            key,
        })
        .collect();
    let options = GenerateOptions {
        max_new_tokens: new_tokens,
        batch_rows: prompts.len(),
        sampling: None,
        end_ids: loaded.tokenizer.eos_ids(),
        stops: &|_| Ok(false),
    };
    let flag = AtomicBool::new(false);
    let made = generate(
        backend,
        &loaded.model,
        None,
        &prompts,
        &options,
        &mut |_, _| (),
        &flag,
    )
    .unwrap();
    json!(made.rows.into_iter().map(|row| row.tokens).collect::<Vec<_>>())
}

/// A training in progress.
struct Run<'a> {
    cpu: Cpu<'a>,
    adapter: Adapter<CpuBackend>,
    optimizer: Optimizer<CpuBackend>,
    pass: Pass<CpuBackend>,
    batch: Batch<CpuBackend>,
}

impl<'a> Run<'a> {
    fn new(backend: &'a CpuBackend, loaded: &'a Loaded<CpuBackend>, adapter: &Path) -> Self {
        let adapter = adapter_file::load(backend, &loaded.model.shape, adapter).unwrap();
        Self {
            cpu: (backend, loaded),
            optimizer: Optimizer::fresh(backend, &adapter.layout.parameters(), Optim::AdamwTorch).unwrap(),
            pass: Pass::new(backend, &loaded.model.shape).unwrap(),
            batch: Batch::new(backend).unwrap(),
            adapter,
        }
    }

    /// Mean loss over labelled tokens; leaves its gradients in the optimizer.
    fn backward(&mut self, rows: &[&TokenRow]) -> f64 {
        let (backend, loaded) = self.cpu;
        let labelled: usize = rows.iter().map(|r| r.labelled()).sum();
        self.batch
            .pack(backend, rows, HEAD_ROWS, PrefixSharing::WhenWorthwhile)
            .unwrap();
        self.optimizer.clear(backend);
        let (plan, weight) = (DropoutPlan::NONE, 1.0 / labelled as f32);
        let gradients = &mut self.optimizer.gradients;
        let sum = self
            .pass
            .run(
                backend,
                &loaded.model,
                &self.adapter,
                plan,
                &self.batch,
                weight,
                gradients,
            )
            .unwrap();
        sum / labelled as f64
    }
}

pub fn gradients(backend: &CpuBackend, loaded: &Loaded<CpuBackend>, request: &Gradients) -> Value {
    let sixteen = request.sixteen_bits.then(|| backend.sixteen_bits()).flatten();
    let backend = sixteen.as_ref().unwrap_or(backend);
    let mut run = Run::new(backend, loaded, &request.adapter);
    let rows = token_rows(&request.rows);
    let loss = run.backward(&rows.iter().collect::<Vec<_>>());
    write_adapter(&run, &run.optimizer.gradients, &request.out);
    json!({ "loss": loss, "isaClass": backend.isa_class() })
}

pub fn train(backend: &CpuBackend, loaded: &Loaded<CpuBackend>, request: &Train) -> Value {
    let allowed = request.config.allows_sixteen_bits();
    let sixteen = allowed.then(|| backend.sixteen_bits()).flatten();
    let backend = sixteen.as_ref().unwrap_or(backend);
    let mut run = Run::new(backend, loaded, &request.adapter);
    let rows = token_rows(&request.rows);
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for (step, batch) in request.batches.iter().enumerate() {
        let rows: Vec<&TokenRow> = batch.iter().map(|&at| &rows[at]).collect();
        losses.push(run.backward(&rows));
        let rate = learning_rate(&request.config, step, request.batches.len());
        let norm = run
            .optimizer
            .step(backend, &request.config, step, rate, &mut run.adapter.parameters);
        norms.push(norm.unwrap());
    }
    write_adapter(&run, &run.adapter.parameters, &request.out);
    json!({ "losses": losses, "norms": norms, "isaClass": backend.isa_class() })
}

pub fn token_rows(rows: &[Row]) -> Vec<TokenRow> {
    let row = |row: &Row| TokenRow {
        tokens: row.ids.clone(),
        labelled_from: row.labelled_from,
    };
    rows.iter().map(row).collect()
}

fn write_adapter(run: &Run<'_>, buffer: &<CpuBackend as Backend>::Buffer, out: &Path) {
    let layout = &run.adapter.layout;
    let mut values = vec![0.0; layout.len];
    run.cpu.0.download(buffer, 0, &mut values).unwrap();
    let tensor = |t: &escada_engine_core::parameters::Parameter| {
        let name = format!("base_model.model.{}", t.name);
        let part = &values[t.offset..t.offset + t.rows * t.cols];
        OutTensor::f32(name, vec![t.rows, t.cols], part)
    };
    write(out, layout.parameters().iter().map(tensor).collect());
}

pub fn write(out: &Path, tensors: Vec<OutTensor<'_>>) {
    write_safetensors(out, tensors, &BTreeMap::new()).unwrap();
}
