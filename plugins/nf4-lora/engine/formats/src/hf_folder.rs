//! A model folder as Hugging Face writes it.

use crate::atomic::{sha256_file, sha256_hex};
use crate::bnb::{Companions, STATE_SUFFIX};
use crate::chat::{ChatTemplate, SpecialTexts};
use crate::config::ModelConfig;
use crate::error::{EngineError, Result};
use crate::folder_files::{FolderFiles, INDEX_FILE, SINGLE_FILE, check_pointer};
use crate::nf4::Nf4Tensor;
use crate::safetensors_file::{Dtype, RawTensor, SafetensorsFile};
use crate::tensor::Tensor;
use crate::tokenizer::Tokenizer;
use crate::untrusted::{MAX_TEXT_BYTES, MAX_TOKENIZER_BYTES, UniqueMap, optional, read_bounded, read_text};
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `config.json`, tokenizer files and one or more safetensors files.
pub(crate) struct HfFolder {
    path: PathBuf,
    files: Vec<SafetensorsFile>,
    /// Tensor name to position in `files`.
    index: BTreeMap<String, usize>,
}

/// Everything besides the weights that changes what the model computes.
const DIGEST_FILES: [&str; 8] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/default.jinja",
    "special_tokens_map.json",
];
/// Where a chat template is looked for, the first one winning; after the first file `tokenizer_config.json` has its turn.
const TEMPLATE_FILE: &str = "chat_template.jinja";
const TEMPLATE_JSON: &str = "chat_template.json";
const TEMPLATE_IN_FOLDER: &str = "additional_chat_templates/default.jinja";
/// Special tokens that templates get.
const SPECIAL: [&str; 7] = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];

impl HfFolder {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let there = FolderFiles::list(path)?;
        there.check_config()?;
        let (single, sharded) = (path.join(SINGLE_FILE), path.join(INDEX_FILE));
        if !there.has(SINGLE_FILE) && !there.has(INDEX_FILE) {
            return Err(there.no_weights());
        }
        if there.has(SINGLE_FILE) {
            let file = open_weights(&single)?;
            let index = file.names().into_iter().map(|name| (name, 0)).collect();
            return Ok(Self {
                path: path.to_owned(),
                files: vec![file],
                index,
            });
        }
        let weight_map = read_weight_map(&sharded)?;
        let names: Vec<&String> = weight_map.values().collect::<BTreeSet<_>>().into_iter().collect();
        if let Some(error) = there.missing_shards(&names) {
            return Err(error);
        }
        let files = names
            .iter()
            .map(|name| open_weights(&path.join(name)))
            .collect::<Result<Vec<_>>>()?;
        refuse_doubles(&sharded, &files)?;
        let mut index = BTreeMap::new();
        for (tensor, file_name) in &weight_map {
            let at = names.partition_point(|name| *name < file_name);
            files[at].raw(tensor)?;
            index.insert(tensor.clone(), at);
        }
        Ok(Self {
            path: path.to_owned(),
            files,
            index,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn config(&self) -> Result<ModelConfig> {
        let path = self.path.join("config.json");
        let text = read_text(&path, MAX_TEXT_BYTES)?;
        ModelConfig::from_hf_json(&path, &text)
    }

    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.companions()
            .shape(name)
            .or_else(|| self.raw(name).map(|raw| raw.shape.to_vec()))
    }

    /// A tensor as f32, decoded from 4 bits if it is stored so.
    pub(crate) fn tensor(&self, name: &str) -> Result<Tensor> {
        if let Some(nf4) = self.nf4_tensor(name)? {
            let mut values = vec![0.0; nf4.len()];
            nf4.decode_into(&mut values);
            return Ok(Tensor {
                shape: vec![nf4.rows, nf4.cols],
                values,
            });
        }
        let missing = || EngineError::invalid_file(&self.path, format!("no tensor \"{name}\""));
        self.files[*self.index.get(name).ok_or_else(missing)?].tensor(name)
    }

    /// A tensor that is stored in NF4, bit for bit; `None` for another one.
    pub(crate) fn nf4_tensor(&self, name: &str) -> Result<Option<Nf4Tensor>> {
        self.companions().read(name)
    }

    /// Whether any tensor is stored in NF4.
    pub(crate) fn is_nf4(&self) -> bool {
        self.index.keys().any(|name| name.ends_with(STATE_SUFFIX))
    }

    /// PyTorch's name of a tensor's type, before 4 bits if it is stored so; `None` for other types and names.
    pub(crate) fn dtype(&self, name: &str) -> Option<String> {
        let plain = || {
            Some(match self.raw(name)?.dtype {
                Dtype::F32 => "float32",
                Dtype::F16 => "float16",
                Dtype::BF16 => "bfloat16",
                _ => return None,
            })
        };
        self.companions()
            .dtype(name)
            .or_else(|| plain().map(str::to_owned))
    }

    fn companions<'a>(&'a self) -> Companions<'a, impl Fn(&str) -> Option<RawTensor<'a>>> {
        Companions {
            path: &self.path,
            find: |name: &str| self.raw(name),
        }
    }

