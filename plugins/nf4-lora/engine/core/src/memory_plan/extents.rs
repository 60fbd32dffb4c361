//! The largest micro-batch of a run.

use super::Planned;
use crate::batch::{Extent, PrefixSharing, TokenRow};
use crate::schedule::{StepPlan, units};
use crate::train_config::TrainConfig;
use std::collections::HashMap;

/// Beyond so many rows over all epochs the largest batch is bounded instead of looked for.
const MAX_VISITS: usize = 20_000_000;

impl Planned<'_> {
    /// The largest of each size over all micro-batches of the run: buffers grow to it and stay.
    pub(super) fn extents(&self, config: &TrainConfig) -> Extent {
        let lengths: Vec<usize> = self.rows.iter().map(|row| row.tokens.len()).collect();
        let units = units(config, &lengths);
        let plan = StepPlan::new(config, units.len());
        let sharing = PrefixSharing::of(config.lora_dropout);
        if plan.visits() > MAX_VISITS {
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
