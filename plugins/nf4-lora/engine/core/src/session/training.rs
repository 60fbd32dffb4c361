//! `train`: an adapter on the loaded model, or all of its weights.

use super::Session;
use super::generation::text_of;
use crate::backend::Backend;
use crate::batch::TokenRow;
use crate::control::Control;
use crate::json_lines;
use crate::loaded::{Loaded, WeightFormat, digest_of};
use crate::requests::{ChatRow, TrainParams};
use crate::rng;
use crate::train::{SampleRequest, TrainEvent, TrainRequest, TrainResult, train, train_full};
use crate::train_config::Method;
use escada_engine_formats::ModelSource;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::path::Path;

impl<B: Backend> Session<B> {
    /// Trains, resuming where an interrupted run stopped. Full fine-tuning gives up the loaded weights first, so that no
    /// model is held twice, and loads the model again afterwards.
    pub fn train(
        &mut self,
        params: &TrainParams,
        emit: &mut dyn FnMut(TrainEvent),
        control: Control<'_>,
    ) -> Result<TrainResult> {
        let loaded = self.model()?;
        let (row_ids, rows) = token_rows(loaded, &params.rows_path, control)?;
        let base_path = loaded.path.to_string_lossy().into_owned();
        let request = TrainRequest {
            rows: &rows,
            row_ids: &row_ids,
            config: &params.config,
            out_dir: &params.out_dir,
            model_digest: &loaded.identity(),
            base_model: params.base_model.as_deref().unwrap_or(&base_path),
            engine_build: &self.engine_build,
            samples: None,
        };
        if params.config.method == Method::Lora {
            let sampled = sample_rows(loaded, params, (&row_ids, &rows), control)?;
            let text = |ids: &[u32]| text_of(loaded, ids, &[]);
            let samples = (!sampled.is_empty()).then(|| SampleRequest {
                rows: &sampled,
                end_ids: loaded.tokenizer.eos_ids(),
                text: &text,
            });
            let request = TrainRequest { samples, ..request };
            return train(&self.backend, &loaded.model, &request, emit, control);
        }
        check_full(loaded, params)?;
        let (path, quantization) = (loaded.path.clone(), loaded.quantization);
        self.loaded = None;
        let result = train_full(&self.backend, &path, &request, emit, control);
        // Cancelled or not: the next request wants it.
        match Loaded::open(&self.backend, &path, quantization) {
            Ok(again) => self.loaded = Some(again),
            // The next request says that no model is loaded; what this one did is kept.
            Err(error) => eprintln!("the model is not loaded again: {error}"),
        }
        result
    }
}

/// Ids and tokens of the rows.
fn token_rows<B: Backend>(
    loaded: &Loaded<B>,
    path: &Path,
    control: Control<'_>,
) -> Result<(Vec<String>, Vec<TokenRow>)> {
    let row = |(i, row): (usize, ChatRow)| match &row.answer {
        Some(answer) => {
            control.poll(|| "reading the training rows".to_owned())?;
            match loaded.row(&row.messages, answer) {
                Ok(tokens) => Ok((row.id, tokens)),
                Err(error) => Err(error.in_row(&row.id)),
            }
        }
        None => Err(EngineError::new(
            Code::TrainingDataInvalid,
            format!("row {} (id \"{}\") has no answer", i + 1, row.id),
        )),
    };
    let rows = json_lines::read(path)?;
    rows.into_iter().enumerate().map(row).collect()
}

/// The rows whose prompts are answered after every epoch: chosen by the seed, out of those that fit the context.
fn sample_rows<B: Backend>(
    loaded: &Loaded<B>,
    params: &TrainParams,
    (ids, rows): (&[String], &[TokenRow]),
    control: Control<'_>,
) -> Result<Vec<(String, TokenRow)>> {
    let count = params.config.sample_rows;
    if count == 0 {
        return Ok(Vec::new());
    }
    let own = params
        .samples_path
        .as_deref()
        .map(|path| token_rows(loaded, path, control));
    let own = own.transpose()?;
    let (ids, rows) = own.as_ref().map_or((ids, rows), |(ids, rows)| (ids, rows));
    let context = loaded.model.shape.context_tokens;
    let fits = |&i: &u32| rows[i as usize].tokens.len() <= context && rows[i as usize].labelled_from > 0;
    let chosen = rng::permutation(params.config.seed ^ rng::stream_of("samples"), 0, rows.len());
    let chosen = chosen.into_iter().filter(fits).take(count);
    let row = |i: u32| (ids[i as usize].clone(), rows[i as usize].clone());
    Ok(chosen.map(row).collect())
}

/// Full fine-tuning reads the weights again, in 32 bits: the file must still be what was loaded, and loaded as f32.
fn check_full<B: Backend>(loaded: &Loaded<B>, params: &TrainParams) -> Result<()> {
    params.config.check()?;
    if loaded.quantization.format != WeightFormat::F32 {
        let message = "config.method: \"full\" trains 32-bit weights and the model is loaded in NF4; load it with \
                       weightFormat \"f32\", or train an adapter with method \"lora\"";
        return Err(EngineError::new(Code::RequestInvalid, message));
    }
    if digest_of(&ModelSource::open(&loaded.path)?, &loaded.template)? != loaded.digest {
        let detail = "it is not the file any more that was loaded; load it again";
        return Err(EngineError::invalid_file(&loaded.path, detail));
    }
    Ok(())
}
