//! Batched generation: the prompts' common prefix once, then slots that are refilled as soon as a row is done.

use crate::backend::Backend;
use crate::control::Control;
use crate::decoder::{Decoder, Feed, PASS_TOKENS};
use crate::model::Model;
use crate::prompt_prefixes::PromptPrefixes;
use crate::row_adapters::RowAdapters;
use crate::sampling::Sampling;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::collections::VecDeque;

/// Cached keys and values at most, in bytes: more rows than fit wait for a slot.
const CACHE_LIMIT_BYTES: usize = 4 << 30;

/// One tokenized prompt.
pub struct Prompt {
    pub tokens: Vec<u32>,
    /// Names the row in the random numbers: equal keys draw equally, whatever else is in the call.
    pub key: u64,
}

/// How a call generates.
pub struct GenerateOptions<'a> {
    pub max_new_tokens: usize,
    /// Rows in flight at a time.
    pub batch_rows: usize,
    /// `None` = greedy.
    pub sampling: Option<Sampling>,
    /// Tokens that end a row.
    pub end_ids: &'a [u32],
    /// Given the new tokens of a row, tells whether its text is complete (stop strings).
    pub stops: &'a dyn Fn(&[u32]) -> Result<bool>,
}

/// Why a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    Stop,
    Length,
}

/// New tokens of one prompt, an end token included.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    pub tokens: Vec<u32>,
    pub finish: Finish,
}

/// All rows, in the order of the prompts.
pub struct GenerateOutcome {
    pub rows: Vec<Generated>,
    /// Prompt tokens that were computed once for all rows.
    pub shared_prefix_tokens: usize,
}

/// A row in flight.
struct Active {
    prompt: usize,
    slot: usize,
    /// Number of its adapter in the call.
    adapter: Option<usize>,
    /// Tokens in the slot.
    held: usize,
    /// Tokens to be fed before the next one is picked.
    pending: Vec<u32>,
    new: Vec<u32>,
}

/// Generates for all prompts. `progress` gets (rows done, new tokens) after every pass.
///
/// A slot whose row is done gets the next waiting prompt before the next pass. A row's tokens depend on its prompt, its
/// key, its adapter and the options only: not on the other rows or `batch_rows`.
/// Errors: `RequestInvalid` for an empty prompt or one that fills the context; `Cancelled`.
pub fn generate<'a, B: Backend>(
    backend: &'a B,
    model: &'a Model<B>,
    adapters: impl Into<RowAdapters<'a, B>>,
    prompts: &'a [Prompt],
    options: &GenerateOptions<'_>,
    progress: &mut dyn FnMut(usize, usize),
    control: impl Into<Control<'a>>,
) -> Result<GenerateOutcome> {
    let control = control.into();
    check(prompts, model.shape.context_tokens)?;
    let adapters = adapters.into();
    let mut slots = Slots::new(backend, model, &adapters, prompts, options, control)?;
    let mut rows: Vec<Option<Generated>> = prompts.iter().map(|_| None).collect();
    let mut queue: VecDeque<usize> = (0..prompts.len()).collect();
    let mut active: Vec<Active> = Vec::new();
    let (mut done, mut new_tokens) = (0, 0);
    while done < prompts.len() {
        control.poll(|| format!("generating, with {done} rows done"))?;
        slots.admit(&adapters, prompts, &mut queue, &mut active)?;
        new_tokens += pass(&mut slots.decoder, &mut active, prompts, options)?;
        let mut still = Vec::with_capacity(active.len());
        for row in active {
            match finish(&row, prompts, options, model.shape.context_tokens)? {
                None => still.push(row),
                Some(finish) => {
                    done += 1;
                    slots.free.push(row.slot);
                    let tokens = row.new;
                    rows[row.prompt] = Some(Generated { tokens, finish });
                }
            }
        }
        active = still;
        progress(done, new_tokens);
    }
    Ok(GenerateOutcome {
        rows: rows.into_iter().flatten().collect(),
        shared_prefix_tokens: slots.prefixes.tokens(),
    })
}

/// Slots of the cache: those of rows first, then those of prefixes.
struct Slots<'a, B: Backend> {
    decoder: Decoder<'a, B>,
    prefixes: PromptPrefixes<'a, B>,
    rows: usize,
    free: Vec<usize>,
}

impl<'a, B: Backend> Slots<'a, B> {
    fn new(
        backend: &'a B,
        model: &'a Model<B>,
        adapters: &RowAdapters<'a, B>,
        prompts: &'a [Prompt],
        options: &GenerateOptions<'_>,
        control: Control<'a>,
    ) -> Result<Self> {
        let prefixes = PromptPrefixes::new(prompts, adapters);
        let (segment, spares) = (prefixes.segment, prefixes.spare_slots());
        let room = model.shape.context_tokens - segment;
        let own = |p: &Prompt| (p.tokens.len() - segment + options.max_new_tokens).min(room);
        let slot_tokens = prompts.iter().map(own).max().unwrap_or(0);
        let slot_bytes = slot_tokens * model.shape.kv_width() * 2 * 4 * model.shape.layers;
        let fitting = (CACHE_LIMIT_BYTES / slot_bytes.max(1)).saturating_sub(spares);
        let rows = options.batch_rows.min(prompts.len()).min(fitting).max(1);
        let shared = prompts.first().map_or(&[][..], |p| &p.tokens[..segment]);
        let adapter = adapters.of(0).map(|number| adapters.adapters()[number]);
        let mut decoder = Decoder::with_control(
            backend,
            model,
            adapter,
            shared,
            (rows + spares, slot_tokens),
            control,
        )?;
        prefixes.compute(&mut decoder, rows)?;
        Ok(Self {
            decoder,
            prefixes,
            rows,
            free: (0..rows).rev().collect(),
        })
    }

