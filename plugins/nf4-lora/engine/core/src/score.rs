//! Log-probabilities of continuations: the common prefix of all prompts once, every prompt once, then its
//! continuations.

use crate::backend::Backend;
use crate::decoder::{Decoder, Feed, PASS_TOKENS, shared_prefix};
use crate::lora::Adapter;
use crate::model::Model;
use crate::row_adapters::RowAdapters;
use escada_engine_formats::error::{Code, EngineError, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// Tokens that the slots of a call hold together, or one longer sequence: what does not fit goes into a further round.
const SLOTS_TOKENS: usize = 16 * PASS_TOKENS;

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
    let slot_tokens = requests.iter().map(|r| longest(r) - prefix).max().unwrap_or(0);
    let most_slots = (SLOTS_TOKENS / slot_tokens.max(1)).max(1);
    let groups = groups(requests, prefix, most_slots);
    let slots = groups
        .iter()
        .map(|g| wanted_slots(g).min(most_slots))
        .max()
        .unwrap_or(0);
    let shared = requests.first().map_or(&[][..], |r| &r.prompt[..prefix]);
    let mut decoder = Decoder::new(backend, model, adapter, shared, slots, slot_tokens)?;
    let mut all: Vec<Vec<Score>> = Vec::with_capacity(requests.len());
    let mut tokens = 0;
    for group in groups {
        let go_on = || {
            let message = || format!("cancelled after {} rows", all.len());
            match cancelled.load(Ordering::Relaxed) {
                true => Err(EngineError::new(Code::Cancelled, message())),
                false => Ok(()),
            }
        };
        let scores = score_group(&mut decoder, group, prefix, slots, &go_on)?;
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

/// Requests that are computed together: as many as fit one pass and have a slot each, at least one.
fn groups(requests: &[ScoreRequest], prefix: usize, most_slots: usize) -> Vec<&[ScoreRequest]> {
    let size =
        |r: &ScoreRequest| (r.prompt.len() - prefix).max(r.continuations.iter().map(Vec::len).sum::<usize>());
    let (mut groups, mut from, mut sum) = (Vec::new(), 0, 0);
    for (i, request) in requests.iter().enumerate() {
        if i > from && (sum + size(request) > PASS_TOKENS || i - from == most_slots) {
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

/// A continuation of a group's request.
#[derive(Clone, Copy)]
struct Place {
    request: usize,
    continuation: usize,
}

fn places(group: &[ScoreRequest]) -> Vec<Place> {
    let of = |(request, q): (usize, &ScoreRequest)| {
        (0..q.continuations.len()).map(move |continuation| Place {
            request,
            continuation,
        })
    };
    group.iter().enumerate().flat_map(of).collect()
}

/// Slots with which a group needs one round: each request's own, which its first continuation takes over, and one for each
/// further continuation that goes on behind its first token.
fn wanted_slots(group: &[ScoreRequest]) -> usize {
    let long = |q: &ScoreRequest| q.continuations.iter().filter(|c| c.len() > 1).count();
    group.iter().map(|q| long(q).max(1)).sum()
}

fn score_group<B: Backend>(
    decoder: &mut Decoder<'_, B>,
    group: &[ScoreRequest],
    prefix: usize,
    slots: usize,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Vec<Vec<Score>>> {
    go_on()?;
    let places = places(group);
    let mut scores: Vec<Vec<Score>> = group.iter().map(empty_scores).collect();
    score_first_tokens(decoder, group, prefix, &places, &mut scores)?;
    score_further_tokens(decoder, group, prefix, slots, go_on, &mut scores)?;
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

/// Runs the prompts, each in the slot of its number; the output of a prompt's last token weighs the first token of each
/// continuation.
fn score_first_tokens<B: Backend>(
    decoder: &mut Decoder<'_, B>,
    group: &[ScoreRequest],
    prefix: usize,
    places: &[Place],
    scores: &mut [Vec<Score>],
) -> Result<()> {
    let asked = |slot: &usize| !group[*slot].continuations.is_empty();
    let feed = |slot: usize| Feed {
        slot,
        before: 0,
        tokens: &group[slot].prompt[prefix..],
    };
    let feeds: Vec<Feed<'_>> = (0..group.len()).filter(asked).map(feed).collect();
    if feeds.is_empty() {
        return Ok(());
    }
    decoder.feed(&feeds)?;
    let mut last = vec![0u32; group.len()];
    let mut end = 0;
    for feed in &feeds {
        end += feed.tokens.len();
        last[feed.slot] = (end - 1) as u32;
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

/// Runs the continuations in rounds that fit the slots; each token weighs the one after it. `go_on` is asked before each round.
fn score_further_tokens<B: Backend>(
    decoder: &mut Decoder<'_, B>,
    group: &[ScoreRequest],
    prefix: usize,
    slots: usize,
    go_on: &dyn Fn() -> Result<()>,
    scores: &mut [Vec<Score>],
) -> Result<()> {
    let tokens = |p: &Place| group[p.request].continuations[p.continuation].as_slice();
    let mut rest: Vec<Place> = places(group);
    rest.retain(|p| tokens(p).len() > 1);
    while !rest.is_empty() {
        go_on()?;
        let lengths: Vec<(usize, usize)> = rest.iter().map(|p| (p.request, tokens(p).len() - 1)).collect();
        let places_of = round(&lengths, group.len(), slots);
        let now: Vec<Place> = rest.drain(..places_of.len()).collect();
        let prompt = |request: usize| group[request].prompt.len() - prefix;
        for (request, _) in group.iter().enumerate() {
            // The prompt in a request's own slot stays as it is: continuations lie behind it.
            let of = |(place, slot): (&Place, &usize)| {
                (place.request == request && *slot != request).then_some(*slot)
            };
            let copies: Vec<usize> = now.iter().zip(&places_of).filter_map(of).collect();
            if !copies.is_empty() {
                decoder.clone_slot(request, &copies, prompt(request))?;
            }
        }
        let feed = |(place, slot): (&Place, &usize)| Feed {
            slot: *slot,
            before: prompt(place.request),
            tokens: &tokens(place)[..tokens(place).len() - 1],
        };
        decoder.feed(&now.iter().zip(&places_of).map(feed).collect::<Vec<_>>())?;
        let targets: Vec<u32> = now.iter().flat_map(|p| &tokens(p)[1..]).copied().collect();
        let wanted: Vec<u32> = (0..targets.len() as u32).collect();
        let mut values = decoder.log_probs(&wanted, &targets)?.into_iter();
        for place in now {
            let own = values.by_ref().take(tokens(&place).len() - 1);
            scores[place.request][place.continuation].log_prob_nats += own.map(f64::from).sum::<f64>();
        }
    }
    Ok(())
}

/// Slots of the continuations of the next round, given (request, tokens) of all that are left: at least one, however long,
/// then as many as fit a pass and have a slot, their request's own or one behind those of the `requests`.
fn round(rest: &[(usize, usize)], requests: usize, slots: usize) -> Vec<usize> {
    let (mut own, mut further) = (vec![true; requests], requests..slots);
    let (mut chosen, mut sum) = (Vec::new(), 0);
    for (request, tokens) in rest {
        sum += tokens;
        if sum > PASS_TOKENS && !chosen.is_empty() {
            break;
        }
        let slot = if std::mem::take(&mut own[*request]) {
            Some(*request)
        } else {
            further.next()
        };
        match slot {
            Some(slot) => chosen.push(slot),
            None => break,
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_takes_own_slots_first_and_no_more_than_there_are() {
        let rest = [(0, 3), (0, 3), (1, 3), (1, 3), (1, 3)];
        assert_eq!(round(&rest, 2, 5), [0, 2, 1, 3, 4]);
        assert_eq!(round(&rest, 2, 3), [0, 2, 1]);
        assert_eq!(round(&rest, 2, 2), [0]);
        assert_eq!(round(&rest[3..], 2, 2), [1]);
        // However long, the first; then nothing that would not fit the pass.
        assert_eq!(round(&[(0, 9999), (1, 1)], 2, 2), [0]);
        assert_eq!(round(&[(0, PASS_TOKENS), (1, 1)], 2, 2), [0]);
        assert_eq!(round(&[(0, PASS_TOKENS - 1), (1, 1)], 2, 2), [0, 1]);
    }

    #[test]
    fn slots_hold_a_bounded_number_of_tokens() {
        let request = |continuations: usize, tokens: usize| ScoreRequest {
            prompt: vec![1; 4],
            continuations: vec![vec![1; tokens]; continuations],
        };
        // One token each: the prompt's output weighs them, no slot is needed.
        assert_eq!(wanted_slots(&[request(100, 1), request(0, 1)]), 2);
        assert_eq!(wanted_slots(&[request(100, 2), request(3, 1)]), 101);
        let all: Vec<ScoreRequest> = (0..7).map(|_| request(2, 2)).collect();
        let sizes: Vec<usize> = groups(&all, 0, 3).iter().map(|group| group.len()).collect();
        assert_eq!(sizes, [3, 3, 1]);
    }
}
