//! What connects a running operation with its caller: it may be cancelled, and it gives signs of life.

use crate::backend::LinearSource;
use crate::model::WeightSource;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Signs of life come at most this often.
pub const SIGN_PERIOD: Duration = Duration::from_secs(1);

static NEVER: AtomicBool = AtomicBool::new(false);

/// Where signs of life go, and when the last one went.
pub struct Signs<'a> {
    tell: &'a dyn Fn(&str),
    period: Duration,
    last: Cell<Instant>,
}

impl<'a> Signs<'a> {
    /// `tell` gets what is being done, no sooner than `period` from now and never twice within it.
    pub fn new(period: Duration, tell: &'a dyn Fn(&str)) -> Self {
        let last = Cell::new(Instant::now());
        Self { tell, period, last }
    }

    fn due(&self) -> bool {
        self.last.get().elapsed() >= self.period
    }

    fn give(&self, doing: &str) {
        self.last.set(Instant::now());
        (self.tell)(doing);
    }
}

/// The caller's hold on an operation. Work that may last polls it between its parts: tensors of a file, layers of a pass,
/// rows of a list.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    cancelled: &'a AtomicBool,
    signs: Option<&'a Signs<'a>>,
}

impl<'a> Control<'a> {
    /// An operation that nobody cancels or listens to.
    pub fn none() -> Self {
        Self::from(&NEVER)
    }

    pub fn new(cancelled: &'a AtomicBool, signs: &'a Signs<'a>) -> Self {
        let signs = Some(signs);
        Self { cancelled, signs }
    }

    /// Gives a sign of life where one is due. Errors: `Cancelled` where the caller has given up; `doing` (`loading the
    /// model`) says what is being done.
    pub fn poll(&self, doing: impl Fn() -> String) -> Result<()> {
        self.alive(&doing);
        if !self.cancelled.load(Ordering::Relaxed) {
            return Ok(());
        }
        let message = format!("cancelled while {}", doing());
        Err(EngineError::new(Code::Cancelled, message))
    }

    /// As [`Control::poll`] for what must come to its end, cancelled or not.
    pub fn alive(&self, doing: impl Fn() -> String) {
        if let Some(signs) = self.signs.filter(|signs| signs.due()) {
            signs.give(&doing());
        }
    }
}

impl<'a> From<&'a AtomicBool> for Control<'a> {
    fn from(cancelled: &'a AtomicBool) -> Self {
        let signs = None;
        Self { cancelled, signs }
    }
}

/// Weights that are polled for, tensor by tensor.
pub(crate) struct Polled<'a, S> {
    pub source: S,
    pub control: Control<'a>,
}

impl<S: WeightSource> Polled<'_, S> {
    fn poll(&self, name: &str) -> Result<()> {
        self.control.poll(|| format!("loading {name}"))
    }
}

impl<S: WeightSource> WeightSource for Polled<'_, S> {
    fn linear<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T> {
        self.poll(name)?;
        self.source.linear(name, rows, cols, take)
    }

    fn table<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T> {
        self.poll(name)?;
        self.source.table(name, rows, cols, take)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        self.poll(name)?;
        self.source.vector(name, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn signs_are_given_at_most_once_a_period_and_a_cancelled_poll_says_what_was_done() {
        let said = RefCell::new(Vec::new());
        let tell = |doing: &str| said.borrow_mut().push(doing.to_owned());
        let flag = AtomicBool::new(false);
        let (rare, often) = (
            Signs::new(Duration::from_secs(3600), &tell),
            Signs::new(Duration::ZERO, &tell),
        );
        let poll = |signs: &Signs<'_>, what: &str| Control::new(&flag, signs).poll(|| what.to_owned());
        assert!(poll(&rare, "a").is_ok() && said.borrow().is_empty());
        assert!(poll(&often, "b").is_ok() && poll(&often, "c").is_ok());
        assert_eq!(*said.borrow(), ["b", "c"]);
        flag.store(true, Ordering::Relaxed);
        let refused = poll(&rare, "computing").map_err(|error| (error.code, error.message));
        assert_eq!(
            refused,
            Err((Code::Cancelled, "cancelled while computing".to_owned()))
        );
        Control::new(&flag, &often).alive(|| "writing".to_owned());
        assert_eq!(said.borrow().last().map(String::as_str), Some("writing"));
    }
}
