//! Whether an exported model still answers as base and adapter do: the same prompts, greedily, through both.

use crate::adapter_file;
use crate::backend::Backend;
use crate::control::Control;
use crate::export::{ExportFormat, ExportParams};
use crate::generate::{GenerateOptions, Prompt, generate};
use crate::json_lines;
use crate::loaded::{Loaded, Quantization, WeightFormat};
use crate::lora::Adapter;
use crate::requests::PromptRow;
use crate::score::{ScoreRequest, score};
use escada_engine_formats::error::{Code, EngineError, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What an export is tried on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckParams {
    /// Rows `{ id, messages | prompt }`.
    pub requests_path: PathBuf,
    pub max_new_tokens: usize,
    pub batch_rows: usize,
}

/// How far the exported model is from base and adapter.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    pub rows: usize,
    /// Rows whose greedy answers are equal, token for token.
    pub equal_answers: usize,
    /// Over the tokens of base and adapter's answers: mean of |ln p - ln p'| of an answer, per token, in nats. NaN (null in JSON) where
    /// one of them is not finite.
    pub log_prob_difference_nats: f64,
}

/// Greedy answers of base and adapter, then the same prompts and the probability of the same answers in the export.
///
/// `loaded` is the base as it was measured, whichever weights were merged. Errors: `RequestInvalid` without rows; those of reading the export.
pub fn check<B: Backend>(
    backend: &B,
    loaded: &Loaded<B>,
    params: &ExportParams,
    ask: &CheckParams,
    control: Control<'_>,
) -> Result<Drift> {
    let rows: Vec<PromptRow> = json_lines::read(&ask.requests_path)?;
    if rows.is_empty() {
        return Err(EngineError::new(
            Code::RequestInvalid,
            "check.requestsPath: there are no rows to compare on",
        ));
    }
    if let Some(row) = rows.iter().find(|row| row.adapter_path.is_some()) {
        let message = format!(
            "check.requestsPath, row \"{}\": adapterPath: the export is compared with the adapter that it merged; leave it out",
            row.id
        );
        return Err(EngineError::new(Code::RequestInvalid, message));
    }
    let prompts = rows
        .iter()
        .zip(0..)
        .map(|(row, key)| {
            Ok(Prompt {
                tokens: loaded.prompt_of(row)?,
                key,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let adapter = params
        .adapter_path
        .as_deref()
        .map(|folder| adapter_file::load(backend, &loaded.model.shape, folder))
        .transpose()?;
    let before = Side {
        backend,
        loaded,
        adapter: adapter.as_ref(),
    };
    let wanted = before.answers(&prompts, ask, control)?;
    let wanted_scores = before.scores(&prompts, &wanted, control)?;
    let exported = Loaded::open_with(
        backend,
        &params.out_path,
        Quantization {
            format: match params.format {
                ExportFormat::Bnb4bit => WeightFormat::Nf4,
                _ => WeightFormat::F32,
            },
            block_size: params.block_size,
            double_quant: false,
        },
        control,
    )?;
    let after = Side {
        backend,
        loaded: &exported,
        adapter: None,
    };
    let got = after.answers(&prompts, ask, control)?;
    let got_scores = after.scores(&prompts, &wanted, control)?;
    let tokens: usize = wanted.iter().map(Vec::len).sum();
    let difference: f64 = wanted_scores
        .iter()
        .zip(&got_scores)
        .map(|(a, b)| (a - b).abs())
        .sum();
    Ok(Drift {
        rows: rows.len(),
        equal_answers: wanted.iter().zip(&got).filter(|(a, b)| a == b).count(),
        log_prob_difference_nats: difference / tokens.max(1) as f64,
    })
}

struct Side<'a, B: Backend> {
    backend: &'a B,
    loaded: &'a Loaded<B>,
    adapter: Option<&'a Adapter<B>>,
}

impl<B: Backend> Side<'_, B> {
    fn answers(&self, prompts: &[Prompt], ask: &CheckParams, control: Control<'_>) -> Result<Vec<Vec<u32>>> {
        let options = GenerateOptions {
            max_new_tokens: ask.max_new_tokens,
            batch_rows: ask.batch_rows,
            sampling: None,
            end_ids: self.loaded.tokenizer.eos_ids(),
            stops: &|_| Ok(false),
        };
        let (model, adapter) = (&self.loaded.model, self.adapter);
        let outcome = generate(
            self.backend,
            model,
            adapter,
            prompts,
            &options,
            &mut |_, _| (),
            control,
        )?;
        Ok(outcome.rows.into_iter().map(|row| row.tokens).collect())
    }

    /// `ln p` of each answer, in nats.
    fn scores(&self, prompts: &[Prompt], answers: &[Vec<u32>], control: Control<'_>) -> Result<Vec<f64>> {
        let request = |(prompt, answer): (&Prompt, &Vec<u32>)| ScoreRequest {
            prompt: prompt.tokens.clone(),
            continuations: vec![answer.clone()],
        };
        let requests: Vec<ScoreRequest> = prompts.iter().zip(answers).map(request).collect();
        let (model, adapter) = (&self.loaded.model, self.adapter);
        let scores = score(self.backend, model, adapter, &requests, &mut |_, _| (), control)?;
        Ok(scores
            .iter()
            .map(|row| row.iter().map(|s| s.log_prob_nats).sum())
            .collect())
    }
}
