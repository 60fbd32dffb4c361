//! Forward and backward of one decoder layer.

use super::Pass;
use super::learner::{Frame, Learner, Norm};
use crate::backend::{At, AtMut, Backend};
use crate::batch::Batch;
use crate::control::Control;
use crate::prefix_attention::Qkv;
use crate::shape::Target;
use escada_engine_formats::error::Result;

impl<B: Backend> Pass<B> {
    pub(super) fn layer_forward(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        learner: &mut impl Learner<B>,
        batch: &Batch<B>,
        layer: usize,
        control: Control<'_>,
    ) -> Result<()> {
        let poll = || control.poll(|| format!("computing layer {} forward", layer + 1));
        poll()?;
        self.attention_forward(backend, frame, learner, batch, layer);
        poll()?;
        self.gate_and_up(backend, frame, learner, batch.tokens, layer);
        let (shape, t, a) = (frame.shape, batch.tokens, &mut self.activations);
        let (attention, mlp) = a.slots[layer];
        let (s, m) = (&mut a.attention[attention], &a.mlp[mlp]);
        backend.swiglu(&m.gate, &m.up, &mut a.product, t * shape.intermediate);
        let next = &mut a.x[layer + 1];
        backend.copy(At::start(&*s.middle), AtMut::start(next), t * shape.hidden);
        learner.linear((layer, Target::Down), &a.product, next, t, true, &mut s.ranks);
        Ok(())
    }

    /// From the layer's input to `middle`.
    fn attention_forward(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        learner: &mut impl Learner<B>,
        batch: &Batch<B>,
        layer: usize,
    ) {
        let (shape, t) = (frame.shape, batch.tokens);
        let a = &mut self.activations;
        let (s, input) = (&mut a.attention[a.slots[layer].0], &a.x[layer]);
        s.layer = layer;
        let (h, eps, c) = (&mut a.normed, shape.rms_epsilon, shape.hidden);
        let w = learner.norm(Norm::Attention(layer));
        backend.rms_norm(input, w, eps, t, c, h, &mut s.rstd_attention);
        for (target, y) in [
            (Target::Q, &mut s.q),
            (Target::K, &mut s.k),
            (Target::V, &mut s.v),
        ] {
            learner.linear((layer, target), h, y, t, false, &mut s.ranks);
        }
        rotate(backend, frame, batch, &mut s.q, &mut s.k, false);
        let x = Qkv {
            q: &*s.q,
            k: &*s.k,
            v: &*s.v,
        };
        let (out, lse) = (&mut s.attended, &mut s.lse);
        self.attention
            .forward(backend, frame.attention, batch, x, out, lse);
        backend.copy(At::start(&**input), AtMut::start(&mut s.middle), t * c);
        let (x, y) = (&s.attended, &mut s.middle);
        learner.linear((layer, Target::O), x, y, t, true, &mut s.ranks);
    }

    /// From `middle` to the outputs of gate and up.
    fn gate_and_up(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        learner: &mut impl Learner<B>,
        tokens: usize,
        layer: usize,
    ) {
        let (shape, t, a) = (frame.shape, tokens, &mut self.activations);
        let (attention, mlp) = a.slots[layer];
        let (s, m) = (&mut a.attention[attention], &mut a.mlp[mlp]);
        m.layer = layer;
        let (h, eps, w) = (&mut a.normed, shape.rms_epsilon, learner.norm(Norm::Mlp(layer)));
        backend.rms_norm(&s.middle, w, eps, t, shape.hidden, h, &mut s.rstd_mlp);
        for (target, y) in [(Target::Gate, &mut m.gate), (Target::Up, &mut m.up)] {
            learner.linear((layer, target), h, y, t, false, &mut s.ranks);
        }
    }

    /// Adds the gradients of one layer; `dx` becomes that of its input.
    pub(super) fn layer_backward(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        learner: &mut impl Learner<B>,
        batch: &Batch<B>,
        layer: usize,
        control: Control<'_>,
    ) -> Result<()> {
        let poll = || control.poll(|| format!("computing layer {} backward", layer + 1));
        poll()?;
        let (attention, mlp) = self.activations.slots[layer];
        let lost = self.activations.attention[attention].layer != layer;
        if lost {
            self.attention_forward(backend, frame, learner, batch, layer);
        }
        if lost || self.activations.mlp[mlp].layer != layer {
            self.gate_and_up(backend, frame, learner, batch.tokens, layer);
        }
        poll()?;
        self.mlp_backward(backend, frame, learner, batch.tokens, layer, lost);
        poll()?;
        self.attention_backward(backend, frame, learner, batch, layer);
        Ok(())
    }

