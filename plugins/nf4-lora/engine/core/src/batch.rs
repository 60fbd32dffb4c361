//! Training rows packed one after the other, without padding, and their common prefix only once.
//!
//! Rows of one task start with the same system turn and instruction. All outputs there are equal, so they are computed
//! once; attention alone sees every row in full (`prefix_attention.rs`).

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

/// Whether the rows' common prefix is computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixSharing {
    /// Each row by itself: with dropout, every row draws its own mask.
    Never,
    /// When it saves more than moving rows costs.
    WhenWorthwhile,
    Always,
}

impl PrefixSharing {
    /// One mask for a prefix computed once would tie the rows' dropout together.
    pub fn of(lora_dropout: f64) -> Self {
        if lora_dropout > 0.0 {
            PrefixSharing::Never
        } else {
            PrefixSharing::WhenWorthwhile
        }
    }
}

/// Sizes of a micro-batch, or the largest of each over several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Rows that are computed.
    pub tokens: usize,
    /// Rows with the common prefix counted in every sequence; 0 when nothing is shared.
    pub full_tokens: usize,
    pub prefix_tokens: usize,
    pub labelled: usize,
}

impl Extent {
    /// What [`Batch::pack`] makes of `rows`.
    pub fn of(rows: &[&TokenRow], sharing: PrefixSharing) -> Self {
        let prefix = shared_tokens(rows, sharing);
        let full: usize = rows.iter().map(|row| row.inputs()).sum();
        Self {
            tokens: full - prefix * rows.len().saturating_sub(1),
            full_tokens: if prefix > 0 { full } else { 0 },
            prefix_tokens: prefix,
            labelled: rows.iter().map(|row| row.labelled()).sum(),
        }
    }

    /// The larger of each size.
    pub fn max(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.max(other.tokens),
            full_tokens: self.full_tokens.max(other.full_tokens),
            prefix_tokens: self.prefix_tokens.max(other.prefix_tokens),
            labelled: self.labelled.max(other.labelled),
        }
    }
}

/// Part of all token rows that must be saved before sharing pays: rows are moved around each attention.
const WORTHWHILE_PART: f64 = 0.08;

/// Length of the prefix to share. It ends before every row's first output that carries loss, so that no output of
/// the prefix has more than one target.
fn shared_tokens(rows: &[&TokenRow], sharing: PrefixSharing) -> usize {
    let Some((first, rest)) = rows.split_first() else {
        return 0;
    };
    if sharing == PrefixSharing::Never || rest.is_empty() {
        return 0;
    }
    let common = |row: &&TokenRow| {
        row.tokens
            .iter()
            .zip(&first.tokens)
            .take_while(|(a, b)| a == b)
            .count()
    };
    let limit = rows.iter().map(|r| r.labelled_from - 1).min().unwrap_or(0);
    let prefix = rest.iter().map(common).min().unwrap_or(0).min(limit);
    let full: usize = rows.iter().map(|r| r.inputs()).sum();
    let worthwhile = (prefix * rest.len()) as f64 >= WORTHWHILE_PART * full as f64;
    if worthwhile || sharing == PrefixSharing::Always {
        prefix
    } else {
        0
    }
}

/// How compact rows (prefix once) and full rows (prefix in every sequence) correspond.
pub struct SharedRows<B: Backend> {
    /// `[full_tokens] u32`: compact row of every full row.
    pub expand: GrowingIndex<B>,
    /// `[tokens] u32`: full row of every compact row; prefix rows are those of the first sequence.
    pub compact: GrowingIndex<B>,
    /// Per further sequence `[prefix_tokens] u32`: its prefix among the full rows.
    pub prefixes: Vec<GrowingIndex<B>>,
}

impl<B: Backend> SharedRows<B> {
    fn new(backend: &B) -> Result<Self> {
        let index = || GrowingIndex::new(backend);
        Ok(Self {
            expand: index()?,
            compact: index()?,
            prefixes: Vec::new(),
        })
    }

    fn set(
        &mut self,
        backend: &B,
        expand: &[u32],
        starts: &[u32],
        prefix: usize,
        tokens: usize,
    ) -> Result<()> {
        let mut compact = vec![0u32; tokens];
        // Backwards, so that the first sequence has the last word on the prefix.
        expand
            .iter()
            .enumerate()
            .rev()
            .for_each(|(full, &row)| compact[row as usize] = full as u32);
        self.expand.set(backend, expand)?;
        self.compact.set(backend, &compact)?;
        let further = &starts[1..starts.len() - 1];
        while self.prefixes.len() < further.len() {
            self.prefixes.push(GrowingIndex::new(backend)?);
        }
        for (index, &start) in self.prefixes.iter_mut().zip(further) {
            index.set(backend, &(start..start + prefix as u32).collect::<Vec<_>>())?;
        }
        Ok(())
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
    /// `T`: rows that are computed, the common prefix counted once.
    pub tokens: usize,
    /// Rows with the common prefix counted in every sequence.
    pub full_tokens: usize,
    /// Length of the common prefix, 0 when nothing is shared.
    pub prefix_tokens: usize,
    pub shared: SharedRows<B>,
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
            full_tokens: 0,
            prefix_tokens: 0,
            shared: SharedRows::new(backend)?,
            sequences: 0,
            longest: 0,
            labelled: 0,
        })
    }

    /// Packs `rows`; at most `head_rows` labelled positions go through the head at a time.
    pub fn pack(
        &mut self,
        backend: &B,
        rows: &[&TokenRow],
        head_rows: usize,
        sharing: PrefixSharing,
    ) -> Result<()> {
        let prefix = shared_tokens(rows, sharing);
        let mut ids: Vec<u32> = rows.first().map_or(Vec::new(), |r| r.tokens[..prefix].to_vec());
        let mut positions: Vec<u32> = (0..prefix as u32).collect();
        let (mut starts, mut expand) = (vec![0u32], Vec::new());
        let (mut labelled, mut targets) = (Vec::new(), Vec::new());
        for row in rows {
            // Compact row of token i of this sequence, for i >= prefix.
            let base = ids.len() - prefix;
            ids.extend_from_slice(&row.tokens[prefix..row.inputs()]);
            positions.extend(prefix as u32..row.inputs() as u32);
            expand.extend(0..prefix as u32);
            expand.extend((base + prefix) as u32..ids.len() as u32);
            // The token at index i is predicted by the output of index i - 1.
            labelled.extend((row.labelled_from..row.tokens.len()).map(|i| (base + i - 1) as u32));
            targets.extend_from_slice(&row.tokens[row.labelled_from..]);
            starts.push(expand.len() as u32);
        }
        self.tokens = ids.len();
        self.full_tokens = expand.len();
        self.sequences = rows.len();
        self.longest = rows.iter().map(|r| r.inputs()).max().unwrap_or(0);
        self.labelled = labelled.len();
        self.ids.set(backend, &ids)?;
        self.positions.set(backend, &positions)?;
        self.starts.set(backend, &starts)?;
        self.prefix_tokens = prefix;
        if prefix > 0 {
            self.shared.set(backend, &expand, &starts, prefix, self.tokens)?;
        }
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

    /// The sequences in full, as attention sees them.
    pub fn sequences(&self) -> Sequences<'_, B::Index> {
        Sequences {
            starts: &self.starts,
            count: self.sequences,
            tokens: self.full_tokens,
            longest: self.longest,
        }
    }
}
