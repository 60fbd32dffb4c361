//! SmolLM2-135M-Instruct against transformers: greedy replies and scores. Needs the pinned GGUF; without it the test
//! says so.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::generate::{GenerateOptions, Prompt, generate};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::score::{ScoreRequest, score};
use escada_engine_cpu::CpuBackend;
use serde_json::Value;
use std::sync::atomic::AtomicBool;

/// Logits of this model are about 30; the reference's own summation orders differ by less than 1e-3.
const LOGIT_TOLERANCE: f64 = 5e-3;
/// Two implementations may part where the two best logits are nearer than this.
const NEAR_TIE: f64 = 2e-2;
/// Of ten replies, so many must be equal to the reference's.
const MIN_EQUAL: usize = 9;
/// Length of the reference's replies at most.
const NEW_TOKENS: usize = 32;

fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as u32)
        .collect()
}

fn check(name: &str, format: WeightFormat) {
    let Some(path) = common::real_model(name) else {
        return;
    };
    let golden = common::json_fixture(&format!("smollm2/{name}"));
    let backend = CpuBackend::new(2).unwrap();
    let quantization = Quantization {
        format,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, &path, quantization).unwrap();
    let replies = golden["replies"].as_array().unwrap();
    for case in replies {
        check_reply(&backend, &loaded, case);
    }
    check_greedy(name, &backend, &loaded, replies);
    check_scores(&backend, &loaded, golden["scores"].as_array().unwrap());
}

/// Whole replies, generated freely: nearly all must be equal, token for token.
fn check_greedy(name: &str, backend: &CpuBackend, loaded: &Loaded<CpuBackend>, cases: &[Value]) {
    let prompt = |(case, key): (&Value, u64)| Prompt {
        tokens: ids(&case["promptIds"]),
        key,
    };
    let prompts: Vec<Prompt> = cases.iter().zip(0..).map(prompt).collect();
    let options = GenerateOptions {
        max_new_tokens: NEW_TOKENS,
        batch_rows: prompts.len(),
        sampling: None,
        end_ids: loaded.tokenizer.eos_ids(),
        stops: &|_| Ok(false),
    };
    let flag = AtomicBool::new(false);
    let made = generate(
        backend,
        &loaded.model,
        None,
        &prompts,
        &options,
        &mut |_, _| (),
        &flag,
    )
    .unwrap();
    let pairs = made.rows.iter().zip(cases);
    let equal = pairs
        .filter(|(row, case)| row.tokens == ids(&case["ids"]))
        .count();
    eprintln!("{name}: {equal} of {} replies equal", cases.len());
    assert!(
        equal >= MIN_EQUAL,
        "{name}: only {equal} of {} replies equal",
        cases.len()
    );
}

/// Every step of the reply, given the reference's tokens before it.
fn check_reply(backend: &CpuBackend, loaded: &Loaded<CpuBackend>, case: &Value) {
    let messages: Vec<escada_engine_formats::Message> =
        serde_json::from_value(case["messages"].clone()).unwrap();
    let mut all = loaded.prompt(&messages).unwrap();
    assert_eq!(all, ids(&case["promptIds"]));
    let (from, reply) = (all.len() as u32, ids(&case["ids"]));
    all.extend(&reply);
    let mut decoder = Decoder::new(backend, &loaded.model, None, &[], 1, all.len()).unwrap();
    decoder
        .feed(&[Feed {
            slot: 0,
            before: 0,
            tokens: &all,
        }])
        .unwrap();
    let logits = decoder.logits(&[from - 1]).unwrap();
    let first = &case["firstStep"];
    for (id, want) in ids(&first["topIds"])
        .iter()
        .zip(first["topLogits"].as_array().unwrap())
    {
        let got = f64::from(logits[*id as usize]);
        assert!(
            (got - want.as_f64().unwrap()).abs() < LOGIT_TOLERANCE,
            "logit {got}, wanted {want}"
        );
    }
    let wanted: Vec<u32> = (from - 1..all.len() as u32 - 1).collect();
    let picked = decoder.arg_max(&wanted).unwrap();
    for ((got, want), gap) in picked.iter().zip(&reply).zip(case["gaps"].as_array().unwrap()) {
        assert!(
            got == want || gap.as_f64().unwrap() < NEAR_TIE,
            "token {got}, wanted {want}, gap {gap}"
        );
    }
}

fn check_scores(backend: &CpuBackend, loaded: &Loaded<CpuBackend>, cases: &[Value]) {
    let request = |case: &Value| ScoreRequest {
        prompt: loaded.text(case["prompt"].as_str().unwrap()).unwrap(),
        continuations: case["continuations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| ids(&c["ids"]))
            .collect(),
    };
    let requests: Vec<ScoreRequest> = cases.iter().map(request).collect();
    let flag = AtomicBool::new(false);
    let scores = score(backend, &loaded.model, None, &requests, &mut |_, _| (), &flag).unwrap();
    for (case, scores) in cases.iter().zip(scores) {
        assert_eq!(
            loaded.text(case["prompt"].as_str().unwrap()).unwrap(),
            ids(&case["promptIds"])
        );
        for (want, got) in case["continuations"].as_array().unwrap().iter().zip(scores) {
            let (want, got) = (want["logProbNats"].as_f64().unwrap(), got.log_prob_nats);
            assert!((got - want).abs() < LOGIT_TOLERANCE, "{got}, wanted {want}");
        }
    }
}

#[test]
fn nf4_replies_and_scores() {
    check("replies-nf4-double.json", WeightFormat::Nf4);
}

#[test]
fn f32_replies_and_scores() {
    check("replies-f32.json", WeightFormat::F32);
}
