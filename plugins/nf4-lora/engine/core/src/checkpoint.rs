//! Checkpoints of a training run: a folder is complete when its manifest is there and every file has the size and
//! SHA-256 that the manifest states. The manifest is written last, and every file atomically.

use crate::backend::Backend;
use crate::checkpoint_parts::parts;
use crate::control::Control;
use crate::optimizer::Optimizer;
use crate::sample::Sample;
use crate::warning::Warning;
use escada_engine_formats::atomic::{sha256_file, sync_folder, write_file};
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::safetensors_file::SafetensorsFile;
use escada_engine_formats::safetensors_writer::{LaterTensor, write_safetensors_later};
use escada_engine_formats::untrusted::{MAX_TEXT_BYTES, read_bounded, read_text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const STATE: &str = "state.safetensors";
const LOG: &str = "log.jsonl";
const MANIFEST: &str = "manifest.json";
/// Checkpoints kept: the newest, and one to fall back to if it is damaged.
const KEPT: usize = 2;
const FORMAT_VERSION: u32 = 1;
/// Ten million steps of log.
const MAX_LOG_BYTES: u64 = 2 << 30;

/// What must be equal for a run to continue bit for bit from a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunIdentity {
    pub config_digest: String,
    pub rows_digest: String,
    pub model_digest: String,
    pub engine_build: String,
    pub isa_class: String,
}

/// One optimizer step in the log; no wall-clock figures, so that logs of equal runs are equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogRow {
    /// Counted from 1.
    pub step: usize,
    /// `null` where it is not finite: JSON has no such numbers.
    pub loss_nats: Option<f64>,
    pub learning_rate: f64,
    /// Before clipping; `null` where it is not finite or was not needed.
    pub gradient_norm: Option<f64>,
    pub labelled_tokens: usize,
    /// Whether the step changed nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Replies of the model as it is after this step, where it ends an epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileEntry {
    sha256: String,
    size_bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    format_version: u32,
    step: usize,
    #[serde(flatten)]
    identity: RunIdentity,
    files: BTreeMap<String, FileEntry>,
}

/// Writes `checkpoint-<rows of the log>` into `folder`, one tensor in memory at a time, and removes all but the newest
/// two checkpoints. Continues to its end also where the caller has given up.
pub fn save<B: Backend>(
    folder: &Path,
    identity: &RunIdentity,
    log: &[LogRow],
    backend: &B,
    parameters: &B::Buffer,
    optimizer: &Optimizer<B>,
    control: Control<'_>,
) -> Result<()> {
    let step = log.len();
    let target = folder.join(format!("checkpoint-{step}"));
    remove(&target)?;
    std::fs::create_dir_all(&target).map_err(|e| EngineError::io("create", &target, &e))?;
    let mut files = BTreeMap::new();
    let parts = parts(optimizer.layout());
    let headers: Vec<LaterTensor> = parts.iter().map(|part| part.header()).collect();
    let mut next = parts.iter();
    let digest = write_safetensors_later(&target.join(STATE), &headers, &BTreeMap::new(), |_| {
        let part = next
            .next()
            .ok_or_else(|| EngineError::new(Code::Internal, "fewer tensors than headers"))?;
        control.alive(|| format!("writing checkpoint-{step}"));
        part.download(backend, parameters, optimizer)
    })?;
    files.insert(STATE.to_owned(), entry(&target.join(STATE), digest)?);
    let mut text = Vec::new();
    for row in log {
        serde_json::to_writer(&mut text, row).map_err(|e| EngineError::new(Code::Internal, e.to_string()))?;
        text.push(b'\n');
    }
    let digest = write_file(&target.join(LOG), &text)?;
    files.insert(LOG.to_owned(), entry(&target.join(LOG), digest)?);
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        step,
        identity: identity.clone(),
        files,
    };
    let text =
        serde_json::to_vec_pretty(&manifest).map_err(|e| EngineError::new(Code::Internal, e.to_string()))?;
    write_file(&target.join(MANIFEST), &text)?;
    sync_folder(folder)?;
    prune(folder, step)
}

