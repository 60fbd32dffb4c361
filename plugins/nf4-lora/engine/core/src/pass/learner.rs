//! What a pass asks of the weights: their products, and where their gradients go. The rest of the pass is the same for an
//! adapter and for full fine-tuning.

use crate::backend::{At, AttentionShape, Backend};
use crate::batch::Batch;
use crate::shape::{ModelShape, Target};

/// One of the model's norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Norm {
    /// Before the attention of a layer.
    Attention(usize),
    /// Before the feed-forward part of a layer.
    Mlp(usize),
    /// Before the head.
    Final,
}

/// The parts of a model that never learn.
pub(crate) struct Frame<'a, B: Backend> {
    pub shape: &'a ModelShape,
    pub attention: AttentionShape,
    /// `[context_tokens, HS/2]`
    pub cos: &'a B::Buffer,
    /// `[context_tokens, HS/2]`
    pub sin: &'a B::Buffer,
}

/// The weights of a pass. Gradients are added to those of earlier batches.
#[allow(clippy::too_many_arguments)]
pub(crate) trait Learner<B: Backend> {
    /// Nothing below this layer learns.
    fn lowest_layer(&self) -> usize;
    /// Whether something before this layer learns, so that the gradient of its input is needed.
    fn learns_before(&self, layer: usize) -> bool;
    /// `out [T, C]` = embeddings of the batch.
    fn embed(&self, batch: &Batch<B>, out: &mut B::Buffer);
    /// Gradient of `embed`; `d_out [T, C]`.
    fn embed_backward(&mut self, _batch: &Batch<B>, _d_out: &B::Buffer) {}
    /// `[C]` weight of a norm.
    fn norm(&self, norm: Norm) -> At<'_, B::Buffer>;
    /// Gradient of a norm's weight; `x, dy [rows, C]`, `rstd [rows]`.
    fn norm_gradient(
        &mut self,
        _norm: Norm,
        _x: &B::Buffer,
        _rstd: &B::Buffer,
        _dy: &B::Buffer,
        _rows: usize,
    ) {
    }
    /// `y [T, N] (+)= linear(x [T, K])`, the bias included; what the backward needs besides `x` goes to `ranks`.
    fn linear(
        &mut self,
        at: (usize, Target),
        x: &B::Buffer,
        y: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
        ranks: &mut B::Buffer,
    );
    /// What `linear` leaves in `ranks` for the input `x [T, K]`, without its product.
    fn ranks(&mut self, _at: (usize, Target), _x: &B::Buffer, _tokens: usize, _ranks: &mut B::Buffer) {}
    /// `dx [T, K] (+)= ` gradient of the input, where wanted, and the gradients of the weights.
    fn linear_backward(
        &mut self,
        at: (usize, Target),
        x: &B::Buffer,
        dy: &B::Buffer,
        dx: Option<&mut B::Buffer>,
        tokens: usize,
        accumulate: bool,
        ranks: &B::Buffer,
    );
    /// `logits [rows, V]` of `x [rows, C]`.
    fn head(&self, x: &B::Buffer, logits: &mut B::Buffer, rows: usize);
    /// `dx [rows, C]` and the gradient of the head's weight.
    fn head_backward(&mut self, x: &B::Buffer, d_logits: &B::Buffer, dx: &mut B::Buffer, rows: usize);
}
