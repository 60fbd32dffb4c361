//! Reading a model's shape from GGUF metadata.

use crate::config::{ModelConfig, RopeScaling, size_in_range};
use crate::error::{EngineError, Result};
use crate::gguf::{GgufFile, Value};
use crate::math;

/// GGUF's names of the architectures; a Mistral is a `llama` there.
const ARCHITECTURES: [&str; 2] = ["llama", "qwen2"];

/// Linear layers of a layer; the first three of a qwen2 have biases.
const LAYER_PARTS: [&str; 7] = [
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
];

impl ModelConfig {
    /// Reads GGUF metadata. Errors as [`ModelConfig::from_hf_json`].
    pub fn from_gguf(file: &GgufFile) -> Result<Self> {
        let name = architecture(file)?;
        refuse_unsupported_gguf(file, name)?;
        let fields = GgufFields { file, name };
        let hidden = fields.size("embedding_length")?;
        let heads = fields.size("attention.head_count")?;
        let head_dim = fields.size_or("attention.key_length", hidden / heads)?;
        if fields.size_or("rope.dimension_count", head_dim)? != head_dim {
            let detail = format!("partial rotary embedding ({name}.rope.dimension_count)");
            return Err(EngineError::unsupported(file.path(), detail));
        }
        let rope_theta = fields.float("rope.freq_base", 10_000.0)?;
        let sliding_window = fields.window()?;
        let qwen2 = name == "qwen2";
        Self {
            architecture: match sliding_window {
                Some(_) => "mistral",
                None => name,
            }
            .to_owned(),
            layers: fields.size("block_count")?,
            hidden,
            intermediate: fields.size("feed_forward_length")?,
            heads,
            kv_heads: fields.size_or("attention.head_count_kv", heads)?,
            head_dim,
            vocab: fields.vocabulary()?,
            context: fields.size("context_length")?,
            rope_scaling: table_scaling(file, rope_theta, head_dim)?,
            qkv_bias: qwen2,
            sliding_window,
            rope_theta,
            rms_eps: fields.float("attention.layer_norm_rms_epsilon", 1e-5)? as f32,
            tie_embeddings: !file.tensors().contains_key("output.weight"),
        }
        .checked(file.path())
    }

    /// What GGUF calls this architecture.
    pub fn gguf_architecture(&self) -> &'static str {
        match self.architecture.as_str() {
            "qwen2" => "qwen2",
            _ => "llama",
        }
    }
}

fn architecture(file: &GgufFile) -> Result<&'static str> {
    match file.value("general.architecture") {
        Some(Value::Text(found)) => {
            let known = ARCHITECTURES.into_iter().find(|name| name == found);
            known.ok_or_else(|| {
                let known = ARCHITECTURES.join("\" and \"");
                let detail = format!("architecture \"{found}\"; \"{known}\" are supported");
                EngineError::unsupported(file.path(), detail)
            })
        }
        _ => {
            let detail = "general.architecture is missing";
            Err(EngineError::invalid_file(file.path(), detail))
        }
    }
}

fn refuse_unsupported_gguf(file: &GgufFile, architecture: &str) -> Result<()> {
    let refuse = |detail: String| Err(EngineError::unsupported(file.path(), detail));
    match file.value(&format!("{architecture}.rope.scaling.type")) {
        // Then a factor scales linearly, where there is one.
        None => refuse_rope_factor(file, architecture)?,
        Some(Value::Text(kind)) if kind == "none" => {}
        Some(other) => return refuse(format!("rope scaling {other:?}")),
    }
    let expected = if architecture == "qwen2" { 3 } else { 0 };
    let mut biased = LAYER_PARTS[expected..]
        .iter()
        .map(|part| format!("blk.0.{part}.bias"));
    if let Some(name) = biased.find(|name| file.tensors().contains_key(name)) {
        return refuse(format!("the bias {name} in a model of type \"{architecture}\""));
    }
    match file.value(&format!("{architecture}.expert_count")) {
        None | Some(Value::Int(0)) => Ok(()),
        Some(other) => refuse(format!(
            "a mixture of experts ({architecture}.expert_count {other:?})"
        )),
    }
}

/// Factors of 0 and 1 change nothing.
fn refuse_rope_factor(file: &GgufFile, architecture: &str) -> Result<()> {
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
        let key = format!("{architecture}.{key}");
        match file.value(&key) {
            None | Some(Value::Int(0 | 1)) => {}
            Some(Value::Float(factor)) if *factor == 0.0 || *factor == 1.0 => {}
            Some(other) => {
                return Err(EngineError::unsupported(
                    file.path(),
                    format!("rope scaling ({key} {other:?})"),
                ));
            }
        }
    }
    Ok(())
}

/// `[HS/2]` divisors of the rotary frequencies, where a model has its frequencies scaled one by one.
pub const ROPE_TABLE: &str = "rope_freqs.weight";
/// Llama 3's numbers, which GGUF keeps only as the table that follows from them: the same in all of its models.
const LOW_FREQ_FACTOR: f64 = 1.0;
const HIGH_FREQ_FACTOR: f64 = 4.0;
/// Powers of two that the context before the scaling is looked for in.
const ORIGINAL_CONTEXTS: std::ops::Range<i32> = 4..24;
/// The table is f32, some of it computed in f32.
const TABLE_TOLERANCE: f64 = 1e-5;

