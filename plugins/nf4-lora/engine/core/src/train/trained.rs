//! What a run trains: an adapter on frozen weights, or every weight (full fine-tuning).

use super::{Made, TrainRequest};
use crate::adapter_file;
use crate::backend::Backend;
use crate::batch::Batch;
use crate::control::Control;
use crate::full::FullWeights;
use crate::full_file;
use crate::lora::Adapter;
use crate::lora_pass::DropoutPlan;
use crate::model::Model;
use crate::pass::{Followed, Pass};
use escada_engine_formats::error::{Code, EngineError, Result};
use std::path::Path;

pub(super) enum Trained<'a, B: Backend> {
    Adapter {
        model: &'a Model<B>,
        adapter: Adapter<B>,
    },
    Full {
        weights: FullWeights<B>,
        /// Model whose configuration and tokenizer the result takes over.
        base: &'a Path,
    },
}

impl<B: Backend> Trained<'_, B> {
    /// The flat parameter buffer.
    pub fn values(&self) -> &B::Buffer {
        match self {
            Trained::Adapter { adapter, .. } => &adapter.parameters,
            Trained::Full { weights, .. } => &weights.values,
        }
    }

    pub fn values_mut(&mut self) -> &mut B::Buffer {
        match self {
            Trained::Adapter { adapter, .. } => &mut adapter.parameters,
            Trained::Full { weights, .. } => &mut weights.values,
        }
    }

    /// As [`Pass::run_followed`] and [`Pass::run_full_followed`]; dropout is the adapter's.
    #[allow(clippy::too_many_arguments)]
    pub fn pass(
        &self,
        backend: &B,
        pass: &mut Pass<B>,
        dropout: DropoutPlan,
        batch: &Batch<B>,
        weight: f32,
        gradients: &mut B::Buffer,
        followed: Followed<'_>,
    ) -> Result<f64> {
        match self {
            Trained::Adapter { model, adapter } => pass.run_followed(
                backend, model, adapter, dropout, batch, weight, gradients, followed,
            ),
            Trained::Full { weights, .. } => {
                pass.run_full_followed(backend, weights, batch, weight, gradients, followed)
            }
        }
    }

    /// Writes the finished weights. Errors: `NonFinite`, `Io`.
    pub fn write(&self, backend: &B, request: &TrainRequest<'_>, control: Control<'_>) -> Result<Made> {
        match self {
            Trained::Adapter { adapter, .. } => write_adapter(backend, adapter, request),
            Trained::Full { weights, base } => {
                let model_path = request.out_dir.join("model");
                let model_sha256 = full_file::write(backend, weights, base, &model_path, control)?;
                Ok(Made::Model {
                    model_path,
                    model_sha256,
                })
            }
        }
    }
}

fn write_adapter<B: Backend>(backend: &B, adapter: &Adapter<B>, request: &TrainRequest<'_>) -> Result<Made> {
    let mut values = vec![0.0; adapter.layout.len];
    backend.download(&adapter.parameters, 0, &mut values)?;
    if values.iter().any(|v| !v.is_finite()) {
        return Err(EngineError::new(
            Code::NonFinite,
            "a weight of the trained adapter is not finite",
        ));
    }
    let file = adapter_file::to_file(&adapter.layout, &values, request.config, request.base_model);
    let adapter_path = request.out_dir.join("adapter");
    let adapter_sha256 = file.write(&adapter_path)?;
    adapter_file::write_card(&adapter_path, request.base_model, request.model_digest)?;
    Ok(Made::Adapter {
        adapter_path,
        adapter_sha256,
    })
}
