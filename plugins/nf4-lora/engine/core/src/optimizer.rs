//! Clipping by the global norm and AdamW, as torch computes them.

use crate::backend::{AdamW, At, AtMut, Backend};
use crate::lora::{Adapter, LoraLayout};
use crate::train_config::TrainConfig;
use escada_engine_formats::error::{Code, EngineError, Result};

/// torch adds this to the norm before it divides by it.
const CLIP_EPSILON: f64 = 1e-6;

/// Gradients and moments of all adapter tensors, `[layout.len] f32` each.
pub struct Optimizer<B: Backend> {
    pub gradients: B::Buffer,
    pub m: B::Buffer,
    pub v: B::Buffer,
}

impl<B: Backend> Optimizer<B> {
    /// Starts from the given moments (zero for a new run).
    pub fn new(backend: &B, m: &[f32], v: &[f32]) -> Result<Self> {
        let upload = |values: &[f32]| {
            let mut buffer = backend.alloc(values.len())?;
            backend.upload(values, &mut buffer, 0)?;
            Ok::<_, EngineError>(buffer)
        };
        Ok(Self {
            gradients: backend.alloc(m.len())?,
            m: upload(m)?,
            v: upload(v)?,
        })
    }

    /// Zeroes the gradients.
    pub fn clear(&mut self, backend: &B) {
        let n = backend.len(&self.gradients);
        backend.fill(AtMut::start(&mut self.gradients), n, 0.0);
    }

    /// Applies the gradients as step number `step` (from 0); returns their norm before clipping.
    ///
    /// Errors: `NonFinite` names step and tensor.
    pub fn step(
        &mut self,
        backend: &B,
        config: &TrainConfig,
        step: usize,
        learning_rate: f64,
        adapter: &mut Adapter<B>,
    ) -> Result<f64> {
        let n = adapter.layout.len;
        let norm = backend.sum_squares(At::start(&self.gradients), n)?.sqrt();
        if !norm.is_finite() {
            return Err(self.non_finite(backend, &adapter.layout, step));
        }
        let clipped = config.max_grad_norm > 0.0;
        let scale = if clipped {
            (config.max_grad_norm / (norm + CLIP_EPSILON)).min(1.0)
        } else {
            1.0
        };
        let spec = adamw(config, step, learning_rate, scale);
        backend.adamw(
            spec,
            &mut adapter.parameters,
            &self.gradients,
            &mut self.m,
            &mut self.v,
            n,
        );
        Ok(norm)
    }

    fn non_finite(&self, backend: &B, layout: &LoraLayout, step: usize) -> EngineError {
        let bad = layout.tensors().into_iter().find(|t| {
            let sum = backend.sum_squares(At::new(&self.gradients, t.offset), t.rows * t.cols);
            !sum.is_ok_and(f64::is_finite)
        });
        let name = bad.map_or_else(|| "all tensors together".to_owned(), |t| t.name);
        let message = format!(
            "the gradient of {name} in step {} is not finite; a smaller learningRate or maxGradNorm may help",
            step + 1
        );
        EngineError::new(Code::NonFinite, message)
    }
}

/// The scalars of one step, computed in f64 and rounded once.
fn adamw(config: &TrainConfig, step: usize, learning_rate: f64, gradient_scale: f64) -> AdamW {
    let t = (step + 1) as f64;
    let (c1, c2) = (1.0 - config.adam_beta1.powf(t), 1.0 - config.adam_beta2.powf(t));
    AdamW {
        gradient_scale: gradient_scale as f32,
        decay: (1.0 - learning_rate * config.weight_decay) as f32,
        beta1: config.adam_beta1 as f32,
        one_minus_beta1: (1.0 - config.adam_beta1) as f32,
        beta2: config.adam_beta2 as f32,
        one_minus_beta2: (1.0 - config.adam_beta2) as f32,
        step_size: (learning_rate / c1) as f32,
        bias_correction2_sqrt: c2.sqrt() as f32,
        epsilon: config.adam_epsilon as f32,
    }
}
