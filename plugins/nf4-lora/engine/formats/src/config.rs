//! The shape of a model, read from Hugging Face's `config.json` or from GGUF metadata.

use crate::error::{Code, EngineError, Result};
use std::path::Path;

/// A decoder-only transformer of the llama family (RMS norm, SwiGLU, rotary positions, grouped-query attention).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// `"llama"`, `"mistral"` or `"qwen2"`.
    pub architecture: String,
    pub layers: usize,
    /// Width of the residual stream (`C`).
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Query heads (`NH`); a multiple of `kv_heads`.
    pub heads: usize,
    pub kv_heads: usize,
    /// Size of one head (`HS`), even.
    pub head_dim: usize,
    /// Rows of the embedding (`V`).
    pub vocab: usize,
    /// Positions the model was made for, in tokens.
    pub context: usize,
    pub rope_theta: f64,
    pub rope_scaling: RopeScaling,
    pub rms_eps: f32,
    /// The output head is the embedding.
    pub tie_embeddings: bool,
    /// Queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Keys a query sees at most, its own among them, in tokens.
    pub sliding_window: Option<usize>,
}

/// How the rotation was stretched to longer contexts, with the names of `config.json`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    None,
    /// All frequencies divided by `factor`.
    Linear {
        factor: f64,
    },
    /// Low frequencies divided by `factor`, high ones kept, those between blended (Llama 3.1).
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        /// In tokens.
        original_max_position_embeddings: f64,
    },
}

impl RopeScaling {
    /// The frequency in place of `frequency` (radians per position).
    pub fn apply(self, frequency: f64) -> f64 {
        match self {
            RopeScaling::None => frequency,
            RopeScaling::Linear { factor } => frequency / factor,
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                let turns = original_max_position_embeddings * frequency / std::f64::consts::TAU;
                let kept = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                let kept = kept.clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
        }
    }
}

/// No dimension of a real model comes near; keeps every product of two dimensions far from overflow.
const MAX_DIMENSION: usize = 1 << 28;
/// Every layer has names and checks of its own: a lying count must not become gigabytes of them.
const MAX_LAYERS: usize = 1 << 12;
/// No file can vouch for the context, and tables are made for it: `[context, HS/2]` twice, at most 512 MiB together.
const MAX_ROTATIONS: usize = 1 << 27;

/// Modules of one layer in the order of computation.
const LAYER_MODULES: [&str; 9] = [
    "input_layernorm",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

/// Modules with a bias, where the model has any.
const BIASED: [&str; 3] = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];

impl ModelConfig {
    /// Shape of the tensor that Hugging Face calls `name`; `None` for a name such a model does not have.
    pub fn tensor_shape(&self, name: &str) -> Option<Vec<usize>> {
        if let Some(module) = name.strip_suffix(".bias") {
            let weight = self.tensor_shape(&format!("{module}.weight"))?;
            let has = self.qkv_bias && BIASED.iter().any(|end| module.ends_with(end));
            return has.then(|| vec![weight[0]]);
        }
        let module = name.strip_suffix(".weight")?;
        let (q, kv, c) = (
            self.heads * self.head_dim,
            self.kv_heads * self.head_dim,
            self.hidden,
        );
        let part = match module.strip_prefix("model.layers.") {
            Some(rest) => {
                let (layer, part) = rest.split_once('.')?;
                layer.parse::<usize>().ok().filter(|layer| *layer < self.layers)?;
                part
            }
            None => module,
        };
        Some(match part {
            "model.embed_tokens" | "lm_head" => vec![self.vocab, c],
            "model.norm" | "input_layernorm" | "post_attention_layernorm" => vec![c],
            "self_attn.q_proj" => vec![q, c],
            "self_attn.k_proj" | "self_attn.v_proj" => vec![kv, c],
            "self_attn.o_proj" => vec![c, q],
            "mlp.gate_proj" | "mlp.up_proj" => vec![self.intermediate, c],
            "mlp.down_proj" => vec![c, self.intermediate],
            _ => return None,
        })
    }

    /// Hugging Face names of all tensors such a model has, in the order of computation (`lm_head` only if untied).
    pub fn tensor_names(&self) -> Vec<String> {
        let mut names = vec!["model.embed_tokens.weight".to_owned()];
        for layer in 0..self.layers {
            names.extend(LAYER_MODULES.map(|module| format!("model.layers.{layer}.{module}.weight")));
            if self.qkv_bias {
                names.extend(BIASED.map(|module| format!("model.layers.{layer}.{module}.bias")));
            }
        }
        names.push("model.norm.weight".to_owned());
        if !self.tie_embeddings {
            names.push("lm_head.weight".to_owned());
        }
        names
    }

    /// Refuses sizes that contradict each other.
    pub(crate) fn checked(self, path: &Path) -> Result<Self> {
        let invalid = |detail: String| Err(EngineError::invalid_file(path, detail));
        if !self.heads.is_multiple_of(self.kv_heads) {
            return invalid(format!(
                "{} heads are no multiple of {} key/value heads",
                self.heads, self.kv_heads
            ));
        }
        if self.layers > MAX_LAYERS {
            return invalid(format!("{} layers are more than {MAX_LAYERS}", self.layers));
        }
        if self.context.saturating_mul(self.head_dim) > MAX_ROTATIONS {
            let (context, size) = (self.context, self.head_dim);
            return invalid(format!(
                "a context of {context} tokens is too long for heads of {size}: their product may be {MAX_ROTATIONS}"
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return invalid(format!("the head size {} is odd", self.head_dim));
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(self.rope_theta) || !positive(f64::from(self.rms_eps)) {
            return invalid(format!(
                "rope_theta {} or rms epsilon {} is not usable",
                self.rope_theta, self.rms_eps
            ));
        }
        if let RopeScaling::Llama3 {
            low_freq_factor: low,
            high_freq_factor: high,
            ..
        } = self.rope_scaling
            && low >= high
        {
            return invalid(format!(
                "low_freq_factor {low} is not below high_freq_factor {high}"
            ));
        }
        Ok(self)
    }
}

/// `value` as a usable size; `key` is for the message.
pub(crate) fn size_in_range(path: &Path, key: &str, value: Option<i64>) -> Result<usize> {
    value
        .and_then(|value| usize::try_from(value).ok())
        .filter(|size| (1..=MAX_DIMENSION).contains(size))
        .ok_or_else(|| {
            EngineError::new(
                Code::ModelFileInvalid,
                format!("{}: \"{key}\" is missing or no size", path.display()),
            )
        })
}
