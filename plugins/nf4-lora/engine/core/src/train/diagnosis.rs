//! Where a step went wrong: a second pass over the micro-batch whose loss or gradient was not finite.

use super::run::Run;
use crate::backend::Backend;
use crate::control::Control;
use crate::pass::{Followed, Witness};
use crate::warning::MAX_ROWS;
use escada_engine_formats::error::Result;

/// A step that is not finite, in words and by its rows.
pub(super) struct Diagnosis {
    /// What happened and where: `the loss of step 3 is NaN …`.
    pub message: String,
    /// Ids of the micro-batch's rows, at most `MAX_ROWS`.
    pub rows: Vec<String>,
}

impl<B: Backend> Run<'_, B> {
    /// Runs the step's micro-batches once more, one by one, until one shows the fault. The weights are still those of the
    /// failed step and every mask is a function of the step: what was computed then is computed again.
    pub(super) fn diagnose(
        &mut self,
        step: usize,
        micro_batches: &[Vec<u32>],
        losses: &[f64],
        labelled: usize,
        control: Control<'_>,
    ) -> Result<Diagnosis> {
        let what = match losses.iter().find(|loss| !loss.is_finite()) {
            Some(loss) => format!("the loss of step {} is {loss}", step + 1),
            None => format!("the gradient of step {} is not finite (its loss is)", step + 1),
        };
        if let Some(name) = self.optimizer.non_finite(self.backend, self.trained.values()) {
            let message = format!("{what}: the weight {name} is not finite");
            return Ok(Diagnosis {
                message,
                rows: Vec::new(),
            });
        }
        let loss_failed = losses.iter().any(|loss| !loss.is_finite());
        for (i, rows) in micro_batches.iter().enumerate() {
            if loss_failed && losses[i].is_finite() {
                continue;
            }
            if let Some(place) = self.fault(step, i, rows, labelled, control)? {
                let (rows, listed) = self.named(rows);
                let count = micro_batches.len();
                let message = format!("{what}: micro-batch {} of {count}, {listed}; {place}", i + 1);
                return Ok(Diagnosis { message, rows });
            }
        }
        let (rows, _) = self.named(&micro_batches.concat());
        let message = format!("{what}: each micro-batch alone is finite, their sum is not");
        Ok(Diagnosis { message, rows })
    }

    /// The first tensor of a micro-batch that is not finite.
    fn fault(
        &mut self,
        step: usize,
        index: usize,
        rows: &[u32],
        labelled: usize,
        control: Control<'_>,
    ) -> Result<Option<String>> {
        let witness = Witness::default();
        let followed = Followed {
            witness: Some(&witness),
            control,
        };
        self.optimizer.clear(self.backend);
        let loss = self.micro_batch(step, index, rows, labelled, followed)?;
        let gradient = self.optimizer.non_finite_gradient(self.backend);
        let of = gradient.map(|name| format!("gradient of {name}"));
        Ok(match (witness.first(), of) {
            (Some(place), Some(of)) if place.starts_with("gradient") => {
                Some(format!("first not finite: {place}, then {of}"))
            }
            (Some(place), _) => Some(format!("first not finite: {place}")),
            (None, Some(of)) => Some(format!("first not finite: {of}")),
            (None, None) => (!loss.is_finite()).then(|| "only the loss itself is not finite".to_owned()),
        })
    }

    /// Ids of rows, and a few of them in words.
    pub(super) fn named(&self, rows: &[u32]) -> (Vec<String>, String) {
        const SHOWN: usize = 8;
        let id = |&row: &u32| match self.request.row_ids.get(row as usize) {
            Some(id) => id.clone(),
            None => (row + 1).to_string(),
        };
        let ids: Vec<String> = rows.iter().take(MAX_ROWS).map(id).collect();
        let shown: Vec<String> = ids.iter().take(SHOWN).map(|id| format!("\"{id}\"")).collect();
        let more = match rows.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (ids, format!("rows {}{more}", shown.join(", ")))
    }
}
