//! The reference back end: plain scalar loops with f64 accumulation. Slow and obvious; every other back end and the
//! model's own tests are compared with it.

use crate::backend::{
    AdamW, AdamW8, At, AtMut, AttentionShape, Backend, CachedKeys, Dropout, Layout, LinearSource,
    MOMENT_BLOCK, Matmul, Moments8, Sequences,
};
use crate::rng;
use escada_engine_formats::error::Result;
use escada_engine_formats::nf4::{AbsMax, Nf4Tensor};
use escada_engine_formats::nf4_tables::{DYNAMIC_MAP, UNSIGNED_MAP};

/// Scalar back end without state.
#[derive(Default)]
pub struct Reference;

/// A decoded weight `[rows, cols] f32`.
pub struct ReferenceLinear {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<f32>,
    bytes: usize,
}

/// The 16 NF4 values (`nf4-verified`, hex so that no decimal rounding can enter).
pub const NF4_CODES: [u32; 16] = [
    0xbf80_0000,
    0xbf32_39b1,
    0xbf06_6b30,
    0xbeca_32a0,
    0xbe91_a24d,
    0xbe3d_353f,
    0xbdba_7871,
    0x0000_0000,
    0x3da2_faff,
    0x3e24_cae3,
    0x3e7c_04dd,
    0x3ead_033a,
    0x3ee1_a4b8,
    0x3f10_07ab,
    0x3f39_13b3,
    0x3f80_0000,
];

/// Index of the nearest entry by linear search; the even one of two, 0 for NaN.
fn nearest_f64(map: &[f32; 256], value: f64) -> u8 {
    let mut best = 0;
    for code in 1..map.len() {
        let (found, old) = (
            (value - f64::from(map[code])).abs(),
            (value - f64::from(map[best])).abs(),
        );
        if found < old || (found == old && code.is_multiple_of(2)) {
            best = code;
        }
    }
    best as u8
}

/// First-level scale of every block, second level decoded as bitsandbytes does (product rounded, then the sum).
pub fn decode_absmax(absmax: &AbsMax) -> Vec<f32> {
    match absmax {
        AbsMax::Plain(values) => values.clone(),
        AbsMax::Nested {
            codes,
            table,
            absmax,
            offset,
            nested_blocksize,
        } => codes
            .iter()
            .enumerate()
            .map(|(i, &code)| {
                let product = table[usize::from(code)] * absmax[i / nested_blocksize];
                product + offset
            })
            .collect(),
    }
}

/// `[rows, cols] f32` of an NF4 tensor.
pub fn decode_nf4(tensor: &Nf4Tensor) -> Vec<f32> {
    let scales = decode_absmax(&tensor.absmax);
    (0..tensor.rows * tensor.cols)
        .map(|i| {
            let byte = tensor.packed[i / 2];
            let code = if i % 2 == 0 { byte >> 4 } else { byte & 15 };
            f32::from_bits(NF4_CODES[usize::from(code)]) * scales[i / tensor.blocksize]
        })
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

fn put(slot: &mut f32, value: f64, accumulate: bool) {
    *slot = if accumulate {
        (f64::from(*slot) + value) as f32
    } else {
        value as f32
    };
}

/// `ln Σ exp(x)` of one row.
fn log_sum_exp(row: &[f32]) -> f64 {
    let max = row.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(f64::from(x)));
    max + row.iter().map(|&x| (f64::from(x) - max).exp()).sum::<f64>().ln()
}

fn silu(x: f64) -> (f64, f64) {
    let s = 1.0 / (1.0 + (-x).exp());
    (x * s, s * (1.0 + x * (1.0 - s)))
}

