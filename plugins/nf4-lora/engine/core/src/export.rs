//! Models for other programs: an adapter merged into its base, in Hugging Face's or GGUF's format, or the adapter alone
//! as GGUF. Tensor by tensor: a large model is never in memory as a whole.

use crate::export_check::{CheckParams, Drift};
use crate::loaded::{Quantization, WeightFormat};
use escada_engine_formats::atomic::write_file;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::gguf::{BlockType, Value};
use escada_engine_formats::gguf_writer::{GgufEntry, GgufMetadata, write_gguf};
use escada_engine_formats::safetensors_writer::{Dtype, LaterTensor, write_safetensors_later};
use escada_engine_formats::{AdapterFile, AdapterTensor, ModelSource, nf4};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportFormat {
    /// A folder as transformers reads it, weights in 32 bits.
    #[serde(rename = "safetensors-f32")]
    SafetensorsF32,
    #[serde(rename = "safetensors-f16")]
    SafetensorsF16,
    #[serde(rename = "safetensors-bf16")]
    SafetensorsBf16,
    #[serde(rename = "gguf-f16")]
    GgufF16,
    #[serde(rename = "gguf-q8_0")]
    GgufQ80,
    /// Embedding and head in Q8_0.
    #[serde(rename = "gguf-q4_0")]
    GgufQ40,
    /// The adapter alone, for a base that the other program has.
    #[serde(rename = "gguf-lora")]
    GgufLora,
}

/// `export`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportParams {
    /// The base model, as for `load`.
    pub path: PathBuf,
    pub adapter_path: Option<PathBuf>,
    /// A folder for safetensors, a file for GGUF.
    pub out_path: PathBuf,
    pub format: ExportFormat,
    /// Weights that the adapter is added to: `nf4` = as they are decoded in training, `f32` = as the file has them.
    pub weight_format: WeightFormat,
    pub block_size: usize,
    pub double_quant: bool,
    /// Prompts on which the export is compared with base and adapter; not for `gguf-lora`.
    pub check: Option<CheckParams>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportResult {
    /// Of the file with the weights.
    pub sha256: String,
    pub size_bytes: u64,
    /// Linear layers that the adapter changed.
    pub merged: usize,
    pub seconds: f64,
    /// Where `check` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// Base and adapter, and what they make of each tensor.
struct Merge<'a> {
    source: ModelSource,
    adapter: Option<AdapterFile>,
    quantization: Quantization,
    cancelled: &'a AtomicBool,
}

/// Writes the export. Errors: those of reading; `ModelUnsupported` for GGUF from another format; `RequestInvalid` for
/// an adapter that is missing or changes nothing; `NonFinite` for values that the format cannot hold; `Cancelled`.
pub fn export(params: &ExportParams, cancelled: &AtomicBool) -> Result<ExportResult> {
    let started = Instant::now();
    let merge = Merge {
        source: ModelSource::open(&params.path)?,
        adapter: params
            .adapter_path
            .as_deref()
            .map(AdapterFile::read)
            .transpose()?,
        quantization: Quantization {
            format: params.weight_format,
            block_size: params.block_size,
            double_quant: params.double_quant,
        },
        cancelled,
    };
    let merged = merge.check_adapter()?;
    let (file, sha256) = match params.format {
        ExportFormat::SafetensorsF32 => merge.folder(&params.out_path, Dtype::F32, BlockType::F32)?,
        ExportFormat::SafetensorsF16 => merge.folder(&params.out_path, Dtype::F16, BlockType::F16)?,
        ExportFormat::SafetensorsBf16 => merge.folder(&params.out_path, Dtype::BF16, BlockType::BF16)?,
        ExportFormat::GgufF16 => merge.gguf(&params.out_path, BlockType::F16, 1)?,
        ExportFormat::GgufQ80 => merge.gguf(&params.out_path, BlockType::Q8_0, 7)?,
        ExportFormat::GgufQ40 => merge.gguf(&params.out_path, BlockType::Q4_0, 2)?,
        ExportFormat::GgufLora => merge.gguf_adapter(&params.out_path)?,
    };
    let size_bytes = std::fs::metadata(&file)
        .map_err(|cause| EngineError::io("read", &file, &cause))?
        .len();
    Ok(ExportResult {
        sha256,
        size_bytes,
        merged,
        seconds: started.elapsed().as_secs_f64(),
        drift: None,
    })
}

