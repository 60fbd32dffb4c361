//! `CpuBackend`: the operations of `Backend` cut into tasks for the team.

mod attend;
mod linear;
mod rows;

use crate::buffer::{Aligned, Plain};
use crate::gemm::dense::{RowMajor, Transposed};
use crate::gemm::driver::{Product, multiply};
use crate::isa::Isa;
use crate::ops;
use crate::team::{Parts, Team};
use escada_engine_core::backend::{
    AdamW, AdamW8, Arithmetic, At, AtMut, AttentionShape, Backend, CachedKeys, Dropout, Layout, LinearSource,
    LowRank, MOMENT_BLOCK, Matmul, Moments8, Sequences,
};
use escada_engine_formats::error::{Code, EngineError, Result};
use linear::has_sixteen;
use std::sync::Arc;

pub use linear::CpuLinear;

/// f32 elements in host memory.
pub type Buffer = Aligned<f32>;
/// u32 elements in host memory.
pub type Index = Aligned<u32>;
/// u8 elements in host memory.
pub type Bytes = Aligned<u8>;

/// The CPU back end: one instruction-set class, one team of threads.
pub struct CpuBackend {
    isa: Isa,
    team: Arc<Team>,
    /// Whether products with frozen weights are computed in 16 bits.
    sixteen: bool,
}

impl CpuBackend {
    /// A back end with the widest class of this machine. `threads` counts the calling thread; 0 is taken as 1.
    ///
    /// # Errors
    /// `ENGINE_IO` when the system refuses a thread.
    pub fn new(threads: usize) -> Result<CpuBackend> {
        Self::with_isa(threads, Isa::detect())
    }

    /// A back end with a given class.
    ///
    /// # Errors
    /// `ENGINE_REQUEST_INVALID` when this machine cannot run the class, `ENGINE_IO` when the system refuses a thread.
    pub fn with_isa(threads: usize, isa: Isa) -> Result<CpuBackend> {
        if !isa.available() {
            let message = format!(
                "this machine cannot run instruction-set class {}",
                isa.class_name()
            );
            return Err(EngineError::new(Code::RequestInvalid, message));
        }
        Ok(CpuBackend {
            isa,
            team: Arc::new(Team::new(threads.max(1))?),
            sixteen: false,
        })
    }

    /// The class in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }
}

fn no_memory(what: &str, len: usize) -> EngineError {
    let message = format!(
        "the system has no memory for {what} of {len} elements; free some, take fewer rows at a time or weightFormat \"nf4\""
    );
    EngineError::new(Code::NoMemory, message)
}

fn out_of_range(what: &str) -> EngineError {
    EngineError::new(Code::Internal, format!("{what} does not fit its buffer"))
}

