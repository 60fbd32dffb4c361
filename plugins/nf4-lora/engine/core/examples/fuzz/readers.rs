//! The readers under test: what they read, and how much memory each may take.

use crate::gguf_seed::{Words, gguf};
use crate::seeds;
use escada_engine_core::reference::Reference;
use escada_engine_core::requests::ChatRow;
use escada_engine_core::{checkpoint, json_lines};
use escada_engine_formats::atomic::sha256_file;
use escada_engine_formats::safetensors_file::SafetensorsFile;
use escada_engine_formats::{
    AdapterFile, ChatTemplate, Code, EngineError, Message, ModelSource, Result, Tokenizer,
};
use serde_json::Value;
use std::path::Path;

const MIB: usize = 1 << 20;

/// A reader of files.
pub struct Reader {
    pub name: &'static str,
    /// Writes the good files into a folder.
    pub seed: fn(&Path) -> Result<()>,
    /// Files to damage, relative to the folder.
    pub damaged: &'static [&'static str],
    /// Reads everything that can be read.
    pub read: fn(&Path) -> Result<()>,
    /// Bound on the heap: `constant_bytes + factor * size of the folder's files`. Parsed JSON is the costliest: two
    /// bytes of text become a value of 32 bytes in a list that doubles as it grows.
    pub constant_bytes: usize,
    pub factor: usize,
}

pub const READERS: [Reader; 10] = [
    Reader {
        name: "gguf",
        seed: |folder| gguf(folder, seeds::TEMPLATE, Words::ByteLevel),
        damaged: &["model.gguf"],
        read: |folder| read_model(&folder.join("model.gguf")),
        constant_bytes: 48 * MIB,
        factor: 64,
    },
    Reader {
        name: "gguf-sentencepiece",
        seed: |folder| gguf(folder, seeds::TEMPLATE, Words::SentencePiece),
        damaged: &["model.gguf"],
        read: |folder| read_model(&folder.join("model.gguf")),
        constant_bytes: 48 * MIB,
        factor: 64,
    },
    Reader {
        name: "safetensors",
        seed: seeds::single,
        damaged: &["any.safetensors"],
        read: read_safetensors,
        constant_bytes: MIB,
        factor: 64,
    },
    Reader {
        name: "safetensors-index",
        seed: seeds::sharded,
        damaged: &[
            "model.safetensors.index.json",
            "model-0.safetensors",
            "model-1.safetensors",
        ],
        read: read_weights,
        constant_bytes: 8 * MIB,
        factor: 64,
    },
    Reader {
        name: "config",
        seed: seeds::sharded,
        damaged: &["config.json"],
        read: read_weights,
        constant_bytes: 8 * MIB,
        factor: 64,
    },
    Reader {
        name: "tokenizer",
        seed: seeds::sharded,
        damaged: &["tokenizer.json", "tokenizer.json", "tokenizer_config.json"],
        read: |folder| read_words(&ModelSource::open(folder)?),
        constant_bytes: 48 * MIB,
        factor: 64,
    },
    Reader {
        name: "nf4",
        seed: seeds::nf4,
        damaged: &["model.safetensors"],
        read: read_weights,
        constant_bytes: 8 * MIB,
        factor: 64,
    },
    Reader {
        name: "adapter",
        seed: seeds::adapter,
        damaged: &["adapter_config.json", "adapter_model.safetensors"],
        read: |folder| AdapterFile::read(folder).map(drop),
        constant_bytes: MIB,
        factor: 64,
    },
    Reader {
        name: "checkpoint",
        seed: seeds::checkpoint,
        damaged: &[
            "checkpoint-2/manifest.json",
            "checkpoint-2/state.safetensors",
            "checkpoint-2/log.jsonl",
        ],
        read: read_checkpoint,
        constant_bytes: 4 * MIB,
        factor: 64,
    },
    Reader {
        name: "rows",
        seed: seeds::rows,
        damaged: &["rows.jsonl"],
        read: |folder| json_lines::read::<ChatRow>(&folder.join("rows.jsonl")).map(drop),
        constant_bytes: MIB,
        factor: 64,
    },
];

