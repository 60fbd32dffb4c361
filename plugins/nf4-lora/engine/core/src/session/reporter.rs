//! Progress of operations that go through rows.

use crate::requests::RowProgress;
use std::time::{Duration, Instant};

/// Row progress is reported at most this often.
const PROGRESS_PERIOD: Duration = Duration::from_millis(200);

/// Turns progress into events, not too many of them.
pub(super) struct Reporter<'a> {
    total: usize,
    started: Instant,
    last: Option<Instant>,
    emit: &'a mut dyn FnMut(RowProgress),
}

impl<'a> Reporter<'a> {
    pub(super) fn new(total: usize, emit: &'a mut dyn FnMut(RowProgress)) -> Self {
        Self {
            total,
            started: Instant::now(),
            last: None,
            emit,
        }
    }

    pub(super) fn progress(&mut self, done: usize, new_tokens: usize) {
        if done < self.total && self.last.is_some_and(|last| last.elapsed() < PROGRESS_PERIOD) {
            return;
        }
        self.last = Some(Instant::now());
        let tokens_per_second = new_tokens as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        (self.emit)(RowProgress {
            done,
            total: self.total,
            new_tokens,
            tokens_per_second,
        });
    }
}
