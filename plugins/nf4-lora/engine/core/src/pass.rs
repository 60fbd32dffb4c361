//! The training pass: forward with saved activations, loss on the labelled positions, backward into the adapter.
//!
//! Saved per layer: what the backward cannot cheaply make again. Norm outputs and the gated product are recomputed
//! (elementwise work), which keeps a third of the memory free.

use crate::backend::{At, AtMut, Backend};
use crate::batch::Batch;
use crate::buffers::Growing;
use crate::lora::Adapter;
use crate::lora_pass::{DropoutPlan, LoraScratch};
use crate::model::Model;
use crate::prefix_attention::{PrefixAttention, Qkv};
use crate::shape::{ModelShape, Target};
use escada_engine_formats::error::Result;

/// Labelled positions that go through the head together: bounds the logits' memory (`head_rows * V` floats).
pub const HEAD_ROWS: usize = 256;

/// Activations of one layer.
struct Saved<B: Backend> {
    /// `[T, C]` input of the layer.
    x: Growing<B>,
    rstd_attention: Growing<B>,
    /// `[T, NH*HS]` after rotation.
    q: Growing<B>,
    /// `[T, NKV*HS]` after rotation.
    k: Growing<B>,
    v: Growing<B>,
    /// `[T, NH*HS]`
    attended: Growing<B>,
    lse: Growing<B>,
    /// `[T, C]` residual after attention.
    middle: Growing<B>,
    rstd_mlp: Growing<B>,
    gate: Growing<B>,
    up: Growing<B>,
    /// `[T * sum of ranks]`: A(x) of each module, one after the other.
    ranks: Growing<B>,
}

/// All memory of a training pass, reused across steps.
pub struct Pass<B: Backend> {
    layers: Vec<Saved<B>>,
    /// `[T, C]` output of the last layer.
    output: Growing<B>,
    /// `[T, C]` norm output, then gradient of a norm output.
    normed: Growing<B>,
    d_normed: Growing<B>,
    /// `[T, C]` gradient of the residual stream.
    dx: Growing<B>,
    /// `[T, intermediate]`
    product: Growing<B>,
    d_product: Growing<B>,
    d_gate: Growing<B>,
    d_up: Growing<B>,
    d_attended: Growing<B>,
    dq: Growing<B>,
    dk: Growing<B>,
    dv: Growing<B>,
    head: Head<B>,
    lora: LoraScratch<B>,
    attention: PrefixAttention<B>,
}

/// Memory of the head, for one chunk of labelled positions.
struct Head<B: Backend> {
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

impl<B: Backend> Pass<B> {
    pub fn new(backend: &B, shape: &ModelShape) -> Result<Self> {
        let g = || Growing::new(backend);
        let layer = |_| {
            Ok(Saved {
                x: g()?,
                rstd_attention: g()?,
                q: g()?,
                k: g()?,
                v: g()?,
                attended: g()?,
                lse: g()?,
                middle: g()?,
                rstd_mlp: g()?,
                gate: g()?,
                up: g()?,
                ranks: g()?,
            })
        };
        let head = Head {
            x: g()?,
            normed: g()?,
            d_normed: g()?,
            dx: g()?,
            rstd: g()?,
            logits: g()?,
            losses: g()?,
        };
        Ok(Self {
            layers: (0..shape.layers).map(layer).collect::<Result<_>>()?,
            output: g()?,
            normed: g()?,
            d_normed: g()?,
            dx: g()?,
            product: g()?,
            d_product: g()?,
            d_gate: g()?,
            d_up: g()?,
            d_attended: g()?,
            dq: g()?,
            dk: g()?,
            dv: g()?,
            head,
            lora: LoraScratch::new(backend)?,
            attention: PrefixAttention::new(backend)?,
        })
    }

    /// Elements that `reserve` takes per token row: in every layer, and once.
    pub fn row_elements(shape: &ModelShape, layer_ranks: usize) -> (usize, usize) {
        let (c, f) = (shape.hidden, shape.intermediate);
        let (q, kv) = (shape.query_width(), shape.kv_width());
        let layer = 2 * c + 2 * q + 2 * kv + 2 * f + shape.heads + 2 + layer_ranks;
        (layer, 4 * c + 4 * f + 2 * q + 2 * kv)
    }

