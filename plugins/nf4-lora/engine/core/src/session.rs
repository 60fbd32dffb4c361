//! The engine's operations over one loaded model: what the protocol serves.

mod adapters;
mod embedding;
mod generation;
mod reporter;
mod scoring;
mod training;

use crate::backend::Backend;
use crate::control::{Control, SIGN_PERIOD, Signs};
use crate::export::{ExportFormat, ExportParams, ExportResult, export};
use crate::export_check::check;
use crate::json_lines;
use crate::loaded::{Loaded, Quantization};
use crate::process;
use crate::requests::*;
use escada_engine_formats::error::{Code, EngineError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Makes a back end with the given number of threads (`None` = all cores).
pub type MakeBackend<B> = Box<dyn Fn(Option<usize>) -> Result<B> + Send>;

/// One engine: a back end and at most one model.
pub struct Session<B: Backend> {
    make: MakeBackend<B>,
    backend: B,
    engine_build: String,
    loaded: Option<Loaded<B>>,
}

impl<B: Backend> Session<B> {
    /// `engine_build` names the code that decides a result; checkpoints of another build are not resumed from.
    pub fn new(engine_build: impl Into<String>, make: MakeBackend<B>) -> Result<Self> {
        let backend = make(None)?;
        Ok(Self {
            make,
            backend,
            engine_build: engine_build.into(),
            loaded: None,
        })
    }

    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The model, once loaded.
    pub fn loaded(&self) -> Option<&Loaded<B>> {
        self.loaded.as_ref()
    }

    /// Runs an operation by its protocol name; long ones give signs of life between their events. Errors: `RequestInvalid` for an unknown name or bad parameters.
    pub fn run(
        &mut self,
        method: &str,
        params: Value,
        emit: &mut dyn FnMut(Value),
        cancelled: &AtomicBool,
    ) -> Result<Value> {
        let emit = RefCell::new(emit);
        let emit = |event: Value| emit.borrow_mut()(event);
        let tell = |doing: &str| emit(json!({ "kind": "alive", "doing": doing }));
        let signs = Signs::new(SIGN_PERIOD, &tell);
        let control = Control::new(cancelled, &signs);
        match method {
            "load" => to_json(self.load(&parse(params)?, control)?),
            "count" => to_json(self.count(&parse(params)?, control)?),
            "generate" => to_json(self.generate(&parse(params)?, &mut forward(&emit), control)?),
            "score" => to_json(self.score(&parse(params)?, &mut forward(&emit), control)?),
            "embed" => to_json(self.embed(&parse(params)?, &mut forward(&emit), control)?),
            "export" => to_json(self.export(&parse(params)?, control)?),
            "train" => to_json(self.train(&parse(params)?, &mut forward(&emit), control)?),
            _ => Err(EngineError::new(
                Code::RequestInvalid,
                format!("method: `{method}` is not known"),
            )),
        }
    }

    /// Loads a model in place of the one before.
    pub fn load(&mut self, params: &LoadParams, control: Control<'_>) -> Result<LoadResult> {
        let started = Instant::now();
        // The old weights go first: two models need not fit.
        self.loaded = None;
        if params
            .threads
            .is_some_and(|threads| threads != self.backend.threads())
        {
            self.backend = (self.make)(params.threads)?;
        }
        let quantization = Quantization {
            format: params.weight_format,
            block_size: params.block_size,
            double_quant: params.double_quant,
        };
        let loaded = Loaded::open_with(&self.backend, &params.path, quantization, control)?;
        let shape = &loaded.model.shape;
        let result = LoadResult {
            model_digest: loaded.digest.clone(),
            architecture: loaded.architecture.clone(),
            layers: shape.layers,
            hidden_size: shape.hidden,
            vocabulary_size: shape.vocabulary,
            context_tokens: shape.context_tokens,
            chat_template: loaded.template.origin().to_owned(),
            system_turns: loaded.template.system_turns(),
            parameters: loaded.parameters,
            weight_bytes: loaded.model.weight_bytes(&self.backend),
            rss_bytes: process::rss_bytes(),
            seconds: started.elapsed().as_secs_f64(),
        };
        self.loaded = Some(loaded);
        Ok(result)
    }

    /// Token counts of prompts and answers.
    pub fn count(&self, params: &CountParams, control: Control<'_>) -> Result<CountResult> {
        let started = Instant::now();
        let loaded = self.model()?;
        let count = |row: ChatRow| {
            control.poll(|| "counting the rows".to_owned())?;
            let (prompt_tokens, answer_tokens) = match &row.answer {
                None => (
                    loaded.prompt(&row.messages).map_err(|e| e.in_row(&row.id))?.len(),
                    0,
                ),
                Some(answer) => {
                    let tokens = loaded.row(&row.messages, answer).map_err(|e| e.in_row(&row.id))?;
                    (tokens.labelled_from, tokens.labelled())
                }
            };
            Ok(CountRow {
                id: row.id,
                prompt_tokens,
                answer_tokens,
            })
        };
        let rows = json_lines::read(&params.rows_path)?
            .into_iter()
            .map(count)
            .collect::<Result<Vec<_>>>()?;
        json_lines::write(&params.out_path, &rows)?;
        Ok(CountResult {
            rows: rows.len(),
            context_tokens: loaded.model.shape.context_tokens,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Writes an export; with `check` the loaded model must be its base.
    pub fn export(&self, params: &ExportParams, control: Control<'_>) -> Result<ExportResult> {
        let Some(ask) = &params.check else {
            return export(params, control);
        };
        if params.format == ExportFormat::GgufLora {
            let message = "check: an adapter alone answers nothing; leave `check` out";
            return Err(EngineError::new(Code::RequestInvalid, message));
        }
        let started = Instant::now();
        let loaded = self.model()?;
        let result = export(params, control)?;
        let drift = check(&self.backend, loaded, params, ask, control)?;
        Ok(ExportResult {
            drift: Some(drift),
            seconds: started.elapsed().as_secs_f64(),
            ..result
        })
    }

    fn model(&self) -> Result<&Loaded<B>> {
        self.loaded
            .as_ref()
            .ok_or_else(|| EngineError::new(Code::RequestInvalid, "no model is loaded: send `load` first"))
    }
}

fn parse<T: DeserializeOwned>(params: Value) -> Result<T> {
    serde_json::from_value(params).map_err(|e| EngineError::new(Code::RequestInvalid, format!("params: {e}")))
}

fn to_json(value: impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| EngineError::new(Code::Internal, e.to_string()))
}

/// Events as JSON; a value that cannot be written is dropped (none of ours is such).
fn forward<T: Serialize>(emit: &dyn Fn(Value)) -> impl FnMut(T) {
    move |event| {
        if let Ok(value) = serde_json::to_value(event) {
            emit(value);
        }
    }
}
