//! Checkpoints of a training run: a folder is complete when its manifest is there and every file has the size and
//! SHA-256 that the manifest states. The manifest is written last, and every file atomically.

use crate::lora::{LoraLayout, LoraTensor};
use crate::moments::{Moment, MomentLayout, MomentSlot};
use escada_engine_formats::atomic::{sha256_file, sync_folder, write_file};
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::safetensors_file::{Dtype, SafetensorsFile};
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

/// Where parameters and moments lie in the flat vectors of a state.
#[derive(Clone, Copy)]
pub struct StateLayout<'a> {
    pub adapter: &'a LoraLayout,
    pub moments: &'a MomentLayout,
}

/// State after `step` optimizer steps, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    pub step: usize,
    /// `[layout.len] f32`
    pub parameters: Vec<f32>,
    pub m: Moment,
    pub v: Moment,
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
pub fn save(
    folder: &Path,
    layout: StateLayout<'_>,
    identity: &RunIdentity,
    state: &TrainState,
) -> Result<()> {
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
    layout: StateLayout<'_>,
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

/// `parameters.<name>`; `m.<name>`, `v.<name>` as F32, or as U8 codes with the scales of their blocks beside them in
/// `m_scales.<name>`, `v_scales.<name>`.
fn tensors<'a>(layout: StateLayout<'_>, state: &'a TrainState) -> Vec<OutTensor<'a>> {
    let parameter = |t: LoraTensor| {
        let slice = &state.parameters[t.offset..t.offset + t.rows * t.cols];
        OutTensor::f32(format!("parameters.{}", t.name), vec![t.rows, t.cols], slice)
    };
    let mut out: Vec<OutTensor<'a>> = layout.adapter.tensors().into_iter().map(parameter).collect();
    for (part, moment) in [("m", &state.m), ("v", &state.v)] {
        for slot in &layout.moments.slots {
            let (name, shape) = (format!("{part}.{}", slot.name), vec![slot.rows, slot.cols]);
            let range = slot.at..slot.at + slot.len();
            if !slot.eight_bit {
                out.push(OutTensor::f32(name, shape, &moment.full[range]));
                continue;
            }
            out.push(OutTensor::u8(name, shape, &moment.codes[range]));
            let scales = &moment.scales[slot.block..slot.block + slot.blocks()];
            out.push(OutTensor::f32(
                scales_name(part, slot),
                vec![scales.len()],
                scales,
            ));
        }
    }
    out
}

fn scales_name(part: &str, slot: &MomentSlot) -> String {
    format!("{part}_scales.{}", slot.name)
}

fn entry(path: &Path, sha256: String) -> Result<FileEntry> {
    let size_bytes = std::fs::metadata(path)
        .map_err(|e| EngineError::io("read", path, &e))?
        .len();
    Ok(FileEntry { sha256, size_bytes })
}

fn read(path: &Path, step: usize, layout: StateLayout<'_>, identity: &RunIdentity) -> Result<TrainState> {
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
    let mut parameters = vec![0.0; layout.adapter.len];
    for t in layout.adapter.tensors() {
        let to = &mut parameters[t.offset..t.offset + t.rows * t.cols];
        read_f32(&file, &format!("parameters.{}", t.name), &[t.rows, t.cols], to)?;
    }
    Ok(TrainState {
        step,
        parameters,
        m: read_moment(&file, layout.moments, "m")?,
        v: read_moment(&file, layout.moments, "v")?,
        log: read_log(&path.join(LOG))?,
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

fn read_f32(file: &SafetensorsFile, name: &str, shape: &[usize], to: &mut [f32]) -> Result<()> {
    let misfit = |what: &str| EngineError::new(Code::CheckpointMismatch, format!("{name} {what}"));
    let tensor = file.tensor(name)?;
    if tensor.shape != shape {
        return Err(misfit("has another shape"));
    }
    if !tensor.values.iter().all(|value| value.is_finite()) {
        return Err(misfit("holds NaN or infinity"));
    }
    to.copy_from_slice(&tensor.values);
    Ok(())
}

fn read_moment(file: &SafetensorsFile, layout: &MomentLayout, part: &str) -> Result<Moment> {
    let mut moment = Moment::fresh(layout);
    for slot in &layout.slots {
        let (name, shape) = (format!("{part}.{}", slot.name), [slot.rows, slot.cols]);
        let range = slot.at..slot.at + slot.len();
        if !slot.eight_bit {
            read_f32(file, &name, &shape, &mut moment.full[range])?;
            continue;
        }
        let raw = file.raw(&name)?;
        if raw.dtype != Dtype::U8 || raw.shape != shape {
            let message = format!("{name} has another shape or type");
            return Err(EngineError::new(Code::CheckpointMismatch, message));
        }
        moment.codes[range].copy_from_slice(raw.bytes);
        let scales = &mut moment.scales[slot.block..slot.block + slot.blocks()];
        read_f32(file, &scales_name(part, slot), &[slot.blocks()], scales)?;
    }
    Ok(moment)
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