    /// Elements of all buffers now.
    pub fn elements(&self, backend: &B) -> usize {
        let of = |buffers: &[&Growing<B>]| buffers.iter().map(|b| backend.len(b)).sum::<usize>();
        let layer = |l: &Saved<B>| {
            of(&[
                &l.x,
                &l.rstd_attention,
                &l.q,
                &l.k,
                &l.v,
                &l.attended,
                &l.lse,
                &l.middle,
                &l.rstd_mlp,
                &l.gate,
                &l.up,
                &l.ranks,
            ])
        };
        let once = of(&[
            &self.output,
            &self.normed,
            &self.d_normed,
            &self.dx,
            &self.product,
            &self.d_product,
            &self.d_gate,
            &self.d_up,
            &self.d_attended,
            &self.dq,
            &self.dk,
            &self.dv,
        ]);
        let h = &self.head;
        let head = of(&[&h.x, &h.normed, &h.d_normed, &h.dx, &h.rstd, &h.logits, &h.losses]);
        let inside = self.lora.elements(backend) + self.attention.elements(backend);
        self.layers.iter().map(layer).sum::<usize>() + once + head + inside
    }

    /// Makes room for `tokens` rows.
    fn reserve(&mut self, backend: &B, shape: &ModelShape, layer_ranks: usize, tokens: usize) -> Result<()> {
        let (c, f) = (tokens * shape.hidden, tokens * shape.intermediate);
        let (q, kv) = (tokens * shape.query_width(), tokens * shape.kv_width());
        for l in &mut self.layers {
            for (buffer, len) in [
                (&mut l.x, c),
                (&mut l.rstd_attention, tokens),
                (&mut l.q, q),
                (&mut l.k, kv),
                (&mut l.v, kv),
                (&mut l.attended, q),
                (&mut l.lse, tokens * shape.heads),
                (&mut l.middle, c),
                (&mut l.rstd_mlp, tokens),
                (&mut l.gate, f),
                (&mut l.up, f),
                (&mut l.ranks, tokens * layer_ranks),
            ] {
                buffer.reserve(backend, len)?;
            }
        }
        for (buffer, len) in [
            (&mut self.output, c),
            (&mut self.normed, c),
            (&mut self.d_normed, c),
            (&mut self.dx, c),
            (&mut self.product, f),
            (&mut self.d_product, f),
            (&mut self.d_gate, f),
            (&mut self.d_up, f),
            (&mut self.d_attended, q),
            (&mut self.dq, q),
            (&mut self.dk, kv),
            (&mut self.dv, kv),
        ] {
            buffer.reserve(backend, len)?;
        }
        self.head.reserve(backend, shape)
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
        let shape = &model.shape;
        self.reserve(backend, shape, adapter.layout.layer_ranks, batch.tokens)?;
        self.lora
            .reserve(backend, shape, &adapter.layout, batch.tokens, dropout)?;
        self.attention.reserve(backend, model.attention_shape(), batch)?;
        backend.embedding(&model.embedding, &batch.ids, batch.tokens, &mut self.layers[0].x);
        for layer in 0..shape.layers {
            self.layer_forward(backend, model, adapter, dropout, batch, layer);
        }
        backend.fill(AtMut::start(&mut self.dx), batch.tokens * shape.hidden, 0.0);
        let loss = self
            .head
            .run(backend, model, batch, weight, &self.output, &mut self.dx)?;
        for layer in (adapter.layout.lowest_layer()..shape.layers).rev() {
            self.layer_backward(backend, model, adapter, dropout, batch, layer, gradients);
        }
        Ok(loss)
    }

