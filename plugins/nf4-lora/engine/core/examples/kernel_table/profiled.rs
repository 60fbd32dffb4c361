//! A back end that counts: every operation goes to the back end inside and leaves its time, floating-point operations and
//! bytes (each operand once, whatever the caches did) under its name.

use escada_engine_core::backend::*;
use escada_engine_formats::error::Result;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

/// What one kind of operation took so far.
#[derive(Default, Clone, Copy)]
pub struct Kernel {
    pub calls: usize,
    pub seconds: f64,
    pub flop: f64,
    pub bytes: f64,
}

/// A weight with its shape.
pub struct Shaped<L> {
    inner: L,
    rows: usize,
    cols: usize,
}

/// The back end inside, measured.
pub struct Profiled<B> {
    inner: B,
    kernels: RefCell<BTreeMap<String, Kernel>>,
}

impl<B: Backend> Profiled<B> {
    pub fn new(inner: B) -> Self {
        let kernels = RefCell::new(BTreeMap::new());
        Self { inner, kernels }
    }

    /// What was counted since the last call.
    pub fn take(&self) -> BTreeMap<String, Kernel> {
        self.kernels.take()
    }

    fn note<T>(&self, name: impl Into<String>, (flop, bytes): (usize, usize), run: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = run();
        let seconds = started.elapsed().as_secs_f64();
        let mut kernels = self.kernels.borrow_mut();
        let kernel = kernels.entry(name.into()).or_default();
        kernel.calls += 1;
        kernel.seconds += seconds;
        kernel.flop += flop as f64;
        kernel.bytes += bytes as f64;
        result
    }

    fn product(&self, name: &str, weight: &Shaped<B::Linear>) -> String {
        let held = self.inner.linear_bytes(&weight.inner) as f64 / (weight.rows * weight.cols) as f64;
        let format = match held {
            // 4 bits and a scale per 64 values, or 4 bits with scale and shift per 32.
            ..0.7 => "nf4",
            ..1.0 => "q4",
            ..2.0 => "q8",
            ..4.0 => "bf16",
            _ => "f32",
        };
        format!("{name} {format} [{}, {}]", weight.rows, weight.cols)
    }

    /// Name and work of a product with a weight, one of rank `rank` on top.
    fn adapted(
        &self,
        name: &str,
        weight: &Shaped<B::Linear>,
        tokens: usize,
        rank: usize,
    ) -> (String, (usize, usize)) {
        let (n, k) = (weight.rows, weight.cols);
        let moved = 4 * (tokens + rank) * (n + k) + self.inner.linear_bytes(&weight.inner);
        let outer = if name == "linear_forward" { n } else { k };
        let work = (2 * tokens * (n * k + rank * outer), moved);
        (self.product(&format!("{name} +LoRA"), weight), work)
    }

    /// Pairs of a query and a key it sees.
    fn pairs(&self, sequences: &Sequences<'_, B::Index>) -> usize {
        let mut starts = vec![0; sequences.count + 1];
        // Only a broken index fails here; then the figure is missing, nothing else.
        let _ = self.inner.download_index(sequences.starts, &mut starts);
        let of = |pair: &[u32]| (pair[1] - pair[0]) as usize;
        starts.windows(2).map(of).map(|n| n * (n + 1) / 2).sum()
    }
}

/// The small products of an adapter, and the products of full fine-tuning, by what is read transposed.
fn lora_product(spec: Matmul) -> String {
    let small = spec.m.min(spec.n).min(spec.k);
    format!(
        "matmul {:?}{}",
        spec.layout,
        if small <= 256 { " (rank)" } else { "" }
    )
}

impl<B: Backend> Backend for Profiled<B> {
    type Buffer = B::Buffer;
    type Index = B::Index;
    type Bytes = B::Bytes;
    type Linear = Shaped<B::Linear>;

    fn isa_class(&self) -> String {
        self.inner.isa_class()
    }

    fn threads(&self) -> usize {
        self.inner.threads()
    }

    fn alloc(&self, len: usize) -> Result<B::Buffer> {
        self.inner.alloc(len)
    }

    fn len(&self, buffer: &B::Buffer) -> usize {
        self.inner.len(buffer)
    }

    fn upload(&self, data: &[f32], buffer: &mut B::Buffer, offset: usize) -> Result<()> {
        let work = (0, 4 * data.len());
        self.note("upload", work, || self.inner.upload(data, buffer, offset))
    }

    fn download(&self, buffer: &B::Buffer, offset: usize, data: &mut [f32]) -> Result<()> {
        let work = (0, 4 * data.len());
        self.note("download", work, || self.inner.download(buffer, offset, data))
    }

    fn alloc_index(&self, len: usize) -> Result<B::Index> {
        self.inner.alloc_index(len)
    }

    fn index_len(&self, index: &B::Index) -> usize {
        self.inner.index_len(index)
    }

