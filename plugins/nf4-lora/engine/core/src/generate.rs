//! Batched generation: the prompts' common prefix once, then slots that are refilled as soon as a row is done.

use crate::backend::Backend;
use crate::decoder::{Decoder, Feed, PASS_TOKENS, shared_prefix};
use crate::lora::Adapter;
use crate::model::Model;
use crate::sampling::Sampling;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Tokens in the slot.
    held: usize,
    /// Tokens to be fed before the next one is picked.
    pending: Vec<u32>,
    new: Vec<u32>,
}

/// Generates for all prompts. `progress` gets (rows done, new tokens) after every pass.
///
/// A row's tokens depend on its prompt, its key and the options only: not on the other rows or `batch_rows`.
/// Errors: `RequestInvalid` for an empty prompt or one that fills the context; `Cancelled`.
pub fn generate<B: Backend>(
    backend: &B,
    model: &Model<B>,
    adapter: Option<&Adapter<B>>,
    prompts: &[Prompt],
    options: &GenerateOptions<'_>,
    progress: &mut dyn FnMut(usize, usize),
    cancelled: &AtomicBool,
) -> Result<GenerateOutcome> {
    let context = model.shape.context_tokens;
    check(prompts, context)?;
    let prefix = shared_prefix(prompts.iter().map(|p| p.tokens.as_slice()));
    let own = |p: &Prompt| (p.tokens.len() - prefix + options.max_new_tokens).min(context - prefix);
    let slot_tokens = prompts.iter().map(own).max().unwrap_or(0);
    let slot_bytes = slot_tokens * model.shape.kv_width() * 2 * 4 * model.shape.layers;
    let slots = options
        .batch_rows
        .min(prompts.len())
        .min(CACHE_LIMIT_BYTES / slot_bytes.max(1))
        .max(1);
    let shared = prompts.first().map_or(&[][..], |p| &p.tokens[..prefix]);
    let mut decoder = Decoder::new(backend, model, adapter, shared, slots, slot_tokens)?;
    let mut rows: Vec<Option<Generated>> = prompts.iter().map(|_| None).collect();
    let mut queue: VecDeque<usize> = (0..prompts.len()).collect();
    let mut free: Vec<usize> = (0..slots).rev().collect();
    let mut active: Vec<Active> = Vec::new();
    let (mut done, mut new_tokens) = (0, 0);
    while done < prompts.len() {
        if cancelled.load(Ordering::Relaxed) {
            return Err(EngineError::new(
                Code::Cancelled,
                format!("cancelled after {done} rows"),
            ));
        }
        while let (Some(&slot), Some(&prompt)) = (free.last(), queue.front()) {
            free.pop();
            queue.pop_front();
            let pending = prompts[prompt].tokens[prefix..].to_vec();
            active.push(Active {
                prompt,
                slot,
                held: 0,
                pending,
                new: Vec::new(),
            });
        }
        new_tokens += pass(&mut decoder, &mut active, prompts, options)?;
        let mut still = Vec::with_capacity(active.len());
        for row in active {
            match finish(&row, prompts, options, context)? {
                None => still.push(row),
                Some(finish) => {
                    done += 1;
                    free.push(row.slot);
                    rows[row.prompt] = Some(Generated {
                        tokens: row.new,
                        finish,
                    });
                }
            }
        }
        active = still;
        progress(done, new_tokens);
    }
    Ok(GenerateOutcome {
        rows: rows.into_iter().flatten().collect(),
        shared_prefix_tokens: prefix,
    })
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
    let decoding = active.iter().filter(|r| r.pending.len() == 1).count();
    let mut budget = PASS_TOKENS.saturating_sub(decoding);
    let (mut feeds, mut wanted, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    let mut fed = 0;
    for (i, row) in active.iter().enumerate() {
        let count = if row.pending.len() == 1 {
            1
        } else {
            row.pending.len().min(budget)
        };
        if count == 0 {
            continue;
        }
        budget -= if row.pending.len() == 1 { 0 } else { count };
        feeds.push(Feed {
            slot: row.slot,
            before: row.held,
            tokens: &row.pending[..count],
        });
        fed += count;
        taken.push((i, count));
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
        sampling.draw(logits, prompts[active[*i].prompt].key, active[*i].new.len())
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
