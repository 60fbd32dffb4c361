//! `score`: from request rows to log-probabilities.

use super::Session;
use super::generation::fitting;
use super::reporter::Reporter;
use crate::backend::Backend;
use crate::control::Control;
use crate::json_lines;
use crate::requests::{RowProgress, ScoreParams, ScoreResult, ScoreRow, ScoreRowIn, ScoreValue};
use crate::score::{ScoreRequest, score};
use escada_engine_formats::error::Result;
use std::time::Instant;

impl<B: Backend> Session<B> {
    /// Log-probabilities of every request's continuations.
    pub fn score(
        &self,
        params: &ScoreParams,
        emit: &mut dyn FnMut(RowProgress),
        control: Control<'_>,
    ) -> Result<ScoreResult> {
        let started = Instant::now();
        let loaded = self.model()?;
        let rows: Vec<ScoreRowIn> = json_lines::read(&params.requests_path)?;
        let context = loaded.model.shape.context_tokens;
        let request = |row: &ScoreRowIn| {
            control.poll(|| "reading the requests".to_owned())?;
            let continuations = row
                .continuations
                .iter()
                .map(|c| loaded.text(c))
                .collect::<Result<Vec<_>>>()
                .map_err(|error| error.in_row(&row.prompt.id))?;
            let prompt = loaded.prompt_of(&row.prompt)?;
            let longest = continuations.iter().map(Vec::len).max().unwrap_or(0);
            fitting(&row.prompt.id, prompt.len() + longest, context)?;
            Ok(ScoreRequest {
                prompt,
                continuations,
            })
        };
        let requests = rows.iter().map(request).collect::<Result<Vec<_>>>()?;
        let own = rows
            .iter()
            .map(|r| (r.prompt.id.as_str(), r.prompt.adapter_path.as_deref()));
        let adapters = self.adapters(loaded, params.adapter_path.as_deref(), own)?;
        let mut report = Reporter::new(requests.len(), emit);
        let mut progress = |done, tokens| report.progress(done, tokens);
        let (backend, model) = (&self.backend, &loaded.model);
        let scores = score(backend, model, adapters.rows(), &requests, &mut progress, control)?;
        let tokens = scores.iter().flatten().map(|s| s.tokens).sum();
        let value = |s: crate::score::Score| ScoreValue {
            log_prob_nats: s.log_prob_nats,
            tokens: s.tokens,
        };
        let out: Vec<ScoreRow> = rows
            .into_iter()
            .zip(scores)
            .map(|(row, scores)| ScoreRow {
                id: row.prompt.id,
                scores: scores.into_iter().map(value).collect(),
            })
            .collect();
        json_lines::write(&params.out_path, &out)?;
        Ok(ScoreResult {
            rows: out.len(),
            tokens,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}
