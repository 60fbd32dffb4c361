//! An adapter on frozen weights in a training pass, with dropout on the adapter's input.

use crate::backend::{At, AtMut, Backend, Dropout, Layout, LowRank, Matmul};
use crate::batch::Batch;
use crate::buffers::Growing;
use crate::lora::{Adapter, AdapterRows, LoraLayout, LoraModule, lora_ranks};
use crate::model::Model;
use crate::pass::learner::{Learner, Norm};
use crate::rng;
use crate::shape::{ModelShape, Target};
use escada_engine_formats::error::Result;

/// Dropout of one micro-batch: every mask is a function of seed, micro-batch and module.
#[derive(Debug, Clone, Copy)]
pub struct DropoutPlan {
    pub probability: f32,
    pub seed: u64,
    /// Micro-batches since the start of training.
    pub micro_batch: u64,
}

impl DropoutPlan {
    /// No dropout.
    pub const NONE: Self = Self {
        probability: 0.0,
        seed: 0,
        micro_batch: 0,
    };

    fn site(self, layer: usize, target: Target) -> Option<Dropout> {
        (self.probability > 0.0).then(|| {
            let module = rng::stream_of("dropout") ^ (layer as u64) << 3 ^ target as u64;
            // The key carries the module, the stream the micro-batch: no two sites share a mask.
            let key = self.seed ^ module.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            Dropout {
                probability: self.probability,
                key,
                stream: self.micro_batch,
            }
        })
    }
}

/// Memory for the products between the two matrices of an adapter.
pub struct LoraScratch<B: Backend> {
    /// `[T, R]` gradient of A(x).
    d_ranks: Growing<B>,
    /// `[T, K]` input after dropout; gradient before dropout.
    dropped: Growing<B>,
}

impl<B: Backend> LoraScratch<B> {
    pub fn new(backend: &B) -> Result<Self> {
        Ok(Self {
            d_ranks: Growing::new(backend)?,
            dropped: Growing::new(backend)?,
        })
    }

    /// Elements held now.
    pub fn elements(&self, backend: &B) -> usize {
        backend.len(&self.d_ranks) + backend.len(&self.dropped)
    }

    pub fn reserve(
        &mut self,
        backend: &B,
        shape: &ModelShape,
        layout: &LoraLayout,
        tokens: usize,
        dropout: DropoutPlan,
    ) -> Result<()> {
        self.d_ranks.reserve(backend, tokens * layout.layer_ranks)?;
        let widest = shape.hidden.max(shape.query_width()).max(shape.intermediate);
        self.dropped.reserve(
            backend,
            if dropout.probability > 0.0 {
                tokens * widest
            } else {
                0
            },
        )
    }
}

/// An adapter that learns.
pub(crate) struct LoraLearner<'a, B: Backend> {
    pub backend: &'a B,
    pub model: &'a Model<B>,
    pub adapter: &'a Adapter<B>,
    pub dropout: DropoutPlan,
    pub scratch: &'a mut LoraScratch<B>,
    /// `[layout.len]`
    pub gradients: &'a mut B::Buffer,
}

