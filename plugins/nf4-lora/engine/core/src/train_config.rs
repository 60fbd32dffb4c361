//! Hyper-parameters of a training run, by the protocol's names.

use crate::activation_policy::GradientCheckpointing;
use crate::lora::LoraLayout;
use crate::shape::{ModelShape, Target};
use escada_engine_formats::atomic::sha256_hex;
use escada_engine_formats::error::{Code, EngineError, Result};
use serde::{Deserialize, Serialize};

/// Which linear layers learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetModules {
    /// Only `"all-linear"`.
    Keyword(String),
    /// Names such as `q_proj`, or full module paths.
    Names(Vec<String>),
}

impl Default for TargetModules {
    fn default() -> Self {
        TargetModules::Keyword("all-linear".to_owned())
    }
}

/// Shape of the learning rate over the steps (as transformers computes it; `constant` honours the warm-up too).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    Constant,
    Linear,
    Cosine,
}

/// The optimizer, by transformers' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Optim {
    /// f32 moments, torch's rounding.
    #[default]
    #[serde(rename = "adamw_torch")]
    AdamwTorch,
    /// 8-bit moments in blocks of 256, the rules of bitsandbytes' CUDA kernel; tensors below 4,096 elements keep f32.
    #[serde(rename = "adamw_8bit", alias = "adamw_bnb_8bit")]
    Adamw8bit,
    /// `adamw_torch` with the moments in host memory; where the device is the host, the same.
    #[serde(rename = "paged_adamw_32bit", alias = "paged_adamw")]
    PagedAdamw32bit,
    /// `adamw_8bit` with the moments in host memory; where the device is the host, the same.
    #[serde(rename = "paged_adamw_8bit")]
    PagedAdamw8bit,
}

impl Optim {
    /// Whether large tensors have 8-bit moments.
    pub fn eight_bit(self) -> bool {
        matches!(self, Optim::Adamw8bit | Optim::PagedAdamw8bit)
    }
}

/// What learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Low-rank adapters on frozen weights.
    #[default]
    Lora,
    /// Full fine-tuning, in f32.
    Full,
}

impl Method {
    fn is_lora(&self) -> bool {
        *self == Method::Lora
    }
}

/// What becomes of a step whose loss or gradient is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonFinite {
    /// The training ends with an error that names step, rows and tensor.
    #[default]
    Stop,
    /// The update is left out, counted and logged; the schedule continues.
    Skip,
}

/// Steps of a run at most: as many as its log has room for.
pub const MAX_STEPS: usize = 10_000_000;
/// Rows of a step at most, of a micro-batch and of all that are accumulated.
const MAX_STEP_ROWS: usize = 1 << 24;

/// Replies after an epoch at most: they are a look, not an evaluation.
const MAX_SAMPLE_ROWS: usize = 64;

/// See the protocol's `train`. Units: learning rate none, lengths in tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainConfig {
    #[serde(default, skip_serializing_if = "Method::is_lora")]
    pub method: Method,
    /// Of an adapter, as the four fields behind it: `full` wants none of them.
    #[serde(default)]
    pub r: usize,
    #[serde(default)]
    pub lora_alpha: f64,
    #[serde(default)]
    pub lora_dropout: f64,
    #[serde(default)]
    pub target_modules: TargetModules,
    #[serde(default)]
    pub rs_lora: bool,
    pub learning_rate: f64,
    pub lr_scheduler_type: Schedule,
    pub warmup_steps: usize,
    #[serde(default)]
    pub optim: Optim,
    pub weight_decay: f64,
    pub adam_beta1: f64,
    pub adam_beta2: f64,
    pub adam_epsilon: f64,
    /// 0 = no clipping.
    pub max_grad_norm: f64,
    pub per_device_train_batch_size: usize,
    pub gradient_accumulation_steps: usize,
    pub num_train_epochs: f64,
    /// -1 = by epochs; wins over them otherwise.
    pub max_steps: i64,
    pub max_seq_length_tokens: usize,
    /// Sequence packing: rows that fit `max_seq_length_tokens` together count as one row of a batch; attention is masked
    /// between them.
    #[serde(default)]
    pub packing: bool,
    /// Activation checkpointing. Changes no result, and so no digest: a run may continue with another setting where there is
    /// less memory.
    #[serde(default, skip_serializing)]
    pub gradient_checkpointing: GradientCheckpointing,
    pub seed: u64,
    pub save_steps: usize,
    /// Either allows products with frozen weights in 16 bits (`Backend::sixteen_bits`), where the device has them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fp16: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub bf16: bool,
    #[serde(default)]
    pub non_finite: NonFinite,
    /// Steps in a row that `skip` may leave out; the next one that is not finite ends the training.
    #[serde(default = "ten")]
    pub max_consecutive_skips: usize,
    /// Replies that are generated after every epoch; 0 = none.
    #[serde(default)]
    pub sample_rows: usize,
    /// Their longest length.
    #[serde(default = "thirty_two")]
    pub sample_max_new_tokens: usize,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn ten() -> usize {
    10
}

fn thirty_two() -> usize {
    32
}

impl TrainConfig {
    /// Whether products may be computed in 16 bits.
    pub fn allows_sixteen_bits(&self) -> bool {
        self.fp16 || self.bf16
    }

