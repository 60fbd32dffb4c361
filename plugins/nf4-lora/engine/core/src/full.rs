//! Full fine-tuning: every weight of a model in one flat f32 buffer, where each is, and how they are filled from a model.

use crate::backend::{Backend, LinearSource};
use crate::model::{WeightSource, rotation, upload_vector};
use crate::parameters::{Parameter, Role};
use crate::shape::{ModelShape, Target};
use escada_engine_formats::error::{Code, EngineError, Result};

/// First elements of a layer's tensors.
#[derive(Debug, Clone, PartialEq)]
struct LayerOffsets {
    /// By `Target`.
    linears: Vec<usize>,
    /// Of queries, keys and values; empty where the model has none.
    biases: Vec<usize>,
    norm_attention: usize,
    norm_mlp: usize,
}

/// Where every weight is, by transformers' names: embedding (at 0), head, linear layers, then norms and biases, so
/// that what decays and what does not are two ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct FullLayout {
    parameters: Vec<Parameter>,
    layers: Vec<LayerOffsets>,
    head: usize,
    norm: usize,
    /// Elements of the flat buffer.
    pub len: usize,
}

impl FullLayout {
    pub fn new(shape: &ModelShape) -> Self {
        let mut to = Self {
            parameters: Vec::new(),
            layers: Vec::new(),
            head: 0,
            norm: 0,
            len: 0,
        };
        let (v, c) = (shape.vocabulary, shape.hidden);
        to.push("model.embed_tokens.weight".to_owned(), v, c, Role::Embedding);
        if !shape.tied_head {
            to.head = to.push("lm_head.weight".to_owned(), v, c, Role::Matrix);
        }
        for layer in 0..shape.layers {
            let linear = |target: Target, to: &mut Self| {
                let (n, k) = shape.linear(target);
                to.push(format!("{}.weight", target.module(layer)), n, k, Role::Matrix)
            };
            let linears = Target::ALL.map(|target| linear(target, &mut to)).to_vec();
            to.layers.push(LayerOffsets {
                linears,
                biases: Vec::new(),
                norm_attention: 0,
                norm_mlp: 0,
            });
        }
        for layer in 0..shape.layers {
            to.push_vectors(shape, layer);
        }
        to.norm = to.push("model.norm.weight".to_owned(), 1, c, Role::Vector);
        to
    }

    fn push_vectors(&mut self, shape: &ModelShape, layer: usize) {
        let mut norm = |which: &str| {
            let name = format!("model.layers.{layer}.{which}.weight");
            self.push(name, 1, shape.hidden, Role::Vector)
        };
        let (attention, mlp) = (norm("input_layernorm"), norm("post_attention_layernorm"));
        let biased: &[Target] = if shape.qkv_bias { &Target::BIASED } else { &[] };
        let bias = |target: &Target| {
            let name = format!("{}.bias", target.module(layer));
            self.push(name, 1, shape.linear(*target).0, Role::Vector)
        };
        let biases = biased.iter().map(bias).collect();
        let offsets = &mut self.layers[layer];
        (offsets.norm_attention, offsets.norm_mlp, offsets.biases) = (attention, mlp, biases);
    }

    fn push(&mut self, name: String, rows: usize, cols: usize, role: Role) -> usize {
        let offset = self.len;
        self.len += rows * cols;
        self.parameters.push(Parameter {
            name,
            offset,
            rows,
            cols,
            role,
        });
        offset
    }

    /// All tensors in the order of the flat buffer.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// First element of the head's weight: the embedding's where they are tied.
    pub(crate) fn head(&self) -> usize {
        self.head
    }

    /// First element of a linear layer's weight.
    pub(crate) fn linear(&self, layer: usize, target: Target) -> usize {
        self.layers[layer].linears[target as usize]
    }

    /// First element of a linear layer's bias, if it has one.
    pub(crate) fn bias(&self, layer: usize, target: Target) -> Option<usize> {
        self.layers[layer].biases.get(target as usize).copied()
    }

    /// First elements of a layer's two norms.
    pub(crate) fn norms(&self, layer: usize) -> (usize, usize) {
        let offsets = &self.layers[layer];
        (offsets.norm_attention, offsets.norm_mlp)
    }

    /// First element of the last norm.
    pub(crate) fn norm(&self) -> usize {
        self.norm
    }
}

/// A model whose weights learn.
pub struct FullWeights<B: Backend> {
    pub shape: ModelShape,
    pub layout: FullLayout,
    /// `[layout.len] f32`
    pub values: B::Buffer,
    /// `[context_tokens, HS/2]`
    pub cos: B::Buffer,
    /// `[context_tokens, HS/2]`
    pub sin: B::Buffer,
}

impl<B: Backend> FullWeights<B> {
    /// Uploads every weight, one tensor at a time. Errors: those of the source; `RequestInvalid` if it quantizes.
    pub fn load(backend: &B, shape: ModelShape, source: &mut impl WeightSource) -> Result<Self> {
        shape.check()?;
        let layout = FullLayout::new(&shape);
        let mut values = backend.alloc(layout.len)?;
        for p in layout.parameters() {
            let mut take = |weight: LinearSource<'_>| match weight {
                LinearSource::F32 { data, .. } => backend.upload(data, &mut values, p.offset),
                LinearSource::Q8(tensor) => {
                    let mut data = vec![0.0; tensor.codes.len()];
                    tensor.decode_into(&mut data);
                    backend.upload(&data, &mut values, p.offset)
                }
                LinearSource::Q4(tensor) => {
                    let mut data = vec![0.0; tensor.codes.len()];
                    tensor.decode_into(&mut data);
                    backend.upload(&data, &mut values, p.offset)
                }
                LinearSource::Nf4(_) => {
                    let message =
                        "full fine-tuning needs weights in 32 bits: load the model with weightFormat \"f32\"";
                    Err(EngineError::new(Code::RequestInvalid, message))
                }
            };
            match p.role {
                Role::Vector => {
                    let data = source.vector(&p.name, p.cols)?;
                    take(LinearSource::F32 {
                        rows: 1,
                        cols: p.cols,
                        data: &data,
                    })?;
                }
                Role::Matrix if p.name != "lm_head.weight" => source.linear(&p.name, p.rows, p.cols, take)?,
                Role::Matrix | Role::Embedding => source.table(&p.name, p.rows, p.cols, take)?,
            }
        }
        let (cos, sin) = rotation(&shape);
        let (cos, sin) = (upload_vector(backend, &cos)?, upload_vector(backend, &sin)?);
        Ok(Self {
            shape,
            layout,
            values,
            cos,
            sin,
        })
    }
}
