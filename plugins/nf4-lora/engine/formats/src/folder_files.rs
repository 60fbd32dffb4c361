//! What is in a model's folder, and what to say when it is not what a model needs.

use crate::error::{Code, EngineError, Result};
use serde_json::Value as Json;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};

pub(crate) const SINGLE_FILE: &str = "model.safetensors";
pub(crate) const INDEX_FILE: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const ADAPTER_CONFIG: &str = "adapter_config.json";
/// Weights of other programs, which are never read: most are Python's pickle.
const FOREIGN: [&str; 9] = ["bin", "pt", "pth", "ckpt", "h5", "msgpack", "onnx", "npz", "pkl"];
/// Names that a message lists.
const MAX_NAMED: usize = 12;
/// Entries that are looked at.
const MAX_ENTRIES: usize = 4096;
/// Largest note that Git LFS leaves in place of a file, and how it begins.
const MAX_POINTER_BYTES: u64 = 1024;
const POINTER: &[u8] = b"version https://git-lfs";
/// Largest adapter configuration that a message quotes from.
const MAX_ADAPTER_BYTES: u64 = 1 << 20;

/// Names of a folder's files and folders, sorted.
pub(crate) struct FolderFiles {
    path: PathBuf,
    files: Vec<String>,
    folders: Vec<String>,
    /// Links that lead nowhere.
    broken: Vec<String>,
}

impl FolderFiles {
    /// Lists `path`. Errors: `ModelUnreadable`.
    pub fn list(path: &Path) -> Result<Self> {
        let unreadable = |cause: std::io::Error| unreadable("list", path, &cause);
        let mut found = Self {
            path: path.to_owned(),
            files: Vec::new(),
            folders: Vec::new(),
            broken: Vec::new(),
        };
        for entry in std::fs::read_dir(path).map_err(unreadable)?.take(MAX_ENTRIES) {
            found.take(&entry.map_err(unreadable)?);
        }
        found.files.sort();
        found.folders.sort();
        found.broken.sort();
        Ok(found)
    }

    fn take(&mut self, entry: &DirEntry) {
        let name = entry.file_name().to_string_lossy().into_owned();
        match std::fs::metadata(entry.path()) {
            Ok(found) if found.is_dir() => self.folders.push(name),
            Ok(_) => self.files.push(name),
            Err(_) => self.broken.push(name),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file == name)
    }

    fn ending(&self, extension: &str) -> Vec<&str> {
        let ends = |name: &&String| {
            Path::new(name)
                .extension()
                .is_some_and(|own| own.eq_ignore_ascii_case(extension))
        };
        self.files.iter().filter(ends).map(String::as_str).collect()
    }

