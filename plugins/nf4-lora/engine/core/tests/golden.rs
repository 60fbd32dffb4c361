//! The whole computation against transformers and PEFT on a tiny random checkpoint (see `test/parity/README.md`),
//! on the reference back end and on the CPU back end.
#![allow(clippy::unwrap_used)]

use escada_engine_core::DropoutPlan;
use escada_engine_core::adapter_file;
use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::generate::{GenerateOptions, Prompt, generate};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::Adapter;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::Pass;
use escada_engine_core::reference::Reference;
use escada_engine_core::schedule::learning_rate;
use escada_engine_core::train_config::TrainConfig;
use escada_engine_cpu::CpuBackend;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// float32 implementations differ by 1.3e-5 in logits of size 10; ten times that.
const LOGIT_TOLERANCE: f64 = 2e-4;
const RELATIVE_TOLERANCE: f64 = 2e-5;

const LLAMA: &str = "tiny-llama";
/// RoPE scaling of Llama 3, a sliding window, biases of queries, keys and values.
const FAMILIES: [&str; 3] = ["tiny-llama3", "tiny-mistral", "tiny-qwen2"];

fn fixture(model: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../../test/fixtures")
        .join(model)
}

fn read(model: &str, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(model).join(name)).unwrap()).unwrap()
}

fn quantization(name: &str) -> Quantization {
    let format = if name.contains("nf4") {
        WeightFormat::Nf4
    } else {
        WeightFormat::F32
    };
    Quantization {
        format,
        block_size: 64,
        double_quant: name.contains("double"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as u32)
        .collect()
}

fn close(what: &str, got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance, "{what}: {got}, wanted {want}");
}

/// Everything in one golden file of a model, on one back end.
fn check<B: Backend>(backend: &B, model: &str, name: &str) {
    let golden = read(model, name);
    let loaded = Loaded::open(backend, &fixture(model), quantization(name)).unwrap();
    let folder = fixture(model).join("adapter");
    let adapter = adapter_file::load(backend, &loaded.model.shape, &folder).unwrap();
    for (key, adapter) in [("base", None), ("adapted", Some(&adapter))] {
        for case in golden[key].as_array().unwrap() {
            check_logits(backend, &loaded, adapter, case);
        }
    }
    for (key, adapter) in [("greedyBase", None), ("greedyAdapted", Some(&adapter))] {
        check_greedy(backend, &loaded, adapter, golden[key].as_array().unwrap());
    }
    for sharing in [PrefixSharing::Never, PrefixSharing::Always] {
        let adapter = adapter_file::load(backend, &loaded.model.shape, &folder).unwrap();
        let shared = read(model, "golden.json");
        check_training(backend, &loaded, adapter, (&shared, &golden["train"]), sharing);
    }
}

fn check_logits<B: Backend>(backend: &B, loaded: &Loaded<B>, adapter: Option<&Adapter<B>>, case: &Value) {
    let tokens = ids(&case["ids"]);
    // Part of the sequence as a shared prefix, to cross the border between both segments.
    for prefix in [0, tokens.len() / 2] {
        let mut decoder = Decoder::new(
            backend,
            &loaded.model,
            adapter,
            &tokens[..prefix],
            2,
            tokens.len(),
        )
        .unwrap();
        decoder
            .feed(&[Feed {
                slot: 1,
                before: 0,
                tokens: &tokens[prefix..],
            }])
            .unwrap();
        let wanted: Vec<u32> = (0..(tokens.len() - prefix) as u32).collect();
        let logits = decoder.logits(&wanted).unwrap();
        let rows: Vec<&[f32]> = logits.chunks(loaded.model.shape.vocabulary).collect();
        assert_eq!(decoder.arg_max(&wanted).unwrap(), ids(&case["argmax"])[prefix..]);
        for (row, want) in rows.iter().zip(&numbers(&case["logSumExp"])[prefix..]) {
            let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            close("logSumExp", sum.ln(), *want, LOGIT_TOLERANCE);
        }
        for (position, want) in ids(&case["positions"])
            .iter()
            .zip(case["logits"].as_array().unwrap())
        {
            let Some(row) = (*position as usize).checked_sub(prefix) else {
                continue;
            };
            for (token, want) in ids(&case["tokens"]).iter().zip(numbers(want)) {
                close(
                    "logit",
                    f64::from(rows[row][*token as usize]),
                    want,
                    LOGIT_TOLERANCE,
                );
            }
        }
    }
}

fn check_greedy<B: Backend>(backend: &B, loaded: &Loaded<B>, adapter: Option<&Adapter<B>>, cases: &[Value]) {
    let prompt = |case: &Value| Prompt {
        tokens: ids(&case["promptIds"]),
        key: 0,
    };
    let prompts: Vec<Prompt> = cases.iter().map(prompt).collect();
    let options = GenerateOptions {
        max_new_tokens: 24,
        batch_rows: 2,
        sampling: None,
        end_ids: loaded.tokenizer.eos_ids(),
        stops: &|_| Ok(false),
    };
    let outcome = generate(
        backend,
        &loaded.model,
        adapter,
        &prompts,
        &options,
        &mut |_, _| (),
        &AtomicBool::new(false),
    );
    for (row, case) in outcome.unwrap().rows.iter().zip(cases) {
        assert_eq!(row.tokens, ids(&case["ids"]));
    }
}