    /// `ranks_lost`: those of `Down`, which no step before has made again.
    fn mlp_backward(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        learner: &mut impl Learner<B>,
        tokens: usize,
        layer: usize,
        ranks_lost: bool,
    ) {
        let (shape, t, a) = (frame.shape, tokens, &mut self.activations);
        let (attention, mlp) = a.slots[layer];
        let (s, m) = (&mut a.attention[attention], &a.mlp[mlp]);
        let (c, n) = (shape.hidden, t * shape.intermediate);
        backend.swiglu(&m.gate, &m.up, &mut a.product, n);
        if ranks_lost {
            learner.ranks((layer, Target::Down), &a.product, t, &mut s.ranks);
        }
        let (x, dy, dx) = (&a.product, &a.dx, Some(&mut *a.d_product));
        learner.linear_backward((layer, Target::Down), x, dy, dx, t, false, &s.ranks);
        let (d, d_gate, d_up) = (&a.d_product, &mut a.d_gate, &mut a.d_up);
        backend.swiglu_backward(&m.gate, &m.up, d, d_gate, d_up, n);
        let (eps, h, w) = (shape.rms_epsilon, &mut a.normed, learner.norm(Norm::Mlp(layer)));
        backend.rms_norm(&s.middle, w, eps, t, c, h, &mut s.rstd_mlp);
        for (target, dy, add) in [(Target::Gate, &a.d_gate, false), (Target::Up, &a.d_up, true)] {
            let dx = Some(&mut *a.d_normed);
            learner.linear_backward((layer, target), h, dy, dx, t, add, &s.ranks);
        }
        learner.norm_gradient(Norm::Mlp(layer), &s.middle, &s.rstd_mlp, &a.d_normed, t);
        let (w, d) = (learner.norm(Norm::Mlp(layer)), &a.d_normed);
        backend.rms_norm_backward(&s.middle, w, &s.rstd_mlp, d, t, c, &mut a.dx, true);
    }

    fn attention_backward(
        &mut self,
        backend: &B,
        frame: &Frame<'_, B>,
        learner: &mut impl Learner<B>,
        batch: &Batch<B>,
        layer: usize,
    ) {
        let (shape, t, c) = (frame.shape, batch.tokens, frame.shape.hidden);
        let a = &mut self.activations;
        let (s, input) = (&mut a.attention[a.slots[layer].0], &a.x[layer]);
        let (x, dy, dx) = (&s.attended, &a.dx, Some(&mut *a.d_attended));
        learner.linear_backward((layer, Target::O), x, dy, dx, t, false, &s.ranks);
        let (d, dq, dk, dv) = (&a.d_attended, &mut a.dq, &mut a.dk, &mut a.dv);
        let x = Qkv {
            q: &*s.q,
            k: &*s.k,
            v: &*s.v,
        };
        let to = (&mut **dq, &mut **dk, &mut **dv);
        self.attention
            .backward(backend, frame.attention, batch, x, &s.attended, &s.lse, d, to);
        rotate(backend, frame, batch, dq, dk, true);
        let (eps, h, w) = (
            shape.rms_epsilon,
            &mut a.normed,
            learner.norm(Norm::Attention(layer)),
        );
        backend.rms_norm(input, w, eps, t, c, h, &mut s.rstd_attention);
        let further = learner.learns_before(layer);
        for (target, dy, add) in [
            (Target::Q, &*dq, false),
            (Target::K, &*dk, true),
            (Target::V, &*dv, true),
        ] {
            let dx = further.then_some(&mut *a.d_normed);
            learner.linear_backward((layer, target), h, dy, dx, t, add, &s.ranks);
        }
        if further {
            learner.norm_gradient(Norm::Attention(layer), input, &s.rstd_attention, &a.d_normed, t);
            let (w, d) = (learner.norm(Norm::Attention(layer)), &a.d_normed);
            backend.rms_norm_backward(input, w, &s.rstd_attention, d, t, c, &mut a.dx, true);
        }
    }
}

/// Rotates queries and keys by their positions (or gradients back).
fn rotate<B: Backend>(
    backend: &B,
    frame: &Frame<'_, B>,
    batch: &Batch<B>,
    q: &mut B::Buffer,
    k: &mut B::Buffer,
    inverse: bool,
) {
    let (shape, t) = (frame.shape, batch.tokens);
    for (x, heads) in [(q, shape.heads), (k, shape.kv_heads)] {
        let (cos, sin, positions) = (frame.cos, frame.sin, &batch.positions);
        backend.rope(x, positions, cos, sin, t, heads, shape.head_size, inverse);
    }
}
