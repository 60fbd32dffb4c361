//! The training loop: steps from a pure plan, exact resume, progress, cancellation.

use super::rows::{check_rows, rows_digest};
use super::trained::Trained;
use super::{TrainEvent, TrainRequest, TrainResult};
use crate::backend::Backend;
use crate::batch::{Batch, PrefixSharing, TokenRow};
use crate::checkpoint::{self, LogRow, RunIdentity};
use crate::lora_pass::DropoutPlan;
use crate::memory_plan::{MemoryPlan, Planned};
use crate::moments::MomentLayout;
use crate::optimizer::Optimizer;
use crate::parameters::Parameter;
use crate::pass::{HEAD_ROWS, Pass};
use crate::process;
use crate::schedule::{StepPlan, learning_rate, units};
use crate::shape::ModelShape;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Memory and state of a run.
pub(super) struct Run<'a, B: Backend> {
    backend: &'a B,
    request: &'a TrainRequest<'a>,
    identity: RunIdentity,
    plan: StepPlan,
    /// Row numbers of each unit of the plan.
    units: Vec<Vec<u32>>,
    trained: Trained<'a, B>,
    optimizer: Optimizer<B>,
    pass: Pass<B>,
    batch: Batch<B>,
    order: (usize, Vec<u32>),
    log: Vec<LogRow>,
    checkpoint_step: usize,
    planned_peak_bytes: u64,
    memory_plan: MemoryPlan,
    started: Instant,
    resumed_from: usize,
}

impl<'a, B: Backend> Run<'a, B> {
    /// Plans the memory, then makes what is trained with `start` and goes on from a checkpoint, if there is one.
    pub(super) fn new(
        backend: &'a B,
        shape: &ModelShape,
        (parameters, layer_ranks, lowest_layer): (&[Parameter], usize, usize),
        request: &'a TrainRequest<'a>,
        start: impl FnOnce() -> Result<Trained<'a, B>>,
    ) -> Result<Self> {
        let (started, config) = (Instant::now(), request.config);
        check_rows(request.rows, config, shape.context_tokens)?;
        let identity = RunIdentity {
            config_digest: config.digest()?,
            rows_digest: rows_digest(request.rows),
            model_digest: request.model_digest.to_owned(),
            engine_build: request.engine_build.to_owned(),
            isa_class: backend.isa_class(),
        };
        let planned = Planned {
            shape,
            layer_ranks,
            lowest_layer,
            moments: &MomentLayout::new(parameters, config.optim),
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
        let mut trained = start()?;
        let mut optimizer = Optimizer::fresh(backend, parameters, config.optim)?;
        let log = resume(backend, request, &identity, &mut trained, &mut optimizer)?;
        let lengths: Vec<usize> = request.rows.iter().map(|row| row.tokens.len()).collect();
        let units = units(config, &lengths);
        let plan = StepPlan::new(config, units.len());
        let order = (0, plan.order(0));
        Ok(Self {
            optimizer,
            trained,
            pass: Pass::with_policies(backend, &memory.layers.by_layer())?,
            batch: Batch::new(backend)?,
            checkpoint_step: log.len(),
            resumed_from: log.len(),
            planned_peak_bytes: resident + memory.total(),
            memory_plan: memory,
            log,
            backend,
            request,
            identity,
            plan,
            units,
            order,
            started,
        })
    }

    /// All steps that are left; then writes what was trained.
    pub(super) fn drive(
        mut self,
        emit: &mut dyn FnMut(TrainEvent),
        cancelled: &AtomicBool,
    ) -> Result<TrainResult> {
        while self.log.len() < self.plan.total_steps {
            let step_started = Instant::now();
            let tokens = match self.step(cancelled) {
                Ok(tokens) => tokens,
                Err(error) if error.code == Code::Cancelled => {
                    self.save_if_new()?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            self.save_if_due()?;
            let rate = tokens as f64 / step_started.elapsed().as_secs_f64().max(1e-9);
            emit(self.event(rate));
        }
        self.save_if_new()?;
        self.finish()
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
        self.trained
            .pass(self.backend, pass, dropout, &self.batch, weight, gradients)
    }

    /// Clips, applies AdamW and logs.
    fn update(&mut self, step: usize, loss_nats: f64, labelled_tokens: usize) -> Result<()> {
        let learning_rate = learning_rate(self.request.config, step, self.plan.total_steps);
        let gradient_norm = self.optimizer.step(
            self.backend,
            self.request.config,
            step,
            learning_rate,
            self.trained.values_mut(),
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
        let (values, optimizer) = (self.trained.values(), &self.optimizer);
        let folder = self.request.out_dir;
        checkpoint::save(folder, &self.identity, &self.log, self.backend, values, optimizer)?;
        self.checkpoint_step = self.log.len();
        Ok(())
    }

    fn event(&self, tokens_per_second: f64) -> TrainEvent {
        let last = &self.log[self.log.len() - 1];
        let steps = last.step - self.resumed_from;
        let per_step = self.started.elapsed().as_secs_f64() / steps as f64;
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

    fn finish(self) -> Result<TrainResult> {
        let made = self.trained.write(self.backend, self.request)?;
        let loss = |row: Option<&LogRow>| row.map_or(0.0, |r| r.loss_nats);
        Ok(TrainResult {
            made,
            steps: self.log.len(),
            loss_first_nats: loss(self.log.first()),
            loss_last_nats: loss(self.log.last()),
            labelled_tokens: self.log.iter().map(|r| r.labelled_tokens).sum(),
            seconds: self.started.elapsed().as_secs_f64(),
            resumed_from_step: self.resumed_from,
            planned_peak_bytes: self.planned_peak_bytes,
            memory_plan: self.memory_plan,
        })
    }
}

/// Log of the checkpoint that the run goes on from; empty for a new run.
fn resume<B: Backend>(
    backend: &B,
    request: &TrainRequest<'_>,
    identity: &RunIdentity,
    trained: &mut Trained<'_, B>,
    optimizer: &mut Optimizer<B>,
) -> Result<Vec<LogRow>> {
    // stderr is the engine's log; its parent shows it when something fails.
    let report = |path: &Path, why: &str| eprintln!("{} is not resumed from: {why}", path.display());
    let values = trained.values_mut();
    let found = checkpoint::resume(request.out_dir, identity, backend, values, optimizer, report)?;
    Ok(found.unwrap_or_default())
}
