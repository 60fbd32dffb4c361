//! Memory of a training pass, kept between steps.

use crate::backend::Backend;
use crate::buffers::Growing;
use crate::shape::ModelShape;
use escada_engine_formats::error::Result;

/// Activations of one layer.
pub(super) struct Saved<B: Backend> {
    /// `[T, C]` input of the layer.
    pub x: Growing<B>,
    pub rstd_attention: Growing<B>,
    /// `[T, NH*HS]` after rotation.
    pub q: Growing<B>,
    /// `[T, NKV*HS]` after rotation.
    pub k: Growing<B>,
    pub v: Growing<B>,
    /// `[T, NH*HS]`
    pub attended: Growing<B>,
    pub lse: Growing<B>,
    /// `[T, C]` residual after attention.
    pub middle: Growing<B>,
    pub rstd_mlp: Growing<B>,
    pub gate: Growing<B>,
    pub up: Growing<B>,
    /// `[T * sum of ranks]`: A(x) of each module, one after the other.
    pub ranks: Growing<B>,
}

/// What every layer saves for the backward pass, and the working memory of one layer.
pub(super) struct Activations<B: Backend> {
    pub layers: Vec<Saved<B>>,
    /// `[T, C]` output of the last layer.
    pub output: Growing<B>,
    /// `[T, C]` norm output, then gradient of a norm output.
    pub normed: Growing<B>,
    pub d_normed: Growing<B>,
    /// `[T, C]` gradient of the residual stream.
    pub dx: Growing<B>,
    /// `[T, intermediate]`
    pub product: Growing<B>,
    pub d_product: Growing<B>,
    pub d_gate: Growing<B>,
    pub d_up: Growing<B>,
    pub d_attended: Growing<B>,
    pub dq: Growing<B>,
    pub dk: Growing<B>,
    pub dv: Growing<B>,
}

impl<B: Backend> Activations<B> {
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
        self.layers.iter().map(layer).sum::<usize>() + once
    }

    /// Makes room for `tokens` rows.
    pub fn reserve(
        &mut self,
        backend: &B,
        shape: &ModelShape,
        layer_ranks: usize,
        tokens: usize,
    ) -> Result<()> {
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
        Ok(())
    }
}
