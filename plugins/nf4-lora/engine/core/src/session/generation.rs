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
use serde_json::json;
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
        let context = loaded.model.shape.context_tokens;
        let prompt = |r: &PromptRow| {
            control.poll(|| "reading the requests".to_owned())?;
            let tokens = loaded.prompt_of(r)?;
            // Room for one token of an answer, at least.
            fitting(&r.id, tokens.len() + 1, context)?;
            Ok(Prompt {
                tokens,
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
        let stops =
            |ids: &[u32]| ends_with_stop(&params.stop, ids, &|ids| loaded.tokenizer.decode(ids, true));
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

/// Tokens before a stop string's own that are looked at with it: the first ones of a text may be decoded differently.
const STOP_MARGIN: usize = 8;

/// Whether the text of `ids` holds one of the stop strings, where that of all but the last token did not. Looks at the
/// last tokens only, as many as the longest stop string may have, so that a long reply costs no more a token than a short
/// one; what is found there is sought in the whole text before it counts.
fn ends_with_stop(stop: &[String], ids: &[u32], decode: &dyn Fn(&[u32]) -> Result<String>) -> Result<bool> {
    let Some(longest) = stop.iter().map(String::len).max() else {
        return Ok(false);
    };
    let holds = |text: &str| stop.iter().any(|stop| text.contains(stop));
    let mut tokens = longest + STOP_MARGIN;
    while tokens < ids.len() {
        let text = decode(&ids[ids.len() - tokens..])?;
        if holds(&text) {
            break;
        }
        // Tokens without text are among them where it is shorter.
        if text.len() >= longest + STOP_MARGIN / 2 {
            return Ok(false);
        }
        tokens *= 2;
    }
    Ok(holds(&decode(ids)?))
}

/// Errors: `PromptTooLong` names the row, its tokens and the context.
pub(super) fn fitting(id: &str, tokens: usize, context: usize) -> Result<()> {
    if tokens <= context {
        return Ok(());
    }
    let message = format!(
        "{tokens} tokens, what is to be written included, do not fit the model's context of {context}; \
         shorten or leave out this row, or show fewer demonstrations or passages"
    );
    let fields = json!({ "tokens": tokens, "contextTokens": context });
    Err(EngineError::new(Code::PromptTooLong, message)
        .with_fields(fields)
        .in_row(id))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Token `n` is the n-th letter; 26 has no text. As many decoders do, it drops a blank (27) at the start.
    fn decode(ids: &[u32]) -> String {
        let letter = |id: &u32| match id {
            26 => None,
            27 => Some(' '),
            id => char::from_u32(97 + id),
        };
        let text: String = ids.iter().filter_map(letter).collect();
        text.strip_prefix(' ').map(str::to_owned).unwrap_or(text)
    }

    #[test]
    fn a_stop_string_is_found_as_in_the_whole_text_at_a_cost_that_does_not_grow() -> Result<()> {
        let stop = ["ab c".to_owned(), "zz".to_owned()];
        let mut random = 7u32;
        for round in 0..200 {
            let mut ids = Vec::new();
            for _ in 0..300 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Few letters, so that stop strings come; in some rounds hardly any text at all.
                let id = [0, 1, 27, 2, 25, 26, 26][(random >> 24) as usize % (5 + round % 3)];
                ids.push(if round % 10 == 9 && !random.is_multiple_of(16) {
                    26
                } else {
                    id
                });
                let (whole, seen) = (decode(&ids), RefCell::new(0));
                let found = ends_with_stop(&stop, &ids, &|ids| {
                    *seen.borrow_mut() += ids.len();
                    Ok(decode(ids))
                })?;
                let wanted = stop.iter().any(|stop| whole.contains(stop));
                assert_eq!(found, wanted, "{whole}");
                if wanted {
                    break;
                }
                if !ids.contains(&26) {
                    assert!(seen.into_inner() <= 2 * (4 + STOP_MARGIN), "{} tokens", ids.len());
                }
            }
        }
        assert!(!ends_with_stop(&[], &[1, 2], &|ids| Ok(decode(ids)))?);
        Ok(())
    }
}
