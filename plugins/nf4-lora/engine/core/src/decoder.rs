//! Forward passes without gradients over cached keys and values: prompts in pieces, tokens one by one, and mixtures.
//!
//! All sequences of a call share one prefix, computed once; what follows is in a slot of its own. By the back
//! end's contract a row's result depends neither on the other rows of a pass nor on where the prefix ends.

use crate::backend::{At, Backend, CachedKeys, Sequences};
use crate::buffers::{Growing, GrowingIndex};
use crate::control::Control;
use crate::lora::{Adapter, AdapterRows};
use crate::model::Model;
use crate::shape::Target;
use escada_engine_formats::error::{Code, EngineError, Result};

/// Token rows of one pass at most: bounds its scratch memory, and is wide enough for full-speed products.
pub const PASS_TOKENS: usize = 512;

/// Keys and values of one layer.
struct LayerCache<B: Backend> {
    /// `[prefix, NKV*HS] f32`
    shared_k: B::Buffer,
    shared_v: B::Buffer,
    /// `[slots, slot_tokens, NKV*HS] f32`
    slot_k: B::Buffer,
    slot_v: B::Buffer,
}

/// New tokens of one sequence.
pub struct Feed<'a> {
    pub slot: usize,
    /// Tokens the slot holds already.
    pub before: usize,
    pub tokens: &'a [u32],
}

/// A model with cache and scratch memory for one call of `generate` or `score`.
pub struct Decoder<'a, B: Backend> {
    backend: &'a B,
    model: &'a Model<B>,
    /// Of each slot.
    adapters: Vec<Option<&'a Adapter<B>>>,
    caches: Vec<LayerCache<B>>,
    pub prefix_tokens: usize,
    slot_tokens: usize,
    scratch: Scratch<B>,
    control: Control<'a>,
}

/// Buffers of a pass, `T` rows each.
struct Scratch<B: Backend> {
    ids: GrowingIndex<B>,
    positions: GrowingIndex<B>,
    starts: GrowingIndex<B>,
    slots: GrowingIndex<B>,
    before: GrowingIndex<B>,
    /// `[T]`: row of the slot memory where each new key goes.
    places: GrowingIndex<B>,
    wanted: GrowingIndex<B>,
    x: Growing<B>,
    normed: Growing<B>,
    rstd: Growing<B>,
    q: Growing<B>,
    k: Growing<B>,
    v: Growing<B>,
    attended: Growing<B>,
    gate: Growing<B>,
    up: Growing<B>,
    product: Growing<B>,
    ranks: Growing<B>,
    /// `[rows, C]` normed outputs of the wanted rows.
    out: Growing<B>,
    logits: Growing<B>,
}

/// Where a pass stores its keys: in the shared segment (while the prefix is computed) or in slots.
#[derive(Clone, Copy, PartialEq)]
enum Segment {
    Prefix,
    Slots,
}

impl<'a, B: Backend> Decoder<'a, B> {
    /// Memory for `slots` sequences of up to `slot_tokens` tokens behind `prefix`, whose keys are computed here.
    pub fn new(
        backend: &'a B,
        model: &'a Model<B>,
        adapter: Option<&'a Adapter<B>>,
        prefix: &[u32],
        slots: usize,
        slot_tokens: usize,
    ) -> Result<Self> {
        let room = (slots, slot_tokens);
        Self::with_control(backend, model, adapter, prefix, room, Control::none())
    }