/// One query over its keys in logical order; returns the log-sum-exp.
fn attend(shape: AttentionShape, q: &[f32], keys: &[(&[f32], &[f32])], out: &mut [f32]) -> f64 {
    let scores: Vec<f64> = keys
        .iter()
        .map(|(k, _)| dot(q, k) * f64::from(shape.scale))
        .collect();
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scores.iter().map(|s| (s - max).exp()).sum();
    for (c, slot) in out.iter_mut().enumerate() {
        let sum: f64 = keys
            .iter()
            .zip(&scores)
            .map(|((_, v), s)| (s - max).exp() * f64::from(v[c]))
            .sum();
        *slot = (sum / total) as f32;
    }
    max + total.ln()
}

impl Backend for Reference {
    type Buffer = Vec<f32>;
    type Index = Vec<u32>;
    type Bytes = Vec<u8>;
    type Linear = ReferenceLinear;

    fn isa_class(&self) -> String {
        "reference-f64".into()
    }

    fn threads(&self) -> usize {
        1
    }

    fn alloc(&self, len: usize) -> Result<Vec<f32>> {
        Ok(vec![0.0; len])
    }

    fn len(&self, buffer: &Vec<f32>) -> usize {
        buffer.len()
    }

    fn upload(&self, data: &[f32], buffer: &mut Vec<f32>, offset: usize) -> Result<()> {
        buffer[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn download(&self, buffer: &Vec<f32>, offset: usize, data: &mut [f32]) -> Result<()> {
        data.copy_from_slice(&buffer[offset..offset + data.len()]);
        Ok(())
    }

    fn alloc_index(&self, len: usize) -> Result<Vec<u32>> {
        Ok(vec![0; len])
    }

    fn index_len(&self, index: &Vec<u32>) -> usize {
        index.len()
    }

    fn upload_index(&self, data: &[u32], index: &mut Vec<u32>) -> Result<()> {
        index[..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn download_index(&self, index: &Vec<u32>, data: &mut [u32]) -> Result<()> {
        data.copy_from_slice(&index[..data.len()]);
        Ok(())
    }

    fn alloc_bytes(&self, len: usize) -> Result<Vec<u8>> {
        Ok(vec![0; len])
    }

    fn upload_bytes(&self, data: &[u8], bytes: &mut Vec<u8>, offset: usize) -> Result<()> {
        bytes[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn download_bytes(&self, bytes: &Vec<u8>, offset: usize, data: &mut [u8]) -> Result<()> {
        data.copy_from_slice(&bytes[offset..offset + data.len()]);
        Ok(())
    }

    fn upload_linear(&self, source: LinearSource<'_>) -> Result<ReferenceLinear> {
        Ok(match source {
            LinearSource::F32 { rows, cols, data } => ReferenceLinear {
                rows,
                cols,
                data: data.to_vec(),
                bytes: data.len() * 4,
            },
            LinearSource::Q4(t) => {
                let mut data = vec![0.0; t.rows * t.cols];
                t.decode_into(&mut data);
                let bytes = data.len() * 4;
                ReferenceLinear {
                    rows: t.rows,
                    cols: t.cols,
                    data,
                    bytes,
                }
            }
            LinearSource::Q8(t) => {
                let mut data = vec![0.0; t.rows * t.cols];
                t.decode_into(&mut data);
                let bytes = data.len() * 4;
                ReferenceLinear {
                    rows: t.rows,
                    cols: t.cols,
                    data,
                    bytes,
                }
            }
            LinearSource::Nf4(t) => {
                let data = decode_nf4(t);
                let bytes = data.len() * 4;
                ReferenceLinear {
                    rows: t.rows,
                    cols: t.cols,
                    data,
                    bytes,
                }
            }
        })
    }

    fn linear_bytes(&self, linear: &ReferenceLinear) -> usize {
        linear.bytes
    }

    fn fill(&self, x: AtMut<'_, Vec<f32>>, n: usize, value: f32) {
        x.buffer[x.offset..x.offset + n].fill(value);
    }

    fn copy(&self, src: At<'_, Vec<f32>>, dst: AtMut<'_, Vec<f32>>, n: usize) {
        dst.buffer[dst.offset..dst.offset + n].copy_from_slice(&src.buffer[src.offset..src.offset + n]);
    }

    fn scale(&self, x: AtMut<'_, Vec<f32>>, n: usize, factor: f32) {
        x.buffer[x.offset..x.offset + n]
            .iter_mut()
            .for_each(|v| *v *= factor);
    }

    fn add(&self, src: &Vec<f32>, dst: &mut Vec<f32>, n: usize) {
        dst[..n].iter_mut().zip(&src[..n]).for_each(|(d, s)| *d += s);
    }

    fn sum(&self, a: &Vec<f32>, b: &Vec<f32>, out: &mut Vec<f32>, n: usize) {
        for i in 0..n {
            out[i] = a[i] + b[i];
        }
    }

    fn gather_rows(&self, src: &Vec<f32>, rows: &Vec<u32>, count: usize, cols: usize, dst: &mut Vec<f32>) {
        for i in 0..count {
            let from = rows[i] as usize * cols;
            dst[i * cols..(i + 1) * cols].copy_from_slice(&src[from..from + cols]);
        }
    }

    fn scatter_rows(&self, src: &Vec<f32>, rows: &Vec<u32>, count: usize, cols: usize, dst: &mut Vec<f32>) {
        for i in 0..count {
            let to = rows[i] as usize * cols;
            dst[to..to + cols].copy_from_slice(&src[i * cols..(i + 1) * cols]);
        }
    }

    fn scatter_add_rows(
        &self,
        src: &Vec<f32>,
        rows: &Vec<u32>,
        count: usize,
        cols: usize,
        dst: &mut Vec<f32>,
    ) {
        for i in 0..count {
            let to = rows[i] as usize * cols;
            for c in 0..cols {
                dst[to + c] += src[i * cols + c];
            }
        }
    }

    fn dropout(&self, x: &Vec<f32>, out: &mut Vec<f32>, n: usize, site: Dropout, accumulate: bool) {
        let keep = 1.0 / (1.0 - f64::from(site.probability));
        for i in 0..n {
            let draw = f64::from(rng::word(site.key, site.stream, i as u64)) / 4_294_967_296.0;
            let kept = if draw >= f64::from(site.probability) {
                f64::from(x[i]) * keep
            } else {
                0.0
            };
            put(&mut out[i], kept, accumulate);
        }
    }

    fn embedding(&self, table: &ReferenceLinear, ids: &Vec<u32>, tokens: usize, out: &mut Vec<f32>) {
        self.gather_rows(&table.data, ids, tokens, table.cols, out);
    }

    fn linear_forward(
        &self,
        w: &ReferenceLinear,
        x: &Vec<f32>,
        y: &mut Vec<f32>,
        tokens: usize,
        accumulate: bool,
    ) {
        let (n, k) = (w.rows, w.cols);
        for t in 0..tokens {
            for o in 0..n {
                let value = dot(&x[t * k..(t + 1) * k], &w.data[o * k..(o + 1) * k]);
                put(&mut y[t * n + o], value, accumulate);
            }
        }
    }

    fn linear_backward(
        &self,
        w: &ReferenceLinear,
        dy: &Vec<f32>,
        dx: &mut Vec<f32>,
        tokens: usize,
        accumulate: bool,
    ) {
        let (n, k) = (w.rows, w.cols);
        let mut sums = vec![0f64; k];
        for t in 0..tokens {
            sums.fill(0.0);
            for o in 0..n {
                let d = f64::from(dy[t * n + o]);
                for (sum, &value) in sums.iter_mut().zip(&w.data[o * k..(o + 1) * k]) {
                    *sum += d * f64::from(value);
                }
            }
            for (c, &sum) in sums.iter().enumerate() {
                put(&mut dx[t * k + c], sum, accumulate);
            }
        }
    }

    fn matmul(&self, s: Matmul, a: At<'_, Vec<f32>>, b: At<'_, Vec<f32>>, c: AtMut<'_, Vec<f32>>) {
        let (a, b) = (&a.buffer[a.offset..], &b.buffer[b.offset..]);
        for row in 0..s.m {
            for col in 0..s.n {
                let sum: f64 = (0..s.k)
                    .map(|i| {
                        let left = if s.layout == Layout::Tn {
                            a[i * s.m + row]
                        } else {
                            a[row * s.k + i]
                        };
                        let right = if s.layout == Layout::Nt {
                            b[col * s.k + i]
                        } else {
                            b[i * s.n + col]
                        };
                        f64::from(left) * f64::from(right)
                    })
                    .sum();
                let slot = &mut c.buffer[c.offset + row * s.n + col];
                put(slot, sum * f64::from(s.alpha), s.accumulate);
            }
        }
    }

    fn add_bias(&self, bias: At<'_, Vec<f32>>, x: &mut Vec<f32>, tokens: usize, columns: usize) {
        let bias = &bias.buffer[bias.offset..];
        for row in x.chunks_mut(columns).take(tokens) {
            row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        }
    }

    fn rms_norm(
        &self,
        x: &Vec<f32>,
        weight: At<'_, Vec<f32>>,
        epsilon: f32,
        tokens: usize,
        channels: usize,
        out: &mut Vec<f32>,
        rstd: &mut Vec<f32>,
    ) {
        let weight = &weight.buffer[weight.offset..];
        for (t, slot) in rstd.iter_mut().take(tokens).enumerate() {
            let row = &x[t * channels..(t + 1) * channels];
            let r = 1.0 / (dot(row, row) / channels as f64 + f64::from(epsilon)).sqrt();
            *slot = r as f32;
            for c in 0..channels {
                out[t * channels + c] = (f64::from(row[c]) * r * f64::from(weight[c])) as f32;
            }
        }
    }

    fn rms_norm_backward(
        &self,
        x: &Vec<f32>,
        weight: At<'_, Vec<f32>>,
        rstd: &Vec<f32>,
        dy: &Vec<f32>,
        tokens: usize,
        channels: usize,
        dx: &mut Vec<f32>,
        accumulate: bool,
    ) {
        let weight = &weight.buffer[weight.offset..];
        for (t, &r) in rstd.iter().take(tokens).enumerate() {
            let (at, r) = (t * channels, f64::from(r));
            let dyw = |c: usize| f64::from(dy[at + c]) * f64::from(weight[c]);
            let mean = (0..channels).map(|c| dyw(c) * f64::from(x[at + c])).sum::<f64>() / channels as f64;
            for c in 0..channels {
                let value = r * (dyw(c) - f64::from(x[at + c]) * r * r * mean);
                put(&mut dx[at + c], value, accumulate);
            }
        }
    }

    fn embedding_gradient(
        &self,
        d_out: &Vec<f32>,
        ids: &Vec<u32>,
        tokens: usize,
        cols: usize,
        table: AtMut<'_, Vec<f32>>,
    ) {
        for c in 0..cols {
            let mut sums = std::collections::BTreeMap::new();
            for t in 0..tokens {
                *sums.entry(ids[t]).or_insert(0.0) += f64::from(d_out[t * cols + c]);
            }
            for (id, sum) in sums {
                put(
                    &mut table.buffer[table.offset + id as usize * cols + c],
                    sum,
                    true,
                );
            }
        }
    }

    fn bias_gradient(&self, dy: &Vec<f32>, tokens: usize, columns: usize, bias: AtMut<'_, Vec<f32>>) {
        for c in 0..columns {
            let sum = (0..tokens).map(|t| f64::from(dy[t * columns + c])).sum();
            put(&mut bias.buffer[bias.offset + c], sum, true);
        }
    }

    fn rms_norm_gradient(
        &self,
        x: &Vec<f32>,
        rstd: &Vec<f32>,
        dy: &Vec<f32>,
        tokens: usize,
        channels: usize,
        weight: AtMut<'_, Vec<f32>>,
    ) {
        let product = |i: usize| f64::from(x[i]) * f64::from(dy[i]);
        for c in 0..channels {
            let sum = (0..tokens)
                .map(|t| product(t * channels + c) * f64::from(rstd[t]))
                .sum();
            put(&mut weight.buffer[weight.offset + c], sum, true);
        }
    }

    fn rope(
        &self,
        x: &mut Vec<f32>,
        positions: &Vec<u32>,
        cos: &Vec<f32>,
        sin: &Vec<f32>,
        tokens: usize,
        heads: usize,
        head_size: usize,
        inverse: bool,
    ) {
        let half = head_size / 2;
        for t in 0..tokens {
            let at = positions[t] as usize * half;
            for h in 0..heads {
                let head = &mut x[(t * heads + h) * head_size..(t * heads + h + 1) * head_size];
                for i in 0..half {
                    let (c, s) = (f64::from(cos[at + i]), f64::from(sin[at + i]));
                    let s = if inverse { -s } else { s };
                    let (a, b) = (f64::from(head[i]), f64::from(head[i + half]));
                    head[i] = (a * c - b * s) as f32;
                    head[i + half] = (b * c + a * s) as f32;
                }
            }
        }
    }

    fn attention(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, Vec<u32>>,
        q: &Vec<f32>,
        k: &Vec<f32>,
        v: &Vec<f32>,
        out: &mut Vec<f32>,
        lse: &mut Vec<f32>,
    ) {
        let (nh, hs) = (shape.heads, shape.head_size);
        let width = shape.kv_heads * hs;
        for s in 0..sequences.count {
            let (start, end) = (sequences.starts[s] as usize, sequences.starts[s + 1] as usize);
            for t in start..end {
                for h in 0..nh {
                    let col = h / (nh / shape.kv_heads) * hs;
                    let keys: Vec<_> = (start.max((t + 1).saturating_sub(shape.window))..=t)
                        .map(|j| j * width + col)
                        .map(|at| (&k[at..at + hs], &v[at..at + hs]))
                        .collect();
                    let at = (t * nh + h) * hs;
                    lse[t * nh + h] = attend(shape, &q[at..at + hs], &keys, &mut out[at..at + hs]) as f32;
                }
            }
        }
    }

    fn attention_backward(
        &self,
        shape: AttentionShape,
        sequences: Sequences<'_, Vec<u32>>,
        q: &Vec<f32>,
        k: &Vec<f32>,
        v: &Vec<f32>,
        out: &Vec<f32>,
        lse: &Vec<f32>,
        d_out: &Vec<f32>,
        dq: &mut Vec<f32>,
        dk: &mut Vec<f32>,
        dv: &mut Vec<f32>,
    ) {
        let (nh, hs) = (shape.heads, shape.head_size);
        let width = shape.kv_heads * hs;
        let scale = f64::from(shape.scale);
        let tokens = sequences.tokens;
        let mut sums_k = vec![0f64; tokens * width];
        let mut sums_v = vec![0f64; tokens * width];
        for s in 0..sequences.count {
            let (start, end) = (sequences.starts[s] as usize, sequences.starts[s + 1] as usize);
            for t in start..end {
                for h in 0..nh {
                    let at = (t * nh + h) * hs;
                    let col = h / (nh / shape.kv_heads) * hs;
                    let (query, d) = (&q[at..at + hs], &d_out[at..at + hs]);
                    let delta = dot(d, &out[at..at + hs]);
                    let mut sums_q = vec![0f64; hs];
                    for j in start.max((t + 1).saturating_sub(shape.window))..=t {
                        let key = j * width + col;
                        let p = (dot(query, &k[key..key + hs]) * scale - f64::from(lse[t * nh + h])).exp();
                        let ds = p * (dot(d, &v[key..key + hs]) - delta) * scale;
                        for c in 0..hs {
                            sums_q[c] += ds * f64::from(k[key + c]);
                            sums_k[key + c] += ds * f64::from(query[c]);
                            sums_v[key + c] += p * f64::from(d[c]);
                        }
                    }
                    for c in 0..hs {
                        dq[at + c] = sums_q[c] as f32;
                    }
                }
            }
        }
        for i in 0..tokens * width {
            dk[i] = sums_k[i] as f32;
            dv[i] = sums_v[i] as f32;
        }
    }

    fn attention_cached(
        &self,
        shape: AttentionShape,
        queries: Sequences<'_, Vec<u32>>,
        keys: CachedKeys<'_, Vec<f32>, Vec<u32>>,
        q: &Vec<f32>,
        out: &mut Vec<f32>,
    ) {
        let (nh, hs) = (shape.heads, shape.head_size);
        let width = shape.kv_heads * hs;
        for s in 0..queries.count {
            let base = keys.slots[s] as usize * keys.slot_tokens;
            let (start, end) = (queries.starts[s] as usize, queries.starts[s + 1] as usize);
            for t in start..end {
                let own = keys.slot_before[s] as usize + (t - start) + 1;
                for h in 0..nh {
                    let col = h / (nh / shape.kv_heads) * hs;
                    let shared = (0..keys.shared_tokens).map(|j| {
                        let at = j * width + col;
                        (&keys.shared_k[at..at + hs], &keys.shared_v[at..at + hs])
                    });
                    let slot = (base..base + own).map(|j| {
                        let at = j * width + col;
                        (&keys.slot_k[at..at + hs], &keys.slot_v[at..at + hs])
                    });
                    let all: Vec<_> = shared.chain(slot).collect();
                    let seen = &all[all.len().saturating_sub(shape.window)..];
                    let at = (t * nh + h) * hs;
                    attend(shape, &q[at..at + hs], seen, &mut out[at..at + hs]);
                }
            }
        }
    }

    fn swiglu(&self, gate: &Vec<f32>, up: &Vec<f32>, out: &mut Vec<f32>, n: usize) {
        for i in 0..n {
            out[i] = (silu(f64::from(gate[i])).0 * f64::from(up[i])) as f32;
        }
    }

    fn swiglu_backward(
        &self,
        gate: &Vec<f32>,
        up: &Vec<f32>,
        d_out: &Vec<f32>,
        d_gate: &mut Vec<f32>,
        d_up: &mut Vec<f32>,
        n: usize,
    ) {
        for i in 0..n {
            let (value, slope) = silu(f64::from(gate[i]));
            d_gate[i] = (f64::from(d_out[i]) * f64::from(up[i]) * slope) as f32;
            d_up[i] = (f64::from(d_out[i]) * value) as f32;
        }
    }

    fn cross_entropy(
        &self,
        logits: &mut Vec<f32>,
        targets: &Vec<u32>,
        rows: usize,
        vocabulary: usize,
        gradient_scale: f32,
        losses: &mut Vec<f32>,
    ) {
        for r in 0..rows {
            let row = &mut logits[r * vocabulary..(r + 1) * vocabulary];
            let lse = log_sum_exp(row);
            let target = targets[r] as usize;
            losses[r] = (lse - f64::from(row[target])) as f32;
            for (c, value) in row.iter_mut().enumerate() {
                let p = (f64::from(*value) - lse).exp() - f64::from(u8::from(c == target));
                *value = (p * f64::from(gradient_scale)) as f32;
            }
        }
    }

    fn log_probs(
        &self,
        logits: &Vec<f32>,
        targets: &Vec<u32>,
        rows: usize,
        vocabulary: usize,
        out: &mut Vec<f32>,
    ) {
        for r in 0..rows {
            let row = &logits[r * vocabulary..(r + 1) * vocabulary];
            out[r] = (f64::from(row[targets[r] as usize]) - log_sum_exp(row)) as f32;
        }
    }

    fn arg_max(&self, logits: &Vec<f32>, rows: usize, vocabulary: usize, out: &mut Vec<u32>) {
        for r in 0..rows {
            let row = &logits[r * vocabulary..(r + 1) * vocabulary];
            let mut best = (0, f32::NEG_INFINITY);
            for (c, &value) in row.iter().enumerate() {
                if value > best.1 {
                    best = (c, value);
                }
            }
            out[r] = best.0 as u32;
        }
    }

    fn adamw(
        &self,
        s: AdamW,
        parameters: AtMut<'_, Vec<f32>>,
        gradients: At<'_, Vec<f32>>,
        m: AtMut<'_, Vec<f32>>,
        v: AtMut<'_, Vec<f32>>,
        n: usize,
    ) {
        let (p, g) = (
            &mut parameters.buffer[parameters.offset..],
            &gradients.buffer[gradients.offset..],
        );
        let (m, v) = (&mut m.buffer[m.offset..], &mut v.buffer[v.offset..]);
        for i in 0..n {
            let g = g[i] * s.gradient_scale;
            m[i] = s.beta1 * m[i] + s.one_minus_beta1 * g;
            v[i] = s.beta2 * v[i] + s.one_minus_beta2 * g * g;
            let denominator = v[i].sqrt() / s.bias_correction2_sqrt + s.epsilon;
            p[i] = p[i] * s.decay - s.step_size * m[i] / denominator;
        }
    }

    fn adamw_8bit(
        &self,
        s: AdamW8,
        parameters: AtMut<'_, Vec<f32>>,
        gradients: At<'_, Vec<f32>>,
        moments: Moments8<'_, Vec<f32>, Vec<u8>>,
        n: usize,
    ) {
        let p = &mut parameters.buffer[parameters.offset..][..n];
        let g = &gradients.buffer[gradients.offset..][..n];
        let m_codes = &mut moments.m.buffer[moments.m.offset..][..n];
        let v_codes = &mut moments.v.buffer[moments.v.offset..][..n];
        let m_scales = &mut moments.m_scales.buffer[moments.m_scales.offset..];
        let v_scales = &mut moments.v_scales.buffer[moments.v_scales.offset..];
        let f = f64::from;
        for (block, start) in (0..n).step_by(MOMENT_BLOCK).enumerate() {
            let range = start..(start + MOMENT_BLOCK).min(n);
            let (mut m, mut v) = (Vec::new(), Vec::new());
            for i in range.clone() {
                if !g[i].is_finite() {
                    m.push(0.0);
                    v.push(0.0);
                    continue;
                }
                let gradient = f(g[i]) * f(s.gradient_scale);
                let old_m = f(DYNAMIC_MAP[usize::from(m_codes[i])]) * f(m_scales[block]);
                let old_v = f(UNSIGNED_MAP[usize::from(v_codes[i])]) * f(v_scales[block]);
                let new_m = old_m * f(s.beta1) + gradient * f(s.one_minus_beta1);
                let new_v = old_v * f(s.beta2) + gradient * gradient * f(s.one_minus_beta2);
                let step = f(s.step_size) * new_m / (new_v.sqrt() + f(s.epsilon));
                p[i] = ((f(p[i]) - step) * f(s.decay)) as f32;
                m.push(new_m);
                v.push(new_v);
            }
            let largest = |x: &[f64]| x.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            let (m_scale, v_scale) = (largest(&m), largest(&v));
            (m_scales[block], v_scales[block]) = (m_scale as f32, v_scale as f32);
            for (j, i) in range.enumerate() {
                v_codes[i] = nearest_f64(&UNSIGNED_MAP, v[j] / v_scale);
                let code = nearest_f64(&DYNAMIC_MAP, m[j] / m_scale);
                let same_sign = DYNAMIC_MAP[usize::from(code)].is_sign_negative() == m[j].is_sign_negative();
                m_codes[i] = match (same_sign, m[j] > 0.0) {
                    (true, _) => code,
                    (false, true) => code.wrapping_add(1),
                    (false, false) => code.wrapping_sub(1),
                };
            }
        }
    }

    fn sum_squares(&self, x: At<'_, Vec<f32>>, n: usize) -> Result<f64> {
        Ok(x.buffer[x.offset..x.offset + n]
            .iter()
            .map(|&v| f64::from(v) * f64::from(v))
            .sum())
    }
}
