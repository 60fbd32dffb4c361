//! An export as a folder that transformers reads: weights, configuration, tokenizer.

use super::Merge;
use super::shards::{Written, write_shards};
use escada_engine_formats::ModelSource;
use escada_engine_formats::atomic::write_file;
use escada_engine_formats::config::RopeScaling;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::gguf::{BlockType, Value};
use escada_engine_formats::safetensors_writer::{Dtype, LaterTensor};
use serde_json::{Value as Json, json};
use std::path::Path;

impl Merge<'_> {
    pub(super) fn folder(&self, out: &Path, dtype: Dtype, block: BlockType) -> Result<Written> {
        std::fs::create_dir_all(out).map_err(|cause| EngineError::io("create", out, &cause))?;
        let config = self.source.config();
        let later = |name: String| {
            vec![LaterTensor {
                shape: config.tensor_shape(&name).unwrap_or_default(),
                dtype,
                name,
            }]
        };
        let tensors = config.tensor_names().into_iter().map(later).collect();
        let written = write_shards(out, tensors, self.max_shard_bytes, |tensor| {
            let (_, values) = self.tensor(&tensor.name)?;
            block.encode(&values).ok_or_else(|| {
                let message = format!(
                    "tensor \"{}\" holds values that f16 cannot: use bf16",
                    tensor.name
                );
                EngineError::new(Code::NonFinite, message)
            })
        })?;
        write_texts(&self.source, out, dtype, None)?;
        Ok(written)
    }
}

/// `config.json` and the tokenizer's files: those of the folder, or made from what the GGUF file says.
/// `quantization` becomes the entry `quantization_config`.
pub(crate) fn write_texts(
    source: &ModelSource,
    out: &Path,
    dtype: Dtype,
    quantization: Option<Json>,
) -> Result<()> {
    let name = match dtype {
        Dtype::F16 => "float16",
        Dtype::BF16 => "bfloat16",
        _ => "float32",
    };
    let Some(gguf) = source.gguf() else {
        return copy_texts(source, out, name, quantization);
    };
    let config = source.config();
    let ids = |key: &str| match gguf.value(&format!("tokenizer.ggml.{key}_token_id")) {
        Some(Value::Int(id)) => json!(id),
        _ => Json::Null,
    };
    let mut model = json!({
        "dtype": name, "torch_dtype": name,
        "vocab_size": config.vocab, "hidden_size": config.hidden, "intermediate_size": config.intermediate,
        "num_hidden_layers": config.layers, "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads, "head_dim": config.head_dim, "hidden_act": "silu",
        "max_position_embeddings": config.context, "rope_theta": config.rope_theta,
        "rms_norm_eps": f64::from(config.rms_eps), "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": ids("bos"), "eos_token_id": ids("eos"),
    });
    let own = match config.architecture.as_str() {
        "qwen2" => {
            json!({ "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": false })
        }
        "mistral" => json!({
            "architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": config.sliding_window
        }),
        _ => json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": false, "mlp_bias": false
        }),
    };
    model["rope_scaling"] = rope_scaling(config.rope_scaling);
    for (key, value) in own.as_object().into_iter().flatten() {
        model[key] = value.clone();
    }
    if let Some(quantization) = quantization {
        model["quantization_config"] = quantization;
    }
    let token = |key: &str| match (gguf.value("tokenizer.ggml.tokens"), ids(key).as_u64()) {
        (Some(Value::Texts(tokens)), Some(id)) => json!(tokens.get(id as usize)),
        _ => Json::Null,
    };
    let template = match gguf.value("tokenizer.chat_template") {
        Some(Value::Text(template)) => json!(template),
        _ => Json::Null,
    };
    let tokenizer = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": token("bos"), "eos_token": token("eos"),
        "clean_up_tokenization_spaces": false, "model_max_length": config.context, "chat_template": template,
    });
    write_file(&out.join("config.json"), format!("{model:#}\n").as_bytes())?;
    write_file(
        &out.join("tokenizer_config.json"),
        format!("{tokenizer:#}\n").as_bytes(),
    )?;
    let text = source.tokenizer()?.to_json()?;
    write_file(&out.join("tokenizer.json"), text.as_bytes())?;
    Ok(())
}

fn rope_scaling(scaling: RopeScaling) -> Json {
    match scaling {
        RopeScaling::None => Json::Null,
        RopeScaling::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => json!({
            "rope_type": "llama3", "factor": factor,
            "low_freq_factor": low_freq_factor, "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_max_position_embeddings as u64,
        }),
    }
}

fn copy_texts(source: &ModelSource, out: &Path, dtype: &str, quantization: Option<Json>) -> Result<()> {
    const TEXTS: [&str; 6] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
        "chat_template.jinja",
        "chat_template.json",
    ];
    let from = source.path();
    for name in TEXTS {
        let path = from.join(name);
        if path.is_file() {
            let bytes = std::fs::read(&path).map_err(|cause| EngineError::io("read", &path, &cause))?;
            write_file(&out.join(name), &bytes)?;
        }
    }
    // One from a folder of templates becomes the model's only one.
    if let Some(template) = source.chat_template()?
        && template.origin().contains('/')
    {
        write_file(&out.join("chat_template.jinja"), template.source().as_bytes())?;
    }
    let path = from.join("config.json");
    let bytes = std::fs::read(&path).map_err(|cause| EngineError::io("read", &path, &cause))?;
    let mut config: Json =
        serde_json::from_slice(&bytes).map_err(|cause| EngineError::invalid_file(&path, cause))?;
    if let Some(config) = config.as_object_mut() {
        config.remove("quantization_config");
        if let Some(quantization) = quantization {
            config.insert("quantization_config".to_owned(), quantization);
        }
        for key in ["dtype", "torch_dtype"] {
            config.insert(key.to_owned(), json!(dtype));
        }
    }
    write_file(&out.join("config.json"), format!("{config:#}\n").as_bytes())?;
    Ok(())
}
