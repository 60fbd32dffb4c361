//! The training pass: forward with saved activations, loss on the labelled positions, backward into what learns.
//!
//! Saved per layer: what the backward cannot cheaply make again. Norm outputs and the gated product are recomputed
//! (elementwise work), which keeps a third of the memory free. A layer's policy may save less (`activation_policy.rs`).

mod activations;
mod head;
mod layer;
pub(crate) mod learner;
mod witness;

pub use witness::Witness;

use crate::activation_policy::{ActivationPolicy, LayerPolicies};
use crate::backend::{AtMut, Backend};
use crate::batch::Batch;
use crate::control::Control;
use crate::full::FullWeights;
use crate::full_pass::FullLearner;
use crate::lora::Adapter;
use crate::lora_pass::{DropoutPlan, LoraLearner, LoraScratch};
use crate::model::Model;
use crate::prefix_attention::PrefixAttention;
use crate::shape::ModelShape;
use activations::Activations;
pub(crate) use activations::RowElements;
use escada_engine_formats::error::Result;
use head::Head;
use learner::{Frame, Learner};
use witness::Witnessed;

/// Labelled positions that go through the head together: bounds the logits' memory (`head_rows * V` floats).
pub const HEAD_ROWS: usize = 512;

/// Who follows a pass: nobody, unless said so.
#[derive(Clone, Copy)]
pub struct Followed<'a> {
    /// Sees all tensors.
    pub witness: Option<&'a Witness>,
    /// Polled for between the parts of every layer.
    pub control: Control<'a>,
}

impl<'a> Followed<'a> {
    /// By its caller only.
    pub fn by(control: Control<'a>) -> Self {
        let witness = None;
        Self { witness, control }
    }
}

impl Default for Followed<'_> {
    fn default() -> Self {
        Self::by(Control::none())
    }
}

/// All memory of a training pass, reused across steps.
pub struct Pass<B: Backend> {
    activations: Activations<B>,
    head: Head<B>,
    attention: PrefixAttention<B>,
    lora: LoraScratch<B>,
}

impl<B: Backend> Pass<B> {
    /// Every layer keeps its activations.
    pub fn new(backend: &B, shape: &ModelShape) -> Result<Self> {
        Self::with_policies(backend, &LayerPolicies::keep(shape.layers).by_layer())
    }

    /// With a policy for each layer, from the lowest. Losses and gradients do not depend on them.
    pub fn with_policies(backend: &B, policies: &[ActivationPolicy]) -> Result<Self> {
        Ok(Self {
            activations: Activations::new(backend, policies)?,
            head: Head::new(backend)?,
            attention: PrefixAttention::new(backend)?,
            lora: LoraScratch::new(backend)?,
        })
    }

    /// Elements of all buffers now.
    pub fn elements(&mut self, backend: &B, shape: &ModelShape) -> usize {
        let inside = self.lora.elements(backend) + self.attention.elements(backend);
        self.activations.elements(backend, shape) + self.head.elements(backend) + inside
    }

    /// Adds the batch's gradients to `gradients [layout.len]` and returns the sum of its losses in nats.
    /// Each labelled position counts `weight` in the gradient (1 / labelled tokens of the whole step).
    #[allow(clippy::too_many_arguments)]
    pub fn run(
        &mut self,
        backend: &B,
        model: &Model<B>,
        adapter: &Adapter<B>,
        dropout: DropoutPlan,
        batch: &Batch<B>,
        weight: f32,
        gradients: &mut B::Buffer,
    ) -> Result<f64> {
        self.run_followed(
            backend,
            model,
            adapter,
            dropout,
            batch,
            weight,
            gradients,
            Followed::default(),
        )
    }

