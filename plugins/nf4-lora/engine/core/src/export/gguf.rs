//! An export as GGUF: the merged model in the metadata of its base, or the adapter alone.

use super::Merge;
use super::shards::Written;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::gguf::BlockType;
use escada_engine_formats::gguf_writer::{GgufEntry, GgufMetadata, write_gguf};
use escada_engine_formats::{ModelSource, ROPE_TABLE, gguf_metadata, rope_table};
use std::collections::BTreeMap;
use std::path::Path;

impl Merge<'_> {
    /// With the metadata of the base where it is GGUF, made from the folder otherwise. `file_type` is llama.cpp's number for the
    /// mixture.
    pub(super) fn gguf(&self, out: &Path, block: BlockType, file_type: u32) -> Result<Written> {
        let config = self.source.config();
        let (mut metadata, alignment) = match self.source.gguf() {
            Some(file) => (GgufMetadata::copied(file.raw_metadata()), Some(file.alignment())),
            None => (gguf_metadata(&self.source)?, None),
        };
        metadata.set_uint("general.file_type", file_type)?;
        let names = config.tensor_names();
        let pairs: BTreeMap<String, String> = names
            .into_iter()
            .filter_map(|name| Some((ModelSource::gguf_name(&name)?, name)))
            .collect();
        let entry = |(name, ours): (&String, &String)| {
            let shape = config.tensor_shape(ours).unwrap_or_default();
            let block = block_for(name, &shape, block);
            let name = name.clone();
            GgufEntry { name, shape, block }
        };
        let table = rope_table(config);
        let table_entry = table.as_ref().map(|table| GgufEntry {
            name: ROPE_TABLE.to_owned(),
            shape: vec![table.len()],
            block: BlockType::F32,
        });
        let entries: Vec<GgufEntry> = pairs.iter().map(entry).chain(table_entry).collect();
        let sha256 = write_gguf(out, &metadata, alignment, &entries, |entry| {
            let Some(name) = pairs.get(&entry.name) else {
                return Ok(table.clone().unwrap_or_default());
            };
            let (shape, values) = self.tensor(name)?;
            let cols = shape.last().copied().unwrap_or(1);
            Ok(self.source.gguf_rows(name, cols, values))
        })?;
        Written::file(out, sha256)
    }

    pub(super) fn gguf_adapter(&self, out: &Path) -> Result<Written> {
        let Some(adapter) = &self.adapter else {
            let message = "adapterPath: gguf-lora writes an adapter, so there must be one";
            return Err(EngineError::new(Code::RequestInvalid, message));
        };
        let mut metadata = GgufMetadata::default();
        metadata.text("general.architecture", self.source.config().gguf_architecture());
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
        Written::file(out, sha256)
    }
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
