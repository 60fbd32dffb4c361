//! The training loop: steps from a pure plan, exact resume, progress, cancellation.

use super::diagnosis::Diagnosis;
use super::rows::{check_rows, check_steps, rows_digest};
use super::samples::sampling_bytes;
use super::trained::Trained;
use super::{TrainEvent, TrainRequest, TrainResult};
use crate::backend::Backend;
use crate::batch::{Batch, PrefixSharing, TokenRow};
use crate::checkpoint::{self, LogRow, RunIdentity};
use crate::control::Control;
use crate::lora_pass::DropoutPlan;
use crate::memory_plan::{MemoryPlan, Planned};
use crate::moments::MomentLayout;
use crate::optimizer::Optimizer;
use crate::parameters::Parameter;
use crate::pass::{Followed, HEAD_ROWS, Pass};
use crate::process;
use crate::schedule::{StepPlan, learning_rate, units};
use crate::shape::ModelShape;
use crate::train_config::NonFinite;
use crate::warning::{Warning, WarningKind};
use escada_engine_formats::error::{Code, EngineError, Result};
use std::path::Path;
use std::time::Instant;

/// Memory and state of a run.
pub(super) struct Run<'a, B: Backend> {
    pub(super) backend: &'a B,
    pub(super) request: &'a TrainRequest<'a>,
    identity: RunIdentity,
    pub(super) plan: StepPlan,
    /// Row numbers of each unit of the plan.
    units: Vec<Vec<u32>>,
    pub(super) trained: Trained<'a, B>,
    pub(super) optimizer: Optimizer<B>,
    pub(super) pass: Pass<B>,
    batch: Batch<B>,
    order: (usize, Vec<u32>),
    pub(super) log: Vec<LogRow>,
    pub(super) checkpoint_step: usize,
    pub(super) planned_peak_bytes: u64,
    pub(super) memory_plan: MemoryPlan,
    pub(super) started: Instant,
    pub(super) resumed_from: usize,
}

