//! What the engine's thread runs: the session's operations behind a trait, so that the dispatcher is tested alone.

use std::sync::atomic::AtomicBool;

use escada_engine_cpu::isa::Isa;
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

/// Build of the engine: version and digest of the sources that decide a result.
pub const ENGINE_BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "-", env!("ESCADA_ENGINE_SOURCES"));

/// Answers `hello`: which engine this is and on what it runs.
pub fn hello(params: Map<String, Value>) -> Result<Value> {
    if let Some(name) = params.keys().next() {
        return Err(EngineError::new(
            Code::RequestInvalid,
            format!("params: `{name}` is not known"),
        ));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(json!({
        "protocol": crate::wire::PROTOCOL,
        "engineBuild": ENGINE_BUILD,
        "isaClass": Isa::detect().class_name(),
        "threads": threads,
    }))
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
