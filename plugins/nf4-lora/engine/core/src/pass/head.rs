//! Loss and gradient of the labelled positions, a chunk at a time.

use super::HEAD_ROWS;
use super::learner::{Frame, Learner, Norm};
use crate::backend::Backend;
use crate::batch::Batch;
use crate::buffers::Growing;
use crate::control::Control;
use crate::shape::ModelShape;
use escada_engine_formats::error::Result;

/// Memory of the head, for one chunk of labelled positions.
pub(super) struct Head<B: Backend> {
    /// `[rows, C]` residual, its norm, and their gradients.
    x: Growing<B>,
    normed: Growing<B>,
    d_normed: Growing<B>,
    dx: Growing<B>,
    rstd: Growing<B>,
    /// `[rows, V]`
    logits: Growing<B>,
    losses: Growing<B>,
}

impl<B: Backend> Head<B> {
    pub fn new(backend: &B) -> Result<Self> {
        let g = || Growing::new(backend);
        Ok(Self {
            x: g()?,
            normed: g()?,
            d_normed: g()?,
            dx: g()?,
            rstd: g()?,
            logits: g()?,
            losses: g()?,
        })
    }

    /// Elements of all buffers now.
    pub fn elements(&self, backend: &B) -> usize {
        [
            &self.x,
            &self.normed,
            &self.d_normed,
            &self.dx,
            &self.rstd,
            &self.logits,
            &self.losses,
        ]
        .iter()
        .map(|b| backend.len(b))
        .sum()
    }

    pub fn reserve(&mut self, backend: &B, shape: &ModelShape) -> Result<()> {
        let c = HEAD_ROWS * shape.hidden;
        for buffer in [&mut self.x, &mut self.normed, &mut self.d_normed, &mut self.dx] {
            buffer.reserve(backend, c)?;
        }
        self.rstd.reserve(backend, HEAD_ROWS)?;
        self.losses.reserve(backend, HEAD_ROWS)
    }

    /// Adds to the rows of `dx` and returns the sum of the losses in nats.
    #[allow(clippy::too_many_arguments)]
    pub fn run(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        learner: &mut impl Learner<B>,
        batch: &Batch<B>,
        weight: f32,
        output: &B::Buffer,
        dx: &mut B::Buffer,
        control: Control<'_>,
    ) -> Result<f64> {
        let (c, v, eps) = (
            frame.shape.hidden,
            frame.shape.vocabulary,
            frame.shape.rms_epsilon,
        );
        let mut total = 0.0;
        let mut losses = Vec::new();
        for chunk in &batch.chunks[..batch.chunk_count] {
            let n = chunk.count;
            control.poll(|| "computing the loss".to_owned())?;
            self.logits.reserve(backend, n * v)?;
            backend.gather_rows(output, &chunk.rows, n, c, &mut self.x);
            let w = learner.norm(Norm::Final);
            backend.rms_norm(&self.x, w, eps, n, c, &mut self.normed, &mut self.rstd);
            learner.head(&self.normed, &mut self.logits, n);
            backend.cross_entropy(&mut self.logits, &chunk.targets, n, v, weight, &mut self.losses);
            learner.head_backward(&self.normed, &self.logits, &mut self.d_normed, n);
            learner.norm_gradient(Norm::Final, &self.x, &self.rstd, &self.d_normed, n);
            let (w, r, d) = (learner.norm(Norm::Final), &self.rstd, &self.d_normed);
            backend.rms_norm_backward(&self.x, w, r, d, n, c, &mut self.dx, false);
            backend.scatter_add_rows(&self.dx, &chunk.rows, n, c, dx);
            losses.resize(n, 0.0);
            backend.download(&self.losses, 0, &mut losses)?;
            total += losses.iter().map(|&l| f64::from(l)).sum::<f64>();
        }
        Ok(total)
    }
}
