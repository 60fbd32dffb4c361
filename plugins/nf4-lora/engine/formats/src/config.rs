//! The shape of a model, read from Hugging Face's `config.json` or from GGUF metadata.

use crate::error::{Code, EngineError, Result};
use crate::gguf::{GgufFile, Value};
use serde_json::Value as Json;
use std::path::Path;

/// A decoder-only transformer of the llama family (RMS norm, SwiGLU, rotary positions, grouped-query attention).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Always `"llama"` in this version.
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
    pub rms_eps: f32,
    /// The output head is the embedding.
    pub tie_embeddings: bool,
}

/// No dimension of a real model comes near; keeps every product of two dimensions far from overflow.
const MAX_DIMENSION: usize = 1 << 28;
/// Every layer has names and checks of its own: a lying count must not become gigabytes of them.
const MAX_LAYERS: usize = 1 << 12;

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

impl ModelConfig {
    /// Reads `config.json`. Errors: `ModelFileInvalid` names the field; `ModelUnsupported` names the feature.
    pub fn from_hf_json(path: &Path, text: &str) -> Result<Self> {
        let json: Json =
            serde_json::from_str(text).map_err(|cause| EngineError::invalid_file(path, cause))?;
        refuse_unsupported_hf(path, &json)?;
        let fields = HfFields { path, json: &json };
        let hidden = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        Self {
            architecture: "llama".to_owned(),
            layers: fields.size("num_hidden_layers")?,
            hidden,
            intermediate: fields.size("intermediate_size")?,
            heads,
            kv_heads: fields.size_or("num_key_value_heads", heads)?,
            head_dim: fields.size_or("head_dim", hidden / heads)?,
            vocab: fields.size("vocab_size")?,
            context: fields.size("max_position_embeddings")?,
            rope_theta: fields.rope_theta(),
            rms_eps: json.get("rms_norm_eps").and_then(Json::as_f64).unwrap_or(1e-6) as f32,
            tie_embeddings: json
                .get("tie_word_embeddings")
                .and_then(Json::as_bool)
                .unwrap_or(false),
        }
        .checked(path)
    }

    /// Reads GGUF metadata. Errors as [`ModelConfig::from_hf_json`].
    pub fn from_gguf(file: &GgufFile) -> Result<Self> {
        refuse_unsupported_gguf(file)?;
        let fields = GgufFields { file };
        let hidden = fields.size("embedding_length")?;
        let heads = fields.size("attention.head_count")?;
        let head_dim = fields.size_or("attention.key_length", hidden / heads)?;
        if fields.size_or("rope.dimension_count", head_dim)? != head_dim {
            return Err(EngineError::unsupported(
                file.path(),
                "partial rotary embedding (llama.rope.dimension_count)",
            ));
        }
        Self {
            architecture: "llama".to_owned(),
            layers: fields.size("block_count")?,
            hidden,
            intermediate: fields.size("feed_forward_length")?,
            heads,
            kv_heads: fields.size_or("attention.head_count_kv", heads)?,
            head_dim,
            vocab: fields.vocabulary()?,
            context: fields.size("context_length")?,
            rope_theta: fields.float("rope.freq_base").unwrap_or(10_000.0),
            rms_eps: fields.float("attention.layer_norm_rms_epsilon").unwrap_or(1e-5) as f32,
            tie_embeddings: !file.tensors().contains_key("output.weight"),
        }
        .checked(file.path())
    }

    /// Shape of the tensor that Hugging Face calls `name`; `None` for a name such a model does not have.
    pub fn tensor_shape(&self, name: &str) -> Option<Vec<usize>> {
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
        }
        names.push("model.norm.weight".to_owned());
        if !self.tie_embeddings {
            names.push("lm_head.weight".to_owned());
        }
        names
    }

    fn checked(self, path: &Path) -> Result<Self> {
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
        Ok(self)
    }
}

