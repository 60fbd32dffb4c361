//! The native addon: one class that takes protocol requests and gives protocol replies, each a line of JSON.
//!
//! Nothing here computes. JavaScript's thread only enqueues; the engine's own thread (`dispatcher`) runs one
//! operation at a time, and every message returns through one thread-safe function, so that events and replies
//! arrive in the order in which they were made.
mod dispatcher;
mod operations;
mod panics;
mod wire;

use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::dispatcher::Dispatcher;
use crate::operations::SessionOperations;

/// One engine: at most one loaded model, one operation at a time.
#[napi]
pub struct Engine {
    dispatcher: Dispatcher,
}

#[napi]
impl Engine {
    /// Starts the engine's thread. `on_message` gets every event and reply as one line of JSON (no line end).
    #[napi(constructor)]
    pub fn new(on_message: Function<String, ()>) -> Result<Self> {
        let messages = on_message.build_threadsafe_function().build()?;
        let sink = Arc::new(move |line: String| {
            // A closing environment refuses the call: nobody is left to read the message.
            messages.call(line, ThreadsafeFunctionCallMode::NonBlocking);
        });
        let dispatcher = Dispatcher::start(sink, || Box::new(SessionOperations::default()))
            .map_err(|error| Error::from_reason(format!("cannot start the engine's thread: {error}")))?;
        Ok(Self { dispatcher })
    }

    /// Accepts one request line. Never throws and never waits: errors come back as replies.
    #[napi]
    pub fn handle(&self, request_json: String) {
        self.dispatcher.handle(&request_json);
    }
}
