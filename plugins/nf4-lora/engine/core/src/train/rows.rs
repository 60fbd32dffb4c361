//! The rows of a training: which are refused, and their digest.

use crate::batch::TokenRow;
use crate::schedule::{StepPlan, units};
use crate::train_config::{MAX_STEPS, TrainConfig};
use escada_engine_formats::error::{Code, EngineError, Result};
use sha2::{Digest, Sha256};

/// Refuses rows that cannot be trained on as they are; nothing is ever cut silently.
pub(super) fn check_rows(
    (ids, rows): (&[String], &[TokenRow]),
    config: &TrainConfig,
    context_tokens: usize,
) -> Result<()> {
    let refuse = |what: String| Err(EngineError::new(Code::TrainingDataInvalid, what));
    if rows.is_empty() {
        return refuse("there are no training rows".to_owned());
    }
    if let Some(i) = rows
        .iter()
        .position(|r| r.labelled_from == 0 || r.labelled_from >= r.tokens.len())
    {
        return refuse(format!("row {} has no prompt or no answer", i + 1));
    }
    let limit = config.max_seq_length_tokens.min(context_tokens);
    let long = rows.iter().filter(|r| r.tokens.len() > limit).count();
    let longest = rows.iter().enumerate().max_by_key(|(_, row)| row.tokens.len());
    let Some((at, longest)) = longest.filter(|_| long > 0) else {
        return Ok(());
    };
    // No setting makes room beyond the context.
    let way_out = if limit < context_tokens {
        "raise maxSeqLengthTokens, or "
    } else {
        ""
    };
    refuse(format!(
        "{long} of {} rows are longer than {limit} tokens (longest: {} in row {}{}; maxSeqLengthTokens {}, the \
         model's context {context_tokens}): {way_out}shorten or leave out these rows",
        rows.len(),
        longest.tokens.len(),
        at + 1,
        ids.get(at)
            .map_or_else(String::new, |id| format!(", id \"{id}\"")),
        config.max_seq_length_tokens
    ))
}

/// A run must come to an end: epochs count like steps.
pub(super) fn check_steps(rows: &[TokenRow], config: &TrainConfig) -> Result<()> {
    let lengths: Vec<usize> = rows.iter().map(|row| row.tokens.len()).collect();
    let steps = StepPlan::new(config, units(config, &lengths).len()).total_steps;
    if steps <= MAX_STEPS {
        return Ok(());
    }
    let message =
        format!("config.numTrainEpochs: {steps} steps are more than the {MAX_STEPS} that a run may have");
    Err(EngineError::new(Code::RequestInvalid, message))
}

/// SHA-256 over all token ids and label borders.
pub(super) fn rows_digest<'a>(rows: impl Iterator<Item = &'a TokenRow>) -> String {
    let mut hasher = Sha256::new();
    for row in rows {
        hasher.update((row.tokens.len() as u64).to_le_bytes());
        hasher.update((row.labelled_from as u64).to_le_bytes());
        row.tokens.iter().for_each(|id| hasher.update(id.to_le_bytes()));
    }
    escada_engine_formats::atomic::hex(&hasher.finalize())
}
