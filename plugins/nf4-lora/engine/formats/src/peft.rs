//! LoRA adapters in the format of PEFT: `adapter_config.json` and `adapter_model.safetensors`.

use crate::atomic::write_file;
use crate::error::{EngineError, Result};
use crate::safetensors_file::SafetensorsFile;
use crate::safetensors_writer::{OutTensor, write_safetensors};
use crate::untrusted::{MAX_TEXT_BYTES, read_bounded};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The two factors of one adapted linear layer: `delta W = scale * B A`.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterTensor {
    /// `[r, input] f32`.
    pub a: Vec<f32>,
    /// `[output, r] f32`.
    pub b: Vec<f32>,
    pub input: usize,
    pub output: usize,
}

/// A LoRA adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterFile {
    /// Rank.
    pub r: usize,
    pub alpha: f64,
    /// Scale `alpha / sqrt(r)` instead of `alpha / r`.
    pub rs_lora: bool,
    /// Dropout used in training; informative.
    pub dropout: f64,
    /// Names of the adapted modules (`q_proj` …), without repeats; written sorted.
    pub target_modules: Vec<String>,
    /// What the adapter was trained on: a path or name, informative.
    pub base_model: Option<String>,
    /// By module path, e.g. `model.layers.0.self_attn.q_proj`.
    pub tensors: BTreeMap<String, AdapterTensor>,
}

const CONFIG_FILE: &str = "adapter_config.json";
const WEIGHTS_FILE: &str = "adapter_model.safetensors";
const KEY_PREFIX: &str = "base_model.model.";
const A_SUFFIX: &str = ".lora_A.weight";
const B_SUFFIX: &str = ".lora_B.weight";
/// Options that change the computation; only their "off" values (null, false, "none" or empty) are accepted.
const REFUSED_OPTIONS: [&str; 16] = [
    "rank_pattern",
    "alpha_pattern",
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "fan_in_fan_out",
    "modules_to_save",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
];

/// Starts (`init_lora_weights`) that leave the base as it is; so do `true`, `false` and none.
const PLAIN_STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];
/// Starts that are taken out of the base before training, by how their names begin; PEFT can write such an adapter as a
/// plain one.
const SUBTRACTED_STARTS: [&str; 4] = ["pissa", "olora", "corda", "lora_ga"];

impl AdapterFile {
    /// Factor of `B A`.
    pub fn scale(&self) -> f64 {
        let rank = self.r as f64;
        self.alpha / if self.rs_lora { rank.sqrt() } else { rank }
    }

    /// Writes both files into `folder` (created if missing); the same adapter gives the same bytes. Returns the
    /// SHA-256 (hex) of `adapter_model.safetensors`.
    pub fn write(&self, folder: &Path) -> Result<String> {
        std::fs::create_dir_all(folder).map_err(|cause| EngineError::io("create", folder, &cause))?;
        let mut tensors = Vec::with_capacity(2 * self.tensors.len());
        for (module, tensor) in &self.tensors {
            let (a, b) = (
                format!("{KEY_PREFIX}{module}{A_SUFFIX}"),
                format!("{KEY_PREFIX}{module}{B_SUFFIX}"),
            );
            tensors.push(OutTensor::f32(a, vec![self.r, tensor.input], &tensor.a));
            tensors.push(OutTensor::f32(b, vec![tensor.output, self.r], &tensor.b));
        }
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let digest = write_safetensors(&folder.join(WEIGHTS_FILE), tensors, &metadata)?;
        write_file(&folder.join(CONFIG_FILE), self.config_text().as_bytes())?;
        Ok(digest)
    }

