//! Logits of SmolLM2 against transformers in fp32, at four positions of twenty prompts: 1,024 entries of the vocabulary
//! and the log-sum-exp over all of it (`test/parity/make_smollm2_logits.py`).
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::safetensors_file::SafetensorsFile;
use serde_json::Value;

/// Largest difference over the position's largest logit: the limit that every implementation must keep.
const LOGIT_LIMIT: f64 = 1e-3;
/// Of the log-sum-exp, in nats: summation orders of float32 differ by less than 1e-4.
const SUM_LIMIT: f64 = 1e-3;

#[test]
fn logits_of_twenty_prompts() {
    let Some(path) = common::real_model("logits of twenty prompts") else {
        return;
    };
    let golden = common::json_fixture("smollm2-logits/prompts.json");
    let file = SafetensorsFile::open(&common::fixture("smollm2-logits/logits.safetensors")).unwrap();
    let wanted = file.tensor("logits").unwrap();
    let tokens: Vec<u32> = serde_json::from_value(golden["tokens"].clone()).unwrap();
    assert_eq!(wanted.shape, [80, tokens.len()]);
    let ours = our_rows(&path, &golden);
    assert_eq!(ours.len(), 80);
    let numbers = |key: &str| -> Vec<f64> { serde_json::from_value(golden[key].clone()).unwrap() };
    let (sums, largest) = (numbers("logSumExp"), numbers("largest"));
    let mut worst = 0.0f64;
    for (at, row) in ours.iter().enumerate() {
        let theirs = &wanted.values[at * tokens.len()..(at + 1) * tokens.len()];
        for (token, want) in tokens.iter().zip(theirs) {
            let difference = f64::from(row[*token as usize]) - f64::from(*want);
            worst = worst.max(difference.abs() / largest[at]);
        }
        let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        assert!(
            (sum.ln() - sums[at]).abs() <= SUM_LIMIT,
            "log-sum-exp of row {at}"
        );
    }
    assert!(worst <= LOGIT_LIMIT, "worst relative difference {worst}");
}

/// Logits `[V]` of every wanted position, sequence by sequence.
fn our_rows(path: &std::path::Path, golden: &Value) -> Vec<Vec<f32>> {
    let backend = CpuBackend::new(2).unwrap();
    let quantization = Quantization {
        format: WeightFormat::F32,
        block_size: 64,
        double_quant: false,
    };
    let loaded = Loaded::open(&backend, path, quantization).unwrap();
    assert_eq!(loaded.digest, golden["ggufSha256"].as_str().unwrap());
    let lists = |key: &str| -> Vec<Vec<u32>> { serde_json::from_value(golden[key].clone()).unwrap() };
    let mut rows = Vec::new();
    for (ids, positions) in lists("ids").iter().zip(lists("positions")) {
        let mut decoder = Decoder::new(&backend, &loaded.model, None, &[], 1, ids.len()).unwrap();
        let feed = Feed {
            slot: 0,
            before: 0,
            tokens: ids,
        };
        decoder.feed(&[feed]).unwrap();
        let logits = decoder.logits(&positions).unwrap();
        rows.extend(logits.chunks(loaded.model.shape.vocabulary).map(<[f32]>::to_vec));
    }
    rows
}