/// Templates come last: they are programs, and are bounded in steps and output instead of file size.
pub const TEMPLATE_READER: Reader = Reader {
    name: "chat-template",
    seed: seeds::templates,
    damaged: &["chat_template.jinja", "other.jinja"],
    read: read_template,
    constant_bytes: 256 * MIB,
    factor: 64,
};

fn messages() -> Vec<Message> {
    [("user", "Say <|im_end|> twice, 123."), ("assistant", "No.")]
        .map(|(role, content)| Message {
            role: role.to_owned(),
            content: content.to_owned(),
        })
        .into()
}

fn read_words(source: &ModelSource) -> Result<()> {
    let tokenizer = source.tokenizer()?;
    let ids = tokenizer.encode_text("The kettle holds 1 litre. Ünïcode 例 <|im_start|>")?;
    tokenizer.decode(&ids, true)?;
    match source.chat_template()? {
        Some(template) => template.encode(&tokenizer, &messages(), true).map(drop),
        None => Ok(()),
    }
}

fn read_all_weights(source: &ModelSource) -> Result<()> {
    source.parameters();
    for name in source.config().tensor_names() {
        source.nf4_tensor(&name)?;
        source.tensor(&name)?;
    }
    source.digest().map(drop)
}

fn read_weights(folder: &Path) -> Result<()> {
    read_all_weights(&ModelSource::open(folder)?)
}

fn read_model(path: &Path) -> Result<()> {
    let source = ModelSource::open(path)?;
    read_all_weights(&source)?;
    read_words(&source)
}

fn read_safetensors(folder: &Path) -> Result<()> {
    let file = SafetensorsFile::open(&folder.join("any.safetensors"))?;
    file.metadata();
    for name in file.names() {
        file.raw(&name)?;
        match file.tensor(&name) {
            Err(error) if error.code == Code::ModelUnsupported => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Half of the time the manifest is corrected, so that what it vouches for is looked into.
fn read_checkpoint(folder: &Path) -> Result<()> {
    let inside = folder.join("checkpoint-2");
    let state = inside.join("state.safetensors");
    if state.metadata().is_ok_and(|file| file.len() % 2 == 0) {
        correct_manifest(&inside)?;
    }
    let mut reason = None;
    let (mut parameters, mut optimizer) = seeds::state()?;
    let skipped = |_: &Path, why: &str| reason = Some(why.to_owned());
    let identity = seeds::identity();
    checkpoint::resume(
        folder,
        &identity,
        &Reference,
        &mut parameters,
        &mut optimizer,
        skipped,
    )?;
    match reason {
        Some(why) => Err(EngineError::new(Code::CheckpointMismatch, why)),
        None => Ok(()),
    }
}

fn correct_manifest(folder: &Path) -> Result<()> {
    let path = folder.join("manifest.json");
    let text = std::fs::read(&path)?;
    let Ok(mut manifest) = serde_json::from_slice::<Value>(&text) else {
        return Ok(());
    };
    for name in ["state.safetensors", "log.jsonl"] {
        let Some(entry) = manifest
            .get_mut("files")
            .and_then(|files| files.get_mut(name))
            .filter(|entry| entry.is_object())
        else {
            return Ok(());
        };
        entry["sha256"] = Value::String(sha256_file(&folder.join(name))?);
        entry["sizeBytes"] = Value::from(folder.join(name).metadata()?.len());
    }
    std::fs::write(path, manifest.to_string())?;
    Ok(())
}

fn read_template(folder: &Path) -> Result<()> {
    let json = std::fs::read(folder.join("tokenizer.json"))?;
    let tokenizer = Tokenizer::from_json(folder, &json)?;
    for name in ["chat_template.jinja", "other.jinja"] {
        let source = String::from_utf8_lossy(&std::fs::read(folder.join(name))?).into_owned();
        let template = ChatTemplate::new(folder, &source, Some("<|im_start|>"), Some("<|im_end|>"))?;
        template.encode(&tokenizer, &messages(), true)?;
    }
    Ok(())
}
