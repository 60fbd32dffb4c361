//! How a product is cut into tasks.

/// Multiply-adds below which a product is not worth waking the team for.
const SERIAL_WORK: usize = 100_000;
/// Tasks per thread to even out unequal progress.
const TASKS_PER_THREAD: usize = 3;
/// Fewest rows of a task when the rows are split: each task fetches its panels again.
const SPLIT_ROWS: usize = 96;
/// Most vectors of columns of one task: their blocks of `K` stay in the second-level cache while strips pass by.
pub const TASK_VECTORS: usize = 24;
/// Most bytes of panels of one task, where they are counted.
const TASK_BYTES: usize = 640 << 10;
/// Rows of a task are whole strips of every class.
const STRIPS: usize = 24;

/// A rectangle of `C`: rows `m0..m1`, panels `p0..p1`.
#[derive(Clone, Copy)]
pub struct Part {
    pub m0: usize,
    pub m1: usize,
    pub p0: usize,
    pub p1: usize,
}

/// How `C` is cut into tasks.
pub struct Grid {
    rows: usize,
    row_tasks: usize,
    panel_tasks: usize,
    m: usize,
    panels: usize,
}

impl Grid {
    /// Cuts `m` rows by `panels` panels of `vectors` of a product with `work` multiply-adds.
    pub fn new(m: usize, panels: usize, vectors: usize, work: usize, threads: usize) -> Grid {
        let wanted = if threads == 1 || work < SERIAL_WORK {
            1
        } else {
            threads * TASKS_PER_THREAD
        };
        // Rows are split first: a task with many panels uses each packed strip often.
        let most_splits = (m / SPLIT_ROWS).max(1);
        let panel_tasks = wanted
            .div_ceil(most_splits)
            .max(panels.div_ceil(TASK_VECTORS / vectors))
            .max(1);
        let per_task = panels.div_ceil(panel_tasks).max(1);
        let panel_tasks = panels.div_ceil(per_task);
        let splits = wanted.div_ceil(panel_tasks.max(1)).min(most_splits);
        Grid::of(m, panels, splits, panel_tasks)
    }

    /// Cuts `m` rows by `panels` panels of `bytes`: panels first, for what costs more to fetch than to multiply.
    pub fn by_panels(m: usize, panels: usize, bytes: usize, threads: usize) -> Grid {
        let most = (TASK_BYTES / bytes).max(1);
        // As many tasks as every thread gets the same number of.
        let wanted = (threads * TASKS_PER_THREAD).max(panels.div_ceil(most));
        let panel_tasks = wanted.next_multiple_of(threads).min(panels);
        let splits = threads.div_ceil(panel_tasks).min((m / SPLIT_ROWS).max(1));
        Grid::of(m, panels, splits, panel_tasks)
    }

    fn of(m: usize, panels: usize, row_splits: usize, panel_tasks: usize) -> Grid {
        let rows = m.div_ceil(row_splits).next_multiple_of(STRIPS).max(1);
        Grid {
            rows,
            row_tasks: m.div_ceil(rows),
            panel_tasks,
            m,
            panels,
        }
    }

    /// Number of parts.
    pub fn tasks(&self) -> usize {
        self.row_tasks * self.panel_tasks
    }
    /// Part number `task`.
    pub fn part(&self, task: usize) -> Part {
        let (row, column) = (task % self.row_tasks, task / self.row_tasks);
        let from = |column: usize| column * self.panels / self.panel_tasks;
        let m0 = row * self.rows;
        Part {
            m0,
            m1: (m0 + self.rows).min(self.m),
            p0: from(column),
            p1: from(column + 1),
        }
    }
}