fn check_training<B: Backend>(
    backend: &B,
    loaded: &Loaded<B>,
    mut adapter: Adapter<B>,
    (shared, golden): (&Value, &Value),
    sharing: PrefixSharing,
) {
    let rows: Vec<TokenRow> = shared["rows"].as_array().unwrap().iter().map(row).collect();
    let config = config();
    let mut optimizer = Optimizer::fresh(backend, &adapter.layout.parameters(), config.optim).unwrap();
    let mut pass = Pass::new(backend, &loaded.model.shape).unwrap();
    let mut batch = Batch::new(backend).unwrap();
    for (step, (numbers_of, want)) in shared["batches"]
        .as_array()
        .unwrap()
        .iter()
        .zip(golden["curve"].as_array().unwrap())
        .enumerate()
    {
        let chosen: Vec<&TokenRow> = ids(numbers_of).iter().map(|&i| &rows[i as usize]).collect();
        let labelled: usize = chosen.iter().map(|r| r.labelled()).sum();
        batch.pack(backend, &chosen, 7, sharing).unwrap();
        assert_eq!(batch.prefix_tokens > 0, sharing == PrefixSharing::Always);
        optimizer.clear(backend);
        let (plan, weight) = (DropoutPlan::NONE, 1.0 / labelled as f32);
        let gradients = &mut optimizer.gradients;
        let loss = pass
            .run(backend, &loaded.model, &adapter, plan, &batch, weight, gradients)
            .unwrap();
        if step == 0 {
            check_tensors(backend, &adapter, &optimizer.gradients, &golden["gradients"]);
        }
        let rate = learning_rate(&config, step, 10);
        let norm = optimizer
            .step(backend, &config, step, rate, &mut adapter.parameters)
            .unwrap();
        let wanted = |key: &str| want[key].as_f64().unwrap();
        close("learning rate", rate, wanted("learningRate"), 1e-12);
        close(
            "loss",
            loss / labelled as f64,
            wanted("loss"),
            RELATIVE_TOLERANCE * wanted("loss"),
        );
        close(
            "norm",
            norm,
            wanted("gradientNorm"),
            RELATIVE_TOLERANCE * wanted("gradientNorm"),
        );
    }
    check_tensors(backend, &adapter, &adapter.parameters, &golden["final"]);
}

fn row(value: &Value) -> TokenRow {
    TokenRow {
        tokens: ids(&value["ids"]),
        labelled_from: value["promptTokens"].as_u64().unwrap() as usize,
    }
}

/// Norm and samples of every tensor, relative to its norm.
fn check_tensors<B: Backend>(backend: &B, adapter: &Adapter<B>, buffer: &B::Buffer, golden: &Value) {
    let mut values = vec![0.0; adapter.layout.len];
    backend.download(buffer, 0, &mut values).unwrap();
    let tensors = adapter.layout.parameters();
    assert_eq!(tensors.len(), golden.as_object().unwrap().len());
    for tensor in tensors {
        let want = &golden[format!("base_model.model.{}", tensor.name)];
        let slice = &values[tensor.offset..tensor.offset + tensor.rows * tensor.cols];
        let norm = slice.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let tolerance = RELATIVE_TOLERANCE * want["norm"].as_f64().unwrap();
        close(&tensor.name, norm, want["norm"].as_f64().unwrap(), tolerance);
        for (at, value) in ids(&want["at"]).iter().zip(numbers(&want["values"])) {
            close(&tensor.name, f64::from(slice[*at as usize]), value, tolerance);
        }
    }
}

fn config() -> TrainConfig {
    serde_json::from_value(json!({
        "r": 4, "loraAlpha": 8, "targetModules": "all-linear", "learningRate": 0.01,
        "lrSchedulerType": "linear", "warmupSteps": 2, "weightDecay": 0.01, "adamBeta1": 0.9, "adamBeta2": 0.999,
        "adamEpsilon": 1e-8, "maxGradNorm": 1.0, "perDeviceTrainBatchSize": 2, "gradientAccumulationSteps": 1,
        "numTrainEpochs": 1, "maxSteps": 10, "maxSeqLengthTokens": 512, "seed": 0, "saveSteps": 100
    }))
    .unwrap()
}

#[test]
fn f32_on_the_reference() {
    check(&Reference, LLAMA, "golden-f32.json");
}

#[test]
fn nf4_on_the_reference() {
    check(&Reference, LLAMA, "golden-nf4.json");
}

#[test]
fn nf4_double_on_the_reference() {
    check(&Reference, LLAMA, "golden-nf4-double.json");
}

#[test]
fn f32_on_the_cpu() {
    check(&CpuBackend::new(2).unwrap(), LLAMA, "golden-f32.json");
}

#[test]
fn nf4_on_the_cpu() {
    check(&CpuBackend::new(2).unwrap(), LLAMA, "golden-nf4.json");
}

#[test]
fn nf4_double_on_the_cpu() {
    check(&CpuBackend::new(1).unwrap(), LLAMA, "golden-nf4-double.json");
}

#[test]
fn families_on_the_reference() {
    for model in FAMILIES {
        check(&Reference, model, "golden-f32.json");
    }
}

#[test]
fn families_on_the_cpu() {
    for model in FAMILIES {
        check(&CpuBackend::new(2).unwrap(), model, "golden-f32.json");
    }
}

#[test]
fn rows_are_tokenized_as_the_reference_does() {
    let loaded = Loaded::open(&Reference, &fixture(LLAMA), quantization("f32")).unwrap();
    for case in read(LLAMA, "golden.json")["rows"].as_array().unwrap() {
        let messages: Vec<escada_engine_formats::Message> =
            serde_json::from_value(case["messages"].clone()).unwrap();
        assert_eq!(
            loaded.row(&messages, case["answer"].as_str().unwrap()).unwrap(),
            row(case)
        );
    }
}