fn refuse_unsupported_hf(path: &Path, json: &Json) -> Result<()> {
    let refuse = |detail: String| Err(EngineError::unsupported(path, detail));
    let model_type = json.get("model_type").and_then(Json::as_str).unwrap_or("none");
    if model_type != "llama" {
        return refuse(format!("architecture \"{model_type}\"; \"llama\" is supported"));
    }
    for key in ["rope_scaling", "rope_parameters"] {
        let scaling = json.get(key);
        let kind = scaling.and_then(|value| value.get("rope_type").or_else(|| value.get("type")));
        if scaling.is_some_and(|value| !value.is_null()) && kind.is_some_and(|kind| kind != "default") {
            return refuse(format!("rope scaling {}", kind.unwrap_or(&Json::Null)));
        }
    }
    for key in ["attention_bias", "mlp_bias"] {
        if json.get(key).and_then(Json::as_bool) == Some(true) {
            return refuse(format!("{key}: true"));
        }
    }
    if let Some(quantization) = json.get("quantization_config").filter(|value| !value.is_null()) {
        let method = quantization
            .get("quant_method")
            .and_then(Json::as_str)
            .unwrap_or("none");
        if method != "bitsandbytes" || quantization.get("load_in_4bit") != Some(&Json::Bool(true)) {
            return refuse(format!(
                "quantization \"{method}\"; bitsandbytes in 4 bits (nf4) is supported"
            ));
        }
    }
    let rotary = json
        .get("partial_rotary_factor")
        .and_then(Json::as_f64)
        .unwrap_or(1.0);
    if rotary != 1.0 {
        return refuse(format!("partial_rotary_factor {rotary}"));
    }
    match json.get("hidden_act").and_then(Json::as_str) {
        None | Some("silu") => Ok(()),
        Some(other) => refuse(format!("hidden_act \"{other}\"; \"silu\" is supported")),
    }
}

fn refuse_unsupported_gguf(file: &GgufFile) -> Result<()> {
    let refuse = |detail: String| Err(EngineError::unsupported(file.path(), detail));
    match file.value("general.architecture") {
        Some(Value::Text(name)) if name == "llama" => {}
        Some(Value::Text(name)) => return refuse(format!("architecture \"{name}\"; \"llama\" is supported")),
        _ => {
            return Err(EngineError::invalid_file(
                file.path(),
                "general.architecture is missing",
            ));
        }
    }
    match file.value("llama.rope.scaling.type") {
        None => {}
        Some(Value::Text(kind)) if kind == "none" => {}
        Some(other) => return refuse(format!("rope scaling {other:?}")),
    }
    if file.tensors().contains_key("rope_freqs.weight") {
        return refuse("rope scaling by a frequency table (rope_freqs.weight)".to_owned());
    }
    match file.value("llama.expert_count") {
        None | Some(Value::Int(0)) => Ok(()),
        Some(other) => refuse(format!("a mixture of experts (llama.expert_count {other:?})")),
    }
}

fn size_in_range(path: &Path, key: &str, value: Option<i64>) -> Result<usize> {
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

struct HfFields<'a> {
    path: &'a Path,
    json: &'a Json,
}

impl HfFields<'_> {
    fn size(&self, key: &str) -> Result<usize> {
        size_in_range(self.path, key, self.json.get(key).and_then(Json::as_i64))
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        match self.json.get(key) {
            None | Some(Json::Null) => size_in_range(self.path, key, i64::try_from(default).ok()),
            Some(_) => self.size(key),
        }
    }

    /// Newer files keep it inside `rope_parameters`.
    fn rope_theta(&self) -> f64 {
        let nested = self
            .json
            .get("rope_parameters")
            .and_then(|rope| rope.get("rope_theta"));
        self.json
            .get("rope_theta")
            .or(nested)
            .and_then(Json::as_f64)
            .unwrap_or(10_000.0)
    }
}

struct GgufFields<'a> {
    file: &'a GgufFile,
}

impl GgufFields<'_> {
    fn size(&self, key: &str) -> Result<usize> {
        let key = format!("llama.{key}");
        let value = match self.file.value(&key) {
            Some(Value::Int(value)) => Some(*value),
            // Some writers give one number per layer; only equal ones are a plain llama.
            Some(Value::Ints(values)) if values.windows(2).all(|pair| pair[0] == pair[1]) => {
                values.first().copied()
            }
            Some(Value::Ints(_)) => {
                return Err(EngineError::unsupported(
                    self.file.path(),
                    format!("{key} differs between layers"),
                ));
            }
            _ => None,
        };
        size_in_range(self.file.path(), &key, value)
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.file.value(&format!("llama.{key}")).is_some() {
            return self.size(key);
        }
        size_in_range(self.file.path(), key, i64::try_from(default).ok())
    }

    fn float(&self, key: &str) -> Option<f64> {
        match self.file.value(&format!("llama.{key}"))? {
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The embedding decides: the metadata entry is optional and sometimes stale.
    fn vocabulary(&self) -> Result<usize> {
        let rows = self
            .file
            .tensors()
            .get("token_embd.weight")
            .and_then(|entry| entry.shape.first());
        size_in_range(
            self.file.path(),
            "token_embd.weight rows",
            rows.and_then(|rows| i64::try_from(*rows).ok()),
        )
    }
}