impl<B: Backend> Learner<B> for LoraLearner<'_, B> {
    fn lowest_layer(&self) -> usize {
        self.adapter.layout.lowest_layer()
    }

    fn learns_before(&self, layer: usize) -> bool {
        layer > self.lowest_layer()
    }

    fn embed(&self, batch: &Batch<B>, out: &mut B::Buffer) {
        self.backend
            .embedding(&self.model.embedding, &batch.ids, batch.tokens, out);
    }

    fn norm(&self, norm: Norm) -> At<'_, B::Buffer> {
        At::start(match norm {
            Norm::Attention(layer) => &self.model.layers[layer].norm_attention,
            Norm::Mlp(layer) => &self.model.layers[layer].norm_mlp,
            Norm::Final => &self.model.norm,
        })
    }

    /// `y (+)= base(x) + scale * B(A(dropout(x)))`; keeps `A(…)` in `ranks`.
    fn linear(
        &mut self,
        (layer, target): (usize, Target),
        x: &B::Buffer,
        y: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
        ranks: &mut B::Buffer,
    ) {
        let (backend, adapter) = (self.backend, self.adapter);
        let of = &self.model.layers[layer];
        let Some(m) = adapter.layout.get(layer, target) else {
            return of.forward(backend, target, x, y, tokens, accumulate);
        };
        self.ranks((layer, target), x, tokens, ranks);
        let low = LowRank {
            rank: m.rank,
            scale: m.scale,
            inner: At::new(ranks, tokens * m.rank_before),
            outer: At::new(&adapter.parameters, m.b),
            columns: m.output,
        };
        let weight = &of.linears[target as usize];
        backend.linear_forward_low_rank(weight, x, y, tokens, accumulate, low);
        of.add_bias(backend, target, y, tokens);
    }

    fn ranks(
        &mut self,
        (layer, target): (usize, Target),
        x: &B::Buffer,
        tokens: usize,
        ranks: &mut B::Buffer,
    ) {
        let (backend, adapter) = (self.backend, self.adapter);
        let Some(m) = adapter.layout.get(layer, target) else {
            return;
        };
        let rows = AdapterRows {
            adapter,
            from: 0,
            count: tokens,
        };
        let input = self.dropped(m, x, tokens);
        lora_ranks(backend, rows, m, input, AtMut::new(ranks, tokens * m.rank_before));
    }

    /// `dx (+)= dy · W + scale * (dy · B) · A`; adds the gradients of A and B. Without `dx` only the latter.
    fn linear_backward(
        &mut self,
        (layer, target): (usize, Target),
        x: &B::Buffer,
        dy: &B::Buffer,
        dx: Option<&mut B::Buffer>,
        tokens: usize,
        accumulate: bool,
        ranks: &B::Buffer,
    ) {
        let (backend, adapter) = (self.backend, self.adapter);
        let weight = &self.model.layers[layer].linears[target as usize];
        let Some(m) = adapter.layout.get(layer, target) else {
            if let Some(dx) = dx {
                backend.linear_backward(weight, dy, dx, tokens, accumulate);
            }
            return;
        };
        let site = self.dropout.site(layer, target);
        self.weights_backward(m, site, x, dy, tokens, ranks);
        let Some(dx) = dx else { return };
        let scratch = &mut *self.scratch;
        let low = LowRank {
            rank: m.rank,
            scale: 1.0,
            inner: At::start(&*scratch.d_ranks),
            outer: At::new(&adapter.parameters, m.a),
            columns: m.input,
        };
        let Some(site) = site else {
            return backend.linear_backward_low_rank(weight, dy, dx, tokens, accumulate, low);
        };
        backend.linear_backward(weight, dy, dx, tokens, accumulate);
        low.multiply(backend, Layout::Nn, tokens, &mut scratch.dropped, false);
        backend.dropout(&scratch.dropped, dx, tokens * m.input, site, true);
    }

    fn head(&self, x: &B::Buffer, logits: &mut B::Buffer, rows: usize) {
        self.backend
            .linear_forward(self.model.head(), x, logits, rows, false);
    }

    fn head_backward(&mut self, _x: &B::Buffer, d_logits: &B::Buffer, dx: &mut B::Buffer, rows: usize) {
        self.backend
            .linear_backward(self.model.head(), d_logits, dx, rows, false);
    }
}

impl<B: Backend> LoraLearner<'_, B> {
    /// `x [T, K]` as a module gets it.
    fn dropped<'x>(&'x mut self, m: &LoraModule, x: &'x B::Buffer, tokens: usize) -> &'x B::Buffer {
        match self.dropout.site(m.layer, m.target) {
            Some(site) => {
                let dropped = &mut self.scratch.dropped;
                self.backend.dropout(x, dropped, tokens * m.input, site, false);
                dropped
            }
            None => x,
        }
    }

    /// `d_ranks = scale * dy · B`, `dB += scale * dyᵀ · ranks`, `dA += d_ranksᵀ · dropout(x)`.
    fn weights_backward(
        &mut self,
        m: &LoraModule,
        site: Option<Dropout>,
        x: &B::Buffer,
        dy: &B::Buffer,
        tokens: usize,
        ranks: &B::Buffer,
    ) {
        let (backend, adapter, scratch) = (self.backend, self.adapter, &mut *self.scratch);
        let dy = || At::start(dy);
        let (t, r) = (tokens, m.rank);
        let spec = Matmul {
            layout: Layout::Nn,
            m: t,
            n: r,
            k: m.output,
            alpha: m.scale,
            accumulate: false,
        };
        backend.matmul(
            spec,
            dy(),
            At::new(&adapter.parameters, m.b),
            AtMut::start(&mut scratch.d_ranks),
        );
        let spec = Matmul {
            layout: Layout::Tn,
            m: m.output,
            n: r,
            k: t,
            alpha: m.scale,
            accumulate: true,
        };
        backend.matmul(
            spec,
            dy(),
            At::new(ranks, t * m.rank_before),
            AtMut::new(self.gradients, m.b),
        );
        let input = match site {
            Some(site) => {
                backend.dropout(x, &mut scratch.dropped, t * m.input, site, false);
                &*scratch.dropped
            }
            None => x,
        };
        let spec = Matmul {
            layout: Layout::Tn,
            m: r,
            n: m.input,
            k: t,
            alpha: 1.0,
            accumulate: true,
        };
        backend.matmul(
            spec,
            At::start(&*scratch.d_ranks),
            At::start(input),
            AtMut::new(self.gradients, m.a),
        );
    }
}
