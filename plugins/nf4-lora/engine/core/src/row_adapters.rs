//! Which adapter each row of a call uses.

use crate::backend::Backend;
use crate::lora::Adapter;

/// The adapters of a call and the choice of every row.
pub struct RowAdapters<'a, B: Backend> {
    adapters: Vec<&'a Adapter<B>>,
    /// By row, a number in `adapters` or none; `None` = every row uses the first one, if there is one.
    rows: Option<Vec<Option<usize>>>,
}

impl<'a, B: Backend> From<Option<&'a Adapter<B>>> for RowAdapters<'a, B> {
    /// The same for all rows.
    fn from(adapter: Option<&'a Adapter<B>>) -> Self {
        Self {
            adapters: adapter.into_iter().collect(),
            rows: None,
        }
    }
}

impl<'a, B: Backend> RowAdapters<'a, B> {
    /// `rows[i]` numbers the adapter of row `i` in `adapters`; `None` = the base model alone.
    pub fn new(adapters: Vec<&'a Adapter<B>>, rows: Vec<Option<usize>>) -> Self {
        Self {
            adapters,
            rows: Some(rows),
        }
    }

    /// All adapters, in the order of their numbers.
    pub fn adapters(&self) -> &[&'a Adapter<B>] {
        &self.adapters
    }

    /// Number of a row's adapter.
    pub fn of(&self, row: usize) -> Option<usize> {
        match &self.rows {
            Some(rows) => rows.get(row).copied().flatten(),
            None => (!self.adapters.is_empty()).then_some(0),
        }
    }

    /// Rows `0..count` by the adapter they share, in the order of first use.
    pub fn groups(&self, count: usize) -> Vec<RowGroup<'a, B>> {
        let mut groups: Vec<RowGroup<'a, B>> = Vec::new();
        for row in 0..count {
            let number = self.of(row);
            match groups.iter_mut().find(|group| group.number == number) {
                Some(group) => group.rows.push(row),
                None => groups.push(RowGroup {
                    number,
                    adapter: number.map(|n| self.adapters[n]),
                    rows: vec![row],
                }),
            }
        }
        groups
    }
}

/// Rows that use the same adapter.
pub struct RowGroup<'a, B: Backend> {
    pub number: Option<usize>,
    pub adapter: Option<&'a Adapter<B>>,
    /// Ascending.
    pub rows: Vec<usize>,
}
