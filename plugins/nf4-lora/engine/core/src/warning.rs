//! Training warnings.

use serde::{Deserialize, Serialize};

/// Rows that a warning names at most.
pub const MAX_ROWS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// A step that was not finite and therefore left out.
    SkippedStep,
    /// A step whose loss or gradient is far from those before it.
    Spike,
}

/// A warning about one step: part of the log, so that a resumed run has those of the calls before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    pub kind: WarningKind,
    /// Counted from 1.
    pub step: usize,
    pub message: String,
    /// Ids of the rows concerned, at most `MAX_ROWS`.
    pub rows: Vec<String>,
}
