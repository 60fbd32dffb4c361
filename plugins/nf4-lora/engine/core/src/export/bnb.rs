//! An export as bitsandbytes' own checkpoint: linear layers in NF4, everything else in the type of the base.

use super::folder::write_texts;
use super::shards::{Written, write_shards};
use super::{Merge, is_linear};
use escada_engine_formats::Nf4Tensor;
use escada_engine_formats::bnb_writer::{codes, companions};
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::gguf::BlockType;
use escada_engine_formats::safetensors_writer::{Dtype, LaterTensor};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

const EMBEDDING: &str = "model.embed_tokens.weight";

/// What is known of the file before the first byte of its codes.
#[derive(Default)]
struct Contents {
    /// The tensors of each module.
    tensors: Vec<Vec<LaterTensor>>,
    /// Scales, tables and states, a sixteenth of the codes at most: they come before the codes, so they are kept.
    companions: BTreeMap<String, Vec<u8>>,
    nested: bool,
    /// Linear layers that stay plain.
    skipped: Vec<String>,
}

impl Merge<'_> {
    pub(super) fn bnb_folder(&self, out: &Path) -> Result<Written> {
        std::fs::create_dir_all(out).map_err(|cause| EngineError::io("create", out, &cause))?;
        let Contents {
            tensors,
            mut companions,
            nested,
            skipped,
        } = self.contents()?;
        // Codes are made a second time when their turn comes: the whole model is never in memory.
        let written = write_shards(out, tensors, self.max_shard_bytes, |tensor| {
            if let Some(bytes) = companions.remove(&tensor.name) {
                return Ok(bytes);
            }
            match self.nf4(&tensor.name)? {
                Some(nf4) => Ok(nf4.packed),
                None => self.plain(tensor),
            }
        })?;
        let dtype = self.source.dtype(EMBEDDING);
        let config = quantization_config(&dtype, nested, self.skip_list(skipped)?);
        write_texts(&self.source, out, plain_type(&dtype), Some(config))?;
        Ok(written)
    }

    fn contents(&self) -> Result<Contents> {
        let mut all = Contents::default();
        for name in self.source.config().tensor_names() {
            if let Some(nf4) = self.nf4(&name)? {
                all.nested |= nf4.absmax.is_nested();
                let mut module = vec![codes(&name, &nf4)];
                for tensor in companions(&name, &nf4, &self.source.dtype(&name)) {
                    all.companions
                        .insert(tensor.name.clone(), tensor.bytes.into_owned());
                    module.push(LaterTensor {
                        name: tensor.name,
                        dtype: tensor.dtype,
                        shape: tensor.shape,
                    });
                }
                all.tensors.push(module);
                continue;
            }
            if let Some(module) = name.strip_suffix(".weight").filter(|module| is_linear(module)) {
                all.skipped.push(module.to_owned());
            }
            all.tensors.push(vec![LaterTensor {
                shape: self.source.config().tensor_shape(&name).unwrap_or_default(),
                dtype: plain_type(&self.source.dtype(&name)),
                name,
            }]);
        }
        Ok(all)
    }

    /// The tensor in NF4, adapter included; `None` for one that stays plain. Where the base is in NF4 already, its layers
    /// keep their codes, merged ones their block size.
    fn nf4(&self, name: &str) -> Result<Option<Nf4Tensor>> {
        self.control.poll(|| format!("exporting {name}"))?;
        let Some(module) = name.strip_suffix(".weight") else {
            return Ok(None);
        };
        let stored = self.source.nf4_tensor(name)?;
        let adapted = self
            .adapter
            .as_ref()
            .is_some_and(|adapter| adapter.tensors.contains_key(module));
        let mut quantization = self.quantization;
        match stored {
            Some(nf4) if !adapted => return Ok(Some(nf4)),
            Some(nf4) => {
                quantization.block_size = nf4.blocksize;
                quantization.double_quant = nf4.absmax.is_nested();
            }
            None if self.source.is_nf4() || !is_linear(module) => return Ok(None),
            None => {}
        }
        let (shape, values) = if adapted {
            self.tensor(name)?
        } else {
            let tensor = self.source.tensor(name)?;
            (tensor.shape, tensor.values)
        };
        quantization.encode(&values, &shape).map(Some)
    }

    /// A tensor that stays plain, in the type of the base.
    fn plain(&self, tensor: &LaterTensor) -> Result<Vec<u8>> {
        let block = match tensor.dtype {
            Dtype::F16 => BlockType::F16,
            Dtype::BF16 => BlockType::BF16,
            _ => BlockType::F32,
        };
        let (_, values) = self.tensor(&tensor.name)?;
        block.encode(&values).ok_or_else(|| {
            let message = format!("tensor \"{}\" holds values that its type cannot", tensor.name);
            EngineError::new(Code::NonFinite, message)
        })
    }

    /// `llm_int8_skip_modules`: nothing where only an own head stays plain, which readers assume.
    fn skip_list(&self, mut skipped: Vec<String>) -> Result<Option<Vec<String>>> {
        let head = "lm_head.weight";
        let head_in_nf4 = !self.source.config().tie_embeddings && self.source.nf4_tensor(head)?.is_some();
        if skipped.is_empty() && !head_in_nf4 {
            return Ok(None);
        }
        if !head_in_nf4 {
            skipped.push("lm_head".to_owned());
        }
        Ok(Some(skipped))
    }
}

fn plain_type(dtype: &str) -> Dtype {
    match dtype {
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        _ => Dtype::F32,
    }
}

/// As transformers writes it.
fn quantization_config(dtype: &str, nested: bool, skipped: Option<Vec<String>>) -> Json {
    json!({
        "_load_in_4bit": true,
        "_load_in_8bit": false,
        "bnb_4bit_compute_dtype": dtype,
        "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": nested,
        "llm_int8_enable_fp32_cpu_offload": false,
        "llm_int8_has_fp16_weight": false,
        "llm_int8_skip_modules": skipped,
        "llm_int8_threshold": 6.0,
        "load_in_4bit": true,
        "load_in_8bit": false,
        "quant_method": "bitsandbytes",
    })
}
