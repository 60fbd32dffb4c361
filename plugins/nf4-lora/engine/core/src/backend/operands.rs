//! What the operations of `Backend` take: weights, places in buffers, shapes and settings.

use super::Backend;
use escada_engine_formats::nf4::Nf4Tensor;
use escada_engine_formats::q4::Q4Tensor;
use escada_engine_formats::q8::Q8Tensor;
use serde::Serialize;

/// A frozen weight matrix `[rows = N, cols = K]` on its way to the device.
#[derive(Clone, Copy)]
pub enum LinearSource<'a> {
    /// `[rows, cols] f32`, kept as f32.
    F32 {
        rows: usize,
        cols: usize,
        data: &'a [f32],
    },
    /// Kept in NF4 (first-level scales may be decoded on upload).
    Nf4(&'a Nf4Tensor),
    /// Kept in 4 bits, the values exact.
    Q4(&'a Q4Tensor),
    /// Kept in 8 bits, the values exact.
    Q8(&'a Q8Tensor),
}

/// A buffer from element `offset` on.
pub struct At<'a, B> {
    pub buffer: &'a B,
    pub offset: usize,
}

/// A writable buffer from element `offset` on.
pub struct AtMut<'a, B> {
    pub buffer: &'a mut B,
    pub offset: usize,
}

impl<'a, B> At<'a, B> {
    pub fn new(buffer: &'a B, offset: usize) -> Self {
        Self { buffer, offset }
    }
    /// The buffer from its start.
    pub fn start(buffer: &'a B) -> Self {
        Self { buffer, offset: 0 }
    }
}

impl<'a, B> AtMut<'a, B> {
    pub fn new(buffer: &'a mut B, offset: usize) -> Self {
        Self { buffer, offset }
    }
    /// The buffer from its start.
    pub fn start(buffer: &'a mut B) -> Self {
        Self { buffer, offset: 0 }
    }
}

/// A product of low rank on top of that of a weight (LoRA): `scale * inner [T, R] · outer`.
pub struct LowRank<'a, B> {
    /// `R`
    pub rank: usize,
    pub scale: f32,
    /// `[T, R]`
    pub inner: At<'a, B>,
    /// Forward `[N, R]` (read transposed), backward `[R, K]`.
    pub outer: At<'a, B>,
    /// Columns of the result: forward `N`, backward `K`.
    pub columns: usize,
}

impl<B> LowRank<'_, B> {
    /// The product alone, to `to [tokens, columns]`; `layout` as `outer` is kept.
    pub fn multiply<K: Backend<Buffer = B>>(
        self,
        backend: &K,
        layout: Layout,
        tokens: usize,
        to: &mut B,
        accumulate: bool,
    ) {
        let spec = Matmul {
            layout,
            m: tokens,
            n: self.columns,
            k: self.rank,
            alpha: self.scale,
            accumulate,
        };
        backend.matmul(spec, self.inner, self.outer, AtMut::start(to));
    }
}

/// Which operands of `matmul` are read transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `c[m,n] = Σk a[m,k] b[n,k]`
    Nt,
    /// `c[m,n] = Σk a[m,k] b[k,n]`
    Nn,
    /// `c[m,n] = Σk a[k,m] b[k,n]`
    Tn,
}

/// `c = alpha * (a ∘ b)`, added to `c` when `accumulate`.
#[derive(Debug, Clone, Copy)]
pub struct Matmul {
    pub layout: Layout,
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub alpha: f32,
    pub accumulate: bool,
}

/// Head geometry; `NH` is a multiple of `NKV`, query head `h` reads key head `h / (NH / NKV)`.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// `NH`
    pub heads: usize,
    /// `NKV`
    pub kv_heads: usize,
    /// `HS`
    pub head_size: usize,
    /// Factor of the scores, usually `1/sqrt(HS)`.
    pub scale: f32,
    /// Sliding window: keys a query sees at most, the newest ones, its own among them; `usize::MAX` for all.
    pub window: usize,
}

/// Sequences packed without padding: sequence `s` owns token rows `starts[s] .. starts[s+1]`.
pub struct Sequences<'a, I> {
    /// `[S+1] u32`, ascending from 0.
    pub starts: &'a I,
    /// `S`
    pub count: usize,
    /// `T = starts[S]`
    pub tokens: usize,
    /// Longest sequence in tokens.
    pub longest: usize,
}

