//! What a training run will hold in memory, known before its first step.

use crate::batch::{Extent, PrefixSharing, TokenRow};
use crate::moments::MomentLayout;
use crate::pass::{HEAD_ROWS, Pass};
use crate::prefix_attention::PrefixAttention;
use crate::schedule::{StepPlan, units};
use crate::shape::ModelShape;
use crate::train_config::{Method, TrainConfig};
use escada_engine_formats::error::{Code, EngineError, Result};
use std::collections::HashMap;

const F32: u64 = size_of::<f32>() as u64;
/// Beyond so many rows over all epochs the largest batch is bounded instead of looked for.
const MOST_VISITS: usize = 20_000_000;

/// Bytes by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryPlan {
    /// Trained values and their gradients.
    pub trained: u64,
    /// Both moments of the optimizer.
    pub moments: u64,
    /// Saved by every layer for the backward pass, and working memory of the pass.
    pub activations: u64,
    /// Logits and the rest of the head, for one chunk of labelled positions.
    pub head: u64,
    /// Copies of a common prefix for attention.
    pub shared_prefix: u64,
    /// A tensor on its way to or from a file: its values and their bytes.
    pub transfer: u64,
}

impl MemoryPlan {
    /// All of it, in bytes.
    pub fn total(&self) -> u64 {
        self.trained + self.moments + self.activations + self.head + self.shared_prefix + self.transfer
    }
}

/// What the plan of a run follows from.
pub struct Planned<'a> {
    pub shape: &'a ModelShape,
    /// Sum of the ranks of a layer's adapters.
    pub layer_ranks: usize,
    pub moments: &'a MomentLayout,
    pub rows: &'a [TokenRow],
    pub config: &'a TrainConfig,
}

impl Planned<'_> {
    /// The plan for the configured micro-batch.
    pub fn plan(&self) -> MemoryPlan {
        self.plan_of(&self.extents(self.config))
    }

    /// Refuses a run that does not fit `available` bytes, and says what would. Errors: `OutOfMemory`.
    pub fn require(&self, available: u64) -> Result<MemoryPlan> {
        let plan = self.plan();
        if plan.total() <= available {
            return Ok(plan);
        }
        let (need, have) = (gigabytes(plan.total()), gigabytes(available));
        let rows = self.config.per_device_train_batch_size;
        let head = format!("training {rows} rows at a time needs {need}, {have} are free");
        let way = self.way_out(available).unwrap_or_else(|| {
            let longest = self.rows.iter().map(TokenRow::inputs).max().unwrap_or(0);
            let lower = match self.config.method {
                Method::Lora => "lower maxSeqLengthTokens, r or targetModules",
                Method::Full => "lower maxSeqLengthTokens, take optim \"adamw_8bit\" or method \"lora\"",
            };
            format!("one row of {longest} tokens does not fit either: {lower}")
        });
        Err(EngineError::new(Code::OutOfMemory, format!("{head}; {way}")))
    }

    /// The largest smaller micro-batch that fits, with the accumulation that keeps the step as it is.
    fn way_out(&self, available: u64) -> Option<String> {
        let (batch, steps) = (
            self.config.per_device_train_batch_size,
            self.config.gradient_accumulation_steps,
        );
        let fits = |rows: &usize| {
            let config = TrainConfig {
                per_device_train_batch_size: *rows,
                gradient_accumulation_steps: batch * steps / rows,
                ..self.config.clone()
            };
            self.plan_of(&self.extents(&config)).total() <= available
        };
        let rows = (1..batch)
            .rev()
            .filter(|rows| batch.is_multiple_of(*rows))
            .find(fits)?;
        Some(format!(
            "perDeviceTrainBatchSize {rows} with gradientAccumulationSteps {} fits and trains the same",
            batch * steps / rows
        ))
    }

    fn plan_of(&self, largest: &Extent) -> MemoryPlan {
        let dropout = if self.config.lora_dropout > 0.0 {
            largest.tokens
        } else {
            0
        };
        let (shape, ranks) = (self.shape, self.layer_ranks);
        MemoryPlan {
            trained: 2 * F32 * self.moments.parameters() as u64,
            moments: self.moments.bytes() as u64,
            activations: F32 * pass_elements(shape, ranks, largest.tokens, dropout),
            head: F32 * head_elements(shape, largest.labelled.min(HEAD_ROWS)),
            shared_prefix: if largest.prefix_tokens > 0 {
                F32 * prefix_elements(shape, largest)
            } else {
                0
            },
            transfer: 2 * F32 * self.moments.largest() as u64,
        }
    }

    /// The largest of each size over all micro-batches of the run: buffers grow to it and stay.
    fn extents(&self, config: &TrainConfig) -> Extent {
        let lengths: Vec<usize> = self.rows.iter().map(|row| row.tokens.len()).collect();
        let units = units(config, &lengths);
        let plan = StepPlan::new(config, units.len());
        let sharing = PrefixSharing::of(config.lora_dropout);
        if plan.total_steps * config.per_device_train_batch_size * config.gradient_accumulation_steps
            > MOST_VISITS
        {
            return self.bound(config, &units);
        }
        let mut largest = Extent::default();
        let mut orders: HashMap<usize, Vec<u32>> = HashMap::new();
        for step in 0..plan.total_steps {
            let epoch = plan.epoch(step);
            if !orders.contains_key(&epoch) {
                orders = HashMap::from([(epoch, plan.order(epoch))]);
            }
            for batch in plan.micro_batches(&orders[&epoch], step) {
                let numbers = batch.iter().flat_map(|unit| &units[*unit as usize]);
                let rows: Vec<&TokenRow> = numbers.map(|i| &self.rows[*i as usize]).collect();
                largest = largest.max(Extent::of(&rows, sharing));
            }
        }
        largest
    }

    /// No micro-batch has more tokens than the longest units together.
    fn bound(&self, config: &TrainConfig, units: &[Vec<u32>]) -> Extent {
        let rows =
            |unit: &Vec<u32>| -> Vec<&TokenRow> { unit.iter().map(|i| &self.rows[*i as usize]).collect() };
        let mut units: Vec<Vec<&TokenRow>> = units.iter().map(rows).collect();
        units.sort_by_key(|unit| std::cmp::Reverse(unit.iter().map(|row| row.inputs()).sum::<usize>()));
        units.truncate(config.per_device_train_batch_size);
        Extent::of(&units.concat(), PrefixSharing::Never)
    }
}

