//! Replies after every epoch, with the adapter as it is then.

use super::SampleRequest;
use super::run::Run;
use super::trained::Trained;
use crate::backend::Backend;
use crate::batch::TokenRow;
use crate::control::Control;
use crate::decoder::PASS_TOKENS;
use crate::generate::{Finish, GenerateOptions, Generated, Prompt, generate};
use crate::sample::{Ending, Sample};
use crate::shape::ModelShape;
use crate::train_config::TrainConfig;
use escada_engine_formats::error::Result;

/// With more epochs than this, replies come after every second, third, … one.
const MAX_SAMPLINGS: usize = 25;

impl<B: Backend> Run<'_, B> {
    /// Whether the last step ends an epoch, its replies are wanted, and not there yet.
    pub(super) fn samples_pending(&self) -> bool {
        let (step, last) = (self.log.len(), self.log.last());
        let wanted = self.request.samples.is_some() && last.is_some_and(|row| row.samples.is_empty());
        let every = self.plan.epoch(self.plan.total_steps - 1) / MAX_SAMPLINGS + 1;
        let (before, after) = (self.plan.epoch(step.saturating_sub(1)), self.plan.epoch(step));
        let ends = after > before && after.is_multiple_of(every);
        wanted && (ends || step == self.plan.total_steps)
    }

    /// Generates the replies that are due and puts them into the log.
    pub(super) fn sample(&mut self, control: Control<'_>) -> Result<()> {
        let (Some(wanted), true) = (&self.request.samples, self.samples_pending()) else {
            return Ok(());
        };
        let Trained::Adapter { model, adapter } = &self.trained else {
            return Ok(());
        };
        let prompt = |(_, row): &(_, TokenRow)| Prompt {
            tokens: row.tokens[..row.labelled_from].to_vec(),
            key: 0,
        };
        let prompts: Vec<Prompt> = wanted.rows.iter().map(prompt).collect();
        let options = GenerateOptions {
            max_new_tokens: longest(wanted, self.request.config),
            batch_rows: prompts.len(),
            sampling: None,
            end_ids: wanted.end_ids,
            stops: &|_| Ok(false),
        };
        let (backend, adapter) = (self.backend, Some(adapter));
        let outcome = generate(
            backend,
            model,
            adapter,
            &prompts,
            &options,
            &mut |_, _| (),
            control,
        )?;
        let epoch = self.plan.epoch(self.log.len() - 1) + 1;
        let sample = |((id, row), reply): (&(String, TokenRow), &Generated)| {
            Ok(Sample {
                epoch,
                id: id.clone(),
                text: (wanted.text)(&reply.tokens)?,
                new_tokens: reply.tokens.len(),
                gold_tokens: row.labelled(),
                finish: match reply.finish {
                    Finish::Stop => Ending::Stop,
                    Finish::Length => Ending::Length,
                },
            })
        };
        let samples = wanted.rows.iter().zip(&outcome.rows).map(sample);
        let samples = samples.collect::<Result<Vec<_>>>()?;
        if let Some(last) = self.log.last_mut() {
            last.samples = samples;
        }
        Ok(())
    }
}

/// Tokens of a reply at most: half as many again as the longest answer tell whether a model ends its turns.
fn longest(wanted: &SampleRequest<'_>, config: &TrainConfig) -> usize {
    let answer = wanted
        .rows
        .iter()
        .map(|(_, row)| row.labelled())
        .max()
        .unwrap_or(0);
    config.sample_max_new_tokens.min(answer + answer.div_ceil(2))
}

/// Bytes that generating the replies takes: cached keys and values, the widest pass, logits.
pub(super) fn sampling_bytes(shape: &ModelShape, wanted: &SampleRequest<'_>, config: &TrainConfig) -> u64 {
    let longest = longest(wanted, config);
    let prompt = wanted
        .rows
        .iter()
        .map(|(_, row)| row.labelled_from)
        .max()
        .unwrap_or(0);
    let rows = wanted.rows.len();
    // A shared prefix, and a slot to spare for one, are no longer than a prompt each.
    let cached = (rows * (prompt + longest) + 2 * prompt) * shape.kv_width() * 2 * shape.layers;
    let widest = 4 * shape.hidden + 2 * shape.query_width() + 2 * shape.kv_width() + 3 * shape.intermediate;
    let pass = PASS_TOKENS.min(rows * prompt) * widest;
    ((cached + pass + rows * shape.vocabulary) * size_of::<f32>()) as u64
}
