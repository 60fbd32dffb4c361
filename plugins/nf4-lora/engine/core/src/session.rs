//! The engine's operations over one loaded model: what the protocol serves.

use crate::adapter_file;
use crate::backend::Backend;
use crate::export::{ExportFormat, ExportParams, ExportResult, export};
use crate::export_check::check;
use crate::generate::{Finish, GenerateOptions, Prompt, generate};
use crate::json_lines;
use crate::loaded::{Loaded, Quantization};
use crate::lora::Adapter;
use crate::process;
use crate::requests::*;
use crate::rng;
use crate::sampling::Sampling;
use crate::score::{ScoreRequest, score};
use crate::train::{TrainEvent, TrainRequest, TrainResult, train};
use escada_engine_formats::error::{Code, EngineError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Row progress is reported at most this often.
const PROGRESS_PERIOD: Duration = Duration::from_millis(200);

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

    /// Runs an operation by its protocol name. Errors: `RequestInvalid` for an unknown name or bad parameters.
    pub fn run(
        &mut self,
        method: &str,
        params: Value,
        emit: &mut dyn FnMut(Value),
        cancelled: &AtomicBool,
    ) -> Result<Value> {
        match method {
            "load" => to_json(self.load(&parse(params)?)?),
            "count" => to_json(self.count(&parse(params)?)?),
            "generate" => to_json(self.generate(&parse(params)?, &mut forward(emit), cancelled)?),
            "score" => to_json(self.score(&parse(params)?, &mut forward(emit), cancelled)?),
            "export" => to_json(self.export(&parse(params)?, cancelled)?),
            "train" => to_json(self.train(&parse(params)?, &mut forward(emit), cancelled)?),
            _ => Err(EngineError::new(
                Code::RequestInvalid,
                format!("method: `{method}` is not known"),
            )),
        }
    }

    /// Loads a model in place of the one before.
    pub fn load(&mut self, params: &LoadParams) -> Result<LoadResult> {
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
        let loaded = Loaded::open(&self.backend, &params.path, quantization)?;
        let shape = &loaded.model.shape;
        let result = LoadResult {
            model_digest: loaded.digest.clone(),
            architecture: loaded.architecture.clone(),
            layers: shape.layers,
            hidden_size: shape.hidden,
            vocabulary_size: shape.vocabulary,
            context_tokens: shape.context_tokens,
            parameters: loaded.parameters,
            weight_bytes: loaded.model.weight_bytes(&self.backend),
            rss_bytes: process::rss_bytes(),
            seconds: started.elapsed().as_secs_f64(),
        };
        self.loaded = Some(loaded);
        Ok(result)
    }

    /// Token counts of prompts and answers.
    pub fn count(&self, params: &CountParams) -> Result<CountResult> {
        let started = Instant::now();
        let loaded = self.model()?;
        let count = |row: ChatRow| {
            let (prompt_tokens, answer_tokens) = match &row.answer {
                None => (loaded.prompt(&row.messages)?.len(), 0),
                Some(answer) => {
                    let tokens = loaded.row(&row.messages, answer)?;
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
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Generates for every request; greedy at temperature 0.
    pub fn generate(
        &self,
        params: &GenerateParams,
        emit: &mut dyn FnMut(RowProgress),
        cancelled: &AtomicBool,
    ) -> Result<GenerateResult> {
        let started = Instant::now();
        check_generate(params)?;
        let loaded = self.model()?;
        let requests: Vec<PromptRow> = json_lines::read(&params.requests_path)?;
        let prompt = |r: &PromptRow| {
            Ok(Prompt {
                tokens: loaded.prompt_of(r)?,
                key: rng::stream_of(&r.id),
            })
        };
        let prompts = requests.iter().map(prompt).collect::<Result<Vec<_>>>()?;
        let adapter = self.adapter(loaded, params.adapter_path.as_deref())?;
        let sampling = Sampling {
            temperature: params.temperature,
            top_p: params.top_p,
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
            sampling: (params.temperature > 0.0).then_some(sampling),
            end_ids: loaded.tokenizer.eos_ids(),
            stops: &stops,
        };
        let mut report = Reporter::new(prompts.len(), emit);
        let mut progress = |done, tokens| report.progress(done, tokens);
        let (backend, model) = (&self.backend, &loaded.model);
        let outcome = generate(
            backend,
            model,
            adapter.as_ref(),
            &prompts,
            &options,
            &mut progress,
            cancelled,
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

    /// Log-probabilities of every request's continuations.
    pub fn score(
        &self,
        params: &ScoreParams,
        emit: &mut dyn FnMut(RowProgress),
        cancelled: &AtomicBool,
    ) -> Result<ScoreResult> {
        let started = Instant::now();
        let loaded = self.model()?;
        let rows: Vec<ScoreRowIn> = json_lines::read(&params.requests_path)?;
        let request = |row: &ScoreRowIn| {
            let continuations = row
                .continuations
                .iter()
                .map(|c| loaded.text(c))
                .collect::<Result<_>>()?;
            Ok(ScoreRequest {
                prompt: loaded.prompt_of(&row.prompt)?,
                continuations,
            })
        };
        let requests = rows.iter().map(request).collect::<Result<Vec<_>>>()?;
        let adapter = self.adapter(loaded, params.adapter_path.as_deref())?;
        let mut report = Reporter::new(requests.len(), emit);
        let mut progress = |done, tokens| report.progress(done, tokens);
        let (backend, model) = (&self.backend, &loaded.model);
        let scores = score(
            backend,
            model,
            adapter.as_ref(),
            &requests,
            &mut progress,
            cancelled,
        )?;
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

    /// Trains an adapter, resuming where an interrupted run stopped.
    pub fn train(
        &self,
        params: &TrainParams,
        emit: &mut dyn FnMut(TrainEvent),
        cancelled: &AtomicBool,
    ) -> Result<TrainResult> {
        let loaded = self.model()?;
        let row = |(i, row): (usize, ChatRow)| match &row.answer {
            Some(answer) => loaded.row(&row.messages, answer),
            None => Err(EngineError::new(
                Code::TrainingDataInvalid,
                format!("row {} (id \"{}\") has no answer", i + 1, row.id),
            )),
        };
        let rows = json_lines::read(&params.rows_path)?;
        let rows = rows
            .into_iter()
            .enumerate()
            .map(row)
            .collect::<Result<Vec<_>>>()?;
        let request = TrainRequest {
            rows: &rows,
            config: &params.config,
            out_dir: &params.out_dir,
            model_digest: &loaded.identity(),
            engine_build: &self.engine_build,
        };
        train(&self.backend, &loaded.model, &request, emit, cancelled)
    }

    /// Writes an export; with `check` the loaded model must be its base.
    pub fn export(&self, params: &ExportParams, cancelled: &AtomicBool) -> Result<ExportResult> {
        let Some(ask) = &params.check else {
            return export(params, cancelled);
        };
        if params.format == ExportFormat::GgufLora {
            let message = "check: an adapter alone answers nothing; leave `check` out";
            return Err(EngineError::new(Code::RequestInvalid, message));
        }
        let started = Instant::now();
        let loaded = self.model()?;
        let result = export(params, cancelled)?;
        let drift = check(&self.backend, loaded, params, ask, cancelled)?;
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

    fn adapter(&self, loaded: &Loaded<B>, path: Option<&Path>) -> Result<Option<Adapter<B>>> {
        path.map(|path| adapter_file::load(&self.backend, &loaded.model.shape, path))
            .transpose()
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
fn text_of<B: Backend>(loaded: &Loaded<B>, ids: &[u32], stop: &[String]) -> Result<String> {
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

/// Turns progress into events, not too many of them.
struct Reporter<'a> {
    total: usize,
    started: Instant,
    last: Option<Instant>,
    emit: &'a mut dyn FnMut(RowProgress),
}

impl<'a> Reporter<'a> {
    fn new(total: usize, emit: &'a mut dyn FnMut(RowProgress)) -> Self {
        Self {
            total,
            started: Instant::now(),
            last: None,
            emit,
        }
    }

    fn progress(&mut self, done: usize, new_tokens: usize) {
        if done < self.total && self.last.is_some_and(|last| last.elapsed() < PROGRESS_PERIOD) {
            return;
        }
        self.last = Some(Instant::now());
        let tokens_per_second = new_tokens as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        (self.emit)(RowProgress {
            done,
            total: self.total,
            new_tokens,
            tokens_per_second,
        });
    }
}

fn parse<T: DeserializeOwned>(params: Value) -> Result<T> {
    serde_json::from_value(params).map_err(|e| EngineError::new(Code::RequestInvalid, format!("params: {e}")))
}

fn to_json(value: impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| EngineError::new(Code::Internal, e.to_string()))
}

/// Events as JSON; a value that cannot be written is dropped (none of ours is such).
fn forward<'a, T: Serialize>(emit: &'a mut dyn FnMut(Value)) -> impl FnMut(T) + 'a {
    move |event| {
        if let Ok(value) = serde_json::to_value(event) {
            emit(value);
        }
    }
}