/// Elements of `Pass` and its LoRA scratch for `tokens` rows.
fn pass_elements(shape: &ModelShape, layer_ranks: usize, tokens: usize, dropped: usize) -> u64 {
    let (layer, once) = Pass::<crate::reference::Reference>::row_elements(shape, layer_ranks);
    let widest = shape.hidden.max(shape.query_width()).max(shape.intermediate);
    (tokens * (shape.layers * layer + once + layer_ranks) + dropped * widest) as u64
}

fn head_elements(shape: &ModelShape, rows: usize) -> u64 {
    (HEAD_ROWS * (4 * shape.hidden + 2) + rows * shape.vocabulary) as u64
}

fn prefix_elements(shape: &ModelShape, largest: &Extent) -> u64 {
    let (full, prefix) = PrefixAttention::<crate::reference::Reference>::row_elements(shape);
    (largest.full_tokens * full + largest.prefix_tokens * prefix) as u64
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::full::FullWeights;
    use crate::lora_pass::DropoutPlan;
    use crate::optimizer::Optimizer;
    use crate::reference::Reference;
    use crate::testing::{RandomWeights, random_model, tiny_shape};
    use crate::train_config::Optim;
    use serde_json::json;

    fn rows() -> Vec<TokenRow> {
        let row = |i: u32| TokenRow {
            tokens: [1, 2, 3, 4, 5]
                .into_iter()
                .chain((0..4 + i % 5).map(|j| (i * 5 + j) % 37))
                .collect(),
            labelled_from: 7,
        };
        (0..10).map(row).collect()
    }

    fn config(changes: serde_json::Value) -> TrainConfig {
        let mut config = json!({
            "r": 2, "loraAlpha": 4, "targetModules": "all-linear", "learningRate": 0.01, "lrSchedulerType": "constant",
            "warmupSteps": 0, "weightDecay": 0, "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8,
            "maxGradNorm": 1, "gradientAccumulationSteps": 1, "numTrainEpochs": 2, "maxSteps": -1,
            "maxSeqLengthTokens": 64, "seed": 1, "saveSteps": 10
        });
        for (key, value) in changes.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        serde_json::from_value(config).unwrap_or_else(|cause| panic!("{cause}"))
    }

    /// Bytes that the buffers of a run really have after it went through all its batches.
    fn allocated(config: &TrainConfig) -> Result<(u64, MemoryPlan)> {
        let (shape, rows) = (tiny_shape(), rows());
        let model = random_model(&Reference, shape.clone(), 1)?;
        let layout = config.layout(&shape)?;
        let moments = MomentLayout::new(&layout.parameters(), Optim::AdamwTorch);
        let planned = Planned {
            shape: &shape,
            layer_ranks: layout.layer_ranks,
            moments: &moments,
            rows: &rows,
            config,
        };
        let plan = planned.plan();
        let adapter = crate::lora::Adapter::new(&Reference, layout.clone(), &layout.start_values(1))?;
        let mut optimizer = Optimizer::fresh(&Reference, &layout.parameters(), Optim::AdamwTorch)?;
        let mut pass = Pass::new(&Reference, &shape)?;
        every_batch(config, &rows, |batch| {
            let dropout = DropoutPlan {
                probability: config.lora_dropout as f32,
                ..DropoutPlan::NONE
            };
            let gradients = &mut optimizer.gradients;
            pass.run(&Reference, &model, &adapter, dropout, batch, 0.1, gradients)
        })?;
        let held = F32 * pass.elements(&Reference) as u64;
        Ok((held + 4 * F32 * layout.len as u64, plan))
    }

    fn every_batch(
        config: &TrainConfig,
        rows: &[TokenRow],
        mut visit: impl FnMut(&Batch<Reference>) -> Result<f64>,
    ) -> Result<()> {
        let mut batch = Batch::new(&Reference)?;
        let lengths: Vec<usize> = rows.iter().map(|row| row.tokens.len()).collect();
        let units = units(config, &lengths);
        let steps = StepPlan::new(config, units.len());
        for step in 0..steps.total_steps {
            for numbers in steps.micro_batches(&steps.order(steps.epoch(step)), step) {
                let numbers = numbers.iter().flat_map(|unit| &units[*unit as usize]);
                let chosen: Vec<&TokenRow> = numbers.map(|i| &rows[*i as usize]).collect();
                let sharing = PrefixSharing::of(config.lora_dropout);
                batch.pack(&Reference, &chosen, HEAD_ROWS, sharing)?;
                visit(&batch)?;
            }
        }
        Ok(())
    }

    #[test]
    fn the_plan_of_all_weights_is_what_the_buffers_take() -> Result<()> {
        for optim in [Optim::AdamwTorch, Optim::Adamw8bit] {
            let (rows, config) = (rows(), config(json!({ "perDeviceTrainBatchSize": 3 })));
            let mut source = RandomWeights { seed: 1, scale: 2.0 };
            // Wide enough for tensors with 8-bit moments.
            let shape = ModelShape {
                intermediate: 256,
                ..tiny_shape()
            };
            let weights = FullWeights::load(&Reference, shape, &mut source)?;
            let moments = MomentLayout::new(weights.layout.parameters(), optim);
            assert_eq!(moments.codes > 0, optim == Optim::Adamw8bit);
            let plan = Planned {
                shape: &weights.shape,
                layer_ranks: 0,
                moments: &moments,
                rows: &rows,
                config: &config,
            }
            .plan();
            let (mut pass, mut gradients) = (
                Pass::new(&Reference, &weights.shape)?,
                vec![0.0; weights.layout.len],
            );
            every_batch(&config, &rows, |batch| {
                pass.run_full(&Reference, &weights, batch, 0.1, &mut gradients)
            })?;
            let elements = pass.elements(&Reference) + weights.values.len() + gradients.len();
            let held = F32 * elements as u64 + moments.bytes() as u64;
            assert_eq!(held, plan.total() - plan.transfer, "{optim:?}: {plan:?}");
        }
        Ok(())
    }

    #[test]
    fn the_plan_is_what_the_buffers_take() -> Result<()> {
        for changes in [
            json!({ "perDeviceTrainBatchSize": 3 }),
            json!({ "perDeviceTrainBatchSize": 1 }),
            json!({ "perDeviceTrainBatchSize": 4, "loraDropout": 0.1 }),
            json!({ "perDeviceTrainBatchSize": 2, "targetModules": ["q_proj", "down_proj"] }),
            json!({ "perDeviceTrainBatchSize": 2, "packing": true }),
        ] {
            let (held, plan) = allocated(&config(changes.clone()))?;
            assert_eq!(held, plan.total() - plan.transfer, "{changes}: {plan:?}");
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would() -> Result<()> {
        let (shape, rows, config) = (
            tiny_shape(),
            rows(),
            config(json!({ "perDeviceTrainBatchSize": 4 })),
        );
        let layout = config.layout(&shape)?;
        let moments = MomentLayout::new(&layout.parameters(), Optim::AdamwTorch);
        let planned = Planned {
            shape: &shape,
            layer_ranks: layout.layer_ranks,
            moments: &moments,
            rows: &rows,
            config: &config,
        };
        let need = planned.plan().total();
        assert_eq!(planned.require(need)?.total(), need);
        let refusal = |available: u64| match planned.require(available) {
            Err(error) => (error.code, error.message),
            Ok(plan) => panic!("{plan:?}"),
        };
        let (code, message) = refusal(need - 1);
        assert_eq!(code, Code::OutOfMemory);
        assert!(
            message.contains("perDeviceTrainBatchSize 2 with gradientAccumulationSteps 2"),
            "{message}"
        );
        let (_, message) = refusal(1000);
        assert!(message.contains("lower maxSeqLengthTokens"), "{message}");
        Ok(())
    }
}
