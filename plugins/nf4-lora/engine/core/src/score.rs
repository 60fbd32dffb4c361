//! Log-probabilities of continuations: the common prefix of all prompts once, every prompt once, then its
//! continuations.

use crate::backend::Backend;
use crate::decoder::{Decoder, Feed, PASS_TOKENS, shared_prefix};
use crate::lora::Adapter;
use crate::model::Model;
use crate::row_adapters::RowAdapters;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// A prompt and the continuations to be weighed, all tokenized and none empty.
#[derive(Clone)]
pub struct ScoreRequest {
    pub prompt: Vec<u32>,
    pub continuations: Vec<Vec<u32>>,
}

/// Sum of the log-probabilities of one continuation's tokens, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    pub log_prob_nats: f64,
    pub tokens: usize,
}

/// Scores of every request's continuations, in order. `progress` gets (requests done, continuation tokens done).
/// Requests with the same adapter are computed together.
///
/// Errors: `RequestInvalid` for an empty prompt or continuation, or one beyond the context; `Cancelled`.
pub fn score<'a, B: Backend>(
    backend: &B,
    model: &Model<B>,
    adapters: impl Into<RowAdapters<'a, B>>,
    requests: &[ScoreRequest],
    progress: &mut dyn FnMut(usize, usize),
    cancelled: &AtomicBool,
) -> Result<Vec<Vec<Score>>> {
    check(requests, model.shape.context_tokens)?;
    let groups = adapters.into().groups(requests.len());
    if let [all] = groups.as_slice() {
        return score_alike(backend, model, all.adapter, requests, progress, cancelled);
    }
    let mut scores: Vec<Vec<Score>> = requests.iter().map(|_| Vec::new()).collect();
    let mut before = (0, 0);
    for group in groups {
        let own: Vec<ScoreRequest> = group.rows.iter().map(|&row| requests[row].clone()).collect();
        let mut now = before;
        let mut count = |done, tokens| {
            now = (before.0 + done, before.1 + tokens);
            progress(now.0, now.1);
        };
        let found = score_alike(backend, model, group.adapter, &own, &mut count, cancelled)?;
        for (row, found) in group.rows.iter().zip(found) {
            scores[*row] = found;
        }
        before = now;
    }
    Ok(scores)
}

fn score_alike<B: Backend>(
    backend: &B,
    model: &Model<B>,
    adapter: Option<&Adapter<B>>,
    requests: &[ScoreRequest],
    progress: &mut dyn FnMut(usize, usize),
    cancelled: &AtomicBool,
) -> Result<Vec<Vec<Score>>> {
    let prefix = shared_prefix(requests.iter().map(|r| r.prompt.as_slice()));
    let groups = groups(requests, prefix);
    let slots = groups.iter().map(|g| places(g).len()).max().unwrap_or(0);
    let slot_tokens = requests.iter().map(|r| longest(r) - prefix).max().unwrap_or(0);
    let shared = requests.first().map_or(&[][..], |r| &r.prompt[..prefix]);
    let mut decoder = Decoder::new(backend, model, adapter, shared, slots, slot_tokens)?;
    let mut all: Vec<Vec<Score>> = Vec::with_capacity(requests.len());
    let mut tokens = 0;
    for group in groups {
        if cancelled.load(Ordering::Relaxed) {
            return Err(EngineError::new(
                Code::Cancelled,
                format!("cancelled after {} rows", all.len()),
            ));
        }
        let scores = score_group(&mut decoder, group, prefix)?;
        tokens += scores.iter().flatten().map(|s| s.tokens).sum::<usize>();
        all.extend(scores);
        progress(all.len(), tokens);
    }
    Ok(all)
}

/// Tokens of a request's longest sequence.
fn longest(request: &ScoreRequest) -> usize {
    request.prompt.len() + request.continuations.iter().map(Vec::len).max().unwrap_or(0)
}

fn check(requests: &[ScoreRequest], context: usize) -> Result<()> {
    let refuse = |i: usize, what: &str| {
        Err(EngineError::new(
            Code::RequestInvalid,
            format!("request {}: {what}", i + 1),
        ))
    };
    for (i, request) in requests.iter().enumerate() {
        if request.prompt.is_empty() || request.continuations.iter().any(Vec::is_empty) {
            return refuse(i, "the prompt or a continuation has no tokens");
        }
        if longest(request) > context {
            return refuse(
                i,
                &format!("{} tokens do not fit the context of {context}", longest(request)),
            );
        }
    }
    Ok(())
}

/// Requests that are computed together: as many as fit one pass, at least one.
fn groups(requests: &[ScoreRequest], prefix: usize) -> Vec<&[ScoreRequest]> {
    let size =
        |r: &ScoreRequest| (r.prompt.len() - prefix).max(r.continuations.iter().map(Vec::len).sum::<usize>());
    let (mut groups, mut from, mut sum) = (Vec::new(), 0, 0);
    for (i, request) in requests.iter().enumerate() {
        if i > from && sum + size(request) > PASS_TOKENS {
            groups.push(&requests[from..i]);
            (from, sum) = (i, 0);
        }
        sum += size(request);
    }
    if from < requests.len() {
        groups.push(&requests[from..]);
    }
    groups
}

