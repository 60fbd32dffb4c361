//! The border between the model and the machine: every numeric operation of training and generation.
//!
//! Contract of every implementation:
//! - **Deterministic.** A result depends on the arguments and the instruction-set class only, never on the thread
//!   count, the call before or the address of a buffer. Reductions have a fixed order (no atomics).
//! - **Row independent.** Where an operation maps rows to rows (linear, matmul NT/NN, norms, attention with cache,
//!   cross-entropy, arg max), an output row is a function of its own input row(s) alone, bit for bit: neither the
//!   number of rows of the call nor the position of the row in it may change it. Batched and single generation agree
//!   through this.
//! - **Prefix of a buffer.** Buffers may be longer than an operation needs; it reads and writes the first elements
//!   (after `offset`, where one is given) and leaves the rest alone.
//! - **Errors.** Memory and transfer calls return errors. Operations do not: shapes are the caller's duty (an
//!   implementation may panic on a broken one), and a device failure is reported by the next transfer.
//!
//! Matrices are row-major and contiguous. Letters: `T` token rows, `S` sequences, `C` channels, `N`/`K` output/input
//! width of a linear layer, `R` LoRA rank, `V` vocabulary, `NH`/`NKV` query/key heads, `HS` head size. `f32` is the
//! dtype of every `Buffer`, `u32` of every `Index`.

mod operands;

use escada_engine_formats::error::Result;

pub use operands::*;

