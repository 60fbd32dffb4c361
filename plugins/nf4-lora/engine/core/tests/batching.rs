//! Continuous batching: which row is in which slot when decides nothing but the time; rows of one batch may use
//! different adapters.
#![allow(clippy::unwrap_used)]

use escada_engine_core::generate::{GenerateOptions, Generated, Prompt, generate};
use escada_engine_core::lora::Adapter;
use escada_engine_core::model::Model;
use escada_engine_core::row_adapters::RowAdapters;
use escada_engine_core::sampling::Sampling;
use escada_engine_core::shape::ModelShape;
use escada_engine_core::testing::{random_adapter, random_model, tiny_shape};
use escada_engine_cpu::CpuBackend;
use std::sync::atomic::AtomicBool;

const SAMPLED: Sampling = Sampling {
    temperature: 1.2,
    top_p: 0.95,
    seed: 3,
    ..Sampling::PLAIN
};

/// Model, and three adapters of which the last has another rank.
struct Fixture {
    backend: CpuBackend,
    model: Model<CpuBackend>,
    adapters: Vec<Adapter<CpuBackend>>,
}

fn fixture(threads: usize) -> Fixture {
    let backend = CpuBackend::new(threads).unwrap();
    let shape = ModelShape {
        context_tokens: 1024,
        ..tiny_shape()
    };
    let model = random_model(&backend, shape.clone(), 7).unwrap();
    let adapters =
        [(3, 11), (3, 12), (5, 13)].map(|(rank, seed)| random_adapter(&backend, &shape, rank, seed).unwrap());
    Fixture {
        backend,
        model,
        adapters: adapters.into(),
    }
}

/// Prompts of 1 to 700 own tokens behind `shared` common ones: several passes' worth.
fn prompts(shared: usize) -> Vec<Prompt> {
    let lengths = [3, 700, 1, 40, 1, 530, 9, 2, 300, 1, 17, 64];
    let prompt = |(i, length): (usize, &usize)| Prompt {
        tokens: (0..shared)
            .map(|j| (j * 7 + 1) % 37)
            .chain((0..*length).map(|j| (i * 11 + j * 3 + j * j) % 37))
            .map(|id| id as u32)
            .collect(),
        key: i as u64,
    };
    lengths.iter().enumerate().map(prompt).collect()
}

/// What a run does besides its rows.
struct Run {
    rows: Vec<Generated>,
    shared_prefix_tokens: usize,
    passes: usize,
}

impl Fixture {
    /// `choice[i]` = number of the adapter of prompt `i`.
    fn run(
        &self,
        prompts: &[Prompt],
        choice: &[Option<usize>],
        batch_rows: usize,
        sampling: Option<Sampling>,
    ) -> Run {
        let options = GenerateOptions {
            max_new_tokens: 40,
            batch_rows,
            sampling,
            end_ids: &[5, 6],
            stops: &|ids| Ok(ids.ends_with(&[9])),
        };
        let adapters = RowAdapters::new(self.adapters.iter().collect(), choice.to_vec());
        let mut passes = 0;
        let outcome = generate(
            &self.backend,
            &self.model,
            adapters,
            prompts,
            &options,
            &mut |_, _| passes += 1,
            &AtomicBool::new(false),
        )
        .unwrap();
        Run {
            rows: outcome.rows,
            shared_prefix_tokens: outcome.shared_prefix_tokens,
            passes,
        }
    }

    /// One prompt, nothing else in the call.
    fn alone(&self, prompt: &Prompt, adapter: Option<usize>, sampling: Option<Sampling>) -> Generated {
        let adapter = adapter.map(|number| &self.adapters[number]);
        let options = GenerateOptions {
            max_new_tokens: 40,
            batch_rows: 1,
            sampling,
            end_ids: &[5, 6],
            stops: &|ids| Ok(ids.ends_with(&[9])),
        };
        let prompt = [Prompt {
            tokens: prompt.tokens.clone(),
            key: prompt.key,
        }];
        let outcome = generate(
            &self.backend,
            &self.model,
            adapter,
            &prompt,
            &options,
            &mut |_, _| (),
            &AtomicBool::new(false),
        );
        outcome.unwrap().rows.remove(0)
    }
}

