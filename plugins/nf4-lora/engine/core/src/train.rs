//! Training: what is asked for, what comes out, and the entry points for an adapter and for full fine-tuning.

mod diagnosis;
mod outcome;
mod rows;
mod run;
mod samples;
mod spikes;
mod trained;

use crate::backend::{Arithmetic, Backend};
use crate::batch::TokenRow;
use crate::control::{Control, Polled};
use crate::full::{FullLayout, FullWeights};
use crate::loaded::{Quantization, SourceWeights, WeightFormat, shape_of};
use crate::lora::Adapter;
use crate::memory_plan::MemoryPlan;
use crate::model::Model;
use crate::sample::Sample;
use crate::train_config::{Method, TrainConfig};
use crate::warning::Warning;
use escada_engine_formats::ModelSource;
use escada_engine_formats::error::Result;
use run::Run;
use serde::Serialize;
use std::path::{Path, PathBuf};
use trained::Trained;

/// What is trained on what, and where it is kept.
pub struct TrainRequest<'a> {
    pub rows: &'a [TokenRow],
    /// Names of the rows in messages; where it is too short, rows go by their number (from 1).
    pub row_ids: &'a [String],
    pub config: &'a TrainConfig,
    pub out_dir: &'a Path,
    /// Digest of weights and their format: part of the checkpoint's identity and named beside the adapter.
    pub model_digest: &'a str,
    /// Name or path by which others find the base of an adapter.
    pub base_model: &'a str,
    pub engine_build: &'a str,
    /// What is generated after every epoch.
    pub samples: Option<SampleRequest<'a>>,
}

/// Rows whose prompts the adapter answers after every epoch.
pub struct SampleRequest<'a> {
    pub rows: &'a [(String, TokenRow)],
    /// Tokens that end a reply.
    pub end_ids: &'a [u32],
    /// Text of a reply's tokens.
    pub text: &'a dyn Fn(&[u32]) -> Result<String>,
}

/// Progress after one optimizer step.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainEvent {
    pub step: usize,
    pub total_steps: usize,
    /// `None` where it is not finite.
    pub loss_nats: Option<f64>,
    pub learning_rate: f64,
    /// Before clipping; `None` where it is not finite.
    pub gradient_norm: Option<f64>,
    /// Input tokens of this step over its wall time.
    pub tokens_per_second: f64,
    pub eta_seconds: f64,
    pub rss_bytes: u64,
    /// Resident memory that was foreseen before the first step.
    pub planned_peak_bytes: u64,
    /// Newest complete checkpoint, 0 for none.
    pub checkpoint_step: usize,
    /// Steps so far whose update was left out.
    pub skipped_steps: usize,
    /// Of this step.
    pub warnings: Vec<Warning>,
    /// Of the epoch that this step ends.
    pub samples: Vec<Sample>,
}

/// What a run made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Made {
    /// A PEFT folder, and the digest of its `adapter_model.safetensors`.
    Adapter {
        adapter_path: PathBuf,
        adapter_sha256: String,
    },
    /// A Hugging Face folder, and the digest of its `model.safetensors`.
    Model {
        model_path: PathBuf,
        model_sha256: String,
    },
}

/// Outcome of a run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainResult {
    #[serde(flatten)]
    pub made: Made,
    pub steps: usize,
    /// Of the first step that was not skipped, as the next of the last one.
    pub loss_first_nats: f64,
    pub loss_last_nats: f64,
    pub skipped_steps: usize,
    /// Over all steps.
    pub labelled_tokens: usize,
    /// Of this call, not of calls before a resume.
    pub seconds: f64,
    pub resumed_from_step: usize,
    /// Resident memory that was foreseen before the first step.
    pub planned_peak_bytes: u64,
    /// What it consists of, beyond what was resident before.
    pub memory_plan: MemoryPlan,
    /// Of the products with frozen weights.
    pub arithmetic: Arithmetic,
}

impl TrainResult {
    /// The folder that was made.
    pub fn path(&self) -> &Path {
        match &self.made {
            Made::Adapter { adapter_path, .. } => adapter_path,
            Made::Model { model_path, .. } => model_path,
        }
    }

    /// SHA-256 of the weights in it.
    pub fn sha256(&self) -> &str {
        match &self.made {
            Made::Adapter { adapter_sha256, .. } => adapter_sha256,
            Made::Model { model_sha256, .. } => model_sha256,
        }
    }
}

/// Trains an adapter (or continues its training) and writes `out_dir/adapter`.
///
/// Errors: `TrainingDataInvalid`, `RequestInvalid`, `Io`; `Cancelled`, and `NonFinite` (names step, rows and
/// tensor), after a checkpoint of the last whole step.
pub fn train<'c, B: Backend>(
    backend: &B,
    model: &Model<B>,
    request: &TrainRequest<'_>,
    emit: &mut dyn FnMut(TrainEvent),
    control: impl Into<Control<'c>>,
) -> Result<TrainResult> {
    request.config.check_as(Method::Lora)?;
    let layout = request.config.layout(&model.shape)?;
    let (parameters, ranks) = (layout.parameters(), layout.layer_ranks);
    let sixteen = request
        .config
        .allows_sixteen_bits()
        .then(|| backend.sixteen_bits())
        .flatten();
    let backend = sixteen.as_ref().unwrap_or(backend);
    let learns = (&parameters[..], ranks, layout.lowest_layer());
    let start = || {
        let values = layout.start_values(request.config.seed);
        let adapter = Adapter::new(backend, layout.clone(), &values)?;
        Ok(Trained::Adapter { model, adapter })
    };
    Run::new(backend, &model.shape, learns, request, start)?.drive(emit, control.into())
}

/// Full fine-tuning of the model at `base` (or its continuation); writes `out_dir/model`. The weights start as the file
/// has them, in f32.
///
/// Errors: as [`train`]; those of reading the model.
pub fn train_full<'c, B: Backend>(
    backend: &B,
    base: &Path,
    request: &TrainRequest<'_>,
    emit: &mut dyn FnMut(TrainEvent),
    control: impl Into<Control<'c>>,
) -> Result<TrainResult> {
    request.config.check_as(Method::Full)?;
    let control = control.into();
    let run = {
        // Closed again before the first step: what was read of the file is no longer resident then.
        let source = ModelSource::open(base)?;
        let shape = shape_of(source.config());
        let start = || {
            let weights = full_weights(backend, &source, control)?;
            Ok(Trained::Full { weights, base })
        };
        let layout = FullLayout::new(&shape);
        Run::new(backend, &shape, (layout.parameters(), 0, 0), request, start)?
    };
    run.drive(emit, control)
}

/// Every weight of a model as f32, whatever its file has. Errors: those of reading; `Cancelled`.
pub fn full_weights<B: Backend>(
    backend: &B,
    source: &ModelSource,
    control: Control<'_>,
) -> Result<FullWeights<B>> {
    let weights = SourceWeights {
        source,
        quantization: Quantization {
            format: WeightFormat::F32,
            block_size: 0,
            double_quant: false,
        },
    };
    let mut weights = Polled {
        source: weights,
        control,
    };
    FullWeights::load(backend, shape_of(source.config()), &mut weights)
}
