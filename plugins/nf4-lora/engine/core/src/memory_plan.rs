//! What a training run will hold in memory, known before its first step, and which activations are computed again so that
//! it fits.

mod extents;
mod sizes;
#[cfg(test)]
mod tests;

use crate::activation_policy::{GradientCheckpointing, LayerPolicies};
use crate::batch::{Extent, TokenRow};
use crate::moments::MomentLayout;
use crate::shape::ModelShape;
use crate::train_config::{Method, TrainConfig};
use escada_engine_formats::error::{Code, EngineError, Result};
use serde::Serialize;

/// Bytes by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryPlan {
    /// Trained values and their gradients.
    pub trained_bytes: u64,
    /// Both moments of the optimizer.
    pub moments_bytes: u64,
    /// Kept by the layers for the backward pass; where layers compute theirs again, one more set.
    pub saved_bytes: u64,
    /// Working memory of one layer.
    pub working_bytes: u64,
    /// Logits and the rest of the head, for one chunk of labelled positions.
    pub head_bytes: u64,
    /// Copies of a common prefix for attention.
    pub shared_prefix_bytes: u64,
    /// A tensor on its way to or from a file: its values and their bytes.
    pub transfer_bytes: u64,
    /// Layers by what they keep.
    pub layers: LayerPolicies,
}

impl MemoryPlan {
    /// All of it, in bytes.
    pub fn total(&self) -> u64 {
        let state = self.trained_bytes + self.moments_bytes + self.transfer_bytes;
        let pass = self.saved_bytes + self.working_bytes + self.head_bytes + self.shared_prefix_bytes;
        state + pass
    }
}

/// What the plan of a run follows from.
pub struct Planned<'a> {
    pub shape: &'a ModelShape,
    /// Sum of the ranks of a layer's adapters.
    pub layer_ranks: usize,
    /// Nothing below this layer learns.
    pub lowest_layer: usize,
    pub moments: &'a MomentLayout,
    pub rows: &'a [TokenRow],
    pub config: &'a TrainConfig,
}

impl Planned<'_> {
    /// Of the plans that the configuration allows and that fit `available` bytes the one with the least to compute again.
    /// Refuses a run that does not fit, and says what would. Errors: `OutOfMemory`.
    pub fn require(&self, available: u64) -> Result<MemoryPlan> {
        let setting = self.config.gradient_checkpointing;
        let largest = self.extents(self.config);
        let plan = self.best(&largest, setting, available);
        if plan.total() <= available {
            return Ok(plan);
        }
        let (need, have) = (gigabytes(plan.total()), gigabytes(available));
        let rows = self.config.per_device_train_batch_size;
        let why = match setting {
            GradientCheckpointing::Auto => " even with the activations of every layer computed again",
            _ => "",
        };
        let head = format!("training {rows} rows at a time needs {need}{why}, {have} are free");
        let auto = self.best(&largest, GradientCheckpointing::Auto, available);
        let way = if auto.total() <= available {
            "gradientCheckpointing \"auto\" fits and trains the same".to_owned()
        } else {
            self.way_out(available).unwrap_or_else(|| self.smaller_run())
        };
        Err(EngineError::new(Code::OutOfMemory, format!("{head}; {way}")))
    }

    /// The fastest plan that fits, or the smallest where none does.
    fn best(&self, largest: &Extent, setting: GradientCheckpointing, available: u64) -> MemoryPlan {
        let (mut best, mut smallest) = (None, None);
        let mean_keys = self.mean_keys();
        for layers in LayerPolicies::allowed(setting, self.shape.layers) {
            let plan = self.plan_of(largest, layers);
            let repeated = layers.repeated(self.shape, self.lowest_layer, mean_keys);
            let total = plan.total();
            let faster = |(than, bytes, _): &(f64, u64, _)| (repeated, total) < (*than, *bytes);
            if total <= available && best.as_ref().is_none_or(faster) {
                best = Some((repeated, total, plan));
            }
            if smallest.is_none_or(|other: MemoryPlan| total < other.total()) {
                smallest = Some(plan);
            }
        }
        let keep = || self.plan_of(largest, LayerPolicies::keep(self.shape.layers));
        best.map(|(_, _, plan)| plan).or(smallest).unwrap_or_else(keep)
    }

    /// The largest smaller micro-batch that fits, with the accumulation that keeps the step as it is.
    fn way_out(&self, available: u64) -> Option<String> {
        let (batch, steps) = (
            self.config.per_device_train_batch_size,
            self.config.gradient_accumulation_steps,
        );
        let setting = self.config.gradient_checkpointing;
        let fits = |rows: &usize| {
            let config = TrainConfig {
                per_device_train_batch_size: *rows,
                gradient_accumulation_steps: (batch / rows).saturating_mul(steps),
                ..self.config.clone()
            };
            self.best(&self.extents(&config), setting, available).total() <= available
        };
        let rows = (1..batch)
            .rev()
            .filter(|rows| batch.is_multiple_of(*rows))
            .find(fits)?;
        Some(format!(
            "perDeviceTrainBatchSize {rows} with gradientAccumulationSteps {} fits and trains the same up to rounding",
            (batch / rows).saturating_mul(steps)
        ))
    }

    /// What to lower where not even one row fits.
    fn smaller_run(&self) -> String {
        let longest = self.rows.iter().map(TokenRow::inputs).max().unwrap_or(0);
        let lower = match self.config.method {
            Method::Lora => "lower maxSeqLengthTokens, r or targetModules",
            Method::Full => "lower maxSeqLengthTokens, take optim \"adamw_8bit\" or method \"lora\"",
        };
        let auto = match self.config.gradient_checkpointing {
            GradientCheckpointing::Auto | GradientCheckpointing::Full => "",
            _ => " take gradientCheckpointing \"auto\",",
        };
        format!("one row of {longest} tokens does not fit either:{auto} {lower}")
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}