impl Merge<'_> {
    /// Every module of the adapter must be a linear layer of the model, of its shape. Returns their number.
    fn check_adapter(&self) -> Result<usize> {
        let Some(adapter) = &self.adapter else {
            return Ok(0);
        };
        for (module, tensor) in &adapter.tensors {
            let shape = self.source.config().tensor_shape(&format!("{module}.weight"));
            if shape != Some(vec![tensor.output, tensor.input]) || !is_linear(module) {
                let message = format!("module {module} of the adapter does not fit the model");
                return Err(EngineError::new(Code::ModelFileInvalid, message));
            }
        }
        if adapter.tensors.is_empty() {
            let message = "adapterPath: the adapter holds no layer, so nothing would be merged";
            return Err(EngineError::new(Code::RequestInvalid, message));
        }
        Ok(adapter.tensors.len())
    }

    /// Shape and values of a tensor, adapter included, in f32.
    fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(EngineError::new(Code::Cancelled, "the export was cancelled"));
        }
        let module = name.strip_suffix(".weight").unwrap_or(name);
        let tensor = self.source.tensor(name)?;
        let (shape, mut values) = (tensor.shape, tensor.values);
        if is_linear(module) {
            self.as_trained_on(name, &shape, &mut values)?;
            if let Some(adapter) = &self.adapter
                && let Some(factors) = adapter.tensors.get(module)
            {
                add_product(&mut values, factors, adapter.r, adapter.scale() as f32);
            }
        }
        Ok((shape, values))
    }

    /// Replaces the values by what the engine computes with in training.
    fn as_trained_on(&self, name: &str, shape: &[usize], values: &mut [f32]) -> Result<()> {
        if self.quantization.format == WeightFormat::F32 || self.source.nf4_tensor(name)?.is_some() {
            return Ok(());
        }
        let Quantization {
            block_size,
            double_quant,
            ..
        } = self.quantization;
        let quantized = nf4::quantize(values, shape[0], shape[1], block_size, double_quant)?;
        quantized.decode_into(values);
        Ok(())
    }

    fn folder(&self, out: &Path, dtype: Dtype, block: BlockType) -> Result<(PathBuf, String)> {
        std::fs::create_dir_all(out).map_err(|cause| EngineError::io("create", out, &cause))?;
        let config = self.source.config();
        let later = |name: String| LaterTensor {
            shape: config.tensor_shape(&name).unwrap_or_default(),
            dtype,
            name,
        };
        let tensors: Vec<LaterTensor> = config.tensor_names().into_iter().map(later).collect();
        let file = out.join("model.safetensors");
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let sha256 = write_safetensors_later(&file, &tensors, &metadata, |tensor| {
            let (_, values) = self.tensor(&tensor.name)?;
            block.encode(&values).ok_or_else(|| {
                let message = format!(
                    "tensor \"{}\" holds values that f16 cannot: use bf16",
                    tensor.name
                );
                EngineError::new(Code::NonFinite, message)
            })
        })?;
        self.write_texts(out, dtype)?;
        Ok((file, sha256))
    }

    /// `config.json` and the tokenizer's files: those of the folder, or made from what the GGUF file says.
    fn write_texts(&self, out: &Path, dtype: Dtype) -> Result<()> {
        let name = match dtype {
            Dtype::F16 => "float16",
            Dtype::BF16 => "bfloat16",
            _ => "float32",
        };
        let Some(gguf) = self.source.gguf() else {
            return self.copy_texts(out, name);
        };
        let config = self.source.config();
        let ids = |key: &str| match gguf.value(&format!("tokenizer.ggml.{key}_token_id")) {
            Some(Value::Int(id)) => json!(id),
            _ => Json::Null,
        };
        let model = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": name, "torch_dtype": name,
            "vocab_size": config.vocab, "hidden_size": config.hidden, "intermediate_size": config.intermediate,
            "num_hidden_layers": config.layers, "num_attention_heads": config.heads,
            "num_key_value_heads": config.kv_heads, "head_dim": config.head_dim, "hidden_act": "silu",
            "max_position_embeddings": config.context, "rope_theta": config.rope_theta,
            "rms_norm_eps": f64::from(config.rms_eps), "tie_word_embeddings": config.tie_embeddings,
            "attention_bias": false, "mlp_bias": false,
            "bos_token_id": ids("bos"), "eos_token_id": ids("eos"),
        });
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
        let text = self.source.tokenizer()?.to_json()?;
        write_file(&out.join("tokenizer.json"), text.as_bytes())?;
        Ok(())
    }

    fn copy_texts(&self, out: &Path, dtype: &str) -> Result<()> {
        const TEXTS: [&str; 5] = [
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "generation_config.json",
            "chat_template.jinja",
        ];
        let from = self.source.path();
        for name in TEXTS {
            let path = from.join(name);
            if path.is_file() {
                let bytes = std::fs::read(&path).map_err(|cause| EngineError::io("read", &path, &cause))?;
                write_file(&out.join(name), &bytes)?;
            }
        }
        let path = from.join("config.json");
        let bytes = std::fs::read(&path).map_err(|cause| EngineError::io("read", &path, &cause))?;
        let mut config: Json =
            serde_json::from_slice(&bytes).map_err(|cause| EngineError::invalid_file(&path, cause))?;
        if let Some(config) = config.as_object_mut() {
            config.remove("quantization_config");
            for key in ["dtype", "torch_dtype"] {
                config.insert(key.to_owned(), json!(dtype));
            }
        }
        write_file(&out.join("config.json"), format!("{config:#}\n").as_bytes())?;
        Ok(())
    }

    /// `file_type` is llama.cpp's number for the mixture.
    fn gguf(&self, out: &Path, block: BlockType, file_type: u32) -> Result<(PathBuf, String)> {
        let Some(file) = self.source.gguf() else {
            let detail = "GGUF is written from a GGUF base only; write safetensors and convert them";
            return Err(EngineError::unsupported(self.source.path(), detail));
        };
        let names = self.source.config().tensor_names();
        let pairs: BTreeMap<String, String> = names
            .into_iter()
            .filter_map(|name| Some((ModelSource::gguf_name(&name)?, name)))
            .collect();
        let entry = |name: &String| GgufEntry {
            shape: file.tensors()[name].shape.clone(),
            block: block_for(name, &file.tensors()[name].shape, block),
            name: name.clone(),
        };
        let entries: Vec<GgufEntry> = pairs.keys().map(entry).collect();
        let mut metadata = GgufMetadata::copied(file.raw_metadata());
        metadata.set_uint("general.file_type", file_type);
        let sha256 = write_gguf(out, &metadata, Some(file.alignment()), &entries, |entry| {
            let name = &pairs[&entry.name];
            let (shape, values) = self.tensor(name)?;
            let cols = shape.last().copied().unwrap_or(1);
            Ok(self.source.gguf_rows(name, cols, values))
        })?;
        Ok((out.to_owned(), sha256))
    }

    fn gguf_adapter(&self, out: &Path) -> Result<(PathBuf, String)> {
        let Some(adapter) = &self.adapter else {
            let message = "adapterPath: gguf-lora writes an adapter, so there must be one";
            return Err(EngineError::new(Code::RequestInvalid, message));
        };
        let mut metadata = GgufMetadata::default();
        metadata.text("general.architecture", &self.source.config().architecture);
        metadata.text("general.type", "adapter");
        metadata.text("adapter.type", "lora");
        // The reader divides by the rank; this way rank-stabilised scales come out right too.
        metadata.float("adapter.lora.alpha", (adapter.scale() * adapter.r as f64) as f32);
        let mut entries = Vec::new();
        for (module, tensor) in &adapter.tensors {
            let name = ModelSource::gguf_name(&format!("{module}.weight")).unwrap_or_default();
            for (end, shape) in [
                ("lora_a", [adapter.r, tensor.input]),
                ("lora_b", [tensor.output, adapter.r]),
            ] {
                entries.push(GgufEntry {
                    name: format!("{name}.{end}"),
                    shape: shape.to_vec(),
                    block: BlockType::F32,
                });
            }
        }
        let mut factors = adapter.tensors.iter().flat_map(|(module, tensor)| {
            let b = format!("{module}.lora_B.weight");
            let b = self.source.gguf_rows(&b, adapter.r, tensor.b.clone());
            [tensor.a.clone(), b]
        });
        let sha256 = write_gguf(out, &metadata, None, &entries, |_| {
            factors
                .next()
                .ok_or_else(|| EngineError::new(Code::Internal, "fewer factors than entries"))
        })?;
        Ok((out.to_owned(), sha256))
    }
}

