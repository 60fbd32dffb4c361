//! Log-probabilities of continuations: the common prefix of all prompts once, every prompt once, then its
//! continuations.

mod rounds;

use crate::backend::Backend;
use crate::control::Control;
use crate::decoder::{Decoder, Feed, shared_prefix};
use crate::lora::Adapter;
use crate::model::Model;
use crate::row_adapters::RowAdapters;
use escada_engine_formats::error::{Code, EngineError, Result};
use rounds::{Place, groups, most_slots, places, round, wanted_slots};

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
    control: impl Into<Control<'a>>,
) -> Result<Vec<Vec<Score>>> {
    let control = control.into();
    check(requests, model.shape.context_tokens)?;
    let groups = adapters.into().groups(requests.len());
    if let [all] = groups.as_slice() {
        return score_alike(backend, model, all.adapter, requests, progress, control);
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
        let found = score_alike(backend, model, group.adapter, &own, &mut count, control)?;
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
    control: Control<'_>,
) -> Result<Vec<Vec<Score>>> {
    let prefix = shared_prefix(requests.iter().map(|r| r.prompt.as_slice()));
    let slot_tokens = requests.iter().map(|r| longest(r) - prefix).max().unwrap_or(0);
    let most_slots = most_slots(slot_tokens);
    let groups = groups(requests, prefix, most_slots);
    let slots = groups
        .iter()
        .map(|g| wanted_slots(g).min(most_slots))
        .max()
        .unwrap_or(0);
    let shared = requests.first().map_or(&[][..], |r| &r.prompt[..prefix]);
    let mut decoder = Decoder::with_control(backend, model, adapter, shared, (slots, slot_tokens), control)?;
    let mut all: Vec<Vec<Score>> = Vec::with_capacity(requests.len());
    let mut tokens = 0;
    for group in groups {
        let go_on = || control.poll(|| format!("scoring, with {} rows done", all.len()));
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
