//! Reading Hugging Face's `config.json`.

use crate::config::{ModelConfig, size_in_range};
use crate::error::{EngineError, Result};
use serde_json::Value as Json;
use std::path::Path;

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
            rope_theta: fields.rope_theta()?,
            rms_eps: fields.float_or("rms_norm_eps", 1e-6)? as f32,
            tie_embeddings: fields.flag("tie_word_embeddings")?,
        }
        .checked(path)
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
    let fields = HfFields { path, json };
    for key in ["attention_bias", "mlp_bias"] {
        if fields.flag(key)? {
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
    let rotary = fields.float_or("partial_rotary_factor", 1.0)?;
    if rotary != 1.0 {
        return refuse(format!("partial_rotary_factor {rotary}"));
    }
    match json.get("hidden_act").and_then(Json::as_str) {
        None | Some("silu") => Ok(()),
        Some(other) => refuse(format!("hidden_act \"{other}\"; \"silu\" is supported")),
    }
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
    fn rope_theta(&self) -> Result<f64> {
        let nested = HfFields {
            path: self.path,
            json: self.json.get("rope_parameters").unwrap_or(&Json::Null),
        };
        self.float_or("rope_theta", nested.float_or("rope_theta", 10_000.0)?)
    }

    /// Of another type than the one expected, a value must not silently count as absent.
    fn float_or(&self, key: &str, default: f64) -> Result<f64> {
        match self.json.get(key) {
            None | Some(Json::Null) => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.misfit(key, "a number")),
        }
    }

    fn flag(&self, key: &str) -> Result<bool> {
        match self.json.get(key) {
            None | Some(Json::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.misfit(key, "true or false")),
        }
    }

    fn misfit(&self, key: &str, wanted: &str) -> EngineError {
        EngineError::invalid_file(self.path, format!("\"{key}\" is not {wanted}"))
    }
}
