//! The training loop: steps from a pure plan, exact resume, progress, cancellation.

use crate::adapter_file;
use crate::backend::Backend;
use crate::batch::{Batch, PrefixSharing, TokenRow};
use crate::checkpoint::{self, LogRow, RunIdentity, StateLayout, TrainState};
use crate::lora::Adapter;
use crate::lora_pass::DropoutPlan;
use crate::memory_plan::Planned;
use crate::model::Model;
use crate::moments::{Moment, MomentLayout};
use crate::optimizer::Optimizer;
use crate::pass::{HEAD_ROWS, Pass};
use crate::process;
use crate::schedule::{StepPlan, learning_rate, units};
use crate::train_config::TrainConfig;
use escada_engine_formats::error::{Code, EngineError, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What is trained on what, and where it is kept.
pub struct TrainRequest<'a> {
    pub rows: &'a [TokenRow],
    pub config: &'a TrainConfig,
    pub out_dir: &'a Path,
    /// Digest of weights and their format: part of the checkpoint's identity and named in the adapter.
    pub model_digest: &'a str,
    pub engine_build: &'a str,
}

/// Progress after one optimizer step.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainEvent {
    pub step: usize,
    pub total_steps: usize,
    pub loss_nats: f64,
    pub learning_rate: f64,
    /// Before clipping.
    pub gradient_norm: f64,
    /// Input tokens of this step over its wall time.
    pub tokens_per_second: f64,
    pub eta_seconds: f64,
    pub rss_bytes: u64,
    /// Newest complete checkpoint, 0 for none.
    pub checkpoint_step: usize,
}

/// Outcome of a run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainResult {
    pub adapter_path: PathBuf,
    /// Of `adapter_model.safetensors`.
    pub adapter_sha256: String,
    pub steps: usize,
    pub loss_first_nats: f64,
    pub loss_last_nats: f64,
    /// Over all steps.
    pub labelled_tokens: usize,
    /// Of this call, not of calls before a resume.
    pub seconds: f64,
    pub resumed_from_step: usize,
    /// Resident memory that was foreseen before the first step.
    pub planned_peak_bytes: u64,
}

/// Memory and state of a run.
struct Run<'a, B: Backend> {
    backend: &'a B,
    model: &'a Model<B>,
    request: &'a TrainRequest<'a>,
    identity: RunIdentity,
    plan: StepPlan,
    /// Row numbers of each unit of the plan.
    units: Vec<Vec<u32>>,
    adapter: Adapter<B>,
    optimizer: Optimizer<B>,
    pass: Pass<B>,
    batch: Batch<B>,
    order: (usize, Vec<u32>),
    log: Vec<LogRow>,
    checkpoint_step: usize,
    planned_peak_bytes: u64,
}