    /// Gives free slots to waiting prompts.
    fn admit(
        &mut self,
        adapters: &RowAdapters<'a, B>,
        prompts: &[Prompt],
        queue: &mut VecDeque<usize>,
        active: &mut Vec<Active>,
    ) -> Result<()> {
        while let (Some(&slot), Some(&prompt)) = (self.free.last(), queue.front()) {
            self.free.pop();
            queue.pop_front();
            let adapter = adapters.of(prompt);
            let device = adapter.map(|number| adapters.adapters()[number]);
            self.decoder.set_adapter(slot, device);
            let held = self.prefixes.start(&mut self.decoder, prompt, slot, self.rows)?;
            active.push(Active {
                prompt,
                slot,
                adapter,
                held,
                pending: prompts[prompt].tokens[self.prefixes.segment + held..].to_vec(),
                new: Vec::new(),
            });
        }
        Ok(())
    }
}

fn check(prompts: &[Prompt], context: usize) -> Result<()> {
    match prompts
        .iter()
        .position(|p| p.tokens.is_empty() || p.tokens.len() >= context)
    {
        None => Ok(()),
        Some(i) => {
            let n = prompts[i].tokens.len();
            let message = format!(
                "request {} has {n} prompt tokens; 1..{context} fit the context",
                i + 1
            );
            Err(EngineError::new(Code::RequestInvalid, message))
        }
    }
}

/// Feeds one pass: a token of every decoding row, and as much of waiting prompts as fits. Returns the tokens picked.
fn pass<B: Backend>(
    decoder: &mut Decoder<'_, B>,
    active: &mut [Active],
    prompts: &[Prompt],
    options: &GenerateOptions<'_>,
) -> Result<usize> {
    let taken = shares(active);
    let (mut feeds, mut wanted, mut fed) = (Vec::new(), Vec::new(), 0);
    for &(i, count) in &taken {
        let row = &active[i];
        feeds.push(Feed {
            slot: row.slot,
            before: row.held,
            tokens: &row.pending[..count],
        });
        fed += count;
        if count == row.pending.len() {
            wanted.push((i, (fed - 1) as u32));
        }
    }
    decoder.feed(&feeds)?;
    let picked = pick(decoder, active, &wanted, prompts, options)?;
    for (i, count) in taken {
        active[i].held += count;
        active[i].pending.drain(..count);
    }
    for ((i, _), id) in wanted.iter().zip(&picked) {
        active[*i].pending.push(*id);
        active[*i].new.push(*id);
    }
    Ok(picked.len())
}

/// (row, tokens) of the next pass, first come first served; then by adapter, so that rows of one are computed together.
fn shares(active: &[Active]) -> Vec<(usize, usize)> {
    let decoding = active.iter().filter(|r| r.pending.len() == 1).count();
    let mut budget = PASS_TOKENS.saturating_sub(decoding);
    let mut taken = Vec::with_capacity(active.len());
    for (i, row) in active.iter().enumerate() {
        if row.pending.len() == 1 {
            taken.push((i, 1));
            continue;
        }
        let count = row.pending.len().min(budget);
        budget -= count;
        if count > 0 {
            taken.push((i, count));
        }
    }
    taken.sort_by_key(|(i, _)| active[*i].adapter);
    taken
}

fn pick<B: Backend>(
    decoder: &mut Decoder<'_, B>,
    active: &[Active],
    wanted: &[(usize, u32)],
    prompts: &[Prompt],
    options: &GenerateOptions<'_>,
) -> Result<Vec<u32>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<u32> = wanted.iter().map(|(_, row)| *row).collect();
    let Some(sampling) = &options.sampling else {
        return decoder.arg_max(&rows);
    };
    let logits = decoder.logits(&rows)?;
    let width = logits.len() / rows.len();
    let draw = |((i, _), logits): (&(usize, u32), &[f32])| {
        let (row, prompt) = (&active[*i], &prompts[active[*i].prompt]);
        let seen = prompt.tokens.iter().chain(&row.new).copied();
        sampling.draw(logits, seen, prompt.key, row.new.len())
    };
    Ok(wanted.iter().zip(logits.chunks(width)).map(draw).collect())
}

fn finish(
    row: &Active,
    prompts: &[Prompt],
    options: &GenerateOptions<'_>,
    context: usize,
) -> Result<Option<Finish>> {
    let Some(last) = row.new.last().filter(|_| row.pending.len() == 1) else {
        return Ok(None);
    };
    if options.end_ids.contains(last) || (options.stops)(&row.new)? {
        return Ok(Some(Finish::Stop));
    }
    let full = prompts[row.prompt].tokens.len() + row.new.len() >= context;
    Ok((full || row.new.len() >= options.max_new_tokens).then_some(Finish::Length))
}
