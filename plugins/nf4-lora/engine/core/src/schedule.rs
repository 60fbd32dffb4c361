//! Which rows and which learning rate belong to a step: pure functions of configuration and step.

use crate::rng;
use crate::train_config::{Schedule, TrainConfig};

/// Steps of a run over `rows` rows.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPlan {
    rows: usize,
    micro_batch: usize,
    /// Rows of a full step.
    step_rows: usize,
    steps_per_epoch: usize,
    pub total_steps: usize,
    seed: u64,
}

impl StepPlan {
    /// An accumulation window never crosses an epoch; the last one of an epoch may be short (as in HF's Trainer).
    pub fn new(config: &TrainConfig, rows: usize) -> Self {
        let step_rows = config.per_device_train_batch_size * config.gradient_accumulation_steps;
        let steps_per_epoch = rows.div_ceil(step_rows).max(1);
        let total_steps = match usize::try_from(config.max_steps) {
            Ok(steps) if steps > 0 => steps,
            _ => (config.num_train_epochs * steps_per_epoch as f64).ceil() as usize,
        };
        Self {
            rows,
            micro_batch: config.per_device_train_batch_size,
            step_rows,
            steps_per_epoch,
            total_steps,
            seed: config.seed,
        }
    }

    /// Epoch of a step, both counted from 0.
    pub fn epoch(&self, step: usize) -> usize {
        step / self.steps_per_epoch
    }

    /// Order of the rows in an epoch.
    pub fn order(&self, epoch: usize) -> Vec<u32> {
        rng::permutation(self.seed, epoch as u64, self.rows)
    }

    /// Row numbers of each micro-batch of a step, out of its epoch's order.
    pub fn micro_batches<'a>(&self, order: &'a [u32], step: usize) -> Vec<&'a [u32]> {
        let from = step % self.steps_per_epoch * self.step_rows;
        order[from..(from + self.step_rows).min(order.len())]
            .chunks(self.micro_batch)
            .collect()
    }
}

/// Learning rate of a step counted from 0, as transformers' schedules give it.
pub fn learning_rate(config: &TrainConfig, step: usize, total_steps: usize) -> f64 {
    let (step, warmup, total) = (step as f64, config.warmup_steps as f64, total_steps as f64);
    let factor = if step < warmup {
        step / warmup.max(1.0)
    } else {
        let rest = (total - warmup).max(1.0);
        match config.lr_scheduler_type {
            Schedule::Constant => 1.0,
            Schedule::Linear => ((total - step) / rest).max(0.0),
            Schedule::Cosine => {
                let progress = (step - warmup) / rest;
                (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
            }
        }
    };
    config.learning_rate * factor
}