    /// As [`Decoder::new`] with room for (slots, tokens of each); polled for in every layer of every pass.
    pub fn with_control(
        backend: &'a B,
        model: &'a Model<B>,
        adapter: Option<&'a Adapter<B>>,
        prefix: &[u32],
        (slots, slot_tokens): (usize, usize),
        control: Control<'a>,
    ) -> Result<Self> {
        let width = model.shape.kv_width();
        let cache = |_| {
            Ok(LayerCache {
                shared_k: backend.alloc(prefix.len() * width)?,
                shared_v: backend.alloc(prefix.len() * width)?,
                slot_k: backend.alloc(slots * slot_tokens * width)?,
                slot_v: backend.alloc(slots * slot_tokens * width)?,
            })
        };
        let caches = (0..model.shape.layers).map(cache).collect::<Result<_>>()?;
        let scratch = Scratch::new(backend)?;
        let mut decoder = Self {
            backend,
            model,
            // The prefix needs one, too, when there are no slots.
            adapters: vec![adapter; slots.max(1)],
            caches,
            prefix_tokens: 0,
            slot_tokens,
            scratch,
            control,
        };
        for (i, tokens) in prefix.chunks(PASS_TOKENS).enumerate() {
            decoder.forward(
                &[Feed {
                    slot: 0,
                    before: i * PASS_TOKENS,
                    tokens,
                }],
                Segment::Prefix,
            )?;
        }
        decoder.prefix_tokens = prefix.len();
        Ok(decoder)
    }

    /// Gives a slot another adapter. What it holds was computed with the one before: start it again.
    pub fn set_adapter(&mut self, slot: usize, adapter: Option<&'a Adapter<B>>) {
        self.adapters[slot] = adapter;
    }

