//! What the engine's thread runs: the session's operations behind a trait, so that the dispatcher is tested alone.

use std::sync::atomic::AtomicBool;

use escada_engine_formats::error::{Code, EngineError, Result};
use serde_json::{Map, Value, json};

/// The state of one engine thread.
pub trait Operations {
    /// Runs one operation to its end. Reports progress through `emit`; stops soon after `cancelled` is set.
    fn run(
        &mut self,
        method: &str,
        params: Value,
        emit: &mut dyn FnMut(Value),
        cancelled: &AtomicBool,
    ) -> Result<Value>;
}

/// Answers `hello`: which engine this is and on what it runs.
pub fn hello(_params: Map<String, Value>) -> Result<Value> {
    Ok(json!({ "protocol": crate::wire::PROTOCOL }))
}

/// The real operations, over a session on the CPU back end.
#[derive(Default)]
pub struct SessionOperations {}

impl Operations for SessionOperations {
    fn run(
        &mut self,
        method: &str,
        _params: Value,
        _emit: &mut dyn FnMut(Value),
        _cancelled: &AtomicBool,
    ) -> Result<Value> {
        Err(EngineError::new(
            Code::RequestInvalid,
            format!("method: `{method}` is not known"),
        ))
    }
}