/// Takes the newest complete checkpoint that fits `identity` and returns its log; `None`, and nothing changed, when there
/// is none. Reasons for skipping a folder go to `skipped` with its path.
pub fn resume<B: Backend>(
    folder: &Path,
    identity: &RunIdentity,
    backend: &B,
    parameters: &mut B::Buffer,
    optimizer: &mut Optimizer<B>,
    mut skipped: impl FnMut(&Path, &str),
) -> Result<Option<Vec<LogRow>>> {
    let parts = parts(optimizer.layout());
    for (step, path) in list(folder)?.into_iter().rev() {
        let found = check(&path, step, identity).and_then(|(file, log)| {
            parts.iter().try_for_each(|part| part.check(&file))?;
            Ok((file, log))
        });
        match found {
            Ok((file, log)) => {
                for part in &parts {
                    part.upload(&file, backend, parameters, optimizer)?;
                }
                return Ok(Some(log));
            }
            Err(error) => skipped(&path, &error.message),
        }
    }
    Ok(None)
}

fn entry(path: &Path, sha256: String) -> Result<FileEntry> {
    let size_bytes = std::fs::metadata(path)
        .map_err(|e| EngineError::io("read", path, &e))?
        .len();
    Ok(FileEntry { sha256, size_bytes })
}

/// The state file and the log of a complete checkpoint of this run.
fn check(path: &Path, step: usize, identity: &RunIdentity) -> Result<(SafetensorsFile, Vec<LogRow>)> {
    let misfit = |what: String| EngineError::new(Code::CheckpointMismatch, what);
    let text = read_bounded(&path.join(MANIFEST), MAX_TEXT_BYTES);
    let text = text.map_err(|e| misfit(format!("no manifest ({})", e.message)))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|e| misfit(format!("damaged manifest ({e})")))?;
    if manifest.format_version != FORMAT_VERSION || manifest.step != step {
        return Err(misfit("manifest of another version or step".to_owned()));
    }
    if manifest.identity != *identity {
        return Err(misfit(difference(&manifest.identity, identity)));
    }
    for name in [STATE, LOG] {
        let wanted = manifest
            .files
            .get(name)
            .ok_or_else(|| misfit(format!("manifest lacks {name}")))?;
        let file = path.join(name);
        let found = std::fs::metadata(&file).map_err(|e| misfit(format!("{name} is missing ({e})")))?;
        if !found.is_file() || found.len() != wanted.size_bytes || sha256_file(&file)? != wanted.sha256 {
            return Err(misfit(format!("{name} is damaged")));
        }
    }
    let state = SafetensorsFile::open(&path.join(STATE))?;
    let log = read_log(&path.join(LOG))?;
    if log.len() != step {
        return Err(misfit(format!("{LOG} has {} rows", log.len())));
    }
    Ok((state, log))
}

fn difference(found: &RunIdentity, wanted: &RunIdentity) -> String {
    let parts = [
        ("configuration", &found.config_digest, &wanted.config_digest),
        ("training rows", &found.rows_digest, &wanted.rows_digest),
        ("model", &found.model_digest, &wanted.model_digest),
        ("engine build", &found.engine_build, &wanted.engine_build),
        ("instruction-set class", &found.isa_class, &wanted.isa_class),
    ];
    let names: Vec<&str> = parts
        .iter()
        .filter(|(_, a, b)| a != b)
        .map(|(name, ..)| *name)
        .collect();
    format!("made by a run with another {}", names.join(", "))
}

fn read_log(path: &Path) -> Result<Vec<LogRow>> {
    let text = read_text(path, MAX_LOG_BYTES)?;
    let parse = |line: &str| {
        serde_json::from_str(line).map_err(|e| EngineError::new(Code::CheckpointMismatch, e.to_string()))
    };
    text.lines().map(parse).collect()
}

/// Checkpoint folders by step, oldest first.
fn list(folder: &Path) -> Result<Vec<(usize, PathBuf)>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(|e| EngineError::io("list", folder, &e))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| EngineError::io("list", folder, &e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if let Some(step) = name.strip_prefix("checkpoint-").and_then(|n| n.parse().ok()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes all but the newest checkpoints up to `step`. Later ones belong to another run or are damaged: this run
/// would have resumed from them otherwise.
fn prune(folder: &Path, step: usize) -> Result<()> {
    let all = list(folder)?;
    let (own, foreign): (Vec<_>, Vec<_>) = all.into_iter().partition(|(s, _)| *s <= step);
    let surplus = own.len().saturating_sub(KEPT);
    own.iter()
        .take(surplus)
        .chain(&foreign)
        .try_for_each(|(_, path)| remove(path))
}

/// Removes a checkpoint, its manifest first: half a removal never looks complete.
fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let manifest = path.join(MANIFEST);
    if manifest.exists() {
        std::fs::remove_file(&manifest).map_err(|e| EngineError::io("remove", &manifest, &e))?;
    }
    std::fs::remove_dir_all(path).map_err(|e| EngineError::io("remove", path, &e))
}
