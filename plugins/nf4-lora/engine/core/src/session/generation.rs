//! `generate`: from request rows to text rows.

use super::Session;
use super::reporter::Reporter;
use crate::backend::Backend;
use crate::control::Control;
use crate::generate::{Finish, GenerateOptions, Prompt, generate};
use crate::json_lines;
use crate::loaded::Loaded;
use crate::requests::{GenerateParams, GenerateResult, GenerateRow, PromptRow, RowProgress};
use crate::rng;
use crate::sampling::Sampling;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::time::Instant;

impl<B: Backend> Session<B> {
    /// Generates for every request; greedy at temperature 0.
    pub fn generate(
        &self,
        params: &GenerateParams,
        emit: &mut dyn FnMut(RowProgress),
        control: Control<'_>,
    ) -> Result<GenerateResult> {
        let started = Instant::now();
        check_generate(params)?;
        let loaded = self.model()?;
        let requests: Vec<PromptRow> = json_lines::read(&params.requests_path)?;
        let prompt = |r: &PromptRow| {
            control.poll(|| "reading the requests".to_owned())?;
            Ok(Prompt {
                tokens: loaded.prompt_of(r)?,
                key: rng::stream_of(&r.id),
            })
        };
        let prompts = requests.iter().map(prompt).collect::<Result<Vec<_>>>()?;
        let own = requests
            .iter()
            .map(|r| (r.id.as_str(), r.adapter_path.as_deref()));
        let adapters = self.adapters(loaded, params.adapter_path.as_deref(), own)?;
        let sampling = Sampling {
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
            min_p: params.min_p,
            repetition_penalty: params.repetition_penalty,
            seed: params.seed,
        };
        let stops = |ids: &[u32]| {
            let text = if params.stop.is_empty() {
                None
            } else {
                Some(loaded.tokenizer.decode(ids, true)?)
            };
            Ok(text.is_some_and(|text| params.stop.iter().any(|stop| text.contains(stop))))
        };
        let options = GenerateOptions {
            max_new_tokens: params.max_new_tokens,
            batch_rows: params.batch_rows,
            sampling: (!sampling.is_plain_greedy()).then_some(sampling),
            end_ids: loaded.tokenizer.eos_ids(),
            stops: &stops,
        };
        let mut report = Reporter::new(prompts.len(), emit);
        let mut progress = |done, tokens| report.progress(done, tokens);
        let (backend, model) = (&self.backend, &loaded.model);
        let outcome = generate(
            backend,
            model,
            adapters.rows(),
            &prompts,
            &options,
            &mut progress,
            control,
        )?;
        let mut rows = Vec::with_capacity(requests.len());
        for ((request, prompt), generated) in requests.iter().zip(&prompts).zip(&outcome.rows) {
            rows.push(GenerateRow {
                id: request.id.clone(),
                text: text_of(loaded, &generated.tokens, &params.stop)?,
                prompt_tokens: prompt.tokens.len(),
                new_tokens: generated.tokens.len(),
                finish: if generated.finish == Finish::Stop {
                    "stop"
                } else {
                    "length"
                },
            });
        }
        json_lines::write(&params.out_path, &rows)?;
        Ok(GenerateResult {
            rows: rows.len(),
            prompt_tokens: rows.iter().map(|r| r.prompt_tokens).sum(),
            shared_prefix_tokens: outcome.shared_prefix_tokens,
            new_tokens: rows.iter().map(|r| r.new_tokens).sum(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

fn check_generate(params: &GenerateParams) -> Result<()> {
    let fields = [
        ("maxNewTokens", params.max_new_tokens > 0),
        ("batchRows", params.batch_rows > 0),
        (
            "temperature",
            params.temperature.is_finite() && params.temperature >= 0.0,
        ),
        ("topP", params.top_p > 0.0 && params.top_p <= 1.0),
        ("minP", (0.0..=1.0).contains(&params.min_p)),
        (
            "repetitionPenalty",
            params.repetition_penalty.is_finite() && params.repetition_penalty > 0.0,
        ),
        ("stop", params.stop.iter().all(|s| !s.is_empty())),
    ];
    match fields.iter().find(|(_, good)| !good) {
        None => Ok(()),
        Some((name, _)) => Err(EngineError::new(
            Code::RequestInvalid,
            format!("{name}: value out of range"),
        )),
    }
}

/// Text of new tokens without the end token, cut before the first stop string.
pub(super) fn text_of<B: Backend>(loaded: &Loaded<B>, ids: &[u32], stop: &[String]) -> Result<String> {
    let ended = ids
        .split_last()
        .filter(|(last, _)| loaded.tokenizer.eos_ids().contains(last));
    let mut text = loaded
        .tokenizer
        .decode(ended.map_or(ids, |(_, rest)| rest), true)?;
    if let Some(at) = stop.iter().filter_map(|s| text.find(s)).min() {
        text.truncate(at);
    }
    Ok(text)
}