/// The numeric operations. See the module documentation for the contract.
pub trait Backend: Send + 'static {
    /// `f32` elements on the device.
    type Buffer: Send;
    /// `u32` elements on the device.
    type Index: Send;
    /// `u8` elements on the device.
    type Bytes: Send;
    /// A frozen weight `[N, K]`.
    type Linear: Send;

    /// Instruction-set class, part of every digest: equal classes give equal bits (`"x86-64-avx512f"`, `"scalar"`).
    fn isa_class(&self) -> String;
    /// What `linear_*` computes in.
    fn arithmetic(&self) -> Arithmetic {
        Arithmetic::F32
    }
    /// The same device, sharing buffers and weights with this one, whose `linear_*` operations may round each operand to an
    /// integer of 13 bits (sign included) with one f32 scale for each 128 steps of the summed index, and sum in f32 or
    /// exactly: every value moves by at most 1/8190 of the largest magnitude in its run of steps, and runs without a
    /// magnitude of 1e-30 count as zero. All other operations stay as they are. `None` where the device has nothing faster
    /// than f32. The class has a name of its own, `arithmetic` is `SixteenBits`.
    fn sixteen_bits(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
    /// Worker threads in use; never changes a result.
    fn threads(&self) -> usize;

    // ---- memory -------------------------------------------------------------------------------------------------

    /// `[len] f32`, zeroed.
    fn alloc(&self, len: usize) -> Result<Self::Buffer>;
    /// Elements in the buffer.
    fn len(&self, buffer: &Self::Buffer) -> usize;
    /// Host to device: `buffer[offset ..] = data`.
    fn upload(&self, data: &[f32], buffer: &mut Self::Buffer, offset: usize) -> Result<()>;
    /// Device to host: `data = buffer[offset ..]`. Waits for pending operations.
    fn download(&self, buffer: &Self::Buffer, offset: usize, data: &mut [f32]) -> Result<()>;
    /// `[len] u32`, zeroed.
    fn alloc_index(&self, len: usize) -> Result<Self::Index>;
    /// Elements in the index.
    fn index_len(&self, index: &Self::Index) -> usize;
    /// Host to device: `index[0 ..] = data`.
    fn upload_index(&self, data: &[u32], index: &mut Self::Index) -> Result<()>;
    /// Device to host: `data = index[0 ..]`.
    fn download_index(&self, index: &Self::Index, data: &mut [u32]) -> Result<()>;
    /// `[len] u8`, zeroed.
    fn alloc_bytes(&self, len: usize) -> Result<Self::Bytes>;
    /// Host to device: `bytes[offset ..] = data`.
    fn upload_bytes(&self, data: &[u8], bytes: &mut Self::Bytes, offset: usize) -> Result<()>;
    /// Device to host: `data = bytes[offset ..]`.
    fn download_bytes(&self, bytes: &Self::Bytes, offset: usize, data: &mut [u8]) -> Result<()>;
    /// Stores a frozen weight on the device.
    fn upload_linear(&self, source: LinearSource<'_>) -> Result<Self::Linear>;
    /// Bytes the weight occupies on the device.
    fn linear_bytes(&self, linear: &Self::Linear) -> usize;

    // ---- moving and adding --------------------------------------------------------------------------------------

    /// `x[0..n] = value`.
    fn fill(&self, x: AtMut<'_, Self::Buffer>, n: usize, value: f32);
    /// `dst[0..n] = src[0..n]`.
    fn copy(&self, src: At<'_, Self::Buffer>, dst: AtMut<'_, Self::Buffer>, n: usize);
    /// `x[0..n] *= factor`.
    fn scale(&self, x: AtMut<'_, Self::Buffer>, n: usize, factor: f32);
    /// `dst[0..n] += src[0..n]`.
    fn add(&self, src: &Self::Buffer, dst: &mut Self::Buffer, n: usize);
    /// `out[0..n] = a[0..n] + b[0..n]`.
    fn sum(&self, a: &Self::Buffer, b: &Self::Buffer, out: &mut Self::Buffer, n: usize);
    /// `dst[i, :] = src[rows[i], :]` for `i < count`; `src [*, cols]`, `dst [count, cols]`.
    fn gather_rows(
        &self,
        src: &Self::Buffer,
        rows: &Self::Index,
        count: usize,
        cols: usize,
        dst: &mut Self::Buffer,
    );
    /// `dst[rows[i], :] = src[i, :]`; `rows` holds no value twice.
    fn scatter_rows(
        &self,
        src: &Self::Buffer,
        rows: &Self::Index,
        count: usize,
        cols: usize,
        dst: &mut Self::Buffer,
    );
    /// `dst[rows[i], :] += src[i, :]`; `rows` holds no value twice.
    fn scatter_add_rows(
        &self,
        src: &Self::Buffer,
        rows: &Self::Index,
        count: usize,
        cols: usize,
        dst: &mut Self::Buffer,
    );
    /// `out[0..n] = mask * x[0..n] / (1 - p)`, added when `accumulate`. Linear in `x`: the same call is its gradient.
    fn dropout(&self, x: &Self::Buffer, out: &mut Self::Buffer, n: usize, site: Dropout, accumulate: bool);

    // ---- matrix products ----------------------------------------------------------------------------------------

    /// `out[t, :] = table[ids[t], :]`; `table [V, C]` f32 linear, `ids [T] u32`, `out [T, C]`.
    fn embedding(&self, table: &Self::Linear, ids: &Self::Index, tokens: usize, out: &mut Self::Buffer);
    /// `y [T, N] = x [T, K] · Wᵀ`, added to `y` when `accumulate`.
    fn linear_forward(
        &self,
        weight: &Self::Linear,
        x: &Self::Buffer,
        y: &mut Self::Buffer,
        tokens: usize,
        accumulate: bool,
    );
    /// `dx [T, K] = dy [T, N] · W`, added to `dx` when `accumulate`.
    fn linear_backward(
        &self,
        weight: &Self::Linear,
        dy: &Self::Buffer,
        dx: &mut Self::Buffer,
        tokens: usize,
        accumulate: bool,
    );
    /// `linear_forward`, then `y += scale * inner · outerᵀ`, in one pass over `y` where the back end can.
    fn linear_forward_low_rank(
        &self,
        weight: &Self::Linear,
        x: &Self::Buffer,
        y: &mut Self::Buffer,
        tokens: usize,
        accumulate: bool,
        low: LowRank<'_, Self::Buffer>,
    ) where
        Self: Sized,
    {
        self.linear_forward(weight, x, y, tokens, accumulate);
        low.multiply(self, Layout::Nt, tokens, y, true);
    }
    /// `linear_backward`, then `dx += scale * inner · outer`, in one pass over `dx` where the back end can.
    fn linear_backward_low_rank(
        &self,
        weight: &Self::Linear,
        dy: &Self::Buffer,
        dx: &mut Self::Buffer,
        tokens: usize,
        accumulate: bool,
        low: LowRank<'_, Self::Buffer>,
    ) where
        Self: Sized,
    {
        self.linear_backward(weight, dy, dx, tokens, accumulate);
        low.multiply(self, Layout::Nn, tokens, dx, true);
    }
    /// Dense product of f32 operands (LoRA): see `Matmul` and `Layout` for the shapes of `a`, `b`, `c`.
    fn matmul(
        &self,
        spec: Matmul,
        a: At<'_, Self::Buffer>,
        b: At<'_, Self::Buffer>,
        c: AtMut<'_, Self::Buffer>,
    );

    /// `x[t, :] += bias`; `x [T, N]`, `bias [N]`.
    fn add_bias(&self, bias: At<'_, Self::Buffer>, x: &mut Self::Buffer, tokens: usize, columns: usize);
    /// Gradient of `add_bias`: `bias[n] += Σt dy[t,n]`; `dy [T, N]`.
    fn bias_gradient(&self, dy: &Self::Buffer, tokens: usize, columns: usize, bias: AtMut<'_, Self::Buffer>);
    /// Gradient of a table that rows were taken from: `table[ids[t], :] += d_out[t, :]`. Ids may repeat: their rows are
    /// added in the order of `t`. `d_out [T, cols]`, `ids [T] u32`, `table [V, cols]`.
    fn embedding_gradient(
        &self,
        d_out: &Self::Buffer,
        ids: &Self::Index,
        tokens: usize,
        cols: usize,
        table: AtMut<'_, Self::Buffer>,
    );

    // ---- layers -------------------------------------------------------------------------------------------------

    /// `rstd[t] = 1/sqrt(mean(x[t,:]²) + epsilon)`, `out = x * rstd * weight`; `x, out [T, C]`, `weight [C]`,
    /// `rstd [T]`.
    #[allow(clippy::too_many_arguments)]
    fn rms_norm(
        &self,
        x: &Self::Buffer,
        weight: At<'_, Self::Buffer>,
        epsilon: f32,
        tokens: usize,
        channels: usize,
        out: &mut Self::Buffer,
        rstd: &mut Self::Buffer,
    );
    /// Input gradient of `rms_norm`: `dx (+)= rstd * (dy*w - x * rstd² * mean(dy*w*x))`; `dx, dy, x [T, C]`.
    #[allow(clippy::too_many_arguments)]
    fn rms_norm_backward(
        &self,
        x: &Self::Buffer,
        weight: At<'_, Self::Buffer>,
        rstd: &Self::Buffer,
        dy: &Self::Buffer,
        tokens: usize,
        channels: usize,
        dx: &mut Self::Buffer,
        accumulate: bool,
    );
    /// Weight gradient of `rms_norm`: `weight[c] += Σt x[t,c] * rstd[t] * dy[t,c]`; `x, dy [T, C]`, `rstd [T]`.
    fn rms_norm_gradient(
        &self,
        x: &Self::Buffer,
        rstd: &Self::Buffer,
        dy: &Self::Buffer,
        tokens: usize,
        channels: usize,
        weight: AtMut<'_, Self::Buffer>,
    );
    /// Half-split rotation in place: for `i < HS/2`, `(a, b) = (x[i], x[i+HS/2])` become
    /// `(a·cos - b·sin, b·cos + a·sin)`; with `inverse` the sine is negated (the gradient).
    /// `x [T, heads*HS]`, `positions [T] u32`, `cos, sin [≥ max position + 1, HS/2]`.
    #[allow(clippy::too_many_arguments)]
    fn rope(
        &self,
        x: &mut Self::Buffer,
        positions: &Self::Index,
        cos: &Self::Buffer,
        sin: &Self::Buffer,
        tokens: usize,
        heads: usize,
        head_size: usize,
        inverse: bool,
    );
    /// Causal attention within each sequence (and the window, if there is one). `q, out [T, NH*HS]`, `k, v [T, NKV*HS]`, `lse [T, NH]` receives
    /// `ln Σ exp(scale * q·k)` of each query.
    #[allow(clippy::too_many_arguments)]
    fn attention(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, Self::Index>,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
        out: &mut Self::Buffer,
        lse: &mut Self::Buffer,
    );
    /// Gradients of `attention`, written over `dq [T, NH*HS]`, `dk, dv [T, NKV*HS]`; `d_out [T, NH*HS]`.
    #[allow(clippy::too_many_arguments)]
    fn attention_backward(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, Self::Index>,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
        out: &Self::Buffer,
        lse: &Self::Buffer,
        d_out: &Self::Buffer,
        dq: &mut Self::Buffer,
        dk: &mut Self::Buffer,
        dv: &mut Self::Buffer,
    );
    /// Attention of new query rows over cached keys (prefill of a prompt's tail and decoding alike).
    /// `q, out [T, NH*HS]`; the query rows of sequence `s` are `starts[s] .. starts[s+1]`.
    fn attention_cached(
        &self,
        shape: AttentionShape,
        queries: Sequences<'_, Self::Index>,
        keys: CachedKeys<'_, Self::Buffer, Self::Index>,
        q: &Self::Buffer,
        out: &mut Self::Buffer,
    );
    /// `out = silu(gate) * up`, `n` elements each.
    fn swiglu(&self, gate: &Self::Buffer, up: &Self::Buffer, out: &mut Self::Buffer, n: usize);
    /// Gradients of `swiglu`, written over `d_gate` and `d_up`.
    #[allow(clippy::too_many_arguments)]
    fn swiglu_backward(
        &self,
        gate: &Self::Buffer,
        up: &Self::Buffer,
        d_out: &Self::Buffer,
        d_gate: &mut Self::Buffer,
        d_up: &mut Self::Buffer,
        n: usize,
    );

    // ---- head ---------------------------------------------------------------------------------------------------

    /// `losses[i] = -ln softmax(logits[i,:])[targets[i]]` (nats); then, in place,
    /// `logits = (softmax - onehot) * gradient_scale`. `logits [rows, V]`, `targets [rows] u32`, `losses [rows]`.
    fn cross_entropy(
        &self,
        logits: &mut Self::Buffer,
        targets: &Self::Index,
        rows: usize,
        vocabulary: usize,
        gradient_scale: f32,
        losses: &mut Self::Buffer,
    );
    /// `out[i] = ln softmax(logits[i,:])[targets[i]]` (nats); `logits [rows, V]`, `out [rows]`.
    fn log_probs(
        &self,
        logits: &Self::Buffer,
        targets: &Self::Index,
        rows: usize,
        vocabulary: usize,
        out: &mut Self::Buffer,
    );
    /// `out[i]` = column of the largest `logits[i,:]`, the smallest such column on a tie; NaN never wins.
    fn arg_max(&self, logits: &Self::Buffer, rows: usize, vocabulary: usize, out: &mut Self::Index);

    // ---- optimizer ----------------------------------------------------------------------------------------------

    /// One AdamW step over `n` elements: `p *= decay; g' = g * gradient_scale; m = beta1*m + (1-beta1)*g';
    /// v = beta2*v + (1-beta2)*g'²; p -= step_size * m / (sqrt(v)/bias_correction2_sqrt + epsilon)`.
    fn adamw(
        &self,
        spec: AdamW,
        parameters: AtMut<'_, Self::Buffer>,
        gradients: At<'_, Self::Buffer>,
        m: AtMut<'_, Self::Buffer>,
        v: AtMut<'_, Self::Buffer>,
        n: usize,
    );
    /// One AdamW step over the `n` elements of one tensor whose moments are 8-bit codes. With `g' = g * gradient_scale`
    /// and the moments decoded (`map[code] * scale`): `m = fma(g', 1-beta1, m*beta1); v = fma(g', (1-beta2)*g', v*beta2);
    /// p = fma(-step_size, m / (sqrt(v) + epsilon), p) * decay`; then each block gets new scales (largest magnitudes)
    /// and codes (nearest by the midpoint of `x * (1/scale)`, ties to even), a code of `m` whose map value has another
    /// sign than `m` moved by one towards it. An element with a non-finite gradient gets zero moments and keeps `p`.
    fn adamw_8bit(
        &self,
        spec: AdamW8,
        parameters: AtMut<'_, Self::Buffer>,
        gradients: At<'_, Self::Buffer>,
        moments: Moments8<'_, Self::Buffer, Self::Bytes>,
        n: usize,
    );
    /// `Σ x[0..n]²` in f64 with a fixed order. Waits for pending operations. Non-finite elements give a non-finite sum.
    fn sum_squares(&self, x: At<'_, Self::Buffer>, n: usize) -> Result<f64>;
}
