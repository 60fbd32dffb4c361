//! One engine thread, one operation at a time, in the order of arrival. `hello` and `cancel` are answered by the
//! caller's thread at once, so that they work while the engine computes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use escada_engine_formats::error::{Code, EngineError, Result};
use serde_json::{Map, Value, json};

use crate::operations::{Operations, hello};
use crate::panics::guarded;
use crate::wire::{Request, event_line, parse, reply_line};

/// Where messages go: called from the engine's thread and from the caller's.
pub type Sink = Arc<dyn Fn(String) + Send + Sync>;

/// Makes the state of the engine; called on its thread at the start and again after a panic.
pub type MakeOperations = fn() -> Box<dyn Operations>;

/// Kernels recurse little, but templates and tokenizers of unknown models may: more than the usual 2 MiB.
const STACK_BYTES: usize = 16 << 20;

/// Requests that have no reply yet, each with the flag that cancels it.
type Pending = Arc<Mutex<HashMap<u64, Arc<AtomicBool>>>>;

struct Job {
    request: Request,
    cancelled: Arc<AtomicBool>,
}

pub struct Dispatcher {
    jobs: Sender<Job>,
    pending: Pending,
    sink: Sink,
}

impl Dispatcher {
    /// Starts the engine's thread; it ends when the dispatcher is dropped and its queue is empty.
    pub fn start(sink: Sink, make: MakeOperations) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let pending = Pending::default();
        let (thread_sink, thread_pending) = (sink.clone(), pending.clone());
        thread::Builder::new()
            .name("escada-engine".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || run(&queue, &thread_sink, &thread_pending, make))?;
        Ok(Self { jobs, pending, sink })
    }

    /// Takes one line. Every line gets exactly one reply.
    pub fn handle(&self, line: &str) {
        let request = match parse(line) {
            Ok(request) => request,
            Err((id, error)) => return (self.sink)(reply_line(id, Err(error))),
        };
        let id = request.id;
        match request.method.as_str() {
            "hello" => (self.sink)(reply_line(Some(id), hello(request.params))),
            "cancel" => (self.sink)(reply_line(Some(id), self.cancel(&request.params))),
            _ => {
                if let Err(error) = self.enqueue(request) {
                    (self.sink)(reply_line(Some(id), Err(error)));
                }
            }
        }
    }

    fn enqueue(&self, request: Request) -> Result<()> {
        let id = request.id;
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.contains_key(&id) {
            return Err(EngineError::new(
                Code::RequestInvalid,
                format!("id: {id} is still in use"),
            ));
        }
        pending.insert(id, cancelled.clone());
        drop(pending);
        let lost = |_| EngineError::new(Code::Internal, "the engine's thread has ended");
        self.jobs.send(Job { request, cancelled }).map_err(lost)
    }

    fn cancel(&self, params: &Map<String, Value>) -> Result<Value> {
        let target = params
            .get("target")
            .and_then(Value::as_u64)
            .filter(|_| params.len() == 1);
        let missing = || {
            EngineError::new(
                Code::RequestInvalid,
                "params: `target` (a request's id) is wanted",
            )
        };
        let target = target.ok_or_else(missing)?;
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let flag = pending.get(&target);
        if let Some(flag) = flag {
            flag.store(true, Ordering::Relaxed);
        }
        Ok(json!({ "cancelled": flag.is_some() }))
    }
}

fn run(queue: &Receiver<Job>, sink: &Sink, pending: &Pending, make: MakeOperations) {
    let mut operations = make();
    for Job { request, cancelled } in queue {
        let outcome = run_one(&mut *operations, &request, &cancelled, sink);
        if outcome.as_ref().is_err_and(|error| error.code == Code::Internal) {
            // State that a panic went through is not to be trusted: the model must be loaded again.
            operations = make();
        }
        pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&request.id);
        sink(reply_line(Some(request.id), outcome));
    }
}