/// The table of a model whose frequencies Llama 3's way scales; `None` for one that has none.
pub fn rope_table(config: &ModelConfig) -> Option<Vec<f32>> {
    let RopeScaling::Llama3 { .. } = config.rope_scaling else {
        return None;
    };
    let divisors =
        (0..config.head_dim / 2).map(|i| divisor(config.rope_scaling, config.rope_theta, i, config.head_dim));
    Some(divisors.map(|divisor| divisor as f32).collect())
}

/// What frequency `i` is divided by.
fn divisor(scaling: RopeScaling, theta: f64, i: usize, head_dim: usize) -> f64 {
    let frequency = math::pow(theta, -2.0 * i as f64 / head_dim as f64);
    frequency / scaling.apply(frequency)
}

/// The scaling whose table the file has. Errors: `ModelUnsupported` for a table that is not one of Llama 3's.
fn table_scaling(file: &GgufFile, theta: f64, head_dim: usize) -> Result<RopeScaling> {
    let Some(entry) = file.tensors().get(ROPE_TABLE) else {
        return Ok(RopeScaling::None);
    };
    let mut table = vec![0.0_f32; head_dim / 2];
    if entry.shape != [table.len()] {
        let detail = format!(
            "{ROPE_TABLE} has the shape {:?}, not [{}]",
            entry.shape,
            table.len()
        );
        return Err(EngineError::invalid_file(file.path(), detail));
    }
    let (block, bytes) = file.blocks(ROPE_TABLE)?;
    block.decode(bytes, &mut table);
    let factor = table.iter().fold(1.0_f32, |most, divisor| most.max(*divisor));
    let llama3 = |exponent| RopeScaling::Llama3 {
        factor: f64::from(factor),
        low_freq_factor: LOW_FREQ_FACTOR,
        high_freq_factor: HIGH_FREQ_FACTOR,
        original_max_position_embeddings: f64::powi(2.0, exponent),
    };
    let made_of = |scaling: &RopeScaling| {
        table.iter().enumerate().all(|(i, divisor)| {
            let wanted = self::divisor(*scaling, theta, i, head_dim);
            (f64::from(*divisor) / wanted - 1.0).abs() <= TABLE_TOLERANCE
        })
    };
    let mut known = std::iter::once(RopeScaling::None).chain(ORIGINAL_CONTEXTS.map(llama3));
    known.find(made_of).ok_or_else(|| {
        let detail = format!("rope scaling by a frequency table ({ROPE_TABLE}) that is not Llama 3's");
        EngineError::unsupported(file.path(), detail)
    })
}

struct GgufFields<'a> {
    file: &'a GgufFile,
    /// Of the architecture: what its keys begin with.
    name: &'a str,
}

impl GgufFields<'_> {
    fn size(&self, key: &str) -> Result<usize> {
        let key = format!("{}.{key}", self.name);
        let value = match self.file.value(&key) {
            Some(Value::Int(value)) => Some(*value),
            // Some writers give one number per layer; only equal ones are a plain llama.
            Some(Value::Ints(values)) if values.windows(2).all(|pair| pair[0] == pair[1]) => {
                values.first().copied()
            }
            Some(Value::Ints(_)) => {
                return Err(EngineError::unsupported(
                    self.file.path(),
                    format!("{key} differs between layers"),
                ));
            }
            _ => None,
        };
        size_in_range(self.file.path(), &key, value)
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.file.value(&format!("{}.{key}", self.name)).is_some() {
            return self.size(key);
        }
        size_in_range(self.file.path(), key, i64::try_from(default).ok())
    }

    fn float(&self, key: &str, default: f64) -> Result<f64> {
        let key = format!("{}.{key}", self.name);
        match self.file.value(&key) {
            None => Ok(default),
            Some(Value::Float(value)) => Ok(*value),
            Some(Value::Int(value)) => Ok(*value as f64),
            Some(other) => {
                let detail = format!("{key} is {other:?}, not a number");
                Err(EngineError::invalid_file(self.file.path(), detail))
            }
        }
    }

    /// Keys a query sees at most. A window of zero, or one that the context does not outgrow, is none.
    fn window(&self) -> Result<Option<usize>> {
        let key = "attention.sliding_window";
        match self.file.value(&format!("{}.{key}", self.name)) {
            None | Some(Value::Int(0)) => Ok(None),
            Some(_) if self.name == "qwen2" => {
                let detail = "qwen2.attention.sliding_window (a window in some layers only)";
                Err(EngineError::unsupported(self.file.path(), detail))
            }
            Some(_) => {
                let (window, context) = (self.size(key)?, self.size("context_length")?);
                Ok((window < context).then_some(window))
            }
        }
    }

    /// The embedding decides: the metadata entry is optional and sometimes stale.
    fn vocabulary(&self) -> Result<usize> {
        let rows = self
            .file
            .tensors()
            .get("token_embd.weight")
            .and_then(|entry| entry.shape.first());
        size_in_range(
            self.file.path(),
            "token_embd.weight rows",
            rows.and_then(|rows| i64::try_from(*rows).ok()),
        )
    }
}