    /// As [`Pass::run`], followed. Errors: also `Cancelled`; the gradients are then those of a part of the batch.
    #[allow(clippy::too_many_arguments)]
    pub fn run_followed(
        &mut self,
        backend: &B,
        model: &Model<B>,
        adapter: &Adapter<B>,
        dropout: DropoutPlan,
        batch: &Batch<B>,
        weight: f32,
        gradients: &mut B::Buffer,
        followed: Followed<'_>,
    ) -> Result<f64> {
        let ranks = adapter.layout.layer_ranks;
        self.lora
            .reserve(backend, &model.shape, &adapter.layout, batch.tokens, dropout)?;
        // The learner borrows its scratch while the rest of the pass is in use.
        let mut scratch = std::mem::replace(&mut self.lora, LoraScratch::new(backend)?);
        let learner = LoraLearner {
            backend,
            model,
            adapter,
            dropout,
            scratch: &mut scratch,
            gradients,
        };
        let frame = Frame {
            shape: &model.shape,
            attention: model.attention_shape(),
            cos: &model.cos,
            sin: &model.sin,
        };
        let loss = self.learn_followed(backend, &frame, learner, batch, weight, ranks, followed);
        self.lora = scratch;
        loss
    }

    /// As [`Pass::run`] for full fine-tuning; `gradients [weights.layout.len]`.
    pub fn run_full(
        &mut self,
        backend: &B,
        weights: &FullWeights<B>,
        batch: &Batch<B>,
        weight: f32,
        gradients: &mut B::Buffer,
    ) -> Result<f64> {
        self.run_full_followed(backend, weights, batch, weight, gradients, Followed::default())
    }

    /// As [`Pass::run_full`], followed, as [`Pass::run_followed`].
    pub fn run_full_followed(
        &mut self,
        backend: &B,
        weights: &FullWeights<B>,
        batch: &Batch<B>,
        weight: f32,
        gradients: &mut B::Buffer,
        followed: Followed<'_>,
    ) -> Result<f64> {
        let learner = FullLearner {
            backend,
            weights,
            gradients,
        };
        let frame = Frame {
            shape: &weights.shape,
            attention: weights.shape.attention(),
            cos: &weights.cos,
            sin: &weights.sin,
        };
        self.learn_followed(backend, &frame, learner, batch, weight, 0, followed)
    }

    #[allow(clippy::too_many_arguments)]
    fn learn_followed(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        mut learner: impl Learner<B>,
        batch: &Batch<B>,
        weight: f32,
        layer_ranks: usize,
        followed: Followed<'_>,
    ) -> Result<f64> {
        let control = followed.control;
        let Some(witness) = followed.witness else {
            return self.learn(backend, frame, &mut learner, batch, weight, layer_ranks, control);
        };
        let shape = frame.shape;
        let mut seen = Witnessed {
            backend,
            shape,
            learner,
            witness,
        };
        self.learn(backend, frame, &mut seen, batch, weight, layer_ranks, control)
    }

    #[allow(clippy::too_many_arguments)]
    fn learn(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        learner: &mut impl Learner<B>,
        batch: &Batch<B>,
        weight: f32,
        layer_ranks: usize,
        control: Control<'_>,
    ) -> Result<f64> {
        let (shape, tokens) = (frame.shape, batch.tokens);
        self.activations.reserve(backend, shape, layer_ranks, tokens)?;
        self.head.reserve(backend, shape)?;
        self.attention.reserve(backend, frame.attention, batch)?;
        learner.embed(batch, &mut self.activations.x[0]);
        for layer in 0..shape.layers {
            self.layer_forward(backend, frame, learner, batch, layer, control)?;
        }
        let Activations { x, dx, .. } = &mut self.activations;
        let output = &x[shape.layers];
        backend.fill(AtMut::start(&mut **dx), tokens * shape.hidden, 0.0);
        let loss = self
            .head
            .run(backend, frame, learner, batch, weight, output, dx, control)?;
        for layer in (learner.lowest_layer()..shape.layers).rev() {
            self.layer_backward(backend, frame, learner, batch, layer, control)?;
        }
        if learner.learns_before(0) {
            learner.embed_backward(batch, &self.activations.dx);
        }
        Ok(loss)
    }
}
