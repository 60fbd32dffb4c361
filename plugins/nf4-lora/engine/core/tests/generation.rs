//! Generation and scoring: independent of batching, slots and shared prefixes; equal to the plain computation.
#![allow(clippy::unwrap_used)]

use escada_engine_core::backend::Backend;
use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::generate::{Finish, GenerateOptions, Generated, Prompt, generate};
use escada_engine_core::lora::Adapter;
use escada_engine_core::model::Model;
use escada_engine_core::reference::Reference;
use escada_engine_core::sampling::Sampling;
use escada_engine_core::score::{ScoreRequest, score};
use escada_engine_core::testing::{random_adapter, random_model, tiny_shape};
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::error::Code;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn prompts(shared: usize) -> Vec<Prompt> {
    let prompt = |i: u32| {
        let mut tokens: Vec<u32> = (0..shared as u32).map(|j| (j * 7 + 1) % 37).collect();
        tokens.extend((0..1 + i % 5).map(|j| (i * 11 + j * 3) % 37));
        Prompt {
            tokens,
            key: u64::from(i),
        }
    };
    (0..9).map(prompt).collect()
}

struct Fixture<B: Backend> {
    backend: B,
    model: Model<B>,
    adapter: Adapter<B>,
}

fn fixture<B: Backend>(backend: B) -> Fixture<B> {
    let shape = tiny_shape();
    let model = random_model(&backend, shape.clone(), 7).unwrap();
    let adapter = random_adapter(&backend, &shape, 3, 11).unwrap();
    Fixture {
        backend,
        model,
        adapter,
    }
}

impl<B: Backend> Fixture<B> {
    fn run(&self, prompts: &[Prompt], batch_rows: usize, sampling: Option<Sampling>) -> Vec<Generated> {
        let options = GenerateOptions {
            max_new_tokens: 12,
            batch_rows,
            sampling,
            end_ids: &[5],
            stops: &|ids| Ok(ids.ends_with(&[9])),
        };
        let flag = AtomicBool::new(false);
        let mut seen = Vec::new();
        let mut progress = |done, tokens| seen.push((done, tokens));
        let (backend, adapter) = (&self.backend, Some(&self.adapter));
        let outcome = generate(
            backend,
            &self.model,
            adapter,
            prompts,
            &options,
            &mut progress,
            &flag,
        )
        .unwrap();
        let tokens: usize = outcome.rows.iter().map(|r| r.tokens.len()).sum();
        assert_eq!(*seen.last().unwrap(), (prompts.len(), tokens));
        outcome.rows
    }

    /// Greedy generation by computing everything again for every token.
    fn plain(&self, prompt: &[u32]) -> Vec<u32> {
        let mut all = prompt.to_vec();
        while all.len() < prompt.len() + 12 {
            let mut decoder =
                Decoder::new(&self.backend, &self.model, Some(&self.adapter), &[], 1, all.len()).unwrap();
            decoder
                .feed(&[Feed {
                    slot: 0,
                    before: 0,
                    tokens: &all,
                }])
                .unwrap();
            let next = decoder.arg_max(&[all.len() as u32 - 1]).unwrap()[0];
            all.push(next);
            if [5, 9].contains(&next) {
                break;
            }
        }
        all.split_off(prompt.len())
    }
}

fn greedy_is_independent_of_batching<B: Backend>(f: Fixture<B>) {
    for shared in [0, 17] {
        let prompts = prompts(shared);
        let expected: Vec<Vec<u32>> = prompts.iter().map(|p| f.plain(&p.tokens)).collect();
        for batch_rows in [1, 2, 4, 16] {
            let rows = f.run(&prompts, batch_rows, None);
            let tokens: Vec<Vec<u32>> = rows.iter().map(|r| r.tokens.clone()).collect();
            assert_eq!(tokens, expected, "shared {shared}, rows {batch_rows}");
            for row in rows {
                let ended = [5, 9].contains(row.tokens.last().unwrap());
                assert_eq!(row.finish, if ended { Finish::Stop } else { Finish::Length });
            }
        }
    }
}

#[test]
fn greedy_on_the_reference() {
    greedy_is_independent_of_batching(fixture(Reference));
}

#[test]
fn greedy_on_the_cpu() {
    greedy_is_independent_of_batching(fixture(CpuBackend::new(2).unwrap()));
}

#[test]
fn sampled_rows_do_not_depend_on_their_neighbours() {
    let f = fixture(CpuBackend::new(1).unwrap());
    let sampling = Sampling {
        temperature: 1.3,
        top_k: 30,
        top_p: 0.9,
        min_p: 0.01,
        repetition_penalty: 1.1,
        seed: 4,
    };
    let all = f.run(&prompts(17), 4, Some(sampling));
    for (i, prompt) in prompts(17).into_iter().enumerate() {
        assert_eq!(f.run(&[prompt], 1, Some(sampling))[0], all[i]);
    }
    let other = f.run(&prompts(17), 4, Some(Sampling { seed: 5, ..sampling }));
    assert_ne!(all, other);
}