/// Keys and values of sequences in generation: one segment shared by all, then one growing segment per slot.
///
/// The keys of a query of sequence `s` are, in this logical order, `shared_tokens` rows of the shared segment and
/// the rows `slot*slot_tokens ..` of the slot's segment. The order of accumulation depends on the logical position
/// only, so that a prefix gives the same bits whether it is shared or not.
pub struct CachedKeys<'a, B, I> {
    /// `[≥ shared_tokens, NKV*HS] f32`
    pub shared_k: &'a B,
    /// `[≥ shared_tokens, NKV*HS] f32`
    pub shared_v: &'a B,
    pub shared_tokens: usize,
    /// `[slots, slot_tokens, NKV*HS] f32`
    pub slot_k: &'a B,
    /// `[slots, slot_tokens, NKV*HS] f32`
    pub slot_v: &'a B,
    /// Rows of one slot.
    pub slot_tokens: usize,
    /// `[S] u32`: slot of each sequence of the call.
    pub slots: &'a I,
    /// `[S] u32`: rows the slot held before the query rows of this call. Query `j` of sequence `s` (counted from
    /// `starts[s]`) sees the shared rows and `slot_before[s] + j + 1` rows of its slot (its own key included: the
    /// caller has stored the keys of this call already).
    pub slot_before: &'a I,
    /// Largest number of keys a query of this call sees.
    pub longest_keys: usize,
}

/// One AdamW step with torch's semantics; all scalars are computed by the caller in f64 and rounded once.
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Factor applied to the gradient first (clipping).
    pub gradient_scale: f32,
    /// `1 - lr * weightDecay`, multiplied into the parameter first.
    pub decay: f32,
    pub beta1: f32,
    pub one_minus_beta1: f32,
    pub beta2: f32,
    pub one_minus_beta2: f32,
    /// `lr / (1 - beta1^step)`
    pub step_size: f32,
    /// `sqrt(1 - beta2^step)`: the denominator is `sqrt(v) / this + epsilon`.
    pub bias_correction2_sqrt: f32,
    pub epsilon: f32,
}

/// Elements of a block of 8-bit moments.
pub const MOMENT_BLOCK: usize = 256;

/// One AdamW step on 8-bit moments with the rules of bitsandbytes' CUDA kernel in correctly rounded arithmetic; all
/// scalars are computed by the caller in f64 and rounded once, `one_minus_*` in f32.
#[derive(Debug, Clone, Copy)]
pub struct AdamW8 {
    /// Factor applied to the gradient first (clipping).
    pub gradient_scale: f32,
    /// `1 - lr * weightDecay`, multiplied into the parameter last.
    pub decay: f32,
    pub beta1: f32,
    pub one_minus_beta1: f32,
    pub beta2: f32,
    pub one_minus_beta2: f32,
    /// `lr * sqrt(1 - beta2^step) / (1 - beta1^step)`
    pub step_size: f32,
    /// `sqrt(1 - beta2^step) * epsilon`
    pub epsilon: f32,
}

/// Both moments of a tensor of `n` elements: codes of the dynamic maps (`m` signed, `v` unsigned) and one scale per
/// block of `MOMENT_BLOCK` elements.
pub struct Moments8<'a, B, Y> {
    /// `[n] u8`
    pub m: AtMut<'a, Y>,
    /// `[n] u8`
    pub v: AtMut<'a, Y>,
    /// `[n / MOMENT_BLOCK, rounded up] f32`
    pub m_scales: AtMut<'a, B>,
    /// `[n / MOMENT_BLOCK, rounded up] f32`
    pub v_scales: AtMut<'a, B>,
}

/// Dropout of one site. Element `i` is kept iff word `i % 4` of `philox(key, i / 4, stream)` (see `rng.rs`), as a
/// fraction of 2^32, is `>= probability`; kept elements are multiplied by `1 / (1 - probability)`.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    pub probability: f32,
    pub key: u64,
    pub stream: u64,
}

/// What products with frozen weights are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Arithmetic {
    #[serde(rename = "f32")]
    F32,
    /// `Backend::sixteen_bits`
    #[serde(rename = "16-bit")]
    SixteenBits,
}
