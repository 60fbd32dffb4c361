//! What prompts have in common is computed once. Keys depend on the adapter: while all rows of a call use the same one,
//! the common prefix is in the shared segment; else each adapter's rows have their own prefix, in a spare slot from
//! where it is copied into the slot of every row.

use crate::backend::Backend;
use crate::decoder::{Decoder, Feed, PASS_TOKENS, shared_prefix};
use crate::generate::Prompt;
use crate::lora::Adapter;
use crate::row_adapters::{RowAdapters, RowGroup};
use escada_engine_formats::error::Result;

/// The prefixes of one call.
pub struct PromptPrefixes<'a, B: Backend> {
    /// Tokens in the shared segment.
    pub segment: usize,
    spares: Vec<Spare<'a, B>>,
    /// By row, the number of its spare.
    of_row: Vec<Option<usize>>,
}

/// A prefix in a slot of its own.
struct Spare<'a, B: Backend> {
    adapter: Option<&'a Adapter<B>>,
    tokens: &'a [u32],
}

impl<'a, B: Backend> PromptPrefixes<'a, B> {
    pub fn new(prompts: &'a [Prompt], adapters: &RowAdapters<'a, B>) -> Self {
        let groups = adapters.groups(prompts.len());
        let mut prefixes = Self {
            segment: 0,
            spares: Vec::new(),
            of_row: vec![None; prompts.len()],
        };
        if groups.len() <= 1 {
            prefixes.segment = shared_prefix(prompts.iter().map(|p| p.tokens.as_slice()));
            return prefixes;
        }
        for group in &groups {
            prefixes.add_spare(prompts, group);
        }
        prefixes
    }

    fn add_spare(&mut self, prompts: &'a [Prompt], group: &RowGroup<'a, B>) {
        let length = shared_prefix(group.rows.iter().map(|&row| prompts[row].tokens.as_slice()));
        if group.rows.len() < 2 || length == 0 {
            return;
        }
        for &row in &group.rows {
            self.of_row[row] = Some(self.spares.len());
        }
        self.spares.push(Spare {
            adapter: group.adapter,
            tokens: &prompts[group.rows[0]].tokens[..length],
        });
    }

    /// Slots that `compute` fills.
    pub fn spare_slots(&self) -> usize {
        self.spares.len()
    }

    /// Prompt tokens that are computed once for several rows.
    pub fn tokens(&self) -> usize {
        self.segment + self.spares.iter().map(|spare| spare.tokens.len()).sum::<usize>()
    }

    /// Computes all prefixes into the slots `first ..`.
    pub fn compute(&self, decoder: &mut Decoder<'a, B>, first: usize) -> Result<()> {
        for (spare, slot) in self.spares.iter().zip(first..) {
            decoder.set_adapter(slot, spare.adapter);
            for (i, tokens) in spare.tokens.chunks(PASS_TOKENS).enumerate() {
                let before = i * PASS_TOKENS;
                decoder.feed(&[Feed { slot, before, tokens }])?;
            }
        }
        Ok(())
    }

    /// Puts a row's prefix into its slot; `first` as in `compute`. Returns the tokens the slot holds then.
    pub fn start(
        &self,
        decoder: &mut Decoder<'a, B>,
        row: usize,
        slot: usize,
        first: usize,
    ) -> Result<usize> {
        let Some(spare) = self.of_row[row] else {
            return Ok(0);
        };
        let held = self.spares[spare].tokens.len();
        decoder.clone_slot(first + spare, &[slot], held)?;
        Ok(held)
    }
}
