//! What the engine's thread runs: the session's operations behind a trait, so that the dispatcher is tested alone.

use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;

use escada_engine_core::session::Session;
use escada_engine_cpu::{CpuBackend, Isa};
use escada_engine_formats::error::{Code, EngineError, Result};
use serde_json::{Map, Value, json};

/// Build of the engine: version, and digest of the sources, libraries, compiler and flags that decide a result.
pub const ENGINE_BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "-", env!("ESCADA_ENGINE_SOURCES"));

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
pub fn hello(params: Map<String, Value>) -> Result<Value> {
    if let Some(name) = params.keys().next() {
        return Err(EngineError::new(
            Code::RequestInvalid,
            format!("params: `{name}` is not known"),
        ));
    }
    Ok(json!({
        "protocol": crate::wire::PROTOCOL,
        "engineBuild": ENGINE_BUILD,
        "isaClass": Isa::detect().class_name(),
        "threads": cores(),
    }))
}

/// The real operations: a session on the CPU back end, made when the first operation comes.
#[derive(Default)]
pub struct SessionOperations {
    session: Option<Session<CpuBackend>>,
}

impl Operations for SessionOperations {
    fn run(
        &mut self,
        method: &str,
        params: Value,
        emit: &mut dyn FnMut(Value),
        cancelled: &AtomicBool,
    ) -> Result<Value> {
        let session = match &mut self.session {
            Some(session) => session,
            empty => empty.insert(Session::new(ENGINE_BUILD, Box::new(cpu_backend))?),
        };
        session.run(method, params, emit, cancelled)
    }
}

fn cpu_backend(threads: Option<usize>) -> Result<CpuBackend> {
    CpuBackend::new(threads.unwrap_or_else(cores))
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}