    fn raw(&self, name: &str) -> Option<RawTensor<'_>> {
        self.files[*self.index.get(name)?].raw(name).ok()
    }

    pub(crate) fn tokenizer(&self) -> Result<Tokenizer> {
        let path = self.path.join("tokenizer.json");
        if !path.exists() {
            return Err(FolderFiles::list(&self.path)?.no_tokenizer());
        }
        check_pointer(&path)?;
        let bytes = read_bounded(&path, MAX_TOKENIZER_BYTES)?;
        let tokenizer = Tokenizer::from_json(&path, &bytes)?;
        let names = self.special_texts()?;
        let named = |name: &str| names.get(name).and_then(|text| tokenizer.token_id(text));
        let (mut bos, mut ends) = (named("bos_token"), Vec::from_iter(named("eos_token")));
        for name in ["generation_config.json", "config.json"] {
            let json = self.json(name)?;
            ends.extend(ids(json.get("eos_token_id")));
            bos = bos.or(ids(json.get("bos_token_id")).first().copied());
        }
        let asked = self
            .json("tokenizer_config.json")?
            .get("add_bos_token")
            .and_then(Json::as_bool);
        let starts = asked.unwrap_or_else(|| bos.is_some_and(|bos| tokenizer.puts_in_front(bos)));
        Ok(tokenizer.with_ends(bos, ends).with_start(starts))
    }

    /// The first of `chat_template.jinja`, the entry in `tokenizer_config.json`, `chat_template.json` and the default one of
    /// `additional_chat_templates`, as in the reference implementation.
    ///
    /// Errors: `ModelFileInvalid`; `ModelUnsupported` for several templates none of which is called the default.
    pub(crate) fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        let special = self.special_texts()?;
        let made = |origin: &str, source: String| {
            ChatTemplate::from_source(&self.path, origin, &source, &special).map(Some)
        };
        for name in [
            TEMPLATE_FILE,
            "tokenizer_config.json",
            TEMPLATE_JSON,
            TEMPLATE_IN_FOLDER,
        ] {
            let source = if name.ends_with(".json") {
                embedded_template(&self.path.join(name), &self.json(name)?)?
            } else {
                optional(&self.path.join(name), |path| read_text(path, MAX_TEXT_BYTES))?
            };
            if let Some(source) = source {
                return made(name, source);
            }
        }
        Ok(None)
    }

    /// Texts of the special tokens, as `tokenizer_config.json` has them, else `special_tokens_map.json`.
    fn special_texts(&self) -> Result<SpecialTexts> {
        let files = [
            self.json("tokenizer_config.json")?,
            self.json("special_tokens_map.json")?,
        ];
        let text = |name: &&str| {
            let key = format!("{name}_token");
            let found = files.iter().find_map(|json| special_text(json, &key))?;
            Some((key, found))
        };
        Ok(SPECIAL.iter().filter_map(text).collect())
    }

    /// SHA-256 over lines `<name> <sha256>` of all files that matter, sorted by name.
    pub(crate) fn digest(&self) -> Result<String> {
        let mut lines = BTreeMap::new();
        for file in &self.files {
            let name = file
                .path()
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            lines.insert(name, sha256_hex(file.file_bytes()));
        }
        for name in DIGEST_FILES
            .map(|name| (name, self.path.join(name)))
            .into_iter()
            .filter(|(_, p)| p.is_file())
        {
            lines.insert(name.0.to_owned(), sha256_file(&name.1)?);
        }
        let text: String = lines
            .iter()
            .map(|(name, digest)| format!("{name} {digest}\n"))
            .collect();
        Ok(sha256_hex(text.as_bytes()))
    }

    /// An optional JSON file; `null` if there is none.
    fn json(&self, name: &str) -> Result<Json> {
        let path = self.path.join(name);
        match optional(&path, |path| read_bounded(path, MAX_TEXT_BYTES))? {
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|cause| EngineError::invalid_file(&path, cause))
            }
            None => Ok(Json::Null),
        }
    }
}