/// Whether a module is one of the layers that are quantized and adapted.
fn is_linear(module: &str) -> bool {
    module.ends_with("_proj")
}

/// Norms stay f32; embedding and head keep eight bits in Q4_0; a row that is no whole number of blocks keeps f16.
fn block_for(name: &str, shape: &[usize], block: BlockType) -> BlockType {
    let table = name == "token_embd.weight" || name == "output.weight";
    let wanted = match (shape.len(), block) {
        (1, _) => return BlockType::F32,
        (_, BlockType::Q4_0) if table => BlockType::Q8_0,
        _ => block,
    };
    let cols = shape.last().copied().unwrap_or(1);
    if cols.is_multiple_of(wanted.block_values()) {
        wanted
    } else {
        BlockType::F16
    }
}

/// `values [N, K] += scale * B A` in f32.
fn add_product(values: &mut [f32], factors: &AdapterTensor, rank: usize, scale: f32) {
    let mut delta = vec![0.0f32; factors.input];
    for (row, b) in values
        .chunks_exact_mut(factors.input)
        .zip(factors.b.chunks_exact(rank))
    {
        delta.fill(0.0);
        for (weight, a) in b.iter().zip(factors.a.chunks_exact(factors.input)) {
            delta.iter_mut().zip(a).for_each(|(sum, a)| *sum += weight * a);
        }
        row.iter_mut()
            .zip(&delta)
            .for_each(|(value, sum)| *value += scale * sum);
    }
}
