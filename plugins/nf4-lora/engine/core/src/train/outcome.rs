//! What a run tells: after every step, and at its end.

use super::run::Run;
use super::{TrainEvent, TrainResult};
use crate::backend::Backend;
use crate::control::Control;
use crate::process;
use escada_engine_formats::error::{Code, EngineError, Result};

impl<B: Backend> Run<'_, B> {
    /// Progress after the last step of the log.
    pub(super) fn event(&self, tokens_per_second: f64) -> TrainEvent {
        let last = &self.log[self.log.len() - 1];
        let steps = last.step - self.resumed_from;
        let per_step = self.started.elapsed().as_secs_f64() / steps as f64;
        TrainEvent {
            step: last.step,
            total_steps: self.plan.total_steps,
            loss_nats: last.loss_nats,
            learning_rate: last.learning_rate,
            gradient_norm: last.gradient_norm,
            tokens_per_second,
            eta_seconds: per_step * (self.plan.total_steps - last.step) as f64,
            rss_bytes: process::rss_bytes(),
            planned_peak_bytes: self.planned_peak_bytes,
            checkpoint_step: self.checkpoint_step,
            skipped_steps: self.skipped_steps(),
            warnings: last.warnings.clone(),
            samples: last.samples.clone(),
        }
    }

    /// Writes what was trained.
    pub(super) fn finish(self, control: Control<'_>) -> Result<TrainResult> {
        let mut losses = self
            .log
            .iter()
            .filter(|row| !row.skipped)
            .filter_map(|row| row.loss_nats);
        let Some(first) = losses.next() else {
            let message = "every step was skipped because it was not finite: nothing was learnt";
            return Err(EngineError::new(Code::NonFinite, message));
        };
        let last = losses.next_back().unwrap_or(first);
        let skipped_steps = self.skipped_steps();
        // What was trained is copied to be written: the memory of the pass makes room for it.
        drop(self.pass);
        let made = self.trained.write(self.backend, self.request, control)?;
        Ok(TrainResult {
            made,
            steps: self.log.len(),
            loss_first_nats: first,
            loss_last_nats: last,
            skipped_steps,
            labelled_tokens: self.log.iter().map(|r| r.labelled_tokens).sum(),
            seconds: self.started.elapsed().as_secs_f64(),
            resumed_from_step: self.resumed_from,
            planned_peak_bytes: self.planned_peak_bytes,
            memory_plan: self.memory_plan,
            arithmetic: self.backend.arithmetic(),
        })
    }
}
