//! Clipping by the global norm and AdamW: as torch computes it, or with 8-bit moments as bitsandbytes' CUDA kernel does.

use crate::backend::{AdamW, AdamW8, At, AtMut, Backend, Moments8};
use crate::lora::{Adapter, LoraLayout};
use crate::moments::{Moment, MomentLayout};
use crate::train_config::{Optim, TrainConfig};
use escada_engine_formats::error::{Code, EngineError, Result};

/// torch adds this to the norm before it divides by it.
const CLIP_EPSILON: f64 = 1e-6;

/// One moment of all tensors on the device; the fields are those of `Moment`.
struct DeviceMoment<B: Backend> {
    full: B::Buffer,
    codes: B::Bytes,
    scales: B::Buffer,
}

impl<B: Backend> DeviceMoment<B> {
    fn new(backend: &B, from: &Moment) -> Result<Self> {
        let upload = |values: &[f32]| {
            let mut buffer = backend.alloc(values.len())?;
            backend.upload(values, &mut buffer, 0)?;
            Ok::<_, EngineError>(buffer)
        };
        let mut codes = backend.alloc_bytes(from.codes.len())?;
        backend.upload_bytes(&from.codes, &mut codes, 0)?;
        Ok(Self {
            full: upload(&from.full)?,
            codes,
            scales: upload(&from.scales)?,
        })
    }

    fn download(&self, backend: &B, layout: &MomentLayout) -> Result<Moment> {
        let mut to = Moment::fresh(layout);
        backend.download(&self.full, 0, &mut to.full)?;
        backend.download_bytes(&self.codes, 0, &mut to.codes)?;
        backend.download(&self.scales, 0, &mut to.scales)?;
        Ok(to)
    }
}

/// Gradients `[layout.len] f32` and moments of all adapter tensors.
pub struct Optimizer<B: Backend> {
    pub gradients: B::Buffer,
    layout: MomentLayout,
    m: DeviceMoment<B>,
    v: DeviceMoment<B>,
}

impl<B: Backend> Optimizer<B> {
    /// Starts from the given moments (fresh ones for a new run); `parameters` is the number of trainable values.
    pub fn new(
        backend: &B,
        parameters: usize,
        layout: MomentLayout,
        moments: (&Moment, &Moment),
    ) -> Result<Self> {
        Ok(Self {
            gradients: backend.alloc(parameters)?,
            m: DeviceMoment::new(backend, moments.0)?,
            v: DeviceMoment::new(backend, moments.1)?,
            layout,
        })
    }

    /// The optimizer of a run that has not begun.
    pub fn fresh(backend: &B, adapter: &LoraLayout, optim: Optim) -> Result<Self> {
        let layout = MomentLayout::new(&adapter.tensors(), optim);
        let zero = Moment::fresh(&layout);
        Self::new(backend, adapter.len, layout, (&zero, &zero))
    }

    /// Where the moments of each tensor lie.
    pub fn layout(&self) -> &MomentLayout {
        &self.layout
    }

    /// First and second moment, copied to the host.
    pub fn moments(&self, backend: &B) -> Result<(Moment, Moment)> {
        Ok((
            self.m.download(backend, &self.layout)?,
            self.v.download(backend, &self.layout)?,
        ))
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
        let scalars = Scalars::new(config, step, learning_rate, scale);
        for (offset, at, len) in self.layout.full_runs() {
            backend.adamw(
                scalars.torch(),
                AtMut::new(&mut adapter.parameters, offset),
                At::new(&self.gradients, offset),
                AtMut::new(&mut self.m.full, at),
                AtMut::new(&mut self.v.full, at),
                len,
            );
        }
        for slot in self.layout.slots.iter().filter(|slot| slot.eight_bit) {
            let moments = Moments8 {
                m: AtMut::new(&mut self.m.codes, slot.at),
                v: AtMut::new(&mut self.v.codes, slot.at),
                m_scales: AtMut::new(&mut self.m.scales, slot.block),
                v_scales: AtMut::new(&mut self.v.scales, slot.block),
            };
            backend.adamw_8bit(
                scalars.eight_bit(),
                AtMut::new(&mut adapter.parameters, slot.offset),
                At::new(&self.gradients, slot.offset),
                moments,
                slot.len(),
            );
        }
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
    fn new(config: &'a TrainConfig, step: usize, learning_rate: f64, gradient_scale: f64) -> Self {
        let t = (step + 1) as f64;
        Self {
            config,
            learning_rate,
            gradient_scale,
            c1: 1.0 - config.adam_beta1.powf(t),
            c2: (1.0 - config.adam_beta2.powf(t)).sqrt(),
        }
    }

    fn decay(&self) -> f32 {
        (1.0 - self.learning_rate * self.config.weight_decay) as f32
    }

    fn torch(&self) -> AdamW {
        let config = self.config;
        AdamW {
            gradient_scale: self.gradient_scale as f32,
            decay: self.decay(),
            beta1: config.adam_beta1 as f32,
            one_minus_beta1: (1.0 - config.adam_beta1) as f32,
            beta2: config.adam_beta2 as f32,
            one_minus_beta2: (1.0 - config.adam_beta2) as f32,
            step_size: (self.learning_rate / self.c1) as f32,
            bias_correction2_sqrt: self.c2 as f32,
            epsilon: config.adam_epsilon as f32,
        }
    }

    fn eight_bit(&self) -> AdamW8 {
        let config = self.config;
        let (beta1, beta2) = (config.adam_beta1 as f32, config.adam_beta2 as f32);
        AdamW8 {
            gradient_scale: self.gradient_scale as f32,
            decay: self.decay(),
            beta1,
            one_minus_beta1: 1.0 - beta1,
            beta2,
            one_minus_beta2: 1.0 - beta2,
            step_size: (self.learning_rate * self.c2 / self.c1) as f32,
            epsilon: (self.c2 * config.adam_epsilon) as f32,
        }
    }
}