fn open_weights(path: &Path) -> Result<SafetensorsFile> {
    check_pointer(path)?;
    SafetensorsFile::open(path)
}

/// A tensor in two shards: which one was meant, nobody can say.
fn refuse_doubles(index: &Path, files: &[SafetensorsFile]) -> Result<()> {
    let mut seen = BTreeMap::new();
    let name_of = |at: usize| files[at].path().file_name().unwrap_or_default().to_string_lossy();
    for (at, file) in files.iter().enumerate() {
        for tensor in file.names() {
            if let Some(first) = seen.insert(tensor.clone(), at) {
                let (first, second) = (name_of(first), name_of(at));
                let detail =
                    format!("tensor \"{tensor}\" is in two of its files, \"{first}\" and \"{second}\"");
                return Err(EngineError::invalid_file(index, detail));
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Index {
    weight_map: Option<UniqueMap<Json>>,
}

/// `weight_map` of the index. File names must be plain: an index must not reach outside its folder.
fn read_weight_map(path: &Path) -> Result<BTreeMap<String, String>> {
    let bytes = read_bounded(path, MAX_TOKENIZER_BYTES)?;
    let index: Index =
        serde_json::from_slice(&bytes).map_err(|cause| EngineError::invalid_file(path, cause))?;
    let entries = index.weight_map;
    let entries = entries.ok_or_else(|| EngineError::invalid_file(path, "\"weight_map\" is missing"))?;
    let mut map = BTreeMap::new();
    for (tensor, file) in entries.0 {
        let plain = file.as_str().filter(|name| {
            Path::new(name).file_name().is_some_and(|last| last == *name) && !name.contains('\0')
        });
        let plain = plain.ok_or_else(|| EngineError::invalid_file(path, format!("bad file name {file}")))?;
        map.insert(tensor, plain.to_owned());
    }
    Ok(map)
}

/// A token id or a list of them.
fn ids(value: Option<&Json>) -> Vec<u32> {
    let id = |value: &Json| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Json::Array(values)) => values.iter().filter_map(id).collect(),
        Some(value) => id(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// `"bos_token": "<s>"` or `"bos_token": { "content": "<s>" }`.
fn special_text(json: &Json, key: &str) -> Option<String> {
    let value = json.get(key)?;
    value
        .as_str()
        .or_else(|| value.get("content")?.as_str())
        .map(str::to_owned)
}

/// `"chat_template"` as text, or as a list of named templates: the one named `default`, or the only one.
fn embedded_template(path: &Path, json: &Json) -> Result<Option<String>> {
    let Some(value) = json.get("chat_template") else {
        return Ok(None);
    };
    let entries = match value {
        Json::String(text) => return Ok(Some(text.clone())),
        Json::Array(entries) => entries.as_slice(),
        _ => return Ok(None),
    };
    let name = |entry: &Json| {
        entry
            .get("name")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let chosen = match entries {
        [] => return Ok(None),
        [only] => Some(only),
        several => several.iter().find(|entry| name(entry) == "default"),
    };
    let chosen = chosen.ok_or_else(|| {
        let names = entries.iter().map(name).collect::<Vec<_>>().join("\", \"");
        let detail = format!("chat templates named \"{names}\" and none named \"default\": put the one to use into {TEMPLATE_FILE}");
        EngineError::unsupported(path, detail)
    })?;
    Ok(chosen.get("template").and_then(Json::as_str).map(str::to_owned))
}