    /// As `check`, for a caller that trains with one method only.
    pub fn check_as(&self, method: Method) -> Result<()> {
        if self.method != method {
            let message = format!("config.method: {method:?} was expected");
            return Err(EngineError::new(Code::Internal, message));
        }
        self.check()
    }

    /// Refuses values that make no sense, naming the field.
    pub fn check(&self) -> Result<()> {
        self.check_method()?;
        let unit = |x: f64| (0.0..1.0).contains(&x);
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let fields = [
            ("learningRate", positive(self.learning_rate)),
            (
                "weightDecay",
                self.weight_decay.is_finite() && self.weight_decay >= 0.0,
            ),
            ("adamBeta1", unit(self.adam_beta1)),
            ("adamBeta2", unit(self.adam_beta2)),
            ("adamEpsilon", positive(self.adam_epsilon)),
            (
                "maxGradNorm",
                self.max_grad_norm.is_finite() && self.max_grad_norm >= 0.0,
            ),
            (
                "perDeviceTrainBatchSize",
                (1..=MAX_STEP_ROWS).contains(&self.per_device_train_batch_size),
            ),
            (
                "gradientAccumulationSteps",
                (1..=MAX_STEP_ROWS).contains(&self.gradient_accumulation_steps),
            ),
            (
                "numTrainEpochs",
                self.max_steps > 0 || positive(self.num_train_epochs),
            ),
            (
                "maxSteps",
                self.max_steps == -1 || (1..=MAX_STEPS as i64).contains(&self.max_steps),
            ),
            ("maxSeqLengthTokens", self.max_seq_length_tokens > 1),
            ("saveSteps", self.save_steps > 0),
            ("maxConsecutiveSkips", self.max_consecutive_skips > 0),
            ("sampleMaxNewTokens", self.sample_max_new_tokens > 0),
        ];
        match fields.iter().find(|(_, good)| !good) {
            None => Ok(()),
            Some((name, _)) => Err(EngineError::new(
                Code::RequestInvalid,
                format!("config.{name}: value out of range"),
            )),
        }
    }

    fn check_method(&self) -> Result<()> {
        let full = self.method == Method::Full;
        let fields = [
            ("r", self.r > 0, self.r == 0),
            (
                "loraAlpha",
                self.lora_alpha.is_finite() && self.lora_alpha > 0.0,
                self.lora_alpha == 0.0,
            ),
            (
                "loraDropout",
                (0.0..1.0).contains(&self.lora_dropout),
                self.lora_dropout == 0.0,
            ),
            (
                "targetModules",
                true,
                self.target_modules == TargetModules::default(),
            ),
            ("rsLora", true, !self.rs_lora),
            // Generation has no path for weights that learn as a whole.
            (
                "sampleRows",
                self.sample_rows <= MAX_SAMPLE_ROWS,
                self.sample_rows == 0,
            ),
        ];
        match fields
            .iter()
            .find(|(_, lora, absent)| !(if full { *absent } else { *lora }))
        {
            None => Ok(()),
            Some((name, ..)) if full => Err(EngineError::new(
                Code::RequestInvalid,
                format!("config.{name}: belongs to method \"lora\"; leave it out with \"full\""),
            )),
            Some((name, ..)) => Err(EngineError::new(
                Code::RequestInvalid,
                format!("config.{name}: value out of range"),
            )),
        }
    }

    /// Factor of `B(A(x))`.
    pub fn scale(&self) -> f64 {
        let rank = self.r as f64;
        self.lora_alpha / if self.rs_lora { rank.sqrt() } else { rank }
    }

    /// Adapter layout on a model. Errors: `RequestInvalid` for a target that names no layer.
    pub fn layout(&self, shape: &ModelShape) -> Result<LoraLayout> {
        let names = match &self.target_modules {
            TargetModules::Keyword(word) if word == "all-linear" => {
                return self.layout_where(shape, |_, _| true);
            }
            TargetModules::Keyword(word) => std::slice::from_ref(word),
            TargetModules::Names(names) => names.as_slice(),
        };
        let all = || (0..shape.layers).flat_map(|l| Target::ALL.map(|t| (l, t)));
        let unknown = names
            .iter()
            .find(|name| !all().any(|(l, t)| matches(&t.module(l), name)));
        if let Some(name) = unknown {
            let message = format!("config.targetModules: \"{name}\" is no linear layer of this model");
            return Err(EngineError::new(Code::RequestInvalid, message));
        }
        self.layout_where(shape, |l, t| names.iter().any(|name| matches(&t.module(l), name)))
    }

    fn layout_where(&self, shape: &ModelShape, chosen: impl Fn(usize, Target) -> bool) -> Result<LoraLayout> {
        LoraLayout::new(shape, |l, t| {
            chosen(l, t).then_some((self.r, self.scale() as f32))
        })
    }

    /// SHA-256 of the configuration in its canonical form.
    pub fn digest(&self) -> Result<String> {
        let text = serde_json::to_vec(self).map_err(|e| EngineError::new(Code::Internal, e.to_string()))?;
        Ok(sha256_hex(&text))
    }
}

/// PEFT's rule for names: the whole path, or its last parts.
fn matches(module: &str, name: &str) -> bool {
    module
        .strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