/// The `n` elements from `at` on, for tasks to share.
fn of<T: Plain>(at: AtMut<'_, Aligned<T>>, n: usize) -> Parts<'_, T> {
    Parts::new(&mut at.buffer[at.offset..][..n])
}

/// `[m, k] x [k, n]` over whole buffers with a row-major left operand.
fn row_major(m: usize, n: usize, k: usize, a: &[f32], c: &mut [f32], accumulate: bool) -> Product {
    assert!(
        a.len() >= m * k && c.len() >= m * n,
        "operand shorter than its shape"
    );
    Product {
        m,
        n,
        k,
        a: a.as_ptr(),
        a_row: k,
        a_col: 1,
        c: c.as_mut_ptr(),
        alpha: 1.0,
        accumulate,
        tail: None,
    }
}

impl Backend for CpuBackend {
    type Buffer = Buffer;
    type Index = Index;
    type Bytes = Bytes;
    type Linear = CpuLinear;

    fn isa_class(&self) -> String {
        let bits = if self.sixteen { "-i16" } else { "" };
        format!("{}{bits}", self.isa.class_name())
    }

    fn arithmetic(&self) -> Arithmetic {
        match self.sixteen {
            true => Arithmetic::SixteenBits,
            false => Arithmetic::F32,
        }
    }

    fn sixteen_bits(&self) -> Option<Self> {
        has_sixteen(self.isa).then(|| Self {
            isa: self.isa,
            team: Arc::clone(&self.team),
            sixteen: true,
        })
    }

    fn threads(&self) -> usize {
        self.team.threads()
    }

    fn alloc(&self, len: usize) -> Result<Buffer> {
        Aligned::try_zeroed(len).ok_or_else(|| no_memory("a buffer", len))
    }

    fn len(&self, buffer: &Buffer) -> usize {
        (**buffer).len()
    }

    fn upload(&self, data: &[f32], buffer: &mut Buffer, offset: usize) -> Result<()> {
        let part = buffer
            .get_mut(offset..offset + data.len())
            .ok_or_else(|| out_of_range("an upload"))?;
        part.copy_from_slice(data);
        Ok(())
    }

    fn download(&self, buffer: &Buffer, offset: usize, data: &mut [f32]) -> Result<()> {
        let part = buffer
            .get(offset..offset + data.len())
            .ok_or_else(|| out_of_range("a download"))?;
        data.copy_from_slice(part);
        Ok(())
    }

    fn alloc_index(&self, len: usize) -> Result<Index> {
        Aligned::try_zeroed(len).ok_or_else(|| no_memory("an index", len))
    }

    fn index_len(&self, index: &Index) -> usize {
        (**index).len()
    }

    fn upload_index(&self, data: &[u32], index: &mut Index) -> Result<()> {
        let part = index
            .get_mut(..data.len())
            .ok_or_else(|| out_of_range("an index upload"))?;
        part.copy_from_slice(data);
        Ok(())
    }

    fn download_index(&self, index: &Index, data: &mut [u32]) -> Result<()> {
        let part = index
            .get(..data.len())
            .ok_or_else(|| out_of_range("an index download"))?;
        data.copy_from_slice(part);
        Ok(())
    }

    fn alloc_bytes(&self, len: usize) -> Result<Bytes> {
        Aligned::try_zeroed(len).ok_or_else(|| no_memory("bytes", len))
    }

    fn upload_bytes(&self, data: &[u8], bytes: &mut Bytes, offset: usize) -> Result<()> {
        let part = bytes
            .get_mut(offset..offset + data.len())
            .ok_or_else(|| out_of_range("an upload of bytes"))?;
        part.copy_from_slice(data);
        Ok(())
    }

    fn download_bytes(&self, bytes: &Bytes, offset: usize, data: &mut [u8]) -> Result<()> {
        let part = bytes
            .get(offset..offset + data.len())
            .ok_or_else(|| out_of_range("a download of bytes"))?;
        data.copy_from_slice(part);
        Ok(())
    }

    fn upload_linear(&self, source: LinearSource<'_>) -> Result<CpuLinear> {
        CpuLinear::pack(&self.team, self.isa, source)
    }

    fn linear_bytes(&self, linear: &CpuLinear) -> usize {
        linear.bytes()
    }

    fn fill(&self, x: AtMut<'_, Buffer>, n: usize, value: f32) {
        x.buffer[x.offset..][..n].fill(value);
    }

    fn copy(&self, src: At<'_, Buffer>, dst: AtMut<'_, Buffer>, n: usize) {
        let from = &src.buffer[src.offset..][..n];
        let to = Parts::new(&mut dst.buffer[dst.offset..][..n]);
        // SAFETY: ranges of one call are disjoint, here and below.
        self.elements(n, |r| unsafe { to.part(r.clone()).copy_from_slice(&from[r]) });
    }

    fn scale(&self, x: AtMut<'_, Buffer>, n: usize, factor: f32) {
        let x = Parts::new(&mut x.buffer[x.offset..][..n]);
        self.elements(n, |r| unsafe {
            ops::elementwise::scale(self.isa, x.part(r), factor)
        });
    }

    fn add(&self, src: &Buffer, dst: &mut Buffer, n: usize) {
        let dst = Parts::new(&mut dst[..n]);
        self.elements(n, |r| unsafe {
            ops::elementwise::add(self.isa, &src[r.clone()], dst.part(r))
        });
    }

    fn sum(&self, a: &Buffer, b: &Buffer, out: &mut Buffer, n: usize) {
        let out = Parts::new(&mut out[..n]);
        self.elements(n, |r| unsafe {
            ops::elementwise::sum(self.isa, &a[r.clone()], &b[r.clone()], out.part(r));
        });
    }

    fn gather_rows(&self, src: &Buffer, rows: &Index, count: usize, cols: usize, dst: &mut Buffer) {
        let dst = Parts::new(&mut dst[..count * cols]);
        self.rows(count, cols, |range| {
            for i in range {
                let from = rows[i] as usize * cols;
                // SAFETY: one row each.
                unsafe { dst.part(i * cols..(i + 1) * cols) }.copy_from_slice(&src[from..from + cols]);
            }
        });
    }

    fn scatter_rows(&self, src: &Buffer, rows: &Index, count: usize, cols: usize, dst: &mut Buffer) {
        let dst = Parts::new(dst);
        self.rows(count, cols, |range| {
            for i in range {
                let to = rows[i] as usize * cols;
                // SAFETY: no row is named twice.
                unsafe { dst.part(to..to + cols) }.copy_from_slice(&src[i * cols..(i + 1) * cols]);
            }
        });
    }

    fn scatter_add_rows(&self, src: &Buffer, rows: &Index, count: usize, cols: usize, dst: &mut Buffer) {
        let dst = Parts::new(dst);
        self.rows(count, cols, |range| {
            for i in range {
                let to = rows[i] as usize * cols;
                let from = &src[i * cols..(i + 1) * cols];
                // SAFETY: no row is named twice.
                unsafe { ops::elementwise::add(self.isa, from, dst.part(to..to + cols)) };
            }
        });
    }

    fn dropout(&self, x: &Buffer, out: &mut Buffer, n: usize, site: Dropout, accumulate: bool) {
        let out = Parts::new(&mut out[..n]);
        self.elements(n, |r| unsafe {
            let first = r.start as u64;
            ops::dropout::dropout(self.isa, &x[r.clone()], out.part(r), first, &site, accumulate);
        });
    }

    fn embedding(&self, table: &CpuLinear, ids: &Index, tokens: usize, out: &mut Buffer) {
        let (_, cols) = table.shape();
        let out = Parts::new(&mut out[..tokens * cols]);
        self.rows(tokens, cols, |range| {
            for t in range {
                // SAFETY: one row each.
                let to = unsafe { out.part(t * cols..(t + 1) * cols) };
                table.row(self.isa, ids[t] as usize, to);
            }
        });
    }

    fn linear_forward(
        &self,
        weight: &CpuLinear,
        x: &Buffer,
        y: &mut Buffer,
        tokens: usize,
        accumulate: bool,
    ) {
        let (n, k) = weight.shape();
        self.product(&row_major(tokens, n, k, x, y, accumulate), weight, false);
    }

    fn linear_backward(
        &self,
        weight: &CpuLinear,
        dy: &Buffer,
        dx: &mut Buffer,
        tokens: usize,
        accumulate: bool,
    ) {
        let (n, k) = weight.shape();
        self.product(&row_major(tokens, k, n, dy, dx, accumulate), weight, true);
    }

    fn linear_forward_low_rank(
        &self,
        weight: &CpuLinear,
        x: &Buffer,
        y: &mut Buffer,
        tokens: usize,
        accumulate: bool,
        low: LowRank<'_, Buffer>,
    ) {
        let (n, k) = weight.shape();
        let base = row_major(tokens, n, k, x, y, accumulate);
        self.with_low_rank(base, weight, Layout::Nt, low, y);
    }

    fn linear_backward_low_rank(
        &self,
        weight: &CpuLinear,
        dy: &Buffer,
        dx: &mut Buffer,
        tokens: usize,
        accumulate: bool,
        low: LowRank<'_, Buffer>,
    ) {
        let (n, k) = weight.shape();
        let base = row_major(tokens, k, n, dy, dx, accumulate);
        self.with_low_rank(base, weight, Layout::Nn, low, dx);
    }

    fn matmul(&self, spec: Matmul, a: At<'_, Buffer>, b: At<'_, Buffer>, c: AtMut<'_, Buffer>) {
        let Matmul { m, n, k, .. } = spec;
        let (a, b) = (&a.buffer[a.offset..][..m * k], &b.buffer[b.offset..][..k * n]);
        let base = row_major(m, n, k, a, &mut c.buffer[c.offset..], spec.accumulate);
        let (a_row, a_col) = if spec.layout == Layout::Tn { (1, m) } else { (k, 1) };
        let product = Product {
            a_row,
            a_col,
            alpha: spec.alpha,
            ..base
        };
        let data = b.as_ptr();
        // SAFETY: the lengths were checked by the slices above.
        unsafe {
            match spec.layout {
                Layout::Nt => multiply(&self.team, self.isa, &product, Transposed { data, ld: k, n }),
                Layout::Nn | Layout::Tn => {
                    multiply(&self.team, self.isa, &product, RowMajor { data, ld: n, n, m })
                }
            }
        }
    }

    fn add_bias(&self, bias: At<'_, Buffer>, x: &mut Buffer, tokens: usize, columns: usize) {
        let bias = &bias.buffer[bias.offset..][..columns];
        let x = Parts::new(&mut x[..tokens * columns]);
        self.rows(tokens, columns, |t| {
            for row in t {
                // SAFETY: one row each.
                unsafe {
                    let to = x.part(row * columns..(row + 1) * columns);
                    ops::elementwise::add(self.isa, bias, to);
                }
            }
        });
    }

    fn bias_gradient(&self, dy: &Buffer, tokens: usize, columns: usize, bias: AtMut<'_, Buffer>) {
        let dy = &dy[..tokens * columns];
        let bias = of(bias, columns);
        self.columns(columns, |c| {
            for row in dy.chunks_exact(columns) {
                // SAFETY: one range of columns each.
                unsafe { ops::elementwise::add(self.isa, &row[c.clone()], bias.part(c.clone())) };
            }
        });
    }

    fn embedding_gradient(
        &self,
        d_out: &Buffer,
        ids: &Index,
        tokens: usize,
        cols: usize,
        table: AtMut<'_, Buffer>,
    ) {
        let d_out = &d_out[..tokens * cols];
        let table = Parts::new(&mut table.buffer[table.offset..]);
        self.columns(cols, |c| {
            for (row, id) in d_out.chunks_exact(cols).zip(ids.iter()) {
                let at = *id as usize * cols;
                // SAFETY: one range of columns each, in every row.
                let to = unsafe { table.part(at + c.start..at + c.end) };
                unsafe { ops::elementwise::add(self.isa, &row[c.clone()], to) };
            }
        });
    }

    fn rms_norm(
        &self,
        x: &Buffer,
        weight: At<'_, Buffer>,
        epsilon: f32,
        tokens: usize,
        channels: usize,
        out: &mut Buffer,
        rstd: &mut Buffer,
    ) {
        let weight = &weight.buffer[weight.offset..][..channels];
        let (out, rstd) = (
            Parts::new(&mut out[..tokens * channels]),
            Parts::new(&mut rstd[..tokens]),
        );
        self.rows(tokens, channels, |t| unsafe {
            let wide = t.start * channels..t.end * channels;
            let (to, scales) = (out.part(wide.clone()), rstd.part(t));
            ops::norm::rms_norm(self.isa, &x[wide], weight, epsilon, to, scales);
        });
    }

    fn rms_norm_backward(
        &self,
        x: &Buffer,
        weight: At<'_, Buffer>,
        rstd: &Buffer,
        dy: &Buffer,
        tokens: usize,
        channels: usize,
        dx: &mut Buffer,
        accumulate: bool,
    ) {
        let weight = &weight.buffer[weight.offset..][..channels];
        let dx = Parts::new(&mut dx[..tokens * channels]);
        self.rows(tokens, channels, |t| unsafe {
            let wide = t.start * channels..t.end * channels;
            let (x, dy, to) = (&x[wide.clone()], &dy[wide.clone()], dx.part(wide));
            ops::norm::rms_norm_backward(self.isa, x, weight, &rstd[t], dy, to, accumulate);
        });
    }

    fn rms_norm_gradient(
        &self,
        x: &Buffer,
        rstd: &Buffer,
        dy: &Buffer,
        tokens: usize,
        channels: usize,
        weight: AtMut<'_, Buffer>,
    ) {
        let wide = tokens * channels;
        let (x, dy, rstd) = (&x[..wide], &dy[..wide], &rstd[..tokens]);
        let weight = of(weight, channels);
        self.columns(channels, |c| unsafe {
            let first = c.start;
            ops::norm::rms_norm_weight_gradient(self.isa, x, rstd, dy, first, channels, weight.part(c));
        });
    }

    fn rope(
        &self,
        x: &mut Buffer,
        positions: &Index,
        cos: &Buffer,
        sin: &Buffer,
        tokens: usize,
        heads: usize,
        head_size: usize,
        inverse: bool,
    ) {
        let width = heads * head_size;
        let x = Parts::new(&mut x[..tokens * width]);
        self.rows(tokens, width, |t| unsafe {
            let part = x.part(t.start * width..t.end * width);
            ops::rope::rope(self.isa, part, &positions[t], cos, sin, heads, head_size, inverse);
        });
    }

    fn attention(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, Index>,
        q: &Buffer,
        k: &Buffer,
        v: &Buffer,
        out: &mut Buffer,
        lse: &mut Buffer,
    ) {
        self.attend(shape, sequences, q, k, v, out, lse);
    }

    fn attention_backward(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, Index>,
        q: &Buffer,
        k: &Buffer,
        v: &Buffer,
        out: &Buffer,
        lse: &Buffer,
        d_out: &Buffer,
        dq: &mut Buffer,
        dk: &mut Buffer,
        dv: &mut Buffer,
    ) {
        self.attend_backward(shape, sequences, [q, k, v, out, d_out, lse], [dq, dk, dv]);
    }

    fn attention_cached(
        &self,
        shape: AttentionShape,
        queries: Sequences<'_, Index>,
        keys: CachedKeys<'_, Buffer, Index>,
        q: &Buffer,
        out: &mut Buffer,
    ) {
        self.attend_cached(shape, queries, keys, q, out);
    }

    fn swiglu(&self, gate: &Buffer, up: &Buffer, out: &mut Buffer, n: usize) {
        let out = Parts::new(&mut out[..n]);
        self.elements(n, |r| unsafe {
            ops::swiglu::swiglu(self.isa, &gate[r.clone()], &up[r.clone()], out.part(r));
        });
    }

    fn swiglu_backward(
        &self,
        gate: &Buffer,
        up: &Buffer,
        d_out: &Buffer,
        d_gate: &mut Buffer,
        d_up: &mut Buffer,
        n: usize,
    ) {
        let (d_gate, d_up) = (Parts::new(&mut d_gate[..n]), Parts::new(&mut d_up[..n]));
        self.elements(n, |r| unsafe {
            let (gate, up, d) = (&gate[r.clone()], &up[r.clone()], &d_out[r.clone()]);
            ops::swiglu::swiglu_backward(self.isa, gate, up, d, d_gate.part(r.clone()), d_up.part(r));
        });
    }

    fn cross_entropy(
        &self,
        logits: &mut Buffer,
        targets: &Index,
        rows: usize,
        vocabulary: usize,
        gradient_scale: f32,
        losses: &mut Buffer,
    ) {
        let (logits, losses) = (
            Parts::new(&mut logits[..rows * vocabulary]),
            Parts::new(&mut losses[..rows]),
        );
        self.rows(rows, vocabulary, |t| unsafe {
            let wide = logits.part(t.start * vocabulary..t.end * vocabulary);
            ops::loss::cross_entropy(
                self.isa,
                wide,
                &targets[t.clone()],
                gradient_scale,
                losses.part(t),
            );
        });
    }

    fn log_probs(&self, logits: &Buffer, targets: &Index, rows: usize, vocabulary: usize, out: &mut Buffer) {
        let out = Parts::new(&mut out[..rows]);
        self.rows(rows, vocabulary, |t| unsafe {
            let wide = &logits[t.start * vocabulary..t.end * vocabulary];
            ops::loss::log_probs(self.isa, wide, &targets[t.clone()], out.part(t));
        });
    }

    fn arg_max(&self, logits: &Buffer, rows: usize, vocabulary: usize, out: &mut Index) {
        let out = Parts::new(&mut out[..rows]);
        self.rows(rows, vocabulary, |t| unsafe {
            let wide = &logits[t.start * vocabulary..t.end * vocabulary];
            ops::loss::arg_max(self.isa, wide, out.part(t));
        });
    }

    fn adamw(
        &self,
        spec: AdamW,
        parameters: AtMut<'_, Buffer>,
        gradients: At<'_, Buffer>,
        m: AtMut<'_, Buffer>,
        v: AtMut<'_, Buffer>,
        n: usize,
    ) {
        let gradients = &gradients.buffer[gradients.offset..][..n];
        let (p, m, v) = (of(parameters, n), of(m, n), of(v, n));
        self.elements(n, |r| unsafe {
            let (p, m, v) = (p.part(r.clone()), m.part(r.clone()), v.part(r.clone()));
            ops::optimizer::adamw(self.isa, &spec, p, &gradients[r], m, v);
        });
    }

    fn adamw_8bit(
        &self,
        spec: AdamW8,
        parameters: AtMut<'_, Buffer>,
        gradients: At<'_, Buffer>,
        moments: Moments8<'_, Buffer, Bytes>,
        n: usize,
    ) {
        let gradients = &gradients.buffer[gradients.offset..][..n];
        let blocks = n.div_ceil(MOMENT_BLOCK);
        let (p, m, v) = (of(parameters, n), of(moments.m, n), of(moments.v, n));
        let (m_scales, v_scales) = (of(moments.m_scales, blocks), of(moments.v_scales, blocks));
        self.rows(blocks, MOMENT_BLOCK, |b| unsafe {
            let r = b.start * MOMENT_BLOCK..(b.end * MOMENT_BLOCK).min(n);
            let moments = ops::optimizer8::BlockMoments {
                m: m.part(r.clone()),
                v: v.part(r.clone()),
                m_scales: m_scales.part(b.clone()),
                v_scales: v_scales.part(b),
            };
            ops::optimizer8::adamw_8bit(self.isa, &spec, p.part(r.clone()), &gradients[r], moments);
        });
    }

    fn sum_squares(&self, x: At<'_, Buffer>, n: usize) -> Result<f64> {
        Ok(self.ordered_squares(&x.buffer[x.offset..][..n]))
    }
}