/// Trains (or goes on training) and writes `out_dir/adapter`.
///
/// Errors: `TrainingDataInvalid`, `RequestInvalid`, `NonFinite` (names step and tensor), `Io`; `Cancelled` after a
/// checkpoint of the last whole step.
pub fn train<B: Backend>(
    backend: &B,
    model: &Model<B>,
    request: &TrainRequest<'_>,
    emit: &mut dyn FnMut(TrainEvent),
    cancelled: &AtomicBool,
) -> Result<TrainResult> {
    let started = Instant::now();
    request.config.check()?;
    check_rows(request.rows, request.config, model.shape.context_tokens)?;
    let mut run = Run::new(backend, model, request)?;
    let resumed_from_step = run.log.len();
    while run.log.len() < run.plan.total_steps {
        let step_started = Instant::now();
        let tokens = match run.step(cancelled) {
            Ok(tokens) => tokens,
            Err(error) if error.code == Code::Cancelled => {
                run.save_if_new()?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        run.save_if_due()?;
        let rate = tokens as f64 / step_started.elapsed().as_secs_f64().max(1e-9);
        emit(run.event(rate, resumed_from_step, started));
    }
    run.save_if_new()?;
    run.finish(started, resumed_from_step)
}

impl<'a, B: Backend> Run<'a, B> {
    fn new(backend: &'a B, model: &'a Model<B>, request: &'a TrainRequest<'a>) -> Result<Self> {
        let config = request.config;
        let layout = config.layout(&model.shape)?;
        let identity = RunIdentity {
            config_digest: config.digest()?,
            rows_digest: rows_digest(request.rows),
            model_digest: request.model_digest.to_owned(),
            engine_build: request.engine_build.to_owned(),
            isa_class: backend.isa_class(),
        };
        let moments = MomentLayout::new(&layout.tensors(), config.optim);
        let planned = Planned {
            shape: &model.shape,
            layout: &layout,
            moments: &moments,
            rows: request.rows,
            config,
        };
        let memory = planned.require(process::available_bytes())?;
        let resident = process::rss_bytes();
        // stderr is the engine's log.
        eprintln!(
            "training takes {} bytes beyond the {resident} held: {memory:?}",
            memory.total()
        );
        let of = StateLayout {
            adapter: &layout,
            moments: &moments,
        };
        let state = start_state(of, request, &identity)?;
        let lengths: Vec<usize> = request.rows.iter().map(|row| row.tokens.len()).collect();
        let units = units(config, &lengths);
        let plan = StepPlan::new(config, units.len());
        let order = (0, plan.order(0));
        Ok(Self {
            optimizer: Optimizer::new(backend, layout.len, moments, (&state.m, &state.v))?,
            adapter: Adapter::new(backend, layout, &state.parameters)?,
            pass: Pass::new(backend, &model.shape)?,
            batch: Batch::new(backend)?,
            checkpoint_step: state.step,
            planned_peak_bytes: resident + memory.total(),
            log: state.log,
            backend,
            model,
            request,
            identity,
            plan,
            units,
            order,
        })
    }

    /// One optimizer step; returns the input tokens it processed.
    fn step(&mut self, cancelled: &AtomicBool) -> Result<usize> {
        let step = self.log.len();
        let epoch = self.plan.epoch(step);
        if self.order.0 != epoch {
            self.order = (epoch, self.plan.order(epoch));
        }
        let micro_batches = self.plan.micro_batches(&self.order.1, step);
        let rows = |batch: &[u32]| {
            batch
                .iter()
                .flat_map(|&unit| &self.units[unit as usize])
                .map(|&i| &self.request.rows[i as usize])
                .collect::<Vec<_>>()
        };
        let micro_batches: Vec<Vec<&TokenRow>> = micro_batches.into_iter().map(rows).collect();
        let labelled: usize = micro_batches.iter().flatten().map(|r| r.labelled()).sum();
        self.optimizer.clear(self.backend);
        let (mut loss, mut tokens) = (0.0, 0);
        for (i, rows) in micro_batches.iter().enumerate() {
            if cancelled.load(Ordering::Relaxed) {
                return Err(EngineError::new(
                    Code::Cancelled,
                    format!("cancelled in step {}", step + 1),
                ));
            }
            loss += self.micro_batch(step, i, rows, labelled)?;
            tokens += self.batch.full_tokens;
        }
        let loss_nats = loss / labelled as f64;
        if !loss_nats.is_finite() {
            return Err(EngineError::new(
                Code::NonFinite,
                format!("the loss of step {} is {loss_nats}", step + 1),
            ));
        }
        self.update(step, loss_nats, labelled)?;
        Ok(tokens)
    }

    fn micro_batch(&mut self, step: usize, index: usize, rows: &[&TokenRow], labelled: usize) -> Result<f64> {
        let config = self.request.config;
        let sharing = PrefixSharing::of(config.lora_dropout);
        self.batch.pack(self.backend, rows, HEAD_ROWS, sharing)?;
        let dropout = DropoutPlan {
            probability: config.lora_dropout as f32,
            seed: config.seed,
            micro_batch: (step * config.gradient_accumulation_steps + index) as u64,
        };
        let weight = (1.0 / labelled as f64) as f32;
        let (pass, gradients) = (&mut self.pass, &mut self.optimizer.gradients);
        pass.run(
            self.backend,
            self.model,
            &self.adapter,
            dropout,
            &self.batch,
            weight,
            gradients,
        )
    }

    /// Clips, applies AdamW and logs.
    fn update(&mut self, step: usize, loss_nats: f64, labelled_tokens: usize) -> Result<()> {
        let learning_rate = learning_rate(self.request.config, step, self.plan.total_steps);
        let gradient_norm = self.optimizer.step(
            self.backend,
            self.request.config,
            step,
            learning_rate,
            &mut self.adapter,
        )?;
        self.log.push(LogRow {
            step: step + 1,
            loss_nats,
            learning_rate,
            gradient_norm,
            labelled_tokens,
        });
        Ok(())
    }

    fn save_if_due(&mut self) -> Result<()> {
        if self.log.len().is_multiple_of(self.request.config.save_steps) {
            self.save_if_new()
        } else {
            Ok(())
        }
    }

    /// Writes a checkpoint of the last whole step, if there is none yet.
    fn save_if_new(&mut self) -> Result<()> {
        if self.checkpoint_step == self.log.len() {
            return Ok(());
        }
        let mut parameters = vec![0.0; self.adapter.layout.len];
        self.backend
            .download(&self.adapter.parameters, 0, &mut parameters)?;
        let (m, v) = self.optimizer.moments(self.backend)?;
        let state = TrainState {
            step: self.log.len(),
            parameters,
            m,
            v,
            log: self.log.clone(),
        };
        let layout = StateLayout {
            adapter: &self.adapter.layout,
            moments: self.optimizer.layout(),
        };
        checkpoint::save(self.request.out_dir, layout, &self.identity, &state)?;
        self.checkpoint_step = state.step;
        Ok(())
    }

    fn event(&self, tokens_per_second: f64, resumed_from: usize, started: Instant) -> TrainEvent {
        let last = &self.log[self.log.len() - 1];
        let per_step = started.elapsed().as_secs_f64() / (last.step - resumed_from) as f64;
        TrainEvent {
            step: last.step,
            total_steps: self.plan.total_steps,
            loss_nats: last.loss_nats,
            learning_rate: last.learning_rate,
            gradient_norm: last.gradient_norm,
            tokens_per_second,
            eta_seconds: per_step * (self.plan.total_steps - last.step) as f64,
            rss_bytes: process::rss_bytes(),
            checkpoint_step: self.checkpoint_step,
        }
    }

    fn finish(self, started: Instant, resumed_from_step: usize) -> Result<TrainResult> {
        let mut values = vec![0.0; self.adapter.layout.len];
        self.backend.download(&self.adapter.parameters, 0, &mut values)?;
        if values.iter().any(|v| !v.is_finite()) {
            return Err(EngineError::new(
                Code::NonFinite,
                "a weight of the trained adapter is not finite",
            ));
        }
        let request = self.request;
        let file = adapter_file::to_file(
            &self.adapter.layout,
            &values,
            request.config,
            request.model_digest,
        );
        let adapter_path = request.out_dir.join("adapter");
        let adapter_sha256 = file.write(&adapter_path)?;
        let loss = |row: Option<&LogRow>| row.map_or(0.0, |r| r.loss_nats);
        Ok(TrainResult {
            adapter_path,
            adapter_sha256,
            steps: self.log.len(),
            loss_first_nats: loss(self.log.first()),
            loss_last_nats: loss(self.log.last()),
            labelled_tokens: self.log.iter().map(|r| r.labelled_tokens).sum(),
            seconds: started.elapsed().as_secs_f64(),
            resumed_from_step,
            planned_peak_bytes: self.planned_peak_bytes,
        })
    }
}

fn start_state(
    layout: StateLayout<'_>,
    request: &TrainRequest<'_>,
    identity: &RunIdentity,
) -> Result<TrainState> {
    // stderr is the engine's log; its parent shows it when something fails.
    let report = |path: &Path, why: &str| eprintln!("{} is not resumed from: {why}", path.display());
    let found = checkpoint::resume(request.out_dir, layout, identity, report)?;
    Ok(found.unwrap_or_else(|| TrainState {
        step: 0,
        parameters: layout.adapter.start_values(request.config.seed),
        m: Moment::fresh(layout.moments),
        v: Moment::fresh(layout.moments),
        log: Vec::new(),
    }))
}

/// Refuses rows that cannot be trained on as they are; nothing is ever cut silently.
fn check_rows(rows: &[TokenRow], config: &TrainConfig, context_tokens: usize) -> Result<()> {
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
    if long > 0 {
        let longest = rows.iter().map(|r| r.tokens.len()).max().unwrap_or(0);
        return refuse(format!(
            "{long} of {} rows are longer than {limit} tokens (longest: {longest}; maxSeqLengthTokens {}, the \
             model's context {context_tokens}): raise maxSeqLengthTokens, or shorten or leave out these rows",
            rows.len(),
            config.max_seq_length_tokens
        ));
    }
    Ok(())
}

/// SHA-256 over all token ids and label borders.
fn rows_digest(rows: &[TokenRow]) -> String {
    let mut hasher = Sha256::new();
    for row in rows {
        hasher.update((row.tokens.len() as u64).to_le_bytes());
        hasher.update((row.labelled_from as u64).to_le_bytes());
        row.tokens.iter().for_each(|id| hasher.update(id.to_le_bytes()));
    }
    escada_engine_formats::atomic::hex(&hasher.finalize())
}
