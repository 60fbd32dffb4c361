//! Safetensors of a folder that transformers reads: one file, or shards and their index.

use escada_engine_formats::atomic::{sha256_hex, write_file};
use escada_engine_formats::error::{EngineError, Result};
use escada_engine_formats::safetensors_writer::{LaterTensor, write_safetensors_later};
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::path::Path;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Weights on disk.
pub(super) struct Written {
    /// Of the file; of several the SHA-256 of the lines `<sha256>  <name>` of all, in order, as sha256sum prints them.
    pub sha256: String,
    pub size_bytes: u64,
}

impl Written {
    /// One file that is there. Errors: `Io`.
    pub fn file(path: &Path, sha256: String) -> Result<Self> {
        let found = std::fs::metadata(path).map_err(|cause| EngineError::io("read", path, &cause))?;
        Ok(Self {
            sha256,
            size_bytes: found.len(),
        })
    }
}

/// Writes `model.safetensors`, or where that would hold more than `most_bytes` of tensors as many shards as needed and
/// `model.safetensors.index.json`, which comes last. Tensors of a group share a file, also one that is alone too large;
/// `bytes` gives those of each in turn.
pub(super) fn write_shards(
    folder: &Path,
    groups: Vec<Vec<LaterTensor>>,
    most_bytes: Option<u64>,
    mut bytes: impl FnMut(&LaterTensor) -> Result<Vec<u8>>,
) -> Result<Written> {
    let shards = shards(groups, most_bytes.unwrap_or(u64::MAX));
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    if let [tensors] = &shards[..] {
        let file = folder.join(SINGLE);
        let sha256 = write_safetensors_later(&file, tensors, &metadata, bytes)?;
        return Written::file(&file, sha256);
    }
    // Readers take a single file before an index, and an index for shards that are all there.
    for old in [SINGLE, INDEX].map(|name| folder.join(name)) {
        if old.exists() {
            std::fs::remove_file(&old).map_err(|cause| EngineError::io("remove", &old, &cause))?;
        }
    }
    let (mut lines, mut size_bytes, mut total, mut places) = (String::new(), 0, 0, Map::new());
    for (at, tensors) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", at + 1, shards.len());
        let file = folder.join(&name);
        let sha256 = write_safetensors_later(&file, tensors, &metadata, &mut bytes)?;
        size_bytes += Written::file(&file, String::new())?.size_bytes;
        lines += &format!("{sha256}  {name}\n");
        for tensor in tensors {
            total += tensor_bytes(tensor);
            places.insert(tensor.name.clone(), json!(name));
        }
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": places });
    write_file(&folder.join(INDEX), format!("{index:#}\n").as_bytes())?;
    Ok(Written {
        sha256: sha256_hex(lines.as_bytes()),
        size_bytes,
    })
}

/// Groups in their order, as many to a shard as fit; wider types first within one, so that every tensor is aligned.
fn shards(groups: Vec<Vec<LaterTensor>>, most_bytes: u64) -> Vec<Vec<LaterTensor>> {
    let (mut all, mut last, mut held) = (Vec::new(), Vec::new(), 0u64);
    for group in groups {
        let size: u64 = group.iter().map(tensor_bytes).sum();
        if held > 0 && held.saturating_add(size) > most_bytes {
            all.push(std::mem::take(&mut last));
            held = 0;
        }
        held += size;
        last.extend(group);
    }
    all.push(last);
    for shard in &mut all {
        shard.sort_by_key(|tensor: &LaterTensor| std::cmp::Reverse(tensor.dtype.bitsize()));
    }
    all
}

fn tensor_bytes(tensor: &LaterTensor) -> u64 {
    (tensor.shape.iter().product::<usize>() * tensor.dtype.bitsize() / 8) as u64
}