    /// The only GGUF file of a folder without safetensors: the model of the folder. `None` where there is no GGUF file
    /// or the folder is a model by itself. Errors: `ModelIncomplete` for several.
    pub fn only_gguf(&self) -> Result<Option<PathBuf>> {
        let found = self.ending("gguf");
        if !self.ending("safetensors").is_empty() || self.has(INDEX_FILE) {
            return Ok(None);
        }
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(self.path.join(one))),
            several if several.iter().all(|name| name.contains("-of-")) => Err(self.incomplete(
                &format!("a GGUF model in {} parts", several.len()),
                "join the parts with `llama-gguf-split --merge` and give the file",
            )),
            several => Err(self.incomplete(
                &format!("{} GGUF files ({})", several.len(), named(several)),
                "give the path of one of them",
            )),
        }
    }

    /// `config.json` must be there. Errors: `ModelIncomplete`.
    pub fn check_config(&self) -> Result<()> {
        if self.has(CONFIG) {
            return Ok(());
        }
        if self.has(ADAPTER_CONFIG) {
            return Err(self.adapter());
        }
        if let Some(inner) = self
            .folders
            .iter()
            .find(|name| self.path.join(name).join(CONFIG).is_file())
        {
            let way_out = format!("give the path of its folder {inner}");
            return Err(self.incomplete(&format!("no {CONFIG}; its folder {inner} has one"), &way_out));
        }
        if self.has("params.json") {
            let way_out =
                "take the repository in transformers' format (its name ends in -hf or has no -original)";
            return Err(self.incomplete(
                &format!("no {CONFIG}, but params.json: weights as Meta or Mistral publish them"),
                way_out,
            ));
        }
        let way_out = "give the folder that holds the whole model, or fetch it with `escada model pull`";
        Err(self.incomplete(&format!("no {CONFIG}"), way_out))
    }

    fn adapter(&self) -> EngineError {
        let base = std::fs::metadata(self.path.join(ADAPTER_CONFIG))
            .ok()
            .filter(|found| found.len() <= MAX_ADAPTER_BYTES)
            .and_then(|_| std::fs::read(self.path.join(ADAPTER_CONFIG)).ok())
            .and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok())
            .and_then(|json| json.get("base_model_name_or_path")?.as_str().map(str::to_owned))
            .filter(|base| !base.is_empty());
        let base = base.map_or_else(String::new, |base| format!(" ({base})"));
        let way_out = format!(
            "give the model{base} that the adapter was trained on as the model, and this folder as the adapter"
        );
        self.incomplete("an adapter (adapter_config.json), not a model", &way_out)
    }

    /// Why there are no weights to open. Of a folder without `model.safetensors` and without its index.
    pub fn no_weights(&self) -> EngineError {
        let safetensors = self.ending("safetensors");
        let shards: Vec<&str> = safetensors
            .iter()
            .copied()
            .filter(|name| name.contains("-of-"))
            .collect();
        let foreign: Vec<&str> = FOREIGN
            .iter()
            .flat_map(|extension| self.ending(extension))
            .collect();
        let foreign: Vec<&str> = foreign
            .into_iter()
            .filter(|name| *name != "training_args.bin")
            .collect();
        if self.has(ADAPTER_CONFIG) {
            return self.adapter();
        }
        if !shards.is_empty() {
            let what = format!(
                "weights in parts ({}), but no {INDEX_FILE}, which says what is in which",
                named(&shards)
            );
            return self.incomplete(&what, "fetch the index from where the parts are from");
        }
        if !safetensors.is_empty() {
            let what = format!("{}, but no {SINGLE_FILE}", named(&safetensors));
            let way_out = "if its tensors have the names of transformers, rename it; else fetch the weights in that format";
            return self.incomplete(&what, way_out);
        }
        if !foreign.is_empty() {
            let what = format!(
                "no {SINGLE_FILE}, only {}; such files can run code and are never read",
                named(&foreign)
            );
            let way_out = "take a repository with safetensors, or convert them where you trust them: \
                           `AutoModelForCausalLM.from_pretrained(…).save_pretrained(…)`";
            return self.incomplete(&what, way_out);
        }
        self.incomplete(
            &format!("no weights: neither {SINGLE_FILE} nor {INDEX_FILE}"),
            "fetch the model again",
        )
    }

    /// Of an index whose files are not all there.
    pub fn missing_shards(&self, all: &[&String]) -> Option<EngineError> {
        let missing: Vec<&str> = all
            .iter()
            .filter(|name| !self.has(name))
            .map(|name| name.as_str())
            .collect();
        if missing.is_empty() {
            return None;
        }
        let what = format!(
            "{} of the {} files that {INDEX_FILE} names, not {}",
            all.len() - missing.len(),
            all.len(),
            named(&missing)
        );
        Some(self.incomplete(&what, "fetch the missing files"))
    }

    /// Of a folder without `tokenizer.json`.
    pub fn no_tokenizer(&self) -> EngineError {
        let other = [
            "tokenizer.model",
            "spiece.model",
            "vocab.json",
            "merges.txt",
            "vocab.txt",
            "tekken.json",
        ];
        let found: Vec<&str> = other.into_iter().filter(|name| self.has(name)).collect();
        if found.is_empty() {
            return self.incomplete("no tokenizer.json", "fetch it from where the weights are from");
        }
        let what = format!("no tokenizer.json, only {}", named(&found));
        let way_out = "take it from a repository that has one, or make it: \
                       `AutoTokenizer.from_pretrained(…).save_pretrained(…)`";
        self.incomplete(&what, way_out)
    }

    fn incomplete(&self, has: &str, way_out: &str) -> EngineError {
        let is_named = |name: &&String| !has.contains(name.as_str());
        let others: Vec<&str> = self.files.iter().filter(is_named).map(String::as_str).collect();
        let others = if others.is_empty() {
            "nothing".to_owned()
        } else {
            named(&others)
        };
        let broken: Vec<&str> = self.broken.iter().map(String::as_str).collect();
        let broken = if broken.is_empty() {
            String::new()
        } else {
            format!("; links that lead nowhere: {}", named(&broken))
        };
        let message = format!(
            "the model's folder {} has {has} (besides: {others}{broken}); {way_out}",
            self.path.display()
        );
        EngineError::new(Code::ModelIncomplete, message)
    }
}

fn named(names: &[&str]) -> String {
    let listed = names
        .iter()
        .take(MAX_NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

fn unreadable(verb: &str, path: &Path, cause: &std::io::Error) -> EngineError {
    let message = format!(
        "cannot {verb} {}: {cause}; look at its owner and permissions",
        path.display()
    );
    EngineError::new(Code::ModelUnreadable, message)
}

/// The file or folder of a model must be there. Errors: `ModelNotFound`, `ModelUnreadable`.
pub(crate) fn check_there(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            let message = format!(
                "there is no model at {}; fetch it with `escada model pull`, or give another path",
                path.display()
            );
            Err(EngineError::new(Code::ModelNotFound, message))
        }
        Err(cause) => Err(unreadable("open", path, &cause)),
    }
}

/// A single file must be GGUF by its looks. Errors: `ModelIncomplete` says what to give instead.
pub(crate) fn check_single(path: &Path) -> Result<()> {
    check_pointer(path)?;
    let extension = path
        .extension()
        .and_then(|own| own.to_str())
        .unwrap_or_default()
        .to_lowercase();
    let refuse = |what: &str| {
        let message = format!("{} is {what}", path.display());
        Err(EngineError::new(Code::ModelIncomplete, message))
    };
    match extension.as_str() {
        "safetensors" => {
            refuse("a file of weights alone; give the folder that also holds config.json and tokenizer.json")
        }
        "json" => refuse("one of a model's texts; give its folder"),
        other if FOREIGN.contains(&other) => refuse(
            "a file of another program, which can run code and is never read; take safetensors or GGUF",
        ),
        _ => Ok(()),
    }
}

/// Refuses the pointer that Git leaves in place of a large file. Errors: `ModelIncomplete`.
pub(crate) fn check_pointer(path: &Path) -> Result<()> {
    let small =
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_POINTER_BYTES);
    if !small || !std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(POINTER)) {
        return Ok(());
    }
    let message = format!(
        "{} is a Git LFS pointer, not the file itself; run `git lfs pull` in its folder, or fetch the model with `escada model pull`",
        path.display()
    );
    Err(EngineError::new(Code::ModelIncomplete, message))
}

/// Reading failed while a model was opened: trying again reads the same.
pub(crate) fn of_model(error: EngineError) -> EngineError {
    match error.code {
        Code::Io => EngineError {
            code: Code::ModelUnreadable,
            ..error
        },
        _ => error,
    }
}
