//! Replies that a training shows after an epoch.

use serde::{Deserialize, Serialize};

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The model ended its turn.
    Stop,
    /// It was cut off.
    Length,
}

/// A greedy reply to the prompt of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Epochs begun so far.
    pub epoch: usize,
    /// The row.
    pub id: String,
    pub text: String,
    /// Tokens of the reply, the end token included.
    pub new_tokens: usize,
    /// Tokens of the row's answer, the end token included.
    pub gold_tokens: usize,
    pub finish: Ending,
}
