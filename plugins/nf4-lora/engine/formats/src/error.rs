//! The one error type of the engine: a stable code, a sentence, and what the caller can do.

use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;

/// Stable codes. Each one is in the product's error table (`schemas/errors/error-codes.ts`) under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A model, tokenizer, adapter or checkpoint file is damaged or not what its header says.
    ModelFileInvalid,
    /// A file is well formed, but holds something this engine does not implement (architecture, tensor type).
    ModelUnsupported,
    /// There is no file or folder where the model should be.
    ModelNotFound,
    /// A model's folder lacks a file: the message says what is there and what to do.
    ModelIncomplete,
    /// A file of a model is there and cannot be read.
    ModelUnreadable,
    /// A prompt or row is longer than the model's context.
    PromptTooLong,
    /// A request to the engine is malformed: names the field.
    RequestInvalid,
    /// Training rows cannot be used (none labelled, longer than the context …).
    TrainingDataInvalid,
    /// A loss, gradient or weight is not finite.
    NonFinite,
    /// A training would need more memory than is free: known before its first step.
    OutOfMemory,
    /// The system did not give the memory that was asked for.
    NoMemory,
    /// A checkpoint does not fit the run that wants to resume from it.
    CheckpointMismatch,
    /// Reading or writing a file failed.
    Io,
    /// The operation was cancelled by its caller.
    Cancelled,
    /// A broken invariant inside the engine.
    Internal,
}

impl Code {
    /// The name used in the product's error table.
    pub fn name(self) -> &'static str {
        match self {
            Code::ModelFileInvalid => "MODEL_FILE_INVALID",
            Code::ModelUnsupported => "MODEL_UNSUPPORTED",
            Code::ModelNotFound => "MODEL_NOT_FOUND",
            Code::ModelIncomplete => "MODEL_INCOMPLETE",
            Code::ModelUnreadable => "MODEL_UNREADABLE",
            Code::PromptTooLong => "PROMPT_TOO_LONG",
            Code::RequestInvalid => "ENGINE_REQUEST_INVALID",
            Code::TrainingDataInvalid => "TRAINING_DATA_INVALID",
            Code::NonFinite => "TRAINING_NON_FINITE",
            Code::OutOfMemory => "TRAINING_OUT_OF_MEMORY",
            Code::NoMemory => "ENGINE_OUT_OF_MEMORY",
            Code::CheckpointMismatch => "CHECKPOINT_MISMATCH",
            Code::Io => "ENGINE_IO",
            Code::Cancelled => "ENGINE_CANCELLED",
            Code::Internal => "ENGINE_INTERNAL",
        }
    }
}

/// An engine failure: `code` is stable, `message` names the file or field and what to do.
#[derive(Debug, Clone)]
pub struct EngineError {
    pub code: Code,
    pub message: String,
    /// What a program may want to know: row, number of tokens …
    pub fields: Option<Box<Map<String, Value>>>,
}

pub type Result<T> = std::result::Result<T, EngineError>;

impl EngineError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fields: None,
        }
    }

    /// The same error with the fields of a JSON object.
    pub fn with_fields(mut self, fields: Value) -> Self {
        if let Value::Object(fields) = fields {
            self.fields = Some(Box::new(fields));
        }
        self
    }

    /// The same error, said of the row `id`.
    pub fn in_row(mut self, id: &str) -> Self {
        self.message = format!("row \"{id}\": {}", self.message);
        self.fields
            .get_or_insert_default()
            .insert("row".to_owned(), Value::from(id));
        self
    }

    /// An `Io` error that names the file: "cannot <verb> <path>: <cause>".
    pub fn io(verb: &str, path: &Path, cause: &std::io::Error) -> Self {
        Self::new(Code::Io, format!("cannot {verb} {}: {cause}", path.display()))
    }

    /// A `ModelFileInvalid` error that names the file, what is wrong, and the way out.
    pub fn invalid_file(path: &Path, detail: impl fmt::Display) -> Self {
        let hint = "fetch or write the file again and compare its SHA-256";
        Self::new(
            Code::ModelFileInvalid,
            format!("{}: {detail}; {hint}", path.display()),
        )
    }

    /// A `ModelUnsupported` error that names the file and the missing ability.
    pub fn unsupported(path: &Path, detail: impl fmt::Display) -> Self {
        Self::new(Code::ModelUnsupported, format!("{}: {detail}", path.display()))
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for EngineError {}

impl From<std::io::Error> for EngineError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Code::Io, error.to_string())
    }
}