    fn upload_index(&self, data: &[u32], index: &mut B::Index) -> Result<()> {
        let work = (0, 4 * data.len());
        self.note("upload_index", work, || self.inner.upload_index(data, index))
    }

    fn download_index(&self, index: &B::Index, data: &mut [u32]) -> Result<()> {
        let work = (0, 4 * data.len());
        self.note("download_index", work, || self.inner.download_index(index, data))
    }

    fn alloc_bytes(&self, len: usize) -> Result<B::Bytes> {
        self.inner.alloc_bytes(len)
    }

    fn upload_bytes(&self, data: &[u8], bytes: &mut B::Bytes, offset: usize) -> Result<()> {
        let work = (0, data.len());
        self.note("upload_bytes", work, || {
            self.inner.upload_bytes(data, bytes, offset)
        })
    }

    fn download_bytes(&self, bytes: &B::Bytes, offset: usize, data: &mut [u8]) -> Result<()> {
        let work = (0, data.len());
        self.note("download_bytes", work, || {
            self.inner.download_bytes(bytes, offset, data)
        })
    }

    fn upload_linear(&self, source: LinearSource<'_>) -> Result<Shaped<B::Linear>> {
        let (rows, cols) = match &source {
            LinearSource::F32 { rows, cols, .. } => (*rows, *cols),
            LinearSource::Nf4(tensor) => (tensor.rows, tensor.cols),
            LinearSource::Q4(tensor) => (tensor.rows, tensor.cols),
            LinearSource::Q8(tensor) => (tensor.rows, tensor.cols),
        };
        let inner = self.inner.upload_linear(source)?;
        Ok(Shaped { inner, rows, cols })
    }

    fn linear_bytes(&self, linear: &Shaped<B::Linear>) -> usize {
        self.inner.linear_bytes(&linear.inner)
    }

    fn fill(&self, x: AtMut<'_, B::Buffer>, n: usize, value: f32) {
        let work = (0, 4 * n);
        self.note("fill", work, || self.inner.fill(x, n, value))
    }

    fn copy(&self, src: At<'_, B::Buffer>, dst: AtMut<'_, B::Buffer>, n: usize) {
        let work = (0, 8 * n);
        self.note("copy", work, || self.inner.copy(src, dst, n))
    }

    fn scale(&self, x: AtMut<'_, B::Buffer>, n: usize, factor: f32) {
        let work = (n, 8 * n);
        self.note("scale", work, || self.inner.scale(x, n, factor))
    }

    fn add(&self, src: &B::Buffer, dst: &mut B::Buffer, n: usize) {
        let work = (n, 12 * n);
        self.note("add", work, || self.inner.add(src, dst, n))
    }

    #[allow(clippy::too_many_arguments)]
    fn sum(&self, a: &B::Buffer, b: &B::Buffer, out: &mut B::Buffer, n: usize) {
        let work = (n, 12 * n);
        self.note("sum", work, || self.inner.sum(a, b, out, n))
    }

