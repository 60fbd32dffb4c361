//! Turns a panic into a coded error that names the statement's message, file and line.
//!
//! The cause is kept twice: per thread, and once for all threads. Kernels run on pool threads, and a panic there is
//! rethrown on the engine's thread without its place.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, Once, PoisonError};

use escada_engine_formats::error::{Code, EngineError, Result};

thread_local! {
    static HERE: RefCell<Option<String>> = const { RefCell::new(None) };
}
static ANYWHERE: Mutex<Option<String>> = Mutex::new(None);
static HOOK: Once = Once::new();

fn install_hook() {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info
                .location()
                .map_or_else(|| "unknown place".to_owned(), ToString::to_string);
            let cause = format!("{} ({place})", text(info.payload()));
            HERE.with_borrow_mut(|slot| *slot = Some(cause.clone()));
            // The first panic is the cause; those that follow on other threads are echoes.
            ANYWHERE
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(cause);
            previous(info);
        }));
    });
}

fn text(payload: &dyn Any) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// The newest cause, forgotten by asking.
fn take_cause() -> Option<String> {
    let anywhere = ANYWHERE.lock().unwrap_or_else(PoisonError::into_inner).take();
    HERE.with_borrow_mut(Option::take).or(anywhere)
}

/// Runs `work`; a panic in it (on any thread that it waits for) becomes `ENGINE_INTERNAL`.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    install_hook();
    take_cause();
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let cause = take_cause().unwrap_or_else(|| "panic without a message".to_owned());
        Err(EngineError::new(Code::Internal, cause))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_names_its_place() {
        let error = guarded::<()>(|| panic!("broken invariant"))
            .err()
            .unwrap_or_else(|| panic!("no error"));
        assert_eq!(error.code, Code::Internal);
        assert!(
            error.message.starts_with("broken invariant ("),
            "{}",
            error.message
        );
        assert!(error.message.contains("panics.rs:"), "{}", error.message);
    }
}
