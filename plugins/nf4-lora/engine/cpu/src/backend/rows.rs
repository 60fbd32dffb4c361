//! Cutting element-wise and row-wise operations into tasks.

use super::CpuBackend;
use crate::ops;
use crate::team::Parts;
use std::ops::Range;

/// Elements of one task: a multiple of every vector and of the dropout's groups, about 10 microseconds of work.
const TASK_ELEMENTS: usize = 16_384;
/// Columns of one task, where the sum runs over all rows: whole cache lines.
const TASK_COLUMNS: usize = 64;
/// Elements that share one partial sum of `sum_squares`.
const SUM_ELEMENTS: usize = 65_536;

impl CpuBackend {
    /// Calls `work` for ranges that cover `0..n`; all but the last start and end on multiples of `TASK_ELEMENTS`.
    pub(super) fn elements(&self, n: usize, work: impl Fn(Range<usize>) + Sync) {
        self.team.run(n.div_ceil(TASK_ELEMENTS), |task| {
            let start = task * TASK_ELEMENTS;
            work(start..(start + TASK_ELEMENTS).min(n));
        });
    }

    /// Calls `work` for ranges of rows of `cols` elements that cover `0..rows`.
    pub(super) fn rows(&self, rows: usize, cols: usize, work: impl Fn(Range<usize>) + Sync) {
        let per_task = (TASK_ELEMENTS / cols.max(1)).max(1);
        self.team.run(rows.div_ceil(per_task), |task| {
            let start = task * per_task;
            work(start..(start + per_task).min(rows));
        });
    }

    /// Calls `work` for ranges of columns that cover `0..columns`.
    pub(super) fn columns(&self, columns: usize, work: impl Fn(Range<usize>) + Sync) {
        self.team.run(columns.div_ceil(TASK_COLUMNS), |task| {
            let start = task * TASK_COLUMNS;
            work(start..(start + TASK_COLUMNS).min(columns));
        });
    }

    /// Partial sums of fixed parts, added in order.
    pub(super) fn ordered_squares(&self, x: &[f32]) -> f64 {
        let mut sums = vec![0.0f64; x.len().div_ceil(SUM_ELEMENTS)];
        let slots = Parts::new(&mut sums);
        self.team.run(x.len().div_ceil(SUM_ELEMENTS), |task| {
            let start = task * SUM_ELEMENTS;
            let part = &x[start..(start + SUM_ELEMENTS).min(x.len())];
            // SAFETY: one slot each; the class was checked when the back end was made.
            unsafe { slots.part(task..task + 1)[0] = ops::optimizer::sum_squares(self.isa, part) };
        });
        sums.iter().sum()
    }
}