    #[allow(clippy::too_many_arguments)]
    fn gather_rows(&self, src: &B::Buffer, rows: &B::Index, count: usize, cols: usize, dst: &mut B::Buffer) {
        let work = (0, 8 * count * cols);
        self.note("gather_rows", work, || {
            self.inner.gather_rows(src, rows, count, cols, dst)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn scatter_rows(&self, src: &B::Buffer, rows: &B::Index, count: usize, cols: usize, dst: &mut B::Buffer) {
        let work = (0, 8 * count * cols);
        self.note("scatter_rows", work, || {
            self.inner.scatter_rows(src, rows, count, cols, dst)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn scatter_add_rows(
        &self,
        src: &B::Buffer,
        rows: &B::Index,
        count: usize,
        cols: usize,
        dst: &mut B::Buffer,
    ) {
        let work = (count * cols, 12 * count * cols);
        self.note("scatter_add_rows", work, || {
            self.inner.scatter_add_rows(src, rows, count, cols, dst)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn dropout(&self, x: &B::Buffer, out: &mut B::Buffer, n: usize, site: Dropout, accumulate: bool) {
        let work = (n, 8 * n);
        self.note("dropout", work, || {
            self.inner.dropout(x, out, n, site, accumulate)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn embedding(&self, table: &Shaped<B::Linear>, ids: &B::Index, tokens: usize, out: &mut B::Buffer) {
        let work = (0, 8 * tokens * table.cols);
        self.note("embedding", work, || {
            self.inner.embedding(&table.inner, ids, tokens, out)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn linear_forward(
        &self,
        weight: &Shaped<B::Linear>,
        x: &B::Buffer,
        y: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
    ) {
        let work = (
            2 * tokens * weight.rows * weight.cols,
            4 * tokens * (weight.rows + weight.cols) + self.inner.linear_bytes(&weight.inner),
        );
        self.note(self.product("linear_forward", weight), work, || {
            self.inner.linear_forward(&weight.inner, x, y, tokens, accumulate)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn linear_backward(
        &self,
        weight: &Shaped<B::Linear>,
        dy: &B::Buffer,
        dx: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
    ) {
        let work = (
            2 * tokens * weight.rows * weight.cols,
            4 * tokens * (weight.rows + weight.cols) + self.inner.linear_bytes(&weight.inner),
        );
        self.note(self.product("linear_backward", weight), work, || {
            self.inner
                .linear_backward(&weight.inner, dy, dx, tokens, accumulate)
        })
    }

    fn linear_forward_low_rank(
        &self,
        weight: &Shaped<B::Linear>,
        x: &B::Buffer,
        y: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
        low: LowRank<'_, B::Buffer>,
    ) {
        let (name, work) = self.adapted("linear_forward", weight, tokens, low.rank);
        self.note(name, work, || {
            self.inner
                .linear_forward_low_rank(&weight.inner, x, y, tokens, accumulate, low)
        })
    }

    fn linear_backward_low_rank(
        &self,
        weight: &Shaped<B::Linear>,
        dy: &B::Buffer,
        dx: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
        low: LowRank<'_, B::Buffer>,
    ) {
        let (name, work) = self.adapted("linear_backward", weight, tokens, low.rank);
        self.note(name, work, || {
            self.inner
                .linear_backward_low_rank(&weight.inner, dy, dx, tokens, accumulate, low)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn matmul(&self, spec: Matmul, a: At<'_, B::Buffer>, b: At<'_, B::Buffer>, c: AtMut<'_, B::Buffer>) {
        let work = (
            2 * spec.m * spec.n * spec.k,
            4 * (spec.m * spec.k + spec.k * spec.n + spec.m * spec.n),
        );
        self.note(lora_product(spec), work, || self.inner.matmul(spec, a, b, c))
    }

    fn add_bias(&self, bias: At<'_, B::Buffer>, x: &mut B::Buffer, tokens: usize, columns: usize) {
        let work = (tokens * columns, 8 * tokens * columns);
        self.note("add_bias", work, || self.inner.add_bias(bias, x, tokens, columns))
    }

    fn bias_gradient(&self, dy: &B::Buffer, tokens: usize, columns: usize, bias: AtMut<'_, B::Buffer>) {
        let work = (tokens * columns, 4 * tokens * columns);
        self.note("bias_gradient", work, || {
            self.inner.bias_gradient(dy, tokens, columns, bias)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn embedding_gradient(
        &self,
        d_out: &B::Buffer,
        ids: &B::Index,
        tokens: usize,
        cols: usize,
        table: AtMut<'_, B::Buffer>,
    ) {
        let work = (tokens * cols, 12 * tokens * cols);
        self.note("embedding_gradient", work, || {
            self.inner.embedding_gradient(d_out, ids, tokens, cols, table)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn rms_norm(
        &self,
        x: &B::Buffer,
        weight: At<'_, B::Buffer>,
        epsilon: f32,
        tokens: usize,
        channels: usize,
        out: &mut B::Buffer,
        rstd: &mut B::Buffer,
    ) {
        let work = (4 * tokens * channels, 8 * tokens * channels);
        self.note("rms_norm", work, || {
            self.inner
                .rms_norm(x, weight, epsilon, tokens, channels, out, rstd)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn rms_norm_backward(
        &self,
        x: &B::Buffer,
        weight: At<'_, B::Buffer>,
        rstd: &B::Buffer,
        dy: &B::Buffer,
        tokens: usize,
        channels: usize,
        dx: &mut B::Buffer,
        accumulate: bool,
    ) {
        let work = (8 * tokens * channels, 16 * tokens * channels);
        self.note("rms_norm_backward", work, || {
            self.inner
                .rms_norm_backward(x, weight, rstd, dy, tokens, channels, dx, accumulate)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn rms_norm_gradient(
        &self,
        x: &B::Buffer,
        rstd: &B::Buffer,
        dy: &B::Buffer,
        tokens: usize,
        channels: usize,
        weight: AtMut<'_, B::Buffer>,
    ) {
        let work = (3 * tokens * channels, 8 * tokens * channels);
        self.note("rms_norm_gradient", work, || {
            self.inner
                .rms_norm_gradient(x, rstd, dy, tokens, channels, weight)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn rope(
        &self,
        x: &mut B::Buffer,
        positions: &B::Index,
        cos: &B::Buffer,
        sin: &B::Buffer,
        tokens: usize,
        heads: usize,
        head_size: usize,
        inverse: bool,
    ) {
        let work = (3 * tokens * heads * head_size, 8 * tokens * heads * head_size);
        self.note("rope", work, || {
            self.inner
                .rope(x, positions, cos, sin, tokens, heads, head_size, inverse)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn attention(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, B::Index>,
        q: &B::Buffer,
        k: &B::Buffer,
        v: &B::Buffer,
        out: &mut B::Buffer,
        lse: &mut B::Buffer,
    ) {
        let work = (
            self.pairs(&sequences) * 4 * shape.heads * shape.head_size,
            4 * sequences.tokens * shape.head_size * 2 * (shape.heads + shape.kv_heads),
        );
        self.note("attention", work, || {
            self.inner.attention(shape, sequences, q, k, v, out, lse)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn attention_backward(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, B::Index>,
        q: &B::Buffer,
        k: &B::Buffer,
        v: &B::Buffer,
        out: &B::Buffer,
        lse: &B::Buffer,
        d_out: &B::Buffer,
        dq: &mut B::Buffer,
        dk: &mut B::Buffer,
        dv: &mut B::Buffer,
    ) {
        let work = (
            self.pairs(&sequences) * 10 * shape.heads * shape.head_size,
            4 * sequences.tokens * shape.head_size * 4 * (shape.heads + shape.kv_heads),
        );
        self.note("attention_backward", work, || {
            self.inner
                .attention_backward(shape, sequences, q, k, v, out, lse, d_out, dq, dk, dv)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn attention_cached(
        &self,
        shape: AttentionShape,
        queries: Sequences<'_, B::Index>,
        keys: CachedKeys<'_, B::Buffer, B::Index>,
        q: &B::Buffer,
        out: &mut B::Buffer,
    ) {
        let work = (
            4 * queries.tokens * keys.longest_keys * shape.heads * shape.head_size,
            8 * queries.count * keys.longest_keys * shape.kv_heads * shape.head_size,
        );
        self.note("attention_cached", work, || {
            self.inner.attention_cached(shape, queries, keys, q, out)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn swiglu(&self, gate: &B::Buffer, up: &B::Buffer, out: &mut B::Buffer, n: usize) {
        let work = (5 * n, 12 * n);
        self.note("swiglu", work, || self.inner.swiglu(gate, up, out, n))
    }

    #[allow(clippy::too_many_arguments)]
    fn swiglu_backward(
        &self,
        gate: &B::Buffer,
        up: &B::Buffer,
        d_out: &B::Buffer,
        d_gate: &mut B::Buffer,
        d_up: &mut B::Buffer,
        n: usize,
    ) {
        let work = (10 * n, 20 * n);
        self.note("swiglu_backward", work, || {
            self.inner.swiglu_backward(gate, up, d_out, d_gate, d_up, n)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn cross_entropy(
        &self,
        logits: &mut B::Buffer,
        targets: &B::Index,
        rows: usize,
        vocabulary: usize,
        gradient_scale: f32,
        losses: &mut B::Buffer,
    ) {
        let work = (5 * rows * vocabulary, 8 * rows * vocabulary);
        self.note("cross_entropy", work, || {
            self.inner
                .cross_entropy(logits, targets, rows, vocabulary, gradient_scale, losses)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn log_probs(
        &self,
        logits: &B::Buffer,
        targets: &B::Index,
        rows: usize,
        vocabulary: usize,
        out: &mut B::Buffer,
    ) {
        let work = (4 * rows * vocabulary, 4 * rows * vocabulary);
        self.note("log_probs", work, || {
            self.inner.log_probs(logits, targets, rows, vocabulary, out)
        })
    }

    fn arg_max(&self, logits: &B::Buffer, rows: usize, vocabulary: usize, out: &mut B::Index) {
        let work = (rows * vocabulary, 4 * rows * vocabulary);
        self.note("arg_max", work, || {
            self.inner.arg_max(logits, rows, vocabulary, out)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn adamw(
        &self,
        spec: AdamW,
        parameters: AtMut<'_, B::Buffer>,
        gradients: At<'_, B::Buffer>,
        m: AtMut<'_, B::Buffer>,
        v: AtMut<'_, B::Buffer>,
        n: usize,
    ) {
        let work = (12 * n, 28 * n);
        self.note("adamw", work, || {
            self.inner.adamw(spec, parameters, gradients, m, v, n)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn adamw_8bit(
        &self,
        spec: AdamW8,
        parameters: AtMut<'_, B::Buffer>,
        gradients: At<'_, B::Buffer>,
        moments: Moments8<'_, B::Buffer, B::Bytes>,
        n: usize,
    ) {
        let work = (20 * n, 16 * n);
        self.note("adamw_8bit", work, || {
            self.inner.adamw_8bit(spec, parameters, gradients, moments, n)
        })
    }

    fn sum_squares(&self, x: At<'_, B::Buffer>, n: usize) -> Result<f64> {
        let work = (2 * n, 4 * n);
        self.note("sum_squares", work, || self.inner.sum_squares(x, n))
    }
}
