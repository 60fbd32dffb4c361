//! Checkpoints of a training run: a folder is complete when its manifest is there and every file has the size and
//! SHA-256 that the manifest states. The manifest is written last, and every file atomically.

use crate::lora::LoraLayout;
use escada_engine_formats::atomic::{sha256_file, sync_folder, write_file};
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::safetensors_file::SafetensorsFile;
use escada_engine_formats::safetensors_writer::{OutTensor, write_safetensors};
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
    pub loss_nats: f64,
    pub learning_rate: f64,
    pub gradient_norm: f64,
    pub labelled_tokens: usize,
}

/// State after `step` optimizer steps, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    pub step: usize,
    /// `[layout.len] f32` each.
    pub parameters: Vec<f32>,
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub log: Vec<LogRow>,
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

/// Writes `checkpoint-<step>` into `folder` and removes all but the newest two checkpoints.
pub fn save(folder: &Path, layout: &LoraLayout, identity: &RunIdentity, state: &TrainState) -> Result<()> {
    let target = folder.join(format!("checkpoint-{}", state.step));
    remove(&target)?;
    std::fs::create_dir_all(&target).map_err(|e| EngineError::io("create", &target, &e))?;
    let mut files = BTreeMap::new();
    let digest = write_safetensors(&target.join(STATE), tensors(layout, state), &BTreeMap::new())?;
    files.insert(STATE.to_owned(), entry(&target.join(STATE), digest)?);
    let mut log = Vec::new();
    for row in &state.log {
        serde_json::to_writer(&mut log, row).map_err(|e| EngineError::new(Code::Internal, e.to_string()))?;
        log.push(b'\n');
    }
    let digest = write_file(&target.join(LOG), &log)?;
    files.insert(LOG.to_owned(), entry(&target.join(LOG), digest)?);
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        step: state.step,
        identity: identity.clone(),
        files,
    };
    let text =
        serde_json::to_vec_pretty(&manifest).map_err(|e| EngineError::new(Code::Internal, e.to_string()))?;
    write_file(&target.join(MANIFEST), &text)?;
    sync_folder(folder)?;
    prune(folder, state.step)
}

/// The newest complete checkpoint that fits `identity`; `None` when there is none. Reasons for skipping a folder go
/// to `skipped` with its path.
pub fn resume(
    folder: &Path,
    layout: &LoraLayout,
    identity: &RunIdentity,
    mut skipped: impl FnMut(&Path, &str),
) -> Result<Option<TrainState>> {
    for (step, path) in list(folder)?.into_iter().rev() {
        match read(&path, step, layout, identity) {
            Ok(state) => return Ok(Some(state)),
            Err(error) => skipped(&path, &error.message),
        }
    }
    Ok(None)
}

fn tensors<'a>(layout: &LoraLayout, state: &TrainState) -> Vec<OutTensor<'a>> {
    let parts = [
        ("parameters", &state.parameters),
        ("m", &state.m),
        ("v", &state.v),
    ];
    let tensors = layout.tensors();
    let of = |(part, values): (&str, &Vec<f32>)| {
        let make = |t: &crate::lora::LoraTensor| {
            let slice = &values[t.offset..t.offset + t.rows * t.cols];
            OutTensor::f32(format!("{part}.{}", t.name), vec![t.rows, t.cols], slice)
        };
        tensors.iter().map(make).collect::<Vec<_>>()
    };
    parts.into_iter().flat_map(of).collect()
}

fn entry(path: &Path, sha256: String) -> Result<FileEntry> {
    let size_bytes = std::fs::metadata(path)
        .map_err(|e| EngineError::io("read", path, &e))?
        .len();
    Ok(FileEntry { sha256, size_bytes })
}

fn read(path: &Path, step: usize, layout: &LoraLayout, identity: &RunIdentity) -> Result<TrainState> {
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
    let file = SafetensorsFile::open(&path.join(STATE))?;
    let part = |part: &str| read_part(&file, layout, part);
    let log = read_log(&path.join(LOG))?;
    Ok(TrainState {
        step,
        parameters: part("parameters")?,
        m: part("m")?,
        v: part("v")?,
        log,
    })
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

fn read_part(file: &SafetensorsFile, layout: &LoraLayout, part: &str) -> Result<Vec<f32>> {
    let mut values = vec![0.0; layout.len];
    for t in layout.tensors() {
        let tensor = file.tensor(&format!("{part}.{}", t.name))?;
        if tensor.shape != [t.rows, t.cols] {
            let message = format!("{part}.{} has another shape", t.name);
            return Err(EngineError::new(Code::CheckpointMismatch, message));
        }
        if !tensor.values.iter().all(|value| value.is_finite()) {
            let message = format!("{part}.{} holds NaN or infinity", t.name);
            return Err(EngineError::new(Code::CheckpointMismatch, message));
        }
        values[t.offset..t.offset + t.rows * t.cols].copy_from_slice(&tensor.values);
    }
    Ok(values)
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
