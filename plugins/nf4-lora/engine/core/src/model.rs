//! A Llama-family decoder on a device: frozen weights and the parts that training and generation share.

use crate::backend::{At, AtMut, AttentionShape, Backend, LinearSource};
use crate::lora::{AdapterRows, lora_forward_rows};
use crate::shape::{ModelShape, Target};
use escada_engine_formats::error::Result;
use escada_engine_formats::math;

/// Where weights come from while a model is loaded, by transformers' names.
pub trait WeightSource {
    /// Hands the matrix `<name>` `[rows, cols]` to `take`, quantized or not.
    fn linear<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T>;
    /// The f32 values of embedding or head `[rows, cols]`, which are never quantized here.
    fn table<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T>;
    /// The f32 values of a norm or a bias `[len]`.
    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>>;
}

/// One decoder layer.
pub struct Layer<B: Backend> {
    /// `[C]`
    pub norm_attention: B::Buffer,
    /// `[C]`
    pub norm_mlp: B::Buffer,
    /// By `Target`.
    pub linears: Vec<B::Linear>,
    /// `[N]` of queries, keys and values, by `Target`; empty where the model has none.
    pub biases: Vec<B::Buffer>,
}

impl<B: Backend> Layer<B> {
    /// `y (+)= base(x)`, the bias included.
    pub fn forward(
        &self,
        backend: &B,
        target: Target,
        x: &B::Buffer,
        y: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
    ) {
        backend.linear_forward(&self.linears[target as usize], x, y, tokens, accumulate);
        self.add_bias(backend, target, y, tokens);
    }

    /// `y += bias`, where the projection has one.
    pub fn add_bias(&self, backend: &B, target: Target, y: &mut B::Buffer, tokens: usize) {
        if let Some(bias) = self.biases.get(target as usize) {
            backend.add_bias(At::start(bias), y, tokens, backend.len(bias));
        }
    }
}

/// The whole decoder.
pub struct Model<B: Backend> {
    pub shape: ModelShape,
    /// `[V, C]`
    pub embedding: B::Linear,
    /// `[V, C]`; absent when tied to the embedding.
    untied_head: Option<B::Linear>,
    pub layers: Vec<Layer<B>>,
    /// `[C]`
    pub norm: B::Buffer,
    /// `[context_tokens, HS/2]`
    pub cos: B::Buffer,
    /// `[context_tokens, HS/2]`
    pub sin: B::Buffer,
}

impl<B: Backend> Model<B> {
    /// Uploads every weight, one tensor at a time.
    pub fn load(backend: &B, shape: ModelShape, source: &mut impl WeightSource) -> Result<Self> {
        shape.check()?;
        let (v, c) = (shape.vocabulary, shape.hidden);
        let embedding = source.table("model.embed_tokens.weight", v, c, |s| backend.upload_linear(s))?;
        let untied_head = match shape.tied_head {
            true => None,
            false => Some(source.table("lm_head.weight", v, c, |s| backend.upload_linear(s))?),
        };
        let layers = (0..shape.layers)
            .map(|l| load_layer(backend, &shape, source, l))
            .collect::<Result<Vec<_>>>()?;
        let norm = upload_vector(backend, &source.vector("model.norm.weight", c)?)?;
        let (cos, sin) = rotation(&shape);
        let (cos, sin) = (upload_vector(backend, &cos)?, upload_vector(backend, &sin)?);
        Ok(Self {
            shape,
            embedding,
            untied_head,
            layers,
            norm,
            cos,
            sin,
        })
    }

    /// `[V, C]`
    pub fn head(&self) -> &B::Linear {
        self.untied_head.as_ref().unwrap_or(&self.embedding)
    }

    /// Bytes of all matrices on the device.
    pub fn weight_bytes(&self, backend: &B) -> usize {
        let tables = std::iter::once(&self.embedding).chain(self.untied_head.as_ref());
        let linears = self.layers.iter().flat_map(|l| &l.linears);
        tables.chain(linears).map(|w| backend.linear_bytes(w)).sum()
    }

    pub fn attention_shape(&self) -> AttentionShape {
        self.shape.attention()
    }

    /// `y (+)= base(x)`, and `+ scale * B(A(x))` without dropout in the rows that have an adapter; `ranks [≥ tokens*R]`
    /// is scratch.
    #[allow(clippy::too_many_arguments)]
    pub fn apply(
        &self,
        backend: &B,
        adapters: &[AdapterRows<'_, B>],
        (layer, target): (usize, Target),
        x: &B::Buffer,
        y: &mut B::Buffer,
        tokens: usize,
        accumulate: bool,
        ranks: &mut B::Buffer,
    ) {
        self.layers[layer].forward(backend, target, x, y, tokens, accumulate);
        for rows in adapters {
            lora_forward_rows(backend, *rows, (layer, target), x, y, AtMut::start(ranks));
        }
    }
}

fn load_layer<B: Backend>(
    backend: &B,
    shape: &ModelShape,
    source: &mut impl WeightSource,
    layer: usize,
) -> Result<Layer<B>> {
    let mut linears = Vec::with_capacity(7);
    for target in Target::ALL {
        let (rows, cols) = shape.linear(target);
        let name = format!("{}.weight", target.module(layer));
        linears.push(source.linear(&name, rows, cols, |s| backend.upload_linear(s))?);
    }
    let mut biases = Vec::new();
    if shape.qkv_bias {
        for target in Target::BIASED {
            let values = source.vector(&format!("{}.bias", target.module(layer)), shape.linear(target).0)?;
            biases.push(upload_vector(backend, &values)?);
        }
    }
    let mut norm = |which: &str| {
        upload_vector(
            backend,
            &source.vector(&format!("model.layers.{layer}.{which}.weight"), shape.hidden)?,
        )
    };
    Ok(Layer {
        norm_attention: norm("input_layernorm")?,
        norm_mlp: norm("post_attention_layernorm")?,
        linears,
        biases,
    })
}

pub(crate) fn upload_vector<B: Backend>(backend: &B, values: &[f32]) -> Result<B::Buffer> {
    let mut buffer = backend.alloc(values.len())?;
    backend.upload(values, &mut buffer, 0)?;
    Ok(buffer)
}

/// Cosine and sine tables `[context_tokens, HS/2]`; the angle is rounded to f32 first, as the usual models do.
pub(crate) fn rotation(shape: &ModelShape) -> (Vec<f32>, Vec<f32>) {
    let angles = (0..shape.context_tokens).flat_map(|p| {
        shape
            .inverse_frequencies
            .iter()
            .map(move |f| f64::from(p as f32 * f))
    });
    angles
        .map(|angle| (math::cos(angle) as f32, math::sin(angle) as f32))
        .unzip()
}
