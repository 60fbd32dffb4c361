//! Finds the first tensor of a pass that is not finite: a learner around a learner, for a second run over a batch.

use super::learner::{Learner, Norm};
use crate::backend::{At, Backend};
use crate::batch::Batch;
use crate::shape::{ModelShape, Target};
use std::cell::RefCell;

/// Where a pass first met a value that is not finite.
#[derive(Debug, Default)]
pub struct Witness {
    first: RefCell<Option<String>>,
}

impl Witness {
    /// The place in words, such as `output of model.layers.2.mlp.down_proj`; `None` when all was finite.
    pub fn first(self) -> Option<String> {
        self.first.into_inner()
    }

    fn see<B: Backend>(&self, backend: &B, x: &B::Buffer, n: usize, place: impl FnOnce() -> String) {
        let mut first = self.first.borrow_mut();
        if first.is_none() && !backend.sum_squares(At::start(x), n).is_ok_and(f64::is_finite) {
            *first = Some(place());
        }
    }
}

/// What goes into a linear layer, as a place.
fn input_of(layer: usize, target: Target) -> String {
    let part = match target {
        Target::Q | Target::K | Target::V => "output of @.input_layernorm",
        Target::O => "attention output of @.self_attn",
        Target::Gate | Target::Up => "output of @.post_attention_layernorm",
        Target::Down => "gated product of @.mlp",
    };
    part.replace('@', &format!("model.layers.{layer}"))
}

/// A learner whose tensors are looked at.
pub(super) struct Witnessed<'a, B: Backend, L: Learner<B>> {
    pub backend: &'a B,
    pub shape: &'a ModelShape,
    pub learner: L,
    pub witness: &'a Witness,
}

impl<B: Backend, L: Learner<B>> Witnessed<'_, B, L> {
    fn see(&self, x: &B::Buffer, n: usize, place: impl FnOnce() -> String) {
        self.witness.see(self.backend, x, n, place);
    }
}

impl<B: Backend, L: Learner<B>> Learner<B> for Witnessed<'_, B, L> {
    fn lowest_layer(&self) -> usize {
        self.learner.lowest_layer()
    }

    fn learns_before(&self, layer: usize) -> bool {
        self.learner.learns_before(layer)
    }

    fn embed(&self, batch: &Batch<B>, out: &mut B::Buffer) {
        self.learner.embed(batch, out);
        let n = batch.tokens * self.shape.hidden;
        self.see(out, n, || "output of model.embed_tokens".to_owned());
    }

    fn embed_backward(&mut self, batch: &Batch<B>, d_out: &B::Buffer) {
        self.learner.embed_backward(batch, d_out);
    }

    fn norm(&self, norm: Norm) -> At<'_, B::Buffer> {
        self.learner.norm(norm)
    }

    fn norm_gradient(&mut self, norm: Norm, x: &B::Buffer, rstd: &B::Buffer, dy: &B::Buffer, rows: usize) {
        self.learner.norm_gradient(norm, x, rstd, dy, rows);
    }

    fn linear(
        &mut self,
        (layer, target): (usize, Target),
        x: &B::Buffer,
        y: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
        ranks: &mut B::Buffer,
    ) {
        let (n, k) = self.shape.linear(target);
        self.see(x, tokens * k, || input_of(layer, target));
        self.learner
            .linear((layer, target), x, y, tokens, accumulate, ranks);
        self.see(y, tokens * n, || format!("output of {}", target.module(layer)));
    }

    fn linear_backward(
        &mut self,
        (layer, target): (usize, Target),
        x: &B::Buffer,
        dy: &B::Buffer,
        mut dx: Option<&mut B::Buffer>,
        tokens: usize,
        accumulate: bool,
        ranks: &B::Buffer,
    ) {
        let (n, k) = self.shape.linear(target);
        let module = || target.module(layer);
        self.see(dy, tokens * n, || {
            format!("gradient of the output of {}", module())
        });
        let to = dx.as_deref_mut();
        self.learner
            .linear_backward((layer, target), x, dy, to, tokens, accumulate, ranks);
        if let Some(dx) = dx {
            self.see(dx, tokens * k, || {
                format!("gradient of the input of {}", module())
            });
        }
    }

    fn head(&self, x: &B::Buffer, logits: &mut B::Buffer, rows: usize) {
        self.see(x, rows * self.shape.hidden, || "output of model.norm".to_owned());
        self.learner.head(x, logits, rows);
        self.see(logits, rows * self.shape.vocabulary, || {
            "logits (output of lm_head)".to_owned()
        });
    }

    fn head_backward(&mut self, x: &B::Buffer, d_logits: &B::Buffer, dx: &mut B::Buffer, rows: usize) {
        self.see(d_logits, rows * self.shape.vocabulary, || {
            "gradient of the logits".to_owned()
        });
        self.learner.head_backward(x, d_logits, dx, rows);
        self.see(dx, rows * self.shape.hidden, || {
            "gradient of the input of lm_head".to_owned()
        });
    }
}
