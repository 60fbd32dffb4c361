//! The llama and qwen2 architectures inside GGUF: names and row order, both turned into those of Hugging Face checkpoints.

use crate::config::ModelConfig;
use crate::error::{EngineError, Result};
use crate::gguf::GgufFile;
use crate::gguf_blocks::BlockType;
use crate::q4::Q4Tensor;
use crate::q8::Q8Tensor;
use crate::tensor::Tensor;

/// A matrix as its file codes it.
pub enum CodedTensor {
    Q4(Q4Tensor),
    Q8(Q8Tensor),
}

/// Pairs of module names inside a layer: Hugging Face, GGUF.
const LAYER_NAMES: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];
const TOP_NAMES: [(&str, &str); 3] = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
];

/// `model.layers.0.self_attn.q_proj.weight` to `blk.0.attn_q.weight`, biases too; `None` for a name no such model has.
pub(crate) fn to_gguf_name(name: &str) -> Option<String> {
    let (module, kind) = name.rsplit_once('.')?;
    if kind == "weight"
        && let Some((_, gguf)) = TOP_NAMES.iter().find(|(hf, _)| *hf == module)
    {
        return Some(format!("{gguf}.weight"));
    }
    let (layer, part) = module.strip_prefix("model.layers.")?.split_once('.')?;
    if !(kind == "weight" || kind == "bias" && part.starts_with("self_attn.")) {
        return None;
    }
    let (_, gguf) = LAYER_NAMES.iter().find(|(hf, _)| *hf == part)?;
    Some(format!("blk.{layer}.{gguf}.{kind}"))
}

/// Decodes the tensor that Hugging Face calls `name`, with its row order (Q and K un-permuted).
pub(crate) fn tensor(file: &GgufFile, config: &ModelConfig, name: &str) -> Result<Tensor> {
    let missing = || EngineError::invalid_file(file.path(), format!("no tensor for \"{name}\""));
    let gguf_name = to_gguf_name(name).ok_or_else(missing)?;
    let shape = file.tensors().get(&gguf_name).ok_or_else(missing)?.shape.clone();
    let (block, bytes) = file.blocks(&gguf_name)?;
    let mut values = vec![0.0; shape.iter().product()];
    if permuted(config, name) {
        let rows = shape.first().copied().unwrap_or(0);
        if !rows.is_multiple_of(config.head_dim) {
            return Err(EngineError::invalid_file(
                file.path(),
                format!("\"{gguf_name}\" has {rows} rows"),
            ));
        }
        let (row_bytes, row_values) = (bytes.len() / rows, values.len() / rows);
        for (row, out) in values.chunks_exact_mut(row_values).enumerate() {
            let source = source_row(row, config.head_dim);
            block.decode(&bytes[source * row_bytes..(source + 1) * row_bytes], out);
        }
    } else {
        block.decode(bytes, &mut values);
    }
    Ok(Tensor { shape, values })
}

/// The matrix that Hugging Face calls `name` with its own codes, if its type is one of the quantized ones.
pub(crate) fn coded(file: &GgufFile, config: &ModelConfig, name: &str) -> Result<Option<CodedTensor>> {
    let missing = || EngineError::invalid_file(file.path(), format!("no tensor for \"{name}\""));
    let gguf_name = to_gguf_name(name).ok_or_else(missing)?;
    let entry = file.tensors().get(&gguf_name).ok_or_else(missing)?;
    let &[rows, cols] = &entry.shape[..] else {
        return Ok(None);
    };
    let (block, bytes) = file.blocks(&gguf_name)?;
    let ordered;
    let bytes = if permuted(config, name) {
        if !rows.is_multiple_of(config.head_dim) {
            return Ok(None);
        }
        let row_bytes = bytes.len() / rows;
        let row = |row| &bytes[source_row(row, config.head_dim) * row_bytes..][..row_bytes];
        ordered = (0..rows).flat_map(row).copied().collect::<Vec<u8>>();
        &ordered
    } else {
        bytes
    };
    Ok(match block {
        BlockType::Q8_0 => Q8Tensor::from_blocks(rows, cols, bytes).map(CodedTensor::Q8),
        BlockType::Q4_0 | BlockType::Q4_1 => {
            Q4Tensor::from_blocks(block, rows, cols, bytes).map(CodedTensor::Q4)
        }
        _ => None,
    })
}

/// Rows of `values [rows, cols]` in the order of the file: the inverse of what [`tensor`] does.
pub(crate) fn to_gguf_rows(config: &ModelConfig, name: &str, cols: usize, values: Vec<f32>) -> Vec<f32> {
    if !permuted(config, name) {
        return values;
    }
    let mut out = vec![0.0; values.len()];
    for (row, from) in values.chunks_exact(cols).enumerate() {
        let to = source_row(row, config.head_dim) * cols;
        out[to..to + cols].copy_from_slice(from);
    }
    out
}

/// Whether the file has the rows in another order: those that are rotated, where the file's reader rotates neighbours
/// (llama) and not, as Hugging Face does, halves (qwen2).
fn permuted(config: &ModelConfig, name: &str) -> bool {
    if config.gguf_architecture() == "qwen2" {
        return false;
    }
    let module = name
        .strip_suffix(".lora_B.weight")
        .or(name.strip_suffix(".weight"));
    module.is_some_and(|m| m.ends_with(".self_attn.q_proj") || m.ends_with(".self_attn.k_proj"))
}

/// GGUF keeps the two halves of a head interleaved: row `i` of the first half is row `2i`, of the second `2i + 1`.
fn source_row(row: usize, head_dim: usize) -> usize {
    let (head, at, half) = (row / head_dim, row % head_dim, head_dim / 2);
    head * head_dim + if at < half { 2 * at } else { 2 * (at - half) + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_file() {
        let mapped = |name| to_gguf_name(name).unwrap_or_default();
        assert_eq!(
            mapped("model.layers.12.mlp.down_proj.weight"),
            "blk.12.ffn_down.weight"
        );
        assert_eq!(
            mapped("model.layers.0.self_attn.q_proj.weight"),
            "blk.0.attn_q.weight"
        );
        assert_eq!(mapped("lm_head.weight"), "output.weight");
        assert_eq!(
            mapped("model.layers.0.self_attn.q_proj.bias"),
            "blk.0.attn_q.bias"
        );
        assert_eq!(to_gguf_name("model.layers.0.mlp.up_proj.bias"), None);
        assert_eq!(to_gguf_name("model.norm.bias"), None);
        assert_eq!(to_gguf_name("rope_freqs.weight"), None);
    }

    #[test]
    fn halves_of_a_head_are_interleaved_in_the_file() {
        let rows: Vec<usize> = (0..8).map(|row| source_row(row, 4)).collect();
        assert_eq!(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
    }
}