    fn layer_forward(
        &mut self,
        backend: &B,
        model: &Model<B>,
        adapter: &Adapter<B>,
        dropout: DropoutPlan,
        batch: &Batch<B>,
        layer: usize,
    ) {
        let (shape, t) = (&model.shape, batch.tokens);
        let weights = &model.layers[layer];
        let (before, after) = self.layers.split_at_mut(layer + 1);
        let s = &mut before[layer];
        let next = after.first_mut().map_or(&mut self.output, |s| &mut s.x);
        let lora = &mut self.lora;
        let (h, eps, c) = (&mut self.normed, shape.rms_epsilon, shape.hidden);
        backend.rms_norm(&s.x, &weights.norm_attention, eps, t, c, h, &mut s.rstd_attention);
        for (target, y) in [
            (Target::Q, &mut s.q),
            (Target::K, &mut s.k),
            (Target::V, &mut s.v),
        ] {
            lora.forward(
                backend,
                model,
                adapter,
                dropout,
                (layer, target),
                h,
                y,
                t,
                false,
                &mut s.ranks,
            );
        }
        rotate(backend, model, batch, &mut s.q, &mut s.k, false);
        let x = Qkv {
            q: &*s.q,
            k: &*s.k,
            v: &*s.v,
        };
        let (out, lse) = (&mut s.attended, &mut s.lse);
        self.attention
            .forward(backend, model.attention_shape(), batch, x, out, lse);
        backend.copy(At::start(&*s.x), AtMut::start(&mut s.middle), t * c);
        let at = (layer, Target::O);
        lora.forward(
            backend,
            model,
            adapter,
            dropout,
            at,
            &s.attended,
            &mut s.middle,
            t,
            true,
            &mut s.ranks,
        );
        backend.rms_norm(&s.middle, &weights.norm_mlp, eps, t, c, h, &mut s.rstd_mlp);
        for (target, y) in [(Target::Gate, &mut s.gate), (Target::Up, &mut s.up)] {
            lora.forward(
                backend,
                model,
                adapter,
                dropout,
                (layer, target),
                h,
                y,
                t,
                false,
                &mut s.ranks,
            );
        }
        backend.swiglu(&s.gate, &s.up, &mut self.product, t * shape.intermediate);
        backend.copy(At::start(&*s.middle), AtMut::start(next), t * c);
        let at = (layer, Target::Down);
        lora.forward(
            backend,
            model,
            adapter,
            dropout,
            at,
            &self.product,
            next,
            t,
            true,
            &mut s.ranks,
        );
    }

    #[allow(clippy::too_many_arguments)]
    fn layer_backward(
        &mut self,
        backend: &B,
        model: &Model<B>,
        adapter: &Adapter<B>,
        dropout: DropoutPlan,
        batch: &Batch<B>,
        layer: usize,
        gradients: &mut B::Buffer,
    ) {
        self.mlp_backward(backend, model, adapter, dropout, batch, layer, gradients);
        self.attention_backward(backend, model, adapter, dropout, batch, layer, gradients);
    }

    #[allow(clippy::too_many_arguments)]
    fn mlp_backward(
        &mut self,
        backend: &B,
        model: &Model<B>,
        adapter: &Adapter<B>,
        dropout: DropoutPlan,
        batch: &Batch<B>,
        layer: usize,
        gradients: &mut B::Buffer,
    ) {
        let (shape, t) = (&model.shape, batch.tokens);
        let (weights, s) = (&model.layers[layer], &mut self.layers[layer]);
        let (c, n) = (shape.hidden, t * shape.intermediate);
        backend.swiglu(&s.gate, &s.up, &mut self.product, n);
        let mut linear = |target, x: &B::Buffer, dy: &B::Buffer, dx: &mut B::Buffer, add| {
            let at = (layer, target);
            self.lora.backward(
                backend,
                model,
                adapter,
                dropout,
                at,
                x,
                dy,
                Some(dx),
                t,
                add,
                &s.ranks,
                gradients,
            );
        };
        linear(Target::Down, &self.product, &self.dx, &mut self.d_product, false);
        backend.swiglu_backward(
            &s.gate,
            &s.up,
            &self.d_product,
            &mut self.d_gate,
            &mut self.d_up,
            n,
        );
        let (eps, h) = (shape.rms_epsilon, &mut self.normed);
        backend.rms_norm(&s.middle, &weights.norm_mlp, eps, t, c, h, &mut s.rstd_mlp);
        linear(Target::Gate, h, &self.d_gate, &mut self.d_normed, false);
        linear(Target::Up, h, &self.d_up, &mut self.d_normed, true);
        let (w, d) = (&weights.norm_mlp, &self.d_normed);
        backend.rms_norm_backward(&s.middle, w, &s.rstd_mlp, d, t, c, &mut self.dx, true);
    }

