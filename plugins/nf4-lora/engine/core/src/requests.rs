//! Parameters, results and file rows of the engine's operations, with the protocol's field names.

use crate::loaded::WeightFormat;
use crate::train_config::TrainConfig;
use escada_engine_formats::{Message, SystemTurns};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `load`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadParams {
    pub path: PathBuf,
    pub weight_format: WeightFormat,
    pub block_size: usize,
    pub double_quant: bool,
    pub threads: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadResult {
    pub model_digest: String,
    pub architecture: String,
    pub layers: usize,
    pub hidden_size: usize,
    pub vocabulary_size: usize,
    pub context_tokens: usize,
    /// Where the chat template is from: a file's name, `GGUF metadata`, or `default` for the plain one.
    pub chat_template: String,
    pub system_turns: SystemTurns,
    pub parameters: u64,
    /// Of all matrices on the device.
    pub weight_bytes: usize,
    pub rss_bytes: u64,
    pub seconds: f64,
}

/// `count`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CountParams {
    pub rows_path: PathBuf,
    pub out_path: PathBuf,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CountResult {
    pub rows: usize,
    /// Tokens that prompt and answer have room for.
    pub context_tokens: usize,
    pub seconds: f64,
}

/// A row of `count` and `train`; `train` wants the answer.
#[derive(Debug, Deserialize)]
pub struct ChatRow {
    pub id: String,
    pub messages: Vec<Message>,
    pub answer: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CountRow {
    pub id: String,
    pub prompt_tokens: usize,
    /// The answer's tokens and its end-of-turn token: the row has `promptTokens + answerTokens` in training.
    pub answer_tokens: usize,
}

/// `generate`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerateParams {
    pub requests_path: PathBuf,
    pub out_path: PathBuf,
    pub adapter_path: Option<PathBuf>,
    pub max_new_tokens: usize,
    pub batch_rows: usize,
    #[serde(default)]
    pub temperature: f64,
    #[serde(default = "one")]
    pub top_p: f64,
    /// 0 = all.
    #[serde(default)]
    pub top_k: usize,
    #[serde(default)]
    pub min_p: f64,
    #[serde(default = "one")]
    pub repetition_penalty: f64,
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub stop: Vec<String>,
}

fn one() -> f64 {
    1.0
}

/// A row of `generate`; one of `messages` and `prompt`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptRow {
    pub id: String,
    /// In place of the call's.
    pub adapter_path: Option<PathBuf>,
    pub messages: Option<Vec<Message>>,
    pub prompt: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateRow {
    pub id: String,
    pub text: String,
    pub prompt_tokens: usize,
    /// Tokens computed, the end token included.
    pub new_tokens: usize,
    pub finish: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateResult {
    pub rows: usize,
    pub prompt_tokens: usize,
    pub shared_prefix_tokens: usize,
    pub new_tokens: usize,
    pub seconds: f64,
}

/// Event of `generate`, `score` and `embed`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowProgress {
    pub done: usize,
    pub total: usize,
    pub new_tokens: usize,
    pub tokens_per_second: f64,
}

/// `score`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreParams {
    pub requests_path: PathBuf,
    pub out_path: PathBuf,
    pub adapter_path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub struct ScoreRowIn {
    #[serde(flatten)]
    pub prompt: PromptRow,
    pub continuations: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoreValue {
    pub log_prob_nats: f64,
    pub tokens: usize,
}

#[derive(Debug, Serialize)]
pub struct ScoreRow {
    pub id: String,
    pub scores: Vec<ScoreValue>,
}

#[derive(Debug, Serialize)]
pub struct ScoreResult {
    pub rows: usize,
    /// Of all continuations.
    pub tokens: usize,
    pub seconds: f64,
}

/// `embed`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbedParams {
    pub requests_path: PathBuf,
    pub out_path: PathBuf,
    pub adapter_path: Option<PathBuf>,
    /// Divide every vector by its Euclidean length.
    #[serde(default)]
    pub normalize: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextRow {
    pub id: String,
    pub text: String,
    /// In place of the call's.
    pub adapter_path: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbedResult {
    pub rows: usize,
    pub hidden_size: usize,
    /// Of all texts.
    pub tokens: usize,
    pub seconds: f64,
}

/// `train`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainParams {
    pub rows_path: PathBuf,
    /// Rows to answer after every epoch; some of `rows_path` without it.
    pub samples_path: Option<PathBuf>,
    pub out_dir: PathBuf,
    /// What `adapter_config.json` calls the base; the path of the loaded model without it.
    pub base_model: Option<String>,
    pub config: TrainConfig,
}
