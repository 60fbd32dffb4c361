//! Reading a model's shape from GGUF metadata.

use crate::config::{ModelConfig, RopeScaling, size_in_range};
use crate::error::{EngineError, Result};
use crate::gguf::{GgufFile, Value};

impl ModelConfig {
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
            rope_scaling: RopeScaling::None,
            qkv_bias: false,
            sliding_window: None,
            rope_theta: fields.float("rope.freq_base").unwrap_or(10_000.0),
            rms_eps: fields.float("attention.layer_norm_rms_epsilon").unwrap_or(1e-5) as f32,
            tie_embeddings: !file.tensors().contains_key("output.weight"),
        }
        .checked(file.path())
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
