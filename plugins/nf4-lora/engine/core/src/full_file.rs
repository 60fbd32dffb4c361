//! A trained model as a folder that transformers reads.

use crate::backend::Backend;
use crate::checkpoint_parts::f32_bytes;
use crate::control::Control;
use crate::export::write_texts;
use crate::full::FullWeights;
use escada_engine_formats::ModelSource;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::safetensors_writer::{Dtype, LaterTensor, write_safetensors_later};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes `config.json`, the tokenizer's files (those of `base`) and `model.safetensors` in f32, one tensor in memory at a
/// time; returns the SHA-256 of the last.
///
/// Errors: `NonFinite` names the tensor; `Io`.
pub fn write<B: Backend>(
    backend: &B,
    weights: &FullWeights<B>,
    base: &Path,
    folder: &Path,
    control: Control<'_>,
) -> Result<String> {
    std::fs::create_dir_all(folder).map_err(|cause| EngineError::io("create", folder, &cause))?;
    write_texts(&ModelSource::open(base)?, folder, Dtype::F32, None)?;
    let parameters = weights.layout.parameters();
    let headers: Vec<LaterTensor> = parameters
        .iter()
        .map(|p| LaterTensor {
            name: p.name.clone(),
            dtype: Dtype::F32,
            shape: p.shape(),
        })
        .collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut next = parameters.iter();
    // The weights come last: a folder that has them is whole.
    write_safetensors_later(&folder.join("model.safetensors"), &headers, &metadata, |header| {
        let p = next
            .next()
            .ok_or_else(|| EngineError::new(Code::Internal, "fewer tensors than headers"))?;
        control.alive(|| format!("writing {}", header.name));
        let bytes = f32_bytes(backend, &weights.values, p.offset, p.len())?;
        let (words, _) = bytes.as_chunks::<4>();
        if words.iter().all(|word| f32::from_le_bytes(*word).is_finite()) {
            return Ok(bytes);
        }
        let message = format!("tensor {} of the trained model is not finite", header.name);
        Err(EngineError::new(Code::NonFinite, message))
    })
}
