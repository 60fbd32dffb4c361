//! Clipping by the global norm and AdamW: as torch computes it, or with 8-bit moments as bitsandbytes' CUDA kernel does.

use crate::backend::{AdamW, AdamW8, At, AtMut, Backend, Moments8};
use crate::moments::MomentLayout;
use crate::parameters::Parameter;
use crate::train_config::{Optim, TrainConfig};
use escada_engine_formats::error::Result;
use escada_engine_formats::math;

/// torch adds this to the norm before it divides by it.
const CLIP_EPSILON: f64 = 1e-6;

/// One moment of all tensors. A fresh 8-bit block is code 0 with scale 0, as in bitsandbytes.
pub(crate) struct DeviceMoment<B: Backend> {
    /// `[layout.full] f32`
    pub full: B::Buffer,
    /// `[layout.codes] u8`
    pub codes: B::Bytes,
    /// `[layout.blocks] f32`
    pub scales: B::Buffer,
}

impl<B: Backend> DeviceMoment<B> {
    fn fresh(backend: &B, layout: &MomentLayout) -> Result<Self> {
        Ok(Self {
            full: backend.alloc(layout.full)?,
            codes: backend.alloc_bytes(layout.codes)?,
            scales: backend.alloc(layout.blocks)?,
        })
    }
}

/// Gradients `[layout.parameters()] f32` and moments of all trained tensors.
pub struct Optimizer<B: Backend> {
    pub gradients: B::Buffer,
    layout: MomentLayout,
    pub(crate) m: DeviceMoment<B>,
    pub(crate) v: DeviceMoment<B>,
}

impl<B: Backend> Optimizer<B> {
    /// The optimizer of a run that has not begun.
    pub fn fresh(backend: &B, parameters: &[Parameter], optim: Optim) -> Result<Self> {
        let layout = MomentLayout::new(parameters, optim);
        Ok(Self {
            gradients: backend.alloc(layout.parameters())?,
            m: DeviceMoment::fresh(backend, &layout)?,
            v: DeviceMoment::fresh(backend, &layout)?,
            layout,
        })
    }

    /// Where the moments of each tensor lie.
    pub fn layout(&self) -> &MomentLayout {
        &self.layout
    }

    /// Zeroes the gradients.
    pub fn clear(&mut self, backend: &B) {
        let n = backend.len(&self.gradients);
        backend.fill(AtMut::start(&mut self.gradients), n, 0.0);
    }

    /// Applies the gradients as update number `update` (from 0); returns their norm before clipping. When that is not
    /// finite, nothing was changed.
    pub fn step(
        &mut self,
        backend: &B,
        config: &TrainConfig,
        update: usize,
        learning_rate: f64,
        parameters: &mut B::Buffer,
    ) -> Result<f64> {
        let n = self.layout.parameters();
        let norm = backend.sum_squares(At::start(&self.gradients), n)?.sqrt();
        if !norm.is_finite() {
            return Ok(norm);
        }
        let clipped = config.max_grad_norm > 0.0;
        let scale = if clipped {
            (config.max_grad_norm / (norm + CLIP_EPSILON)).min(1.0)
        } else {
            1.0
        };
        let scalars = Scalars::new(config, update, learning_rate, scale);
        for run in self.layout.full_runs() {
            backend.adamw(
                scalars.torch(run.decays),
                AtMut::new(parameters, run.offset),
                At::new(&self.gradients, run.offset),
                AtMut::new(&mut self.m.full, run.at),
                AtMut::new(&mut self.v.full, run.at),
                run.len,
            );
        }
        for slot in self.layout.slots.iter().filter(|slot| slot.eight_bit) {
            let moments = Moments8 {
                m: AtMut::new(&mut self.m.codes, slot.at),
                v: AtMut::new(&mut self.v.codes, slot.at),
                m_scales: AtMut::new(&mut self.m.scales, slot.block),
                v_scales: AtMut::new(&mut self.v.scales, slot.block),
            };
            let offset = slot.parameter.offset;
            backend.adamw_8bit(
                scalars.eight_bit(slot.decays()),
                AtMut::new(parameters, offset),
                At::new(&self.gradients, offset),
                moments,
                slot.parameter.len(),
            );
        }
        Ok(norm)
    }

    /// The trained tensor whose gradient is not finite; of several, the one that the backward pass came to first.
    pub fn non_finite_gradient(&self, backend: &B) -> Option<&str> {
        self.non_finite(backend, &self.gradients)
    }

    /// As `non_finite_gradient`, for a flat buffer such as the gradients.
    pub fn non_finite(&self, backend: &B, buffer: &B::Buffer) -> Option<&str> {
        let finite = |t: &Parameter| {
            let sum = backend.sum_squares(At::new(buffer, t.offset), t.len());
            sum.is_ok_and(f64::is_finite)
        };
        let mut backwards = self.layout.slots.iter().rev().map(|slot| &slot.parameter);
        backwards.find(|t| !finite(t)).map(|t| t.name.as_str())
    }
}

/// The scalars of one step in f64; each is rounded once.
struct Scalars<'a> {
    config: &'a TrainConfig,
    learning_rate: f64,
    gradient_scale: f64,
    /// `1 - beta1^t`
    c1: f64,
    /// `sqrt(1 - beta2^t)`
    c2: f64,
}

impl<'a> Scalars<'a> {
    fn new(config: &'a TrainConfig, update: usize, learning_rate: f64, gradient_scale: f64) -> Self {
        let t = (update + 1) as f64;
        Self {
            config,
            learning_rate,
            gradient_scale,
            c1: 1.0 - math::pow(config.adam_beta1, t),
            c2: (1.0 - math::pow(config.adam_beta2, t)).sqrt(),
        }
    }

    fn decay(&self, decays: bool) -> f32 {
        if decays {
            (1.0 - self.learning_rate * self.config.weight_decay) as f32
        } else {
            1.0
        }
    }

    fn torch(&self, decays: bool) -> AdamW {
        let config = self.config;
        AdamW {
            gradient_scale: self.gradient_scale as f32,
            decay: self.decay(decays),
            beta1: config.adam_beta1 as f32,
            one_minus_beta1: (1.0 - config.adam_beta1) as f32,
            beta2: config.adam_beta2 as f32,
            one_minus_beta2: (1.0 - config.adam_beta2) as f32,
            step_size: (self.learning_rate / self.c1) as f32,
            bias_correction2_sqrt: self.c2 as f32,
            epsilon: config.adam_epsilon as f32,
        }
    }

    fn eight_bit(&self, decays: bool) -> AdamW8 {
        let config = self.config;
        let (beta1, beta2) = (config.adam_beta1 as f32, config.adam_beta2 as f32);
        AdamW8 {
            gradient_scale: self.gradient_scale as f32,
            decay: self.decay(decays),
            beta1,
            one_minus_beta1: 1.0 - beta1,
            beta2,
            one_minus_beta2: 1.0 - beta2,
            step_size: (self.learning_rate * self.c2 / self.c1) as f32,
            epsilon: (self.c2 * config.adam_epsilon) as f32,
        }
    }
}
