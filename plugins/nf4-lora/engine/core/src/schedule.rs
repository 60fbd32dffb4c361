//! Which rows and which learning rate belong to a step: pure functions of configuration and step.

use crate::rng;
use crate::train_config::{Schedule, TrainConfig};
use escada_engine_formats::math;
use std::collections::BTreeSet;

/// Row numbers of everything that counts as one row of a batch: each row by itself, or with `packing` as many as fit the
/// longest allowed sequence together (best fit, longest first; a function of the lengths alone).
pub fn units(config: &TrainConfig, lengths: &[usize]) -> Vec<Vec<u32>> {
    let rows = 0..lengths.len() as u32;
    if !config.packing {
        return rows.map(|row| vec![row]).collect();
    }
    let mut order: Vec<u32> = rows.collect();
    order.sort_by_key(|row| (std::cmp::Reverse(lengths[*row as usize]), *row));
    let mut packs: Vec<Vec<u32>> = Vec::new();
    // Packs by the room they have left, then by age.
    let mut open: BTreeSet<(usize, usize)> = BTreeSet::new();
    for row in order {
        let length = lengths[row as usize];
        let found = open.range((length, 0)..).next().copied();
        let (room, pack) = found.unwrap_or_else(|| {
            packs.push(Vec::new());
            (config.max_seq_length_tokens.max(length), packs.len() - 1)
        });
        open.remove(&(room, pack));
        packs[pack].push(row);
        open.insert((room - length, pack));
    }
    packs
}

/// Steps of a run over `rows` rows (or packs of rows).
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
        // More rows than can be counted are more than there are.
        let (batch, steps) = (
            config.per_device_train_batch_size.max(1),
            config.gradient_accumulation_steps.max(1),
        );
        let step_rows = batch.saturating_mul(steps);
        let steps_per_epoch = rows.div_ceil(step_rows).max(1);
        let total_steps = match usize::try_from(config.max_steps) {
            Ok(steps) if steps > 0 => steps,
            _ => (config.num_train_epochs * steps_per_epoch as f64).ceil() as usize,
        };
        Self {
            rows,
            micro_batch: batch,
            step_rows,
            steps_per_epoch,
            total_steps,
            seed: config.seed,
        }
    }

    /// Rows that all steps together go through, at most.
    pub fn visits(&self) -> usize {
        self.total_steps
            .saturating_mul(self.step_rows.min(self.rows.max(1)))
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
        order[from..from.saturating_add(self.step_rows).min(order.len())]
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
                (0.5 * (1.0 + math::cos(std::f64::consts::PI * progress))).max(0.0)
            }
        }
    };
    config.learning_rate * factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(packing: bool) -> TrainConfig {
        let text = format!(
            r#"{{"r":2,"loraAlpha":4,"targetModules":"all-linear","learningRate":0.01,"lrSchedulerType":"constant",
            "warmupSteps":0,"weightDecay":0,"adamBeta1":0.9,"adamBeta2":0.999,"adamEpsilon":1e-8,"maxGradNorm":1,
            "perDeviceTrainBatchSize":2,"gradientAccumulationSteps":2,"numTrainEpochs":1,"maxSteps":-1,
            "maxSeqLengthTokens":10,"packing":{packing},"seed":1,"saveSteps":10}}"#
        );
        serde_json::from_str(&text).unwrap_or_else(|cause| panic!("{cause}"))
    }

    #[test]
    fn sizes_beyond_counting_are_one_step_an_epoch_and_never_a_wrap() {
        for (batch, accumulation) in [
            (1 << 32, 1 << 32),
            (usize::MAX, 2),
            (2, usize::MAX),
            (1 << 63, 2),
            (7, 3),
        ] {
            let config = TrainConfig {
                per_device_train_batch_size: batch,
                gradient_accumulation_steps: accumulation,
                max_steps: i64::MAX,
                ..config(false)
            };
            let plan = StepPlan::new(&config, 10);
            assert!(plan.visits() >= plan.total_steps, "{batch} x {accumulation}");
            let order = plan.order(0);
            for step in 0..3 {
                let rows: usize = plan
                    .micro_batches(&order, step)
                    .iter()
                    .map(|rows| rows.len())
                    .sum();
                assert_eq!(rows, 10, "{batch} x {accumulation}");
            }
        }
    }

    #[test]
    fn packs_hold_every_row_once_and_never_too_many_tokens() {
        let lengths = [3, 7, 10, 2, 5, 5, 1, 4, 9];
        let packs = units(&config(true), &lengths);
        let mut rows: Vec<u32> = packs.concat();
        rows.sort_unstable();
        assert_eq!(rows, (0..9).collect::<Vec<u32>>());
        for pack in &packs {
            assert!(
                pack.iter().map(|row| lengths[*row as usize]).sum::<usize>() <= 10,
                "{pack:?}"
            );
        }
        // 46 tokens need five packs, and best fit finds them.
        assert_eq!(packs.len(), 5);
        assert_eq!(units(&config(false), &lengths).len(), 9);
        assert!(units(&config(true), &[]).is_empty());
    }
}
