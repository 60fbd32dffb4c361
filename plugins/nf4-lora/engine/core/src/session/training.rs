//! `train`: an adapter on the loaded model, or all of its weights.

use super::Session;
use crate::backend::Backend;
use crate::batch::TokenRow;
use crate::json_lines;
use crate::loaded::{Loaded, WeightFormat};
use crate::requests::{ChatRow, TrainParams};
use crate::train::{TrainEvent, TrainRequest, TrainResult, train, train_full};
use crate::train_config::Method;
use escada_engine_formats::ModelSource;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::sync::atomic::AtomicBool;

impl<B: Backend> Session<B> {
    /// Trains, resuming where an interrupted run stopped. Training all weights gives up the loaded ones first, so that no
    /// model is held twice, and loads the model again afterwards.
    pub fn train(
        &mut self,
        params: &TrainParams,
        emit: &mut dyn FnMut(TrainEvent),
        cancelled: &AtomicBool,
    ) -> Result<TrainResult> {
        let loaded = self.model()?;
        let (row_ids, rows) = token_rows(loaded, params)?;
        let request = TrainRequest {
            rows: &rows,
            row_ids: &row_ids,
            config: &params.config,
            out_dir: &params.out_dir,
            model_digest: &loaded.identity(),
            engine_build: &self.engine_build,
        };
        if params.config.method == Method::Lora {
            return train(&self.backend, &loaded.model, &request, emit, cancelled);
        }
        check_full(loaded, params)?;
        let (path, quantization) = (loaded.path.clone(), loaded.quantization);
        self.loaded = None;
        let result = train_full(&self.backend, &path, &request, emit, cancelled);
        match Loaded::open(&self.backend, &path, quantization) {
            Ok(again) => self.loaded = Some(again),
            // The next request says that no model is loaded; what this one did stands.
            Err(error) => eprintln!("the model is not loaded again: {error}"),
        }
        result
    }
}

/// Ids and tokens of the rows.
fn token_rows<B: Backend>(loaded: &Loaded<B>, params: &TrainParams) -> Result<(Vec<String>, Vec<TokenRow>)> {
    let row = |(i, row): (usize, ChatRow)| match &row.answer {
        Some(answer) => Ok((row.id, loaded.row(&row.messages, answer)?)),
        None => Err(EngineError::new(
            Code::TrainingDataInvalid,
            format!("row {} (id \"{}\") has no answer", i + 1, row.id),
        )),
    };
    let rows = json_lines::read(&params.rows_path)?;
    rows.into_iter().enumerate().map(row).collect()
}

/// Full fine-tuning reads the weights again, in 32 bits: the file must still be what was loaded, and loaded as f32.
fn check_full<B: Backend>(loaded: &Loaded<B>, params: &TrainParams) -> Result<()> {
    params.config.check()?;
    if loaded.quantization.format != WeightFormat::F32 {
        let message = "config.method: \"full\" trains 32-bit weights and the model is loaded in NF4; load it with \
                       weightFormat \"f32\", or train an adapter with method \"lora\"";
        return Err(EngineError::new(Code::RequestInvalid, message));
    }
    if ModelSource::open(&loaded.path)?.digest()? != loaded.digest {
        let detail = "it is not the file any more that was loaded; load it again";
        return Err(EngineError::invalid_file(&loaded.path, detail));
    }
    Ok(())
}
