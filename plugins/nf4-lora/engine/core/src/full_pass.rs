//! The training pass of full fine-tuning.

use crate::backend::{At, AtMut, Backend, Layout, Matmul};
use crate::batch::Batch;
use crate::full::FullWeights;
use crate::pass::learner::{Learner, Norm};
use crate::shape::Target;

/// A model that learns as a whole.
pub(crate) struct FullLearner<'a, B: Backend> {
    pub backend: &'a B,
    pub weights: &'a FullWeights<B>,
    /// `[layout.len]`
    pub gradients: &'a mut B::Buffer,
}

impl<B: Backend> FullLearner<'_, B> {
    fn offset(&self, norm: Norm) -> usize {
        let layout = &self.weights.layout;
        match norm {
            Norm::Attention(layer) => layout.norms(layer).0,
            Norm::Mlp(layer) => layout.norms(layer).1,
            Norm::Final => layout.norm(),
        }
    }

    fn weight(&self, offset: usize) -> At<'_, B::Buffer> {
        At::new(&self.weights.values, offset)
    }

    /// `y [rows, N] (+)= x [rows, K] · Wᵀ` with the weight `[N, K]` at `offset`.
    fn product(
        &self,
        (n, k): (usize, usize),
        offset: usize,
        x: &B::Buffer,
        y: &mut B::Buffer,
        rows: usize,
        accumulate: bool,
    ) {
        let spec = matmul(Layout::Nt, (rows, n, k), accumulate);
        self.backend
            .matmul(spec, At::start(x), self.weight(offset), AtMut::start(y));
    }

    /// `dx [rows, K] (+)= dy [rows, N] · W`, where wanted, and `dW += dyᵀ · x`.
    #[allow(clippy::too_many_arguments)]
    fn product_backward(
        &mut self,
        (n, k): (usize, usize),
        offset: usize,
        x: &B::Buffer,
        dy: &B::Buffer,
        dx: Option<&mut B::Buffer>,
        rows: usize,
        accumulate: bool,
    ) {
        if let Some(dx) = dx {
            let spec = matmul(Layout::Nn, (rows, k, n), accumulate);
            self.backend
                .matmul(spec, At::start(dy), self.weight(offset), AtMut::start(dx));
        }
        let spec = matmul(Layout::Tn, (n, k, rows), true);
        let to = AtMut::new(self.gradients, offset);
        self.backend.matmul(spec, At::start(dy), At::start(x), to);
    }
}

fn matmul(layout: Layout, (m, n, k): (usize, usize, usize), accumulate: bool) -> Matmul {
    Matmul {
        layout,
        m,
        n,
        k,
        alpha: 1.0,
        accumulate,
    }
}

impl<B: Backend> Learner<B> for FullLearner<'_, B> {
    fn lowest_layer(&self) -> usize {
        0
    }

    fn learns_before(&self, _layer: usize) -> bool {
        true
    }

    fn embed(&self, batch: &Batch<B>, out: &mut B::Buffer) {
        // The embedding starts the buffer.
        let (values, c) = (&self.weights.values, self.weights.shape.hidden);
        self.backend.gather_rows(values, &batch.ids, batch.tokens, c, out);
    }

    fn embed_backward(&mut self, batch: &Batch<B>, d_out: &B::Buffer) {
        let (t, c) = (batch.tokens, self.weights.shape.hidden);
        let to = AtMut::start(&mut *self.gradients);
        self.backend.embedding_gradient(d_out, &batch.ids, t, c, to);
    }

    fn norm(&self, norm: Norm) -> At<'_, B::Buffer> {
        self.weight(self.offset(norm))
    }

    fn norm_gradient(&mut self, norm: Norm, x: &B::Buffer, rstd: &B::Buffer, dy: &B::Buffer, rows: usize) {
        let (c, offset) = (self.weights.shape.hidden, self.offset(norm));
        let to = AtMut::new(&mut *self.gradients, offset);
        self.backend.rms_norm_gradient(x, rstd, dy, rows, c, to);
    }

    fn linear(
        &mut self,
        (layer, target): (usize, Target),
        x: &B::Buffer,
        y: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
        _ranks: &mut B::Buffer,
    ) {
        let (weights, sizes) = (self.weights, self.weights.shape.linear(target));
        let offset = weights.layout.linear(layer, target);
        self.product(sizes, offset, x, y, tokens, accumulate);
        if let Some(bias) = weights.layout.bias(layer, target) {
            self.backend.add_bias(self.weight(bias), y, tokens, sizes.0);
        }
    }

    fn linear_backward(
        &mut self,
        (layer, target): (usize, Target),
        x: &B::Buffer,
        dy: &B::Buffer,
        dx: Option<&mut B::Buffer>,
        tokens: usize,
        accumulate: bool,
        _ranks: &B::Buffer,
    ) {
        let (weights, sizes) = (self.weights, self.weights.shape.linear(target));
        let offset = weights.layout.linear(layer, target);
        self.product_backward(sizes, offset, x, dy, dx, tokens, accumulate);
        if let Some(bias) = weights.layout.bias(layer, target) {
            let to = AtMut::new(&mut *self.gradients, bias);
            self.backend.bias_gradient(dy, tokens, sizes.0, to);
        }
    }

    fn head(&self, x: &B::Buffer, logits: &mut B::Buffer, rows: usize) {
        let shape = &self.weights.shape;
        let sizes = (shape.vocabulary, shape.hidden);
        self.product(sizes, self.weights.layout.head(), x, logits, rows, false);
    }

    fn head_backward(&mut self, x: &B::Buffer, d_logits: &B::Buffer, dx: &mut B::Buffer, rows: usize) {
        let shape = &self.weights.shape;
        let sizes = (shape.vocabulary, shape.hidden);
        let offset = self.weights.layout.head();
        self.product_backward(sizes, offset, x, d_logits, Some(dx), rows, false);
    }
}