/// A sequence of a group that has its slot.
struct Place {
    request: usize,
    continuation: usize,
    slot: usize,
}

fn places(group: &[ScoreRequest]) -> Vec<Place> {
    let pairs = group
        .iter()
        .enumerate()
        .flat_map(|(r, q)| (0..q.continuations.len()).map(move |c| (r, c)));
    pairs
        .enumerate()
        .map(|(slot, (request, continuation))| Place {
            request,
            continuation,
            slot,
        })
        .collect()
}

fn score_group<B: Backend>(
    decoder: &mut Decoder<'_, B>,
    group: &[ScoreRequest],
    prefix: usize,
) -> Result<Vec<Vec<Score>>> {
    let places = places(group);
    let mut scores: Vec<Vec<Score>> = group.iter().map(empty_scores).collect();
    score_first_tokens(decoder, group, prefix, &places, &mut scores)?;
    for (request, q) in group
        .iter()
        .enumerate()
        .filter(|(_, q)| q.continuations.iter().any(|c| c.len() > 1))
    {
        let slots: Vec<usize> = places
            .iter()
            .filter(|p| p.request == request)
            .map(|p| p.slot)
            .collect();
        decoder.clone_slot(slots[0], &slots[1..], q.prompt.len() - prefix)?;
    }
    score_further_tokens(decoder, group, prefix, &places, &mut scores)?;
    Ok(scores)
}

fn empty_scores(request: &ScoreRequest) -> Vec<Score> {
    request
        .continuations
        .iter()
        .map(|c| Score {
            log_prob_nats: 0.0,
            tokens: c.len(),
        })
        .collect()
}

/// Runs the prompts; the output of a prompt's last token weighs the first token of each continuation.
fn score_first_tokens<B: Backend>(
    decoder: &mut Decoder<'_, B>,
    group: &[ScoreRequest],
    prefix: usize,
    places: &[Place],
    scores: &mut [Vec<Score>],
) -> Result<()> {
    let firsts: Vec<&Place> = places.iter().filter(|p| p.continuation == 0).collect();
    if firsts.is_empty() {
        return Ok(());
    }
    let feed = |p: &&Place| Feed {
        slot: p.slot,
        before: 0,
        tokens: &group[p.request].prompt[prefix..],
    };
    let feeds: Vec<Feed<'_>> = firsts.iter().map(feed).collect();
    decoder.feed(&feeds)?;
    let mut last = vec![0u32; group.len()];
    let mut end = 0;
    for (place, feed) in firsts.iter().zip(&feeds) {
        end += feed.tokens.len();
        last[place.request] = (end - 1) as u32;
    }
    let wanted: Vec<u32> = places.iter().map(|p| last[p.request]).collect();
    let targets: Vec<u32> = places
        .iter()
        .map(|p| group[p.request].continuations[p.continuation][0])
        .collect();
    for (place, value) in places.iter().zip(decoder.log_probs(&wanted, &targets)?) {
        scores[place.request][place.continuation].log_prob_nats += f64::from(value);
    }
    Ok(())
}

/// Runs the continuations; each token weighs the one after it.
fn score_further_tokens<B: Backend>(
    decoder: &mut Decoder<'_, B>,
    group: &[ScoreRequest],
    prefix: usize,
    places: &[Place],
    scores: &mut [Vec<Score>],
) -> Result<()> {
    let tokens = |p: &Place| group[p.request].continuations[p.continuation].as_slice();
    let mut rest: Vec<&Place> = places.iter().filter(|p| tokens(p).len() > 1).collect();
    while !rest.is_empty() {
        // At least one sequence a pass, however long.
        let lengths = rest.iter().scan(0, |sum, p| {
            *sum += tokens(p).len() - 1;
            Some(*sum)
        });
        let count = lengths.take_while(|sum| *sum <= PASS_TOKENS).count().max(1);
        let now: Vec<&Place> = rest.drain(..count).collect();
        let feed = |p: &&Place| {
            let tokens = tokens(p);
            Feed {
                slot: p.slot,
                before: group[p.request].prompt.len() - prefix,
                tokens: &tokens[..tokens.len() - 1],
            }
        };
        decoder.feed(&now.iter().map(feed).collect::<Vec<_>>())?;
        let targets: Vec<u32> = now.iter().flat_map(|p| &tokens(p)[1..]).copied().collect();
        let wanted: Vec<u32> = (0..targets.len() as u32).collect();
        let mut values = decoder.log_probs(&wanted, &targets)?.into_iter();
        for place in now {
            let own = values.by_ref().take(tokens(place).len() - 1);
            scores[place.request][place.continuation].log_prob_nats += own.map(f64::from).sum::<f64>();
        }
    }
    Ok(())
}