/// Every prompt's answer in any order, batch and thread count is the one it gets alone.
fn rows_are_those_of_single_calls(choice: &[Option<usize>], shared: usize) {
    let plain = fixture(1);
    let prompts = prompts(shared);
    for sampling in [None, Some(SAMPLED)] {
        let expected: Vec<Generated> = (0..prompts.len())
            .map(|i| plain.alone(&prompts[i], choice[i], sampling))
            .collect();
        let lengths: std::collections::BTreeSet<usize> = expected.iter().map(|g| g.tokens.len()).collect();
        assert!(
            lengths.len() > 1,
            "rows of equal length show nothing: {lengths:?}"
        );
        for threads in [1, 3] {
            let f = fixture(threads);
            for (batch_rows, stride) in [(1, 1), (2, 5), (5, 7), (16, 11)] {
                // A stride without a common factor with 12 visits every prompt once.
                let order: Vec<usize> = (0..prompts.len()).map(|i| i * stride % prompts.len()).collect();
                let shuffled: Vec<Prompt> = order
                    .iter()
                    .map(|&i| Prompt {
                        tokens: prompts[i].tokens.clone(),
                        key: prompts[i].key,
                    })
                    .collect();
                let chosen: Vec<Option<usize>> = order.iter().map(|&i| choice[i]).collect();
                let run = f.run(&shuffled, &chosen, batch_rows, sampling);
                for (at, &i) in order.iter().enumerate() {
                    assert_eq!(
                        run.rows[at], expected[i],
                        "prompt {i}, batch {batch_rows}, threads {threads}, sampling {sampling:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn rows_do_not_depend_on_batch_order_or_threads() {
    rows_are_those_of_single_calls(&[Some(0); 12], 23);
    rows_are_those_of_single_calls(&[None; 12], 0);
}

#[test]
fn rows_of_one_batch_use_different_adapters() {
    let choice: Vec<Option<usize>> = (0..12)
        .map(|i| [Some(0), None, Some(2), Some(1)][i % 4])
        .collect();
    rows_are_those_of_single_calls(&choice, 0);
    rows_are_those_of_single_calls(&choice, 23);
    let (f, prompt) = (fixture(1), &prompts(0)[3]);
    let answers = [None, Some(0), Some(1), Some(2)].map(|adapter| f.alone(prompt, adapter, None).tokens);
    let different: std::collections::BTreeSet<_> = answers.iter().collect();
    assert_eq!(different.len(), 4, "adapters that answer alike show nothing");
}

#[test]
fn each_adapter_has_a_prefix_of_its_own() {
    let f = fixture(2);
    let prompts = prompts(23);
    let same = f.run(&prompts, &[Some(1); 12], 4, None);
    assert_eq!(same.shared_prefix_tokens, 23);
    // Three rows with one adapter, eight with another, and one that shares with nobody.
    let choice: Vec<Option<usize>> = (0..12)
        .map(|i| match i {
            4 => Some(2),
            0 | 3 | 6 => Some(0),
            _ => None,
        })
        .collect();
    assert_eq!(f.run(&prompts, &choice, 4, None).shared_prefix_tokens, 46);
}

/// Passes needed when a free slot takes the next row before the next pass; a short prompt yields a token a pass.
fn continuous_passes(lengths: &[usize], slots: usize) -> usize {
    let mut busy = vec![0; slots];
    for length in lengths {
        let next = (0..slots).min_by_key(|&slot| busy[slot]).unwrap();
        busy[next] += length;
    }
    busy.into_iter().max().unwrap()
}

#[test]
fn a_free_slot_is_taken_before_the_next_pass() {
    let f = fixture(2);
    let prompt = |i: u32| Prompt {
        tokens: vec![i % 37, (i * 5 + 2) % 37],
        key: u64::from(i),
    };
    let prompts: Vec<Prompt> = (0..40).map(prompt).collect();
    let run = f.run(&prompts, &[Some(0); 40], 4, Some(SAMPLED));
    let lengths: Vec<usize> = run.rows.iter().map(|row| row.tokens.len()).collect();
    assert_eq!(run.passes, continuous_passes(&lengths, 4));
    let whole_batches: usize = lengths.chunks(4).map(|batch| batch.iter().max().unwrap()).sum();
    assert!(
        run.passes * 4 < whole_batches * 3,
        "{} passes, {whole_batches} in batches that end together",
        run.passes
    );
}
