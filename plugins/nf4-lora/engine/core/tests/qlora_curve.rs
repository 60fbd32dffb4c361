//! Fifty steps of QLoRA against PEFT over bitsandbytes' own 4-bit layers (`test/parity/make_qlora_goldens.py`): NF4 in blocks of
//! 64, double quantization, the same rows, adapter and AdamW; on the checkpoint as bitsandbytes saved it, and on 4-bit weights
//! that the engine makes of the 16-bit ones.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::DropoutPlan;
use escada_engine_core::adapter_file;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::Pass;
use escada_engine_core::schedule::learning_rate;
use escada_engine_core::train_config::TrainConfig;
use escada_engine_cpu::CpuBackend;
use serde_json::Value;
use std::path::Path;

/// Sums in another order.
const SAME_WEIGHTS: f64 = 1e-5;
/// Second-level codes differ: bitsandbytes makes them with a coarser table on a CPU than on a GPU, whose rule is ours.
const OWN_WEIGHTS: f64 = 0.01;

fn row(value: &Value) -> TokenRow {
    TokenRow {
        tokens: serde_json::from_value(value["ids"].clone()).unwrap(),
        labelled_from: value["promptTokens"].as_u64().unwrap() as usize,
    }
}

#[test]
fn fifty_steps_on_the_same_4_bit_checkpoint() {
    let folder = common::with_tokenizer("tiny-llama/bnb-4bit");
    check_curve(folder.path(), SAME_WEIGHTS);
}

#[test]
fn fifty_steps_on_weights_that_each_side_quantizes() {
    check_curve(&common::fixture("tiny-llama"), OWN_WEIGHTS);
}

/// Trains on the model in `base` and compares every loss with PEFT's, relative to it.
fn check_curve(base: &Path, limit: f64) {
    let backend = CpuBackend::new(2).unwrap();
    let quantization = Quantization {
        format: WeightFormat::Nf4,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, base, quantization).unwrap();
    let mut adapter = adapter_file::load(
        &backend,
        &loaded.model.shape,
        &common::fixture("tiny-llama/adapter"),
    )
    .unwrap();
    let shared = common::json_fixture("tiny-llama/golden.json");
    let rows: Vec<TokenRow> = shared["rows"].as_array().unwrap().iter().map(row).collect();
    let golden = common::json_fixture("tiny-llama/golden-qlora.json");
    let config: TrainConfig = serde_json::from_value(golden["config"].clone()).unwrap();
    let batches: Vec<Vec<usize>> = serde_json::from_value(golden["batches"].clone()).unwrap();
    let want: Vec<f64> = serde_json::from_value(golden["losses"].clone()).unwrap();
    assert_eq!((batches.len(), want.len()), (50, 50));
    let mut optimizer = Optimizer::fresh(&backend, &adapter.layout.parameters(), config.optim).unwrap();
    let mut pass = Pass::new(&backend, &loaded.model.shape).unwrap();
    let mut batch = Batch::new(&backend).unwrap();
    let mut worst = 0.0_f64;
    for (step, (chosen, want)) in batches.iter().zip(&want).enumerate() {
        let chosen: Vec<&TokenRow> = chosen.iter().map(|&at| &rows[at]).collect();
        let labelled: usize = chosen.iter().map(|row| row.labelled()).sum();
        batch
            .pack(&backend, &chosen, 7, PrefixSharing::WhenWorthwhile)
            .unwrap();
        optimizer.clear(&backend);
        let (plan, weight) = (DropoutPlan::NONE, 1.0 / labelled as f32);
        let into = &mut optimizer.gradients;
        let sum = pass.run(&backend, &loaded.model, &adapter, plan, &batch, weight, into);
        let far = (sum.unwrap() / labelled as f64 - want).abs() / want;
        assert!(far < limit, "step {step}: {far:.1e} away from {want}");
        worst = worst.max(far);
        let rate = learning_rate(&config, step, batches.len());
        optimizer
            .step(&backend, &config, step, rate, &mut adapter.parameters)
            .unwrap();
    }
    eprintln!(
        "largest relative difference of 50 losses: {worst:.1e}, from {:.2} to {:.2} nats",
        want[0], want[49]
    );
    assert!(want[49] < 0.8 * want[0], "something is learnt");
}
