//! Training rows packed one after the other, without padding.

use crate::backend::{Backend, Sequences};
use crate::buffers::GrowingIndex;
use escada_engine_formats::error::Result;

/// One tokenized training row; the loss covers `tokens[labelled_from ..]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRow {
    pub tokens: Vec<u32>,
    /// Index of the first labelled token, at least 1.
    pub labelled_from: usize,
}

impl TokenRow {
    /// Tokens that carry loss.
    pub fn labelled(&self) -> usize {
        self.tokens.len() - self.labelled_from
    }

    /// Tokens that are computed: the last one is only a target.
    pub fn inputs(&self) -> usize {
        self.tokens.len() - 1
    }
}

/// A micro-batch on the device.
pub struct Batch<B: Backend> {
    /// `[T] u32`
    pub ids: GrowingIndex<B>,
    /// `[T] u32`, counted from the row's start.
    pub positions: GrowingIndex<B>,
    /// `[S+1] u32`
    pub starts: GrowingIndex<B>,
    /// Per chunk of the head: `[≤ chunk] u32` token rows whose output is compared, and their targets.
    pub chunks: Vec<HeadChunk<B>>,
    pub chunk_count: usize,
    pub tokens: usize,
    pub sequences: usize,
    pub longest: usize,
    pub labelled: usize,
}

/// Labelled positions whose logits are computed together.
pub struct HeadChunk<B: Backend> {
    /// `[rows] u32`: token row in the batch.
    pub rows: GrowingIndex<B>,
    /// `[rows] u32`: token id wanted there.
    pub targets: GrowingIndex<B>,
    pub count: usize,
}

impl<B: Backend> Batch<B> {
    pub fn new(backend: &B) -> Result<Self> {
        let index = || GrowingIndex::new(backend);
        Ok(Self {
            ids: index()?,
            positions: index()?,
            starts: index()?,
            chunks: Vec::new(),
            chunk_count: 0,
            tokens: 0,
            sequences: 0,
            longest: 0,
            labelled: 0,
        })
    }

    /// Packs `rows`; at most `head_rows` labelled positions go through the head at a time.
    pub fn pack(&mut self, backend: &B, rows: &[&TokenRow], head_rows: usize) -> Result<()> {
        let (mut ids, mut positions, mut starts) = (Vec::new(), Vec::new(), vec![0u32]);
        let (mut labelled, mut targets) = (Vec::new(), Vec::new());
        for row in rows {
            let base = ids.len();
            ids.extend_from_slice(&row.tokens[..row.inputs()]);
            positions.extend(0..row.inputs() as u32);
            // The token at index i is predicted by the output of index i - 1.
            labelled.extend((row.labelled_from..row.tokens.len()).map(|i| (base + i - 1) as u32));
            targets.extend_from_slice(&row.tokens[row.labelled_from..]);
            starts.push(ids.len() as u32);
        }
        self.tokens = ids.len();
        self.sequences = rows.len();
        self.longest = rows.iter().map(|r| r.inputs()).max().unwrap_or(0);
        self.labelled = labelled.len();
        self.ids.set(backend, &ids)?;
        self.positions.set(backend, &positions)?;
        self.starts.set(backend, &starts)?;
        self.pack_head(backend, &labelled, &targets, head_rows)
    }

    fn pack_head(&mut self, backend: &B, rows: &[u32], targets: &[u32], head_rows: usize) -> Result<()> {
        self.chunk_count = rows.len().div_ceil(head_rows);
        while self.chunks.len() < self.chunk_count {
            let (rows, targets) = (GrowingIndex::new(backend)?, GrowingIndex::new(backend)?);
            self.chunks.push(HeadChunk {
                rows,
                targets,
                count: 0,
            });
        }
        for (chunk, (rows, targets)) in self
            .chunks
            .iter_mut()
            .zip(rows.chunks(head_rows).zip(targets.chunks(head_rows)))
        {
            chunk.count = rows.len();
            chunk.rows.set(backend, rows)?;
            chunk.targets.set(backend, targets)?;
        }
        Ok(())
    }

    pub fn sequences(&self) -> Sequences<'_, B::Index> {
        Sequences {
            starts: &self.starts,
            count: self.sequences,
            tokens: self.tokens,
            longest: self.longest,
        }
    }
}
