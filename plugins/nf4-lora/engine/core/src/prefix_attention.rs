//! Attention of a training batch whose common prefix is computed once: rows are spread out to full sequences before
//! the kernels and gathered again behind them. The prefix's keys collect their gradients from every sequence.

use crate::backend::{AtMut, AttentionShape, Backend};
use crate::batch::Batch;
use crate::buffers::Growing;
use crate::shape::ModelShape;
use escada_engine_formats::error::Result;

/// Full-length copies, `F` = full rows.
pub struct PrefixAttention<B: Backend> {
    /// `[F, NH*HS]`
    q: Growing<B>,
    /// `[F, NKV*HS]`
    k: Growing<B>,
    v: Growing<B>,
    /// `[F, NH*HS]`
    out: Growing<B>,
    /// `[F, NH]`
    lse: Growing<B>,
    d_out: Growing<B>,
    dq: Growing<B>,
    dk: Growing<B>,
    dv: Growing<B>,
    /// `[prefix, NKV*HS]`
    part: Growing<B>,
}

/// Compact queries, keys and values of a layer, rotated.
pub struct Qkv<'a, B: Backend> {
    pub q: &'a B::Buffer,
    pub k: &'a B::Buffer,
    pub v: &'a B::Buffer,
}

impl<B: Backend> PrefixAttention<B> {
    pub fn new(backend: &B) -> Result<Self> {
        let g = || Growing::new(backend);
        Ok(Self {
            q: g()?,
            k: g()?,
            v: g()?,
            out: g()?,
            lse: g()?,
            d_out: g()?,
            dq: g()?,
            dk: g()?,
            dv: g()?,
            part: g()?,
        })
    }

    /// Makes room for a batch; nothing when it shares no prefix.
    pub fn reserve(&mut self, backend: &B, shape: AttentionShape, batch: &Batch<B>) -> Result<()> {
        let full = if batch.prefix_tokens > 0 {
            batch.full_tokens
        } else {
            0
        };
        let (q, kv) = (shape.heads * shape.head_size, shape.kv_heads * shape.head_size);
        for (buffer, len) in [
            (&mut self.q, full * q),
            (&mut self.k, full * kv),
            (&mut self.v, full * kv),
            (&mut self.out, full * q),
            (&mut self.lse, full * shape.heads),
            (&mut self.d_out, full * q),
            (&mut self.dq, full * q),
            (&mut self.dk, full * kv),
            (&mut self.dv, full * kv),
            (&mut self.part, batch.prefix_tokens * kv),
        ] {
            buffer.reserve(backend, len)?;
        }
        Ok(())
    }

    /// Elements held per full row and per row of the prefix, when a prefix is shared.
    pub fn row_elements(shape: &ModelShape) -> (usize, usize) {
        let (q, kv) = (shape.query_width(), shape.kv_width());
        (4 * q + 4 * kv + shape.heads, kv)
    }

    /// Elements held now.
    pub fn elements(&self, backend: &B) -> usize {
        let buffers = [
            &self.q,
            &self.k,
            &self.v,
            &self.out,
            &self.lse,
            &self.d_out,
            &self.dq,
            &self.dk,
            &self.dv,
            &self.part,
        ];
        buffers.into_iter().map(|buffer| backend.len(buffer)).sum()
    }

    /// As `Backend::attention`, on compact rows.
    pub fn forward(
        &mut self,
        backend: &B,
        shape: AttentionShape,
        batch: &Batch<B>,
        x: Qkv<'_, B>,
        out: &mut B::Buffer,
        lse: &mut B::Buffer,
    ) {
        if batch.prefix_tokens == 0 {
            backend.attention(shape, batch.sequences(), x.q, x.k, x.v, out, lse);
            return;
        }
        self.spread(backend, shape, batch, x);
        let sequences = batch.sequences();
        backend.attention(
            shape,
            sequences,
            &self.q,
            &self.k,
            &self.v,
            &mut self.out,
            &mut self.lse,
        );
        let (rows, width) = (&*batch.shared.compact, shape.heads * shape.head_size);
        backend.gather_rows(&self.out, rows, batch.tokens, width, out);
        backend.gather_rows(&self.lse, rows, batch.tokens, shape.heads, lse);
    }

    /// As `Backend::attention_backward`, on compact rows.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &mut self,
        backend: &B,
        shape: AttentionShape,
        batch: &Batch<B>,
        x: Qkv<'_, B>,
        out: &B::Buffer,
        lse: &B::Buffer,
        d_out: &B::Buffer,
        (dq, dk, dv): (&mut B::Buffer, &mut B::Buffer, &mut B::Buffer),
    ) {
        let sequences = batch.sequences();
        if batch.prefix_tokens == 0 {
            backend.attention_backward(shape, sequences, x.q, x.k, x.v, out, lse, d_out, dq, dk, dv);
            return;
        }
        self.spread(backend, shape, batch, x);
        let (full, width) = (batch.full_tokens, shape.heads * shape.head_size);
        backend.gather_rows(out, &batch.shared.expand, full, width, &mut self.out);
        backend.gather_rows(lse, &batch.shared.expand, full, shape.heads, &mut self.lse);
        // The prefix's outputs are used once, in the first sequence: elsewhere their gradient is zero.
        backend.fill(AtMut::start(&mut self.d_out), full * width, 0.0);
        backend.scatter_rows(d_out, &batch.shared.compact, batch.tokens, width, &mut self.d_out);
        backend.attention_backward(
            shape,
            sequences,
            &self.q,
            &self.k,
            &self.v,
            &self.out,
            &self.lse,
            &self.d_out,
            &mut self.dq,
            &mut self.dk,
            &mut self.dv,
        );
        backend.gather_rows(&self.dq, &batch.shared.compact, batch.tokens, width, dq);
        let width = shape.kv_heads * shape.head_size;
        for (full, compact) in [(&self.dk, dk), (&self.dv, dv)] {
            backend.gather_rows(full, &batch.shared.compact, batch.tokens, width, compact);
            for prefix in &batch.shared.prefixes[..batch.sequences - 1] {
                backend.gather_rows(full, prefix, batch.prefix_tokens, width, &mut self.part);
                backend.add(&self.part, compact, batch.prefix_tokens * width);
            }
        }
    }

    fn spread(&mut self, backend: &B, shape: AttentionShape, batch: &Batch<B>, x: Qkv<'_, B>) {
        let (q, kv) = (shape.heads * shape.head_size, shape.kv_heads * shape.head_size);
        for (from, to, width) in [
            (x.q, &mut self.q, q),
            (x.k, &mut self.k, kv),
            (x.v, &mut self.v, kv),
        ] {
            backend.gather_rows(from, &batch.shared.expand, batch.full_tokens, width, to);
        }
    }
}