fn run_one(
    operations: &mut dyn Operations,
    request: &Request,
    cancelled: &AtomicBool,
    sink: &Sink,
) -> Result<Value> {
    if cancelled.load(Ordering::Relaxed) {
        return Err(EngineError::new(Code::Cancelled, "cancelled before it began"));
    }
    let mut emit = |event: Value| sink(event_line(request.id, event));
    let params = Value::Object(request.params.clone());
    guarded(|| operations.run(&request.method, params, &mut emit, cancelled))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;
    use std::time::Duration;

    use super::*;

    /// `wait` runs until it is cancelled, `panic` panics, `echo` reports its parameters once and returns them.
    struct Script;

    impl Operations for Script {
        fn run(
            &mut self,
            method: &str,
            params: Value,
            emit: &mut dyn FnMut(Value),
            cancelled: &AtomicBool,
        ) -> Result<Value> {
            match method {
                "wait" => {
                    emit(json!("started"));
                    while !cancelled.load(Ordering::Relaxed) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    Err(EngineError::new(Code::Cancelled, "stopped"))
                }
                "panic" => panic!("script"),
                _ => {
                    emit(params.clone());
                    Ok(params)
                }
            }
        }
    }

    fn start() -> (Dispatcher, Receiver<Value>) {
        let (sender, messages) = channel();
        let sender = Mutex::new(sender);
        let sink = Arc::new(move |line: String| {
            let value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
            sender
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .send(value)
                .unwrap_or_else(|e| panic!("{e}"));
        });
        let dispatcher = Dispatcher::start(sink, || Box::new(Script)).unwrap_or_else(|e| panic!("{e}"));
        (dispatcher, messages)
    }

    fn next(messages: &Receiver<Value>) -> Value {
        messages
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn events_come_before_their_reply() {
        let (dispatcher, messages) = start();
        dispatcher.handle(r#"{"v":1,"id":1,"method":"echo","params":{"a":1}}"#);
        assert_eq!(next(&messages), json!({ "v": 1, "id": 1, "event": { "a": 1 } }));
        assert_eq!(next(&messages), json!({ "v": 1, "id": 1, "result": { "a": 1 } }));
    }

    #[test]
    fn a_running_and_a_waiting_operation_are_cancelled() {
        let (dispatcher, messages) = start();
        dispatcher.handle(r#"{"v":1,"id":1,"method":"wait","params":{}}"#);
        dispatcher.handle(r#"{"v":1,"id":2,"method":"echo","params":{}}"#);
        assert_eq!(next(&messages)["event"], "started");
        for (id, target) in [(3, 2), (4, 1)] {
            dispatcher.handle(&format!(
                r#"{{"v":1,"id":{id},"method":"cancel","params":{{"target":{target}}}}}"#
            ));
            assert_eq!(
                next(&messages),
                json!({ "v": 1, "id": id, "result": { "cancelled": true } })
            );
        }
        for id in [1, 2] {
            let reply = next(&messages);
            assert_eq!(
                (&reply["id"], &reply["error"]["code"]),
                (&json!(id), &json!("ENGINE_CANCELLED"))
            );
        }
        dispatcher.handle(r#"{"v":1,"id":5,"method":"cancel","params":{"target":1}}"#);
        assert_eq!(next(&messages)["result"], json!({ "cancelled": false }));
    }

    #[test]
    fn a_panic_is_a_coded_error_and_the_thread_goes_on() {
        let (dispatcher, messages) = start();
        dispatcher.handle(r#"{"v":1,"id":1,"method":"panic","params":{}}"#);
        let error = next(&messages)["error"].clone();
        assert_eq!(error["code"], "ENGINE_INTERNAL");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|m| m.contains("dispatcher.rs:")),
            "{error}"
        );
        dispatcher.handle(r#"{"v":1,"id":2,"method":"echo","params":{}}"#);
        assert_eq!(next(&messages)["id"], 2);
    }

    #[test]
    fn an_id_in_use_is_refused() {
        let (dispatcher, messages) = start();
        dispatcher.handle(r#"{"v":1,"id":1,"method":"wait","params":{}}"#);
        assert_eq!(next(&messages)["event"], "started");
        dispatcher.handle(r#"{"v":1,"id":1,"method":"echo","params":{}}"#);
        assert_eq!(next(&messages)["error"]["code"], "ENGINE_REQUEST_INVALID");
        dispatcher.handle(r#"{"v":1,"id":2,"method":"cancel","params":{"target":1}}"#);
    }
}