    #[allow(clippy::too_many_arguments)]
    fn attention_backward(
        &mut self,
        backend: &B,
        model: &Model<B>,
        adapter: &Adapter<B>,
        dropout: DropoutPlan,
        batch: &Batch<B>,
        layer: usize,
        gradients: &mut B::Buffer,
    ) {
        let (shape, t, c) = (&model.shape, batch.tokens, model.shape.hidden);
        let (weights, s) = (&model.layers[layer], &mut self.layers[layer]);
        let mut linear = |target, x: &B::Buffer, dy: &B::Buffer, dx: Option<&mut B::Buffer>, add| {
            let at = (layer, target);
            self.lora.backward(
                backend, model, adapter, dropout, at, x, dy, dx, t, add, &s.ranks, gradients,
            );
        };
        linear(
            Target::O,
            &s.attended,
            &self.dx,
            Some(&mut self.d_attended),
            false,
        );
        let (d, dq, dk, dv) = (&self.d_attended, &mut self.dq, &mut self.dk, &mut self.dv);
        let x = Qkv {
            q: &*s.q,
            k: &*s.k,
            v: &*s.v,
        };
        let (attention, to) = (model.attention_shape(), (&mut **dq, &mut **dk, &mut **dv));
        self.attention
            .backward(backend, attention, batch, x, &s.attended, &s.lse, d, to);
        rotate(backend, model, batch, dq, dk, true);
        let (eps, h) = (shape.rms_epsilon, &mut self.normed);
        backend.rms_norm(&s.x, &weights.norm_attention, eps, t, c, h, &mut s.rstd_attention);
        // Nothing below the lowest adapted layer learns: its input gradient is not needed.
        let lowest = layer == adapter.layout.lowest_layer();
        for (target, dy, add) in [
            (Target::Q, &*dq, false),
            (Target::K, &*dk, true),
            (Target::V, &*dv, true),
        ] {
            let dx = if lowest { None } else { Some(&mut *self.d_normed) };
            linear(target, h, dy, dx, add);
        }
        if !lowest {
            let (w, d) = (&weights.norm_attention, &self.d_normed);
            backend.rms_norm_backward(&s.x, w, &s.rstd_attention, d, t, c, &mut self.dx, true);
        }
    }
}

/// Rotates queries and keys by their positions (or gradients back).
fn rotate<B: Backend>(
    backend: &B,
    model: &Model<B>,
    batch: &Batch<B>,
    q: &mut B::Buffer,
    k: &mut B::Buffer,
    inverse: bool,
) {
    let shape = &model.shape;
    for (x, heads) in [(q, shape.heads), (k, shape.kv_heads)] {
        let (cos, sin) = (&model.cos, &model.sin);
        backend.rope(
            x,
            &batch.positions,
            cos,
            sin,
            batch.tokens,
            heads,
            shape.head_size,
            inverse,
        );
    }
}

impl<B: Backend> Head<B> {
    fn reserve(&mut self, backend: &B, shape: &ModelShape) -> Result<()> {
        let c = HEAD_ROWS * shape.hidden;
        for buffer in [&mut self.x, &mut self.normed, &mut self.d_normed, &mut self.dx] {
            buffer.reserve(backend, c)?;
        }
        self.rstd.reserve(backend, HEAD_ROWS)?;
        self.losses.reserve(backend, HEAD_ROWS)
    }

    /// Loss and gradient of all labelled positions: adds to the rows of `dx`, returns the sum of losses.
    fn run(
        &mut self,
        backend: &B,
        model: &Model<B>,
        batch: &Batch<B>,
        weight: f32,
        output: &B::Buffer,
        dx: &mut B::Buffer,
    ) -> Result<f64> {
        let (c, v, eps) = (
            model.shape.hidden,
            model.shape.vocabulary,
            model.shape.rms_epsilon,
        );
        let mut total = 0.0;
        let mut losses = Vec::new();
        for chunk in &batch.chunks[..batch.chunk_count] {
            let n = chunk.count;
            self.logits.reserve(backend, n * v)?;
            backend.gather_rows(output, &chunk.rows, n, c, &mut self.x);
            backend.rms_norm(&self.x, &model.norm, eps, n, c, &mut self.normed, &mut self.rstd);
            backend.linear_forward(model.head(), &self.normed, &mut self.logits, n, false);
            backend.cross_entropy(&mut self.logits, &chunk.targets, n, v, weight, &mut self.losses);
            backend.linear_backward(model.head(), &self.logits, &mut self.d_normed, n, false);
            let (w, r, d) = (&model.norm, &self.rstd, &self.d_normed);
            backend.rms_norm_backward(&self.x, w, r, d, n, c, &mut self.dx, false);
            backend.scatter_add_rows(&self.dx, &chunk.rows, n, c, dx);
            losses.resize(n, 0.0);
            backend.download(&self.losses, 0, &mut losses)?;
            total += losses.iter().map(|&l| f64::from(l)).sum::<f64>();
        }
        Ok(total)
    }
}