    /// Runs new tokens through all layers. The outputs stay in memory for `log_probs`, `arg_max` or `logits`, whose
    /// `wanted` rows count the tokens of all feeds in order.
    pub fn feed(&mut self, feeds: &[Feed<'_>]) -> Result<()> {
        self.forward(feeds, Segment::Slots)
    }

    /// Natural logarithm of the probability of `targets[i]` after token row `wanted[i]`.
    pub fn log_probs(&mut self, wanted: &[u32], targets: &[u32]) -> Result<Vec<f32>> {
        let mut values = vec![0.0; wanted.len()];
        for ((rows, targets), values) in wanted
            .chunks(crate::pass::HEAD_ROWS)
            .zip(targets.chunks(crate::pass::HEAD_ROWS))
            .zip(values.chunks_mut(crate::pass::HEAD_ROWS))
        {
            self.head(rows)?;
            let (s, v) = (&mut self.scratch, self.model.shape.vocabulary);
            s.positions.set(self.backend, targets)?;
            s.rstd.reserve(self.backend, rows.len())?;
            self.backend
                .log_probs(&s.logits, &s.positions, rows.len(), v, &mut s.rstd);
            self.backend.download(&s.rstd, 0, values)?;
        }
        Ok(values)
    }

    /// Likeliest token after each wanted row.
    pub fn arg_max(&mut self, wanted: &[u32]) -> Result<Vec<u32>> {
        self.head(wanted)?;
        let s = &mut self.scratch;
        s.positions.reserve(self.backend, wanted.len())?;
        self.backend.arg_max(
            &s.logits,
            wanted.len(),
            self.model.shape.vocabulary,
            &mut s.positions,
        );
        let mut ids = vec![0; wanted.len()];
        self.backend.download_index(&s.positions, &mut ids)?;
        Ok(ids)
    }

    /// Logits after each wanted row, `[rows, V]`.
    pub fn logits(&mut self, wanted: &[u32]) -> Result<Vec<f32>> {
        self.head(wanted)?;
        let mut values = vec![0.0; wanted.len() * self.model.shape.vocabulary];
        self.backend.download(&self.scratch.logits, 0, &mut values)?;
        Ok(values)
    }

    /// Hidden states behind the last norm of the last pass' first `tokens` token rows, `[tokens, C]`.
    pub fn hidden(&mut self, tokens: usize) -> Result<Vec<f32>> {
        let (b, shape, s) = (self.backend, &self.model.shape, &mut self.scratch);
        let (c, eps) = (shape.hidden, shape.rms_epsilon);
        s.out.reserve(b, tokens * c)?;
        b.rms_norm(
            &s.x,
            At::start(&self.model.norm),
            eps,
            tokens,
            c,
            &mut s.out,
            &mut s.rstd,
        );
        let mut values = vec![0.0; tokens * c];
        b.download(&s.out, 0, &mut values)?;
        Ok(values)
    }

    /// Copies the first `tokens` rows of one slot into others.
    pub fn clone_slot(&mut self, from: usize, to: &[usize], tokens: usize) -> Result<()> {
        let (b, s) = (self.backend, &mut self.scratch);
        let width = self.model.shape.kv_width();
        let rows_of = |slot: usize| {
            (slot * self.slot_tokens..)
                .take(tokens)
                .map(|r| r as u32)
                .collect::<Vec<_>>()
        };
        s.k.reserve(b, tokens * width)?;
        s.positions.set(b, &rows_of(from))?;
        for cache in &mut self.caches {
            for memory in [&mut cache.slot_k, &mut cache.slot_v] {
                b.gather_rows(memory, &s.positions, tokens, width, &mut s.k);
                for &slot in to {
                    s.places.set(b, &rows_of(slot))?;
                    b.scatter_rows(&s.k, &s.places, tokens, width, memory);
                }
            }
        }
        Ok(())
    }

    /// Normed outputs and logits of the wanted rows of the last pass.
    fn head(&mut self, wanted: &[u32]) -> Result<()> {
        let (b, shape, s, n) = (self.backend, &self.model.shape, &mut self.scratch, wanted.len());
        let c = shape.hidden;
        s.wanted.set(b, wanted)?;
        s.out.reserve(b, n * c)?;
        s.normed.reserve(b, n * c)?;
        s.rstd.reserve(b, n)?;
        s.logits.reserve(b, n * shape.vocabulary)?;
        b.gather_rows(&s.x, &s.wanted, n, c, &mut s.normed);
        b.rms_norm(
            &s.normed,
            At::start(&self.model.norm),
            shape.rms_epsilon,
            n,
            c,
            &mut s.out,
            &mut s.rstd,
        );
        b.linear_forward(self.model.head(), &s.out, &mut s.logits, n, false);
        Ok(())
    }

    fn forward(&mut self, feeds: &[Feed<'_>], segment: Segment) -> Result<()> {
        let tokens: usize = feeds.iter().map(|f| f.tokens.len()).sum();
        let longest = feeds.iter().map(|f| f.tokens.len()).max().unwrap_or(0);
        let longest_keys =
            feeds.iter().map(|f| f.before + f.tokens.len()).max().unwrap_or(0) + self.prefix_tokens;
        self.check(feeds, segment)?;
        self.scratch
            .place(self.backend, feeds, self.prefix_tokens, self.slot_tokens)?;
        let adapters = self.adapter_rows(feeds);
        self.scratch
            .reserve(self.backend, self.model, &adapters, tokens)?;
        let s = &mut self.scratch;
        self.backend
            .embedding(&self.model.embedding, &s.ids, tokens, &mut s.x);
        for layer in 0..self.model.shape.layers {
            let doing = || format!("computing layer {} of {tokens} tokens", layer + 1);
            self.control.poll(doing)?;
            self.attention(
                layer,
                segment,
                &adapters,
                (feeds.len(), tokens, longest, longest_keys),
            );
            self.mlp(layer, &adapters, tokens);
        }
        Ok(())
    }

    /// Token rows that have an adapter; neighbours with the same one together.
    fn adapter_rows(&self, feeds: &[Feed<'_>]) -> Vec<AdapterRows<'a, B>> {
        let mut all: Vec<AdapterRows<'a, B>> = Vec::new();
        let mut end = 0;
        for feed in feeds {
            let (from, count) = (end, feed.tokens.len());
            end += count;
            let Some(adapter) = self.adapters[feed.slot] else {
                continue;
            };
            match all.last_mut() {
                Some(last) if std::ptr::eq(last.adapter, adapter) && last.from + last.count == from => {
                    last.count += count;
                }
                _ => all.push(AdapterRows { adapter, from, count }),
            }
        }
        all
    }

    fn check(&self, feeds: &[Feed<'_>], segment: Segment) -> Result<()> {
        let context = self.model.shape.context_tokens;
        for feed in feeds {
            let end = feed.before + feed.tokens.len();
            if (segment == Segment::Slots && end > self.slot_tokens) || end + self.prefix_tokens > context {
                let message =
                    format!("a sequence of {end} tokens does not fit its memory or the context {context}");
                return Err(EngineError::new(Code::Internal, message));
            }
        }
        Ok(())
    }

    fn attention(
        &mut self,
        layer: usize,
        segment: Segment,
        adapters: &[AdapterRows<'_, B>],
        (sequences, tokens, longest, longest_keys): (usize, usize, usize, usize),
    ) {
        let (b, model, s) = (self.backend, self.model, &mut self.scratch);
        let (shape, weights, cache) = (&model.shape, &model.layers[layer], &mut self.caches[layer]);
        let (c, eps) = (shape.hidden, shape.rms_epsilon);
        b.rms_norm(
            &s.x,
            At::start(&weights.norm_attention),
            eps,
            tokens,
            c,
            &mut s.normed,
            &mut s.rstd,
        );
        for (target, y) in [
            (Target::Q, &mut s.q),
            (Target::K, &mut s.k),
            (Target::V, &mut s.v),
        ] {
            model.apply(
                b,
                adapters,
                (layer, target),
                &s.normed,
                y,
                tokens,
                false,
                &mut s.ranks,
            );
        }
        for (x, heads) in [(&mut s.q, shape.heads), (&mut s.k, shape.kv_heads)] {
            b.rope(
                x,
                &s.positions,
                &model.cos,
                &model.sin,
                tokens,
                heads,
                shape.head_size,
                false,
            );
        }
        let width = shape.kv_width();
        let (to_k, to_v) = match segment {
            Segment::Prefix => (&mut cache.shared_k, &mut cache.shared_v),
            Segment::Slots => (&mut cache.slot_k, &mut cache.slot_v),
        };
        b.scatter_rows(&s.k, &s.places, tokens, width, to_k);
        b.scatter_rows(&s.v, &s.places, tokens, width, to_v);
        let (slot_k, slot_v) = match segment {
            Segment::Prefix => (&cache.shared_k, &cache.shared_v),
            Segment::Slots => (&cache.slot_k, &cache.slot_v),
        };
        let keys = CachedKeys {
            shared_k: &cache.shared_k,
            shared_v: &cache.shared_v,
            shared_tokens: self.prefix_tokens,
            slot_k,
            slot_v,
            slot_tokens: self.slot_tokens,
            slots: &*s.slots,
            slot_before: &*s.before,
            longest_keys,
        };
        let queries = Sequences {
            starts: &*s.starts,
            count: sequences,
            tokens,
            longest,
        };
        b.attention_cached(model.attention_shape(), queries, keys, &s.q, &mut s.attended);
        let at = (layer, Target::O);
        model.apply(b, adapters, at, &s.attended, &mut s.x, tokens, true, &mut s.ranks);
    }

    fn mlp(&mut self, layer: usize, adapters: &[AdapterRows<'_, B>], tokens: usize) {
        let (b, model, s) = (self.backend, self.model, &mut self.scratch);
        let (shape, weights) = (&model.shape, &model.layers[layer]);
        let (c, eps) = (shape.hidden, shape.rms_epsilon);
        b.rms_norm(
            &s.x,
            At::start(&weights.norm_mlp),
            eps,
            tokens,
            c,
            &mut s.normed,
            &mut s.rstd,
        );
        for (target, y) in [(Target::Gate, &mut s.gate), (Target::Up, &mut s.up)] {
            model.apply(
                b,
                adapters,
                (layer, target),
                &s.normed,
                y,
                tokens,
                false,
                &mut s.ranks,
            );
        }
        b.swiglu(&s.gate, &s.up, &mut s.product, tokens * shape.intermediate);
        let at = (layer, Target::Down);
        model.apply(b, adapters, at, &s.product, &mut s.x, tokens, true, &mut s.ranks);
    }
}

impl<B: Backend> Scratch<B> {
    fn new(backend: &B) -> Result<Self> {
        let (g, i) = (|| Growing::new(backend), || GrowingIndex::new(backend));
        Ok(Self {
            ids: i()?,
            positions: i()?,
            starts: i()?,
            slots: i()?,
            before: i()?,
            places: i()?,
            wanted: i()?,
            x: g()?,
            normed: g()?,
            rstd: g()?,
            q: g()?,
            k: g()?,
            v: g()?,
            attended: g()?,
            gate: g()?,
            up: g()?,
            product: g()?,
            ranks: g()?,
            out: g()?,
            logits: g()?,
        })
    }

    /// Uploads ids, positions and places of the new tokens.
    fn place(&mut self, b: &B, feeds: &[Feed<'_>], prefix: usize, slot_tokens: usize) -> Result<()> {
        let ids: Vec<u32> = feeds.iter().flat_map(|f| f.tokens).copied().collect();
        let spread = |base: &dyn Fn(&Feed<'_>) -> usize| -> Vec<u32> {
            feeds
                .iter()
                .flat_map(|f| (base(f)..).take(f.tokens.len()).map(|i| i as u32))
                .collect()
        };
        let mut starts = vec![0u32];
        starts.extend(feeds.iter().scan(0, |end, f| {
            *end += f.tokens.len() as u32;
            Some(*end)
        }));
        self.ids.set(b, &ids)?;
        self.positions.set(b, &spread(&|f| prefix + f.before))?;
        self.places
            .set(b, &spread(&|f| f.slot * slot_tokens + f.before))?;
        self.starts.set(b, &starts)?;
        self.slots
            .set(b, &feeds.iter().map(|f| f.slot as u32).collect::<Vec<_>>())?;
        self.before
            .set(b, &feeds.iter().map(|f| f.before as u32).collect::<Vec<_>>())
    }

    fn reserve(
        &mut self,
        b: &B,
        model: &Model<B>,
        adapters: &[AdapterRows<'_, B>],
        tokens: usize,
    ) -> Result<()> {
        let shape = &model.shape;
        let (c, f) = (tokens * shape.hidden, tokens * shape.intermediate);
        let (q, kv) = (tokens * shape.query_width(), tokens * shape.kv_width());
        let widest = adapters.iter().map(|rows| rows.adapter.layout.layer_ranks).max();
        let ranks = widest.unwrap_or(0) * tokens;
        for (buffer, len) in [
            (&mut self.x, c),
            (&mut self.normed, c),
            (&mut self.rstd, tokens),
            (&mut self.q, q),
            (&mut self.k, kv),
            (&mut self.v, kv),
            (&mut self.attended, q),
            (&mut self.gate, f),
            (&mut self.up, f),
            (&mut self.product, f),
            (&mut self.ranks, ranks),
        ] {
            buffer.reserve(b, len)?;
        }
        Ok(())
    }
}

/// Length of the longest common prefix of all prompts that leaves each at least one token.
pub fn shared_prefix<'p>(prompts: impl Iterator<Item = &'p [u32]> + Clone) -> usize {
    let Some(first) = prompts.clone().next() else {
        return 0;
    };
    let shortest = prompts.clone().map(<[u32]>::len).min().unwrap_or(0);
    let common = |p: &[u32]| p.iter().zip(first).take_while(|(a, b)| a == b).count();
    prompts
        .map(common)
        .min()
        .unwrap_or(0)
        .min(shortest.saturating_sub(1))
}