#[test]
fn a_shared_prefix_gives_the_same_bits() {
    let f = fixture(CpuBackend::new(2).unwrap());
    let tokens: Vec<u32> = (0..40).map(|i| (i * 13 + 2) % 37).collect();
    let last = |prefix: usize| {
        let mut decoder =
            Decoder::new(&f.backend, &f.model, Some(&f.adapter), &tokens[..prefix], 2, 40).unwrap();
        decoder
            .feed(&[Feed {
                slot: 1,
                before: 0,
                tokens: &tokens[prefix..],
            }])
            .unwrap();
        decoder.logits(&[(tokens.len() - prefix - 1) as u32]).unwrap()
    };
    let plain = last(0);
    for prefix in [1, 16, 31, 39] {
        assert_eq!(last(prefix), plain, "prefix {prefix}");
    }
}

#[test]
fn the_context_ends_a_row() {
    let f = fixture(Reference);
    let prompt = Prompt {
        tokens: (0..60).map(|i| i % 5).collect(),
        key: 0,
    };
    let rows = f.run(&[prompt], 1, None);
    assert!(rows[0].tokens.len() <= 4);
    let full = Prompt {
        tokens: vec![1; 64],
        key: 0,
    };
    let options = GenerateOptions {
        max_new_tokens: 1,
        batch_rows: 1,
        sampling: None,
        end_ids: &[],
        stops: &|_| Ok(false),
    };
    let flag = AtomicBool::new(false);
    let error = generate(
        &f.backend,
        &f.model,
        None,
        &[full],
        &options,
        &mut |_, _| (),
        &flag,
    );
    assert_eq!(error.err().unwrap().code, Code::RequestInvalid);
}

#[test]
fn scores_are_sums_of_token_log_probabilities() {
    let f = fixture(CpuBackend::new(2).unwrap());
    let request = |i: u32| ScoreRequest {
        prompt: prompts(6)[i as usize].tokens.clone(),
        continuations: (0..i % 4)
            .map(|c| (0..1 + (c + i) % 3).map(|j| (c * 5 + j) % 37).collect())
            .collect(),
    };
    let requests: Vec<ScoreRequest> = (0..9).map(request).collect();
    let flag = AtomicBool::new(false);
    let scores = score(
        &f.backend,
        &f.model,
        Some(&f.adapter),
        &requests,
        &mut |_, _| (),
        &flag,
    )
    .unwrap();
    assert_eq!(scores.len(), 9);
    for (request, scores) in requests.iter().zip(&scores) {
        assert_eq!(scores.len(), request.continuations.len());
        for (continuation, score) in request.continuations.iter().zip(scores) {
            let all: Vec<u32> = request.prompt.iter().chain(continuation).copied().collect();
            let mut decoder =
                Decoder::new(&f.backend, &f.model, Some(&f.adapter), &[], 1, all.len()).unwrap();
            decoder
                .feed(&[Feed {
                    slot: 0,
                    before: 0,
                    tokens: &all,
                }])
                .unwrap();
            let from = request.prompt.len() as u32;
            let wanted: Vec<u32> = (from - 1..all.len() as u32 - 1).collect();
            let sum: f64 = decoder
                .log_probs(&wanted, continuation)
                .unwrap()
                .iter()
                .map(|&x| f64::from(x))
                .sum();
            assert!(
                (score.log_prob_nats - sum).abs() < 1e-6,
                "{} {sum}",
                score.log_prob_nats
            );
            assert_eq!(score.tokens, continuation.len());
        }
    }
}

#[test]
fn scoring_stops_between_the_rounds_of_a_single_request() {
    let f = fixture(CpuBackend::new(2).unwrap());
    let request = |continuations: usize| ScoreRequest {
        prompt: vec![1, 2, 3],
        continuations: vec![vec![4; 50]; continuations],
    };
    let (flag, adapter) = (AtomicBool::new(false), Some(&f.adapter));
    let run = |count| {
        score(
            &f.backend,
            &f.model,
            adapter,
            &[request(count)],
            &mut |_, _| (),
            &flag,
        )
    };
    // Ten of them go together: thousands of rounds, seconds of work.
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            flag.store(true, Ordering::Relaxed);
        });
        run(20_000).map(|scores| scores.len()).unwrap_err()
    });
    assert_eq!(error.code, Code::Cancelled);
    flag.store(false, Ordering::Relaxed);
    assert_eq!(run(20).unwrap()[0].len(), 20);
}

#[test]
fn many_continuations_in_few_slots_score_as_each_alone() {
    let f = fixture(CpuBackend::new(2).unwrap());
    // With 58 tokens a sequence 141 slots are allowed: 400 continuations need more than one round.
    let prompt = |i: u32| (0..54).map(|j| (i + j * 7) % 37).collect::<Vec<u32>>();
    let continuation = |c: u32| (0..1 + c % 4).map(|j| (c * 5 + j * 3 + c / 37) % 37).collect();
    let request = |i: u32, count: u32| ScoreRequest {
        prompt: prompt(i),
        continuations: (0..count).map(continuation).collect(),
    };
    let requests = [request(0, 400), request(1, 3), request(2, 150)];
    let run = |requests: &[ScoreRequest]| {
        let (adapter, flag) = (Some(&f.adapter), AtomicBool::new(false));
        score(&f.backend, &f.model, adapter, requests, &mut |_, _| (), &flag).unwrap()
    };
    for (request, scores) in requests.iter().zip(run(&requests)) {
        for (continuation, together) in request.continuations.iter().zip(scores).step_by(7) {
            let alone = ScoreRequest {
                prompt: request.prompt.clone(),
                continuations: vec![continuation.clone()],
            };
            assert_eq!(run(&[alone]), [[together]], "{continuation:?}");
        }
    }
}
