//! Requests about full fine-tuning; the weights are read again from the open model's file.

use crate::model::{Row, token_rows, write};
use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::control::Control;
use escada_engine_core::full::FullWeights;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::{HEAD_ROWS, Pass};
use escada_engine_core::schedule::learning_rate;
use escada_engine_core::train::full_weights;
use escada_engine_core::train_config::{Optim, TrainConfig};
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::ModelSource;
use escada_engine_formats::safetensors_writer::OutTensor;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Gradients of one batch, by transformers' names.
#[derive(Deserialize)]
pub struct Gradients {
    rows: Vec<Row>,
    out: PathBuf,
}

/// Optimizer steps over given batches; the weights after them are written.
#[derive(Deserialize)]
pub struct Train {
    rows: Vec<Row>,
    /// Row numbers of each step.
    batches: Vec<Vec<usize>>,
    config: TrainConfig,
    out: PathBuf,
}

struct Run<'a> {
    backend: &'a CpuBackend,
    weights: FullWeights<CpuBackend>,
    optimizer: Optimizer<CpuBackend>,
    pass: Pass<CpuBackend>,
    batch: Batch<CpuBackend>,
}

impl<'a> Run<'a> {
    fn new(backend: &'a CpuBackend, model: &Path) -> Self {
        let weights = full_weights(backend, &ModelSource::open(model).unwrap(), Control::none()).unwrap();
        let parameters = weights.layout.parameters();
        Self {
            backend,
            optimizer: Optimizer::fresh(backend, parameters, Optim::AdamwTorch).unwrap(),
            pass: Pass::new(backend, &weights.shape).unwrap(),
            batch: Batch::new(backend).unwrap(),
            weights,
        }
    }

    /// Mean loss over labelled tokens; leaves its gradients in the optimizer.
    fn backward(&mut self, rows: &[&TokenRow]) -> f64 {
        let labelled: usize = rows.iter().map(|r| r.labelled()).sum();
        let sharing = PrefixSharing::WhenWorthwhile;
        self.batch.pack(self.backend, rows, HEAD_ROWS, sharing).unwrap();
        self.optimizer.clear(self.backend);
        let (weight, gradients) = (1.0 / labelled as f32, &mut self.optimizer.gradients);
        let sum = self
            .pass
            .run_full(self.backend, &self.weights, &self.batch, weight, gradients);
        sum.unwrap() / labelled as f64
    }

    fn write(&self, buffer: &<CpuBackend as Backend>::Buffer, out: &Path) {
        let tensor = |p: &escada_engine_core::parameters::Parameter| {
            let mut values = vec![0.0; p.len()];
            self.backend.download(buffer, p.offset, &mut values).unwrap();
            OutTensor::f32(p.name.clone(), p.shape(), &values)
        };
        let parameters = self.weights.layout.parameters();
        write(out, parameters.iter().map(tensor).collect());
    }
}

pub fn gradients(backend: &CpuBackend, model: &Path, request: &Gradients) -> Value {
    let mut run = Run::new(backend, model);
    let rows = token_rows(&request.rows);
    let loss = run.backward(&rows.iter().collect::<Vec<_>>());
    run.write(&run.optimizer.gradients, &request.out);
    json!({ "loss": loss })
}

pub fn train(backend: &CpuBackend, model: &Path, request: &Train) -> Value {
    let mut run = Run::new(backend, model);
    let rows = token_rows(&request.rows);
    let mut losses = Vec::new();
    for (step, batch) in request.batches.iter().enumerate() {
        let rows: Vec<&TokenRow> = batch.iter().map(|&at| &rows[at]).collect();
        losses.push(run.backward(&rows));
        let rate = learning_rate(&request.config, step, request.batches.len());
        let values = &mut run.weights.values;
        let norm = run.optimizer.step(backend, &request.config, step, rate, values);
        assert!(norm.unwrap().is_finite());
    }
    run.write(&run.weights.values, &request.out);
    json!({ "losses": losses })
}