    /// Reads the adapter in `folder`.
    ///
    /// Errors: `Io`; `ModelFileInvalid` for damaged files; `ModelUnsupported` names an option that would change the
    /// result (DoRA, ranks per module, trained biases …), or a start that was taken out of the base (PiSSA …).
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG_FILE);
        let bytes = read_bounded(&path, MAX_TEXT_BYTES)?;
        let json: Json =
            serde_json::from_slice(&bytes).map_err(|cause| EngineError::invalid_file(&path, cause))?;
        let mut adapter = Self::from_config(&path, &json)?;
        adapter.read_tensors(&SafetensorsFile::open(&folder.join(WEIGHTS_FILE))?)?;
        Ok(adapter)
    }

    fn config_text(&self) -> String {
        let targets: BTreeSet<&String> = self.target_modules.iter().collect();
        let config = json!({
            "alpha_pattern": {},
            "auto_mapping": null,
            "base_model_name_or_path": self.base_model,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "layers_pattern": null,
            "layers_to_transform": null,
            "lora_alpha": number(self.alpha),
            "lora_bias": false,
            "lora_dropout": self.dropout,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": self.r,
            "rank_pattern": {},
            "revision": null,
            "target_modules": targets,
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": self.rs_lora,
        });
        format!("{config:#}\n")
    }

    fn from_config(path: &Path, json: &Json) -> Result<Self> {
        refuse_options(path, json)?;
        refuse_start(path, json)?;
        let invalid = |key: &str| {
            EngineError::invalid_file(path, format!("\"{key}\" is missing or has no usable value"))
        };
        let r = json
            .get("r")
            .and_then(Json::as_u64)
            .filter(|r| (1..=MAX_RANK).contains(r));
        let alpha = json
            .get("lora_alpha")
            .and_then(Json::as_f64)
            .filter(|alpha| (*alpha as f32).is_finite());
        Ok(Self {
            r: r.ok_or_else(|| invalid("r"))? as usize,
            alpha: alpha.ok_or_else(|| invalid("lora_alpha"))?,
            rs_lora: json.get("use_rslora").and_then(Json::as_bool).unwrap_or(false),
            dropout: json.get("lora_dropout").and_then(Json::as_f64).unwrap_or(0.0),
            target_modules: target_modules(json).ok_or_else(|| invalid("target_modules"))?,
            base_model: json
                .get("base_model_name_or_path")
                .and_then(Json::as_str)
                .map(str::to_owned),
            tensors: BTreeMap::new(),
        })
    }

    fn read_tensors(&mut self, file: &SafetensorsFile) -> Result<()> {
        for name in file.names() {
            let path = name.strip_prefix(KEY_PREFIX);
            let Some(module) = path.and_then(|path| path.strip_suffix(A_SUFFIX)) else {
                if path.is_none_or(|path| !path.ends_with(B_SUFFIX)) {
                    return Err(EngineError::unsupported(
                        file.path(),
                        format!("tensor \"{name}\""),
                    ));
                }
                continue;
            };
            let a = file.tensor(&name)?;
            let b = file.tensor(&format!("{KEY_PREFIX}{module}{B_SUFFIX}"))?;
            let (&[rank_a, input], &[output, rank_b]) = (a.shape.as_slice(), b.shape.as_slice()) else {
                return Err(EngineError::invalid_file(
                    file.path(),
                    format!("\"{module}\" has no matrices"),
                ));
            };
            if input == 0 || output == 0 {
                let detail = format!("\"{module}\" maps {input} to {output} values");
                return Err(EngineError::invalid_file(file.path(), detail));
            }
            if rank_a != self.r || rank_b != self.r {
                let detail = format!(
                    "\"{module}\" has rank {rank_a}/{rank_b}, the configuration says {}",
                    self.r
                );
                return Err(EngineError::invalid_file(file.path(), detail));
            }
            if !a.values.iter().chain(&b.values).all(|value| value.is_finite()) {
                return Err(EngineError::invalid_file(
                    file.path(),
                    format!("\"{module}\" holds NaN or infinity"),
                ));
            }
            self.tensors.insert(
                module.to_owned(),
                AdapterTensor {
                    a: a.values,
                    b: b.values,
                    input,
                    output,
                },
            );
        }
        let pairs = self.tensors.len();
        if file.names().len() != 2 * pairs {
            return Err(EngineError::invalid_file(
                file.path(),
                "a lora_B tensor has no lora_A",
            ));
        }
        if pairs == 0 {
            return Err(EngineError::invalid_file(file.path(), "it holds no LoRA tensors"));
        }
        Ok(())
    }
}

const MAX_RANK: u64 = 1 << 16;

fn refuse_options(path: &Path, json: &Json) -> Result<()> {
    match json.get("peft_type").and_then(Json::as_str) {
        Some("LORA") => {}
        other => {
            return Err(EngineError::unsupported(
                path,
                format!("peft_type {other:?}; \"LORA\" is supported"),
            ));
        }
    }
    let biased = json
        .get("bias")
        .filter(|value| *value != "none")
        .map(|value| ("bias", value));
    let other = REFUSED_OPTIONS
        .iter()
        .filter_map(|key| Some((*key, json.get(key)?)));
    for (key, value) in biased.into_iter().chain(other) {
        let off = match value {
            Json::Null | Json::Bool(false) => true,
            Json::Array(values) => values.is_empty(),
            Json::Object(values) => values.is_empty(),
            _ => false,
        };
        if !off {
            return Err(EngineError::unsupported(
                path,
                format!("the option \"{key}\": {value}"),
            ));
        }
    }
    Ok(())
}

/// Refuses an adapter that belongs to another base than the one it names: added to that one it gives other answers.
fn refuse_start(path: &Path, json: &Json) -> Result<()> {
    let start = match json.get("init_lora_weights") {
        None | Some(Json::Null | Json::Bool(_)) => return Ok(()),
        Some(start) => start,
    };
    let name = start.as_str().unwrap_or_default().to_lowercase();
    if PLAIN_STARTS.contains(&name.as_str()) {
        return Ok(());
    }
    let why = if SUBTRACTED_STARTS.iter().any(|known| name.starts_with(known)) {
        "this start was taken out of the base before training, so that on the base itself the adapter would give other \
         answers; write it as a plain adapter where it was trained (PEFT: save_pretrained with \
         path_initial_model_for_weight_conversion), or merge it there"
    } else if name == "loftq" {
        "such an adapter was trained on a base with weights of its own, so that on the base itself it would give other \
         answers; merge it where it was trained"
    } else {
        "whether this start changes the base is not known; true, false, \"gaussian\", \"eva\" and \"orthogonal\" do not; \
         merge it where it was trained"
    };
    Err(EngineError::unsupported(
        path,
        format!("init_lora_weights {start}: {why}"),
    ))
}

/// A list of names, or one string (a pattern or "all-linear"), kept as it is: the tensors say what is adapted.
fn target_modules(json: &Json) -> Option<Vec<String>> {
    match json.get("target_modules")? {
        Json::String(pattern) => Some(vec![pattern.clone()]),
        Json::Array(names) => names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

/// Whole numbers without a fraction, as PEFT writes them.
fn number(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}
