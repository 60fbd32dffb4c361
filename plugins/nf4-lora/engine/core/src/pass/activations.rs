//! Memory of a training pass, kept between steps.

use crate::activation_policy::ActivationPolicy;
use crate::backend::Backend;
use crate::buffers::Growing;
use crate::shape::ModelShape;
use escada_engine_formats::error::Result;

/// What the backward pass needs of a layer besides its input and [`Mlp`].
pub(super) struct Attention<B: Backend> {
    /// Whose values these are: layers that keep theirs have a slot each, the others share one.
    pub layer: usize,
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
    /// `[T * sum of ranks]`: A(x) of each module, one after the other.
    pub ranks: Growing<B>,
}

/// Outputs of gate and up, `[T, F]` each.
pub(super) struct Mlp<B: Backend> {
    /// As [`Attention::layer`].
    pub layer: usize,
    pub gate: Growing<B>,
    pub up: Growing<B>,
}

/// What layers save for the backward pass, and the working memory of one layer.
pub(super) struct Activations<B: Backend> {
    /// `[T, C]` input of each layer, and the output of the last.
    pub x: Vec<Growing<B>>,
    pub attention: Vec<Attention<B>>,
    pub mlp: Vec<Mlp<B>>,
    /// Per layer: its slot in `attention` and in `mlp`.
    pub slots: Vec<(usize, usize)>,
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

/// Elements per token row, and how many of each there are.
pub struct RowElements {
    /// Inputs of all layers, output of the last.
    pub inputs: usize,
    /// One slot of [`Attention`].
    pub attention: usize,
    /// One slot of [`Mlp`].
    pub mlp: usize,
    /// Working memory of one layer.
    pub working: usize,
}

impl RowElements {
    pub fn of(shape: &ModelShape, layer_ranks: usize) -> Self {
        let (c, f) = (shape.hidden, shape.intermediate);
        let (q, kv) = (shape.query_width(), shape.kv_width());
        Self {
            inputs: (shape.layers + 1) * c,
            attention: c + 2 * q + 2 * kv + shape.heads + 2 + layer_ranks,
            mlp: 2 * f,
            working: 3 * c + 4 * f + 2 * q + 2 * kv,
        }
    }
}

/// A slot for each layer that keeps its own, one more for all the others together. Returns how many, and each layer's.
fn slots_of(keeps: impl Iterator<Item = bool> + Clone) -> (usize, Vec<usize>) {
    let own = keeps.clone().filter(|keep| *keep).count();
    let mut next = 0..own;
    let slots: Vec<usize> = keeps
        .map(|keep| if keep { next.next().unwrap_or(own) } else { own })
        .collect();
    (own + usize::from(slots.contains(&own)), slots)
}

impl<B: Backend> Activations<B> {
    pub fn new(backend: &B, policies: &[ActivationPolicy]) -> Result<Self> {
        let g = || Growing::new(backend);
        let attention = |_| {
            Ok(Attention {
                layer: usize::MAX,
                rstd_attention: g()?,
                q: g()?,
                k: g()?,
                v: g()?,
                attended: g()?,
                lse: g()?,
                middle: g()?,
                rstd_mlp: g()?,
                ranks: g()?,
            })
        };
        let mlp = |_| {
            Ok(Mlp {
                layer: usize::MAX,
                gate: g()?,
                up: g()?,
            })
        };
        let policies = policies.iter();
        let (attentions, attention_of) =
            slots_of(policies.clone().map(|p| *p != ActivationPolicy::Checkpoint));
        let (mlps, mlp_of) = slots_of(policies.clone().map(|p| *p == ActivationPolicy::Keep));
        Ok(Self {
            x: (0..=policies.len()).map(|_| g()).collect::<Result<_>>()?,
            attention: (0..attentions).map(attention).collect::<Result<_>>()?,
            mlp: (0..mlps).map(mlp).collect::<Result<_>>()?,
            slots: attention_of.into_iter().zip(mlp_of).collect(),
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

    /// Every buffer with its elements per token row.
    fn all(&mut self, shape: &ModelShape, layer_ranks: usize) -> Vec<(&mut Growing<B>, usize)> {
        let (c, f) = (shape.hidden, shape.intermediate);
        let (q, kv) = (shape.query_width(), shape.kv_width());
        let mut all: Vec<_> = self.x.iter_mut().map(|x| (x, c)).collect();
        for s in &mut self.attention {
            all.extend([
                (&mut s.rstd_attention, 1),
                (&mut s.q, q),
                (&mut s.k, kv),
                (&mut s.v, kv),
                (&mut s.attended, q),
                (&mut s.lse, shape.heads),
                (&mut s.middle, c),
                (&mut s.rstd_mlp, 1),
                (&mut s.ranks, layer_ranks),
            ]);
        }
        for s in &mut self.mlp {
            all.extend([(&mut s.gate, f), (&mut s.up, f)]);
        }
        all.extend([
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
        ]);
        all
    }

    /// Elements of all buffers now.
    pub fn elements(&mut self, backend: &B, shape: &ModelShape) -> usize {
        let all = self.all(shape, 0);
        all.into_iter().map(|(buffer, _)| backend.len(buffer)).sum()
    }

    /// Makes room for `tokens` rows.
    pub fn reserve(
        &mut self,
        backend: &B,
        shape: &ModelShape,
        layer_ranks: usize,
        tokens: usize,
    ) -> Result<()> {
        for (buffer, per_row) in self.all(shape, layer_ranks) {
            buffer.reserve(backend, tokens * per_row)?;
        }
        Ok(())
    }
}
