//! Full fine-tuning against PyTorch on tiny random checkpoints (see `test/parity/README.md`): gradients of every weight, ten
//! steps of AdamW, the weights after them; on the reference back end and on the CPU back end.
#![allow(clippy::unwrap_used)]

use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::control::Control;
use escada_engine_core::full::FullWeights;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::Pass;
use escada_engine_core::reference::Reference;
use escada_engine_core::schedule::learning_rate;
use escada_engine_core::train::full_weights;
use escada_engine_core::train_config::TrainConfig;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::ModelSource;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Plain, RoPE scaling of Llama 3, a sliding window and a head of its own, biases of queries, keys and values.
const MODELS: [&str; 4] = ["tiny-llama", "tiny-llama3", "tiny-mistral", "tiny-qwen2"];
const RELATIVE_TOLERANCE: f64 = 1e-4;

fn fixture(model: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../../test/fixtures")
        .join(model)
}

fn read(model: &str, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(model).join(name)).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    let id = |v: &Value| v.as_u64().unwrap() as u32;
    value.as_array().unwrap().iter().map(id).collect()
}

fn row(value: &Value) -> TokenRow {
    TokenRow {
        tokens: ids(&value["ids"]),
        labelled_from: value["promptTokens"].as_u64().unwrap() as usize,
    }
}

fn close(what: &str, got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance, "{what}: {got}, wanted {want}");
}

/// Norm and samples of every tensor, relative to its norm.
fn check_tensors<B: Backend>(backend: &B, weights: &FullWeights<B>, buffer: &B::Buffer, golden: &Value) {
    let parameters = weights.layout.parameters();
    assert_eq!(parameters.len(), golden.as_object().unwrap().len());
    for p in parameters {
        let want = &golden[&p.name];
        let mut values = vec![0.0f32; p.len()];
        backend.download(buffer, p.offset, &mut values).unwrap();
        let squares = values.iter().map(|&x| f64::from(x).powi(2));
        let wanted = want["norm"].as_f64().unwrap();
        let tolerance = RELATIVE_TOLERANCE * wanted;
        close(&p.name, squares.sum::<f64>().sqrt(), wanted, tolerance);
        for (at, value) in ids(&want["at"]).iter().zip(want["values"].as_array().unwrap()) {
            let got = f64::from(values[*at as usize]);
            close(&p.name, got, value.as_f64().unwrap(), tolerance);
        }
    }
}

fn config() -> TrainConfig {
    serde_json::from_value(json!({
        "method": "full", "learningRate": 0.001, "lrSchedulerType": "linear", "warmupSteps": 2, "weightDecay": 0.1,
        "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1.0, "perDeviceTrainBatchSize": 2,
        "gradientAccumulationSteps": 1, "numTrainEpochs": 1, "maxSteps": 10, "maxSeqLengthTokens": 512, "seed": 0,
        "saveSteps": 100
    }))
    .unwrap()
}

fn check<B: Backend>(backend: &B, model: &str, sharing: PrefixSharing) {
    let (shared, golden) = (read(model, "golden.json"), read(model, "golden-full.json"));
    let mut weights = full_weights(
        backend,
        &ModelSource::open(&fixture(model)).unwrap(),
        Control::none(),
    )
    .unwrap();
    let rows: Vec<TokenRow> = shared["rows"].as_array().unwrap().iter().map(row).collect();
    let config = config();
    let mut optimizer = Optimizer::fresh(backend, weights.layout.parameters(), config.optim).unwrap();
    let mut pass = Pass::new(backend, &weights.shape).unwrap();
    let mut batch = Batch::new(backend).unwrap();
    let batches = shared["batches"].as_array().unwrap();
    for (step, want) in golden["curve"].as_array().unwrap().iter().enumerate() {
        let chosen = ids(&batches[step]);
        let chosen: Vec<&TokenRow> = chosen.iter().map(|&i| &rows[i as usize]).collect();
        let labelled: usize = chosen.iter().map(|r| r.labelled()).sum();
        batch.pack(backend, &chosen, 7, sharing).unwrap();
        optimizer.clear(backend);
        let (weight, gradients) = (1.0 / labelled as f32, &mut optimizer.gradients);
        let loss = pass.run_full(backend, &weights, &batch, weight, gradients);
        if step == 0 {
            check_tensors(backend, &weights, &optimizer.gradients, &golden["gradients"]);
        }
        let rate = learning_rate(&config, step, 10);
        let norm = optimizer.step(backend, &config, step, rate, &mut weights.values);
        let wanted = |key: &str| want[key].as_f64().unwrap();
        let relative = |what, got: f64| close(what, got, wanted(what), RELATIVE_TOLERANCE * wanted(what));
        close("learning rate", rate, wanted("learningRate"), 1e-12);
        relative("loss", loss.unwrap() / labelled as f64);
        relative("gradientNorm", norm.unwrap());
    }
    check_tensors(backend, &weights, &weights.values, &golden["final"]);
}

#[test]
fn on_the_reference() {
    for model in MODELS {
        check(&Reference, model, PrefixSharing::Always);
    }
}

#[test]
fn on_the_cpu() {
    for (threads, model) in MODELS.into_iter().enumerate() {
        let backend = CpuBackend::new(threads + 1).unwrap();
        check(&backend, model, PrefixSharing::Never);
        check(&backend, model, PrefixSharing::Always);
    }
}
