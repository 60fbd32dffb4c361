//! Models for other programs: an adapter merged into its base, in Hugging Face's or GGUF's format, or the adapter alone
//! as GGUF. Tensor by tensor: a large model is never in memory as a whole.

mod bnb;
mod folder;
mod gguf;
mod shards;

pub(crate) use folder::write_texts;

use crate::control::Control;
use crate::export_check::{CheckParams, Drift};
use crate::loaded::{Quantization, WeightFormat};
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::gguf::BlockType;
use escada_engine_formats::safetensors_writer::Dtype;
use escada_engine_formats::{AdapterFile, AdapterTensor, ModelSource, nf4};
use serde::{Deserialize, Serialize};
use shards::Written;
use std::path::PathBuf;
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
    /// A folder as transformers reads it, linear layers in NF4 as bitsandbytes stores them.
    #[serde(rename = "bnb-4bit")]
    Bnb4bit,
    #[serde(rename = "gguf-f32")]
    GgufF32,
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
    /// Also of the NF4 that `bnb-4bit` writes, where the base is not stored in NF4 itself.
    pub block_size: usize,
    pub double_quant: bool,
    /// Folders only: tensors of more bytes are spread over several files. One file where absent.
    pub max_shard_bytes: Option<u64>,
    /// Prompts on which the export is compared with base and adapter; not for `gguf-lora`.
    pub check: Option<CheckParams>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportResult {
    /// Of the file with the weights; of shards that of the lines `<sha256>  <name>` of all.
    pub sha256: String,
    /// Of all files with weights.
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
    max_shard_bytes: Option<u64>,
    control: Control<'a>,
}

/// Writes the export. Errors: those of reading; `ModelUnsupported` for GGUF from another format; `RequestInvalid` for
/// an adapter that is missing or changes nothing; `NonFinite` for values that the format cannot hold; `Cancelled`.
pub fn export<'c>(params: &ExportParams, control: impl Into<Control<'c>>) -> Result<ExportResult> {
    let started = Instant::now();
    nf4::check_blocksize(params.block_size)?;
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
        max_shard_bytes: params.max_shard_bytes,
        control: control.into(),
    };
    check_shards(params)?;
    let merged = merge.check_adapter()?;
    let Written { sha256, size_bytes } = match params.format {
        ExportFormat::SafetensorsF32 => merge.folder(&params.out_path, Dtype::F32, BlockType::F32)?,
        ExportFormat::SafetensorsF16 => merge.folder(&params.out_path, Dtype::F16, BlockType::F16)?,
        ExportFormat::SafetensorsBf16 => merge.folder(&params.out_path, Dtype::BF16, BlockType::BF16)?,
        ExportFormat::Bnb4bit => merge.bnb_folder(&params.out_path)?,
        ExportFormat::GgufF32 => merge.gguf(&params.out_path, BlockType::F32, 0)?,
        ExportFormat::GgufF16 => merge.gguf(&params.out_path, BlockType::F16, 1)?,
        ExportFormat::GgufQ80 => merge.gguf(&params.out_path, BlockType::Q8_0, 7)?,
        ExportFormat::GgufQ40 => merge.gguf(&params.out_path, BlockType::Q4_0, 2)?,
        ExportFormat::GgufLora => merge.gguf_adapter(&params.out_path)?,
    };
    Ok(ExportResult {
        sha256,
        size_bytes,
        merged,
        seconds: started.elapsed().as_secs_f64(),
        drift: None,
    })
}

fn check_shards(params: &ExportParams) -> Result<()> {
    let folder = !matches!(
        params.format,
        ExportFormat::GgufF32
            | ExportFormat::GgufF16
            | ExportFormat::GgufQ80
            | ExportFormat::GgufQ40
            | ExportFormat::GgufLora
    );
    let message = match params.max_shard_bytes {
        Some(0) => "maxShardBytes: 1 or more is wanted",
        Some(_) if !folder => "maxShardBytes: a GGUF file is not cut into shards; leave it out",
        _ => return Ok(()),
    };
    Err(EngineError::new(Code::RequestInvalid, message))
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
        self.control.poll(|| format!("exporting {name}"))?;
        let module = name.strip_suffix(".weight").unwrap_or(name);
        let tensor = self.source.tensor(name)?;
        let (shape, mut values) = (tensor.shape, tensor.values);
        if is_linear(module) {
            self.as_trained_on(&shape, &mut values)?;
            if let Some(adapter) = &self.adapter
                && let Some(factors) = adapter.tensors.get(module)
            {
                add_product(&mut values, factors, adapter.r, adapter.scale() as f32);
            }
        }
        Ok((shape, values))
    }

    /// Replaces the values by what the engine computes with in training.
    fn as_trained_on(&self, shape: &[usize], values: &mut [f32]) -> Result<()> {
        // What a bitsandbytes checkpoint holds is taken as it is, its plain layers too.
        if self.quantization.format == WeightFormat::Nf4 && !self.source.is_nf4() {
            self.quantization.encode(values, shape)?.decode_into(values);
        }
        Ok(())
    }
}

/// Whether a module is one of the layers that are quantized and adapted.
fn is_linear(module: &str) -> bool {
    module.ends_with("_proj")
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