impl<'a, B: Backend> Run<'a, B> {
    /// Plans the memory, then makes what is trained with `start` and continues from a checkpoint, if there is one.
    pub(super) fn new(
        backend: &'a B,
        shape: &ModelShape,
        (parameters, layer_ranks, lowest_layer): (&[Parameter], usize, usize),
        request: &'a TrainRequest<'a>,
        start: impl FnOnce() -> Result<Trained<'a, B>>,
    ) -> Result<Self> {
        let (started, config) = (Instant::now(), request.config);
        check_rows((request.row_ids, request.rows), config, shape.context_tokens)?;
        check_steps(request.rows, config)?;
        let identity = RunIdentity {
            config_digest: config.digest()?,
            rows_digest: rows_digest(request.rows.iter().chain(sampled(request))),
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
        let sampling = request.samples.as_ref();
        let sampling = sampling.map_or(0, |wanted| sampling_bytes(shape, wanted, config));
        let memory = planned.require(process::available_bytes().saturating_sub(sampling))?;
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
            planned_peak_bytes: resident + memory.total() + sampling,
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
        control: Control<'_>,
    ) -> Result<TrainResult> {
        while self.log.len() < self.plan.total_steps {
            let step_started = Instant::now();
            let stepped = self.step(control);
            let took = step_started.elapsed().as_secs_f64();
            let tokens = match stepped.and_then(|tokens| self.sample(control).map(|()| tokens)) {
                Ok(tokens) => tokens,
                Err(error) => return Err(self.ended_early(error, control)?),
            };
            self.save_if_due(control)?;
            let rate = tokens as f64 / took.max(1e-9);
            emit(self.event(rate));
        }
        self.save_if_new(control)?;
        self.finish(control)
    }

    /// One optimizer step; returns the input tokens it processed.
    fn step(&mut self, control: Control<'_>) -> Result<usize> {
        let step = self.log.len();
        let micro_batches = self.rows_of(step);
        let rows = || micro_batches.iter().flatten();
        let labelled = rows().map(|&i| self.request.rows[i as usize].labelled()).sum();
        self.optimizer.clear(self.backend);
        let (mut losses, mut tokens) = (Vec::new(), 0);
        for (i, rows) in micro_batches.iter().enumerate() {
            control.poll(|| format!("computing step {}", step + 1))?;
            losses.push(self.micro_batch(step, i, rows, labelled, Followed::by(control))?);
            tokens += self.batch.full_tokens;
        }
        let loss = losses.iter().sum::<f64>() / labelled as f64;
        let norm = if loss.is_finite() {
            control.poll(|| format!("updating weights in step {}", step + 1))?;
            self.update(step)?
        } else {
            f64::NAN
        };
        let warning = if norm.is_finite() {
            self.spike(loss, norm, &micro_batches)
        } else {
            let found = self.diagnose(step, &micro_batches, &losses, labelled, control)?;
            Some(self.skip(step, found)?)
        };
        self.log.push(LogRow {
            step: step + 1,
            loss_nats: finite(loss),
            learning_rate: self.learning_rate(step),
            gradient_norm: finite(norm),
            labelled_tokens: labelled,
            skipped: !norm.is_finite(),
            warnings: warning.into_iter().collect(),
            samples: Vec::new(),
        });
        Ok(tokens)
    }

    /// Row numbers of each micro-batch of a step.
    fn rows_of(&mut self, step: usize) -> Vec<Vec<u32>> {
        let epoch = self.plan.epoch(step);
        if self.order.0 != epoch {
            self.order = (epoch, self.plan.order(epoch));
        }
        let units = self.plan.micro_batches(&self.order.1, step);
        let rows = |batch: &[u32]| {
            let units = batch.iter().flat_map(|&unit| &self.units[unit as usize]);
            units.copied().collect()
        };
        units.into_iter().map(rows).collect()
    }

    /// Adds a micro-batch's gradients; returns the sum of its losses in nats.
    pub(super) fn micro_batch(
        &mut self,
        step: usize,
        index: usize,
        rows: &[u32],
        labelled: usize,
        followed: Followed<'_>,
    ) -> Result<f64> {
        let config = self.request.config;
        let sharing = PrefixSharing::of(config.lora_dropout);
        let rows: Vec<&TokenRow> = rows.iter().map(|&i| &self.request.rows[i as usize]).collect();
        self.batch.pack(self.backend, &rows, HEAD_ROWS, sharing)?;
        let dropout = DropoutPlan {
            probability: config.lora_dropout as f32,
            seed: config.seed,
            micro_batch: (step * config.gradient_accumulation_steps + index) as u64,
        };
        let weight = (1.0 / labelled as f64) as f32;
        let (pass, gradients) = (&mut self.pass, &mut self.optimizer.gradients);
        let (backend, batch) = (self.backend, &self.batch);
        self.trained
            .pass(backend, pass, dropout, batch, weight, gradients, followed)
    }

    /// Clips and applies AdamW; returns the gradient's norm. Changes nothing if that is not finite.
    fn update(&mut self, step: usize) -> Result<f64> {
        let (config, rate) = (self.request.config, self.learning_rate(step));
        // A skipped step is no update: the moments' bias correction counts what they have seen.
        let update = step - self.skipped_steps();
        let values = self.trained.values_mut();
        self.optimizer.step(self.backend, config, update, rate, values)
    }

    fn learning_rate(&self, step: usize) -> f64 {
        learning_rate(self.request.config, step, self.plan.total_steps)
    }

    pub(super) fn skipped_steps(&self) -> usize {
        self.log.iter().filter(|row| row.skipped).count()
    }

    /// What the log says of a step that is not finite; the error where it ends the training.
    fn skip(&self, step: usize, Diagnosis { message, rows }: Diagnosis) -> Result<Warning> {
        let config = self.request.config;
        let in_row = self.log.iter().rev().take_while(|row| row.skipped).count();
        let stop = |advice: String| Err(EngineError::new(Code::NonFinite, format!("{message}. {advice}")));
        match config.non_finite {
            NonFinite::Stop => stop(
                "Look at these rows, lower learningRate or maxGradNorm, or set nonFinite to \"skip\""
                    .to_owned(),
            ),
            NonFinite::Skip if in_row >= config.max_consecutive_skips => stop(format!(
                "The {in_row} steps before it were skipped, as many as maxConsecutiveSkips allows: look at the rows, \
                 or lower learningRate or maxGradNorm"
            )),
            NonFinite::Skip => Ok(Warning {
                kind: WarningKind::SkippedStep,
                step: step + 1,
                message: format!("{message}; its update is left out"),
                rows,
            }),
        }
    }

    /// Keeps the last whole step when a training ends before its time.
    fn ended_early(&mut self, error: EngineError, control: Control<'_>) -> Result<EngineError> {
        let whole = match error.code {
            // A checkpoint without its epoch's replies would end a resumed run without them.
            Code::Cancelled => !self.samples_pending(),
            // Weights and moments are those of the last whole step.
            Code::NoMemory => !self.samples_pending(),
            // Weights that are not finite are no state to continue from: an older checkpoint is.
            Code::NonFinite => {
                let values = self.trained.values();
                self.optimizer.non_finite(self.backend, values).is_none()
            }
            _ => false,
        };
        if whole {
            let saved = self.save_if_new(control);
            // Where there is no memory, there may be none for a checkpoint: that is not the failure to report.
            if error.code != Code::NoMemory {
                saved?;
            }
        }
        if error.code != Code::NonFinite || self.checkpoint_step == 0 {
            return Ok(error);
        }
        let kept = format!("{}; checkpoint-{} is kept", error.message, self.checkpoint_step);
        Ok(EngineError::new(Code::NonFinite, kept))
    }

    fn save_if_due(&mut self, control: Control<'_>) -> Result<()> {
        if self.log.len().is_multiple_of(self.request.config.save_steps) {
            self.save_if_new(control)
        } else {
            Ok(())
        }
    }

    /// Writes a checkpoint of the last whole step, if there is none yet.
    fn save_if_new(&mut self, control: Control<'_>) -> Result<()> {
        if self.checkpoint_step == self.log.len() {
            return Ok(());
        }
        let (values, optimizer) = (self.trained.values(), &self.optimizer);
        let folder = self.request.out_dir;
        let (identity, log) = (&self.identity, &self.log);
        checkpoint::save(folder, identity, log, self.backend, values, optimizer, control)?;
        self.checkpoint_step = self.log.len();
        Ok(())
    }
}

/// The rows whose replies are in the log.
fn sampled<'a>(request: &'a TrainRequest<'_>) -> impl Iterator<Item = &'a TokenRow> {
    let samples = request.samples.iter();
    samples.flat_map(|samples| samples.rows.iter().map(|(_, row)| row))
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Log of the checkpoint that the run continues from; empty for a new run.
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
