//! Reading Hugging Face's `config.json`.

use crate::config::{ModelConfig, RopeScaling, size_in_range};
use crate::error::{EngineError, Result};
use serde_json::Value as Json;
use std::path::Path;

impl ModelConfig {
    /// Reads `config.json`. Errors: `ModelFileInvalid` names the field; `ModelUnsupported` names the feature.
    pub fn from_hf_json(path: &Path, text: &str) -> Result<Self> {
        let json: Json =
            serde_json::from_str(text).map_err(|cause| EngineError::invalid_file(path, cause))?;
        let architecture = refuse_unsupported_hf(path, &json)?;
        let fields = HfFields { path, json: &json };
        let hidden = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        Self {
            architecture: architecture.to_owned(),
            layers: fields.size("num_hidden_layers")?,
            hidden,
            intermediate: fields.size("intermediate_size")?,
            heads,
            kv_heads: fields.size_or("num_key_value_heads", heads)?,
            head_dim: fields.size_or("head_dim", hidden / heads)?,
            vocab: fields.size("vocab_size")?,
            context: fields.size("max_position_embeddings")?,
            rope_theta: fields.rope_theta()?,
            rope_scaling: fields.rope_scaling()?,
            rms_eps: fields.float_or("rms_norm_eps", 1e-6)? as f32,
            tie_embeddings: fields.flag("tie_word_embeddings")?,
            qkv_bias: architecture == "qwen2",
            sliding_window: fields.sliding_window(architecture)?,
        }
        .checked(path)
    }
}

/// Architectures that differ in what `ModelConfig` says only.
const ARCHITECTURES: [&str; 3] = ["llama", "mistral", "qwen2"];

/// The architecture, if everything else about the model is supported too.
fn refuse_unsupported_hf(path: &Path, json: &Json) -> Result<&'static str> {
    let refuse = |detail: String| Err(EngineError::unsupported(path, detail));
    let model_type = json.get("model_type").and_then(Json::as_str).unwrap_or("none");
    let Some(architecture) = ARCHITECTURES.into_iter().find(|name| *name == model_type) else {
        let known = ARCHITECTURES.join("\", \"");
        return refuse(format!(
            "architecture \"{model_type}\"; \"{known}\" are supported"
        ));
    };
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
        None | Some("silu") => Ok(architecture),
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

    /// In `rope_parameters` of newer files, in `rope_scaling` of older ones.
    fn rope_scaling(&self) -> Result<RopeScaling> {
        for key in ["rope_parameters", "rope_scaling"] {
            let Some(json) = self.json.get(key).filter(|value| !value.is_null()) else {
                continue;
            };
            let scaling = HfFields {
                path: self.path,
                json,
            };
            let kind = json
                .get("rope_type")
                .or_else(|| json.get("type"))
                .unwrap_or(&Json::Null);
            match kind.as_str().unwrap_or("default") {
                "default" => {}
                "linear" => {
                    let factor = scaling.positive("factor")?;
                    return Ok(RopeScaling::Linear { factor });
                }
                "llama3" => {
                    return Ok(RopeScaling::Llama3 {
                        factor: scaling.positive("factor")?,
                        low_freq_factor: scaling.positive("low_freq_factor")?,
                        high_freq_factor: scaling.positive("high_freq_factor")?,
                        original_max_position_embeddings: scaling
                            .positive("original_max_position_embeddings")?,
                    });
                }
                other => {
                    let detail = format!("rope scaling \"{other}\"; \"linear\" and \"llama3\" are supported");
                    return Err(EngineError::unsupported(self.path, detail));
                }
            }
        }
        Ok(RopeScaling::None)
    }

    /// Mistral's window is on when it is given, Qwen2's when `use_sliding_window` says so.
    fn sliding_window(&self, architecture: &str) -> Result<Option<usize>> {
        let given = self
            .json
            .get("sliding_window")
            .is_some_and(|value| !value.is_null());
        match architecture {
            "mistral" if given => self.size("sliding_window").map(Some),
            "qwen2" if self.flag("use_sliding_window")? => Err(EngineError::unsupported(
                self.path,
                "use_sliding_window: true (a window in some layers only)",
            )),
            _ => Ok(None),
        }
    }

    fn positive(&self, key: &str) -> Result<f64> {
        let value = self.float_or(key, 0.0)?;
        if value.is_finite() && value > 0.0 {
            return Ok(value);
        }
        Err(self.misfit(key, "a positive number"))
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
