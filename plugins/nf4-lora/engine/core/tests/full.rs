//! Full fine-tuning: gradients of every weight against finite differences, the loop on a model from disk.
#![allow(clippy::unwrap_used)]

use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::full::FullWeights;
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::pass::Pass;
use escada_engine_core::reference::Reference;
use escada_engine_core::shape::ModelShape;
use escada_engine_core::testing::{RandomWeights, tiny_shape};
use escada_engine_core::train::{TrainEvent, TrainRequest, TrainResult, train_full};
use escada_engine_core::train_config::TrainConfig;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::error::{Code, EngineError};
use escada_engine_formats::safetensors_file::{Dtype, SafetensorsFile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

fn row(tokens: &[u32], labelled_from: usize) -> TokenRow {
    TokenRow {
        tokens: tokens.to_vec(),
        labelled_from,
    }
}

/// Four tokens in common, ids that repeat, more labelled positions than one chunk of the head takes.
fn rows() -> Vec<TokenRow> {
    vec![
        row(&[7, 7, 1, 30, 5, 9, 33, 2, 7, 20], 5),
        row(&[7, 7, 1, 30, 8, 15], 5),
        row(&[7, 7, 1, 30, 0, 3, 3, 3, 12, 30, 31, 6, 2, 11], 6),
    ]
}

/// Mean loss and gradients of all rows as one batch.
fn loss_and_gradients(weights: &FullWeights<Reference>, sharing: PrefixSharing) -> (f64, Vec<f32>) {
    let rows = rows();
    let labelled: usize = rows.iter().map(TokenRow::labelled).sum();
    let mut batch = Batch::new(&Reference).unwrap();
    let all: Vec<&TokenRow> = rows.iter().collect();
    batch.pack(&Reference, &all, 4, sharing).unwrap();
    let mut gradients = vec![0.0; weights.layout.len];
    let mut pass = Pass::new(&Reference, &weights.shape).unwrap();
    let weight = 1.0 / labelled as f32;
    let sum = pass.run_full(&Reference, weights, &batch, weight, &mut gradients);
    (sum.unwrap() / labelled as f64, gradients)
}

/// The slope along each tensor's gradient is the gradient's norm.
fn check_tensors(shape: ModelShape) {
    let mut source = RandomWeights { seed: 7, scale: 2.0 };
    let mut weights = FullWeights::load(&Reference, shape, &mut source).unwrap();
    let (_, gradients) = loss_and_gradients(&weights, PrefixSharing::Always);
    let start = weights.values.clone();
    for p in weights.layout.parameters().to_vec() {
        let range = p.offset..p.offset + p.len();
        let squares = gradients[range.clone()].iter().map(|g| f64::from(g * g));
        let norm = squares.sum::<f64>().sqrt();
        assert!(norm > 1e-4, "{}: gradient {norm}", p.name);
        let step = 2e-3;
        let mut loss_at = |factor: f64| {
            weights.values.clone_from(&start);
            for i in range.clone() {
                weights.values[i] += (factor * step * f64::from(gradients[i]) / norm) as f32;
            }
            loss_and_gradients(&weights, PrefixSharing::Always).0
        };
        let slope = (loss_at(1.0) - loss_at(-1.0)) / (2.0 * step);
        let error = (slope - norm).abs() / norm;
        assert!(error < 1e-2, "{}: slope {slope}, norm {norm}", p.name);
    }
}

#[test]
fn gradients_of_every_tensor_match_finite_differences() {
    check_tensors(tiny_shape());
}

#[test]
fn so_do_those_of_biases_and_of_a_head_of_its_own() {
    check_tensors(ModelShape {
        tied_head: false,
        qkv_bias: true,
        window_tokens: 6,
        ..tiny_shape()
    });
}

#[test]
fn a_shared_prefix_changes_no_gradient() {
    let mut source = RandomWeights { seed: 7, scale: 2.0 };
    let weights = FullWeights::load(&Reference, tiny_shape(), &mut source).unwrap();
    let (shared, g1) = loss_and_gradients(&weights, PrefixSharing::Always);
    let (apart, g2) = loss_and_gradients(&weights, PrefixSharing::Never);
    assert!((shared - apart).abs() < 1e-6, "{shared} {apart}");
    for (a, b) in g1.iter().zip(&g2) {
        assert!((a - b).abs() < 2e-6, "{a} {b}");
    }
}

fn config(changes: Value) -> TrainConfig {
    let mut config = json!({
        "method": "full", "learningRate": 0.005, "lrSchedulerType": "cosine", "warmupSteps": 1, "weightDecay": 0.01,
        "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1.0, "perDeviceTrainBatchSize": 2,
        "gradientAccumulationSteps": 2, "numTrainEpochs": 3, "maxSteps": 6, "maxSeqLengthTokens": 32, "seed": 3,
        "saveSteps": 2
    });
    config
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn tiny_llama() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../test/fixtures/tiny-llama")
}

/// A folder of its own for each test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("escada-full-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ten rows of the pattern "token, token + 1, …".
fn pattern_rows() -> Vec<TokenRow> {
    let of = |i: u32| TokenRow {
        tokens: (0..5 + i % 4).map(|j| 20 + (i * 3 + j) % 37).collect(),
        labelled_from: 2,
    };
    (0..10).map(of).collect()
}

/// Trains; `stop_after` sets the cancellation flag behind that step.
fn run(
    threads: usize,
    out_dir: &Path,
    config: &TrainConfig,
    stop_after: Option<usize>,
    events: &mut Vec<TrainEvent>,
) -> Result<TrainResult, EngineError> {
    let (flag, rows) = (AtomicBool::new(false), pattern_rows());
    let request = TrainRequest {
        rows: &rows,
        row_ids: &[],
        config,
        out_dir,
        model_digest: "tiny",
        base_model: "base",
        engine_build: "test",
        samples: None,
    };
    let mut emit = |event: TrainEvent| {
        flag.store(stop_after == Some(event.step), Ordering::Relaxed);
        events.push(event);
    };
    let backend = CpuBackend::new(threads).unwrap();
    train_full(&backend, &tiny_llama(), &request, &mut emit, &flag)
}

#[test]
fn loss_falls_and_interrupted_runs_end_in_the_same_bytes() {
    for optim in ["adamw_torch", "adamw_8bit"] {
        let config = config(json!({ "optim": optim }));
        let (straight, broken) = (
            Folder::new(&format!("straight-{optim}")),
            Folder::new(&format!("broken-{optim}")),
        );
        let whole = run(1, &straight.0, &config, None, &mut Vec::new()).unwrap();
        assert!(whole.loss_last_nats < 0.7 * whole.loss_first_nats, "{whole:?}");
        // Other numbers of threads, stopped on and beside a checkpoint.
        for (stop, threads) in [(1, 2), (4, 3)] {
            let error = run(threads, &broken.0, &config, Some(stop), &mut Vec::new()).unwrap_err();
            assert_eq!(error.code, Code::Cancelled);
        }
        let resumed = run(2, &broken.0, &config, None, &mut Vec::new()).unwrap();
        assert_eq!((resumed.resumed_from_step, resumed.sha256()), (4, whole.sha256()));
        for file in [
            "model/model.safetensors",
            "checkpoint-6/state.safetensors",
            "checkpoint-6/log.jsonl",
        ] {
            let read = |folder: &Folder| std::fs::read(folder.0.join(file)).unwrap();
            assert!(read(&straight) == read(&broken), "{optim}: {file}");
        }
        let state = SafetensorsFile::open(&straight.0.join("checkpoint-6/state.safetensors")).unwrap();
        let dtype = |name: &str| state.raw(&format!("m.{name}")).unwrap().dtype;
        let eight = if optim == "adamw_8bit" {
            Dtype::U8
        } else {
            Dtype::F32
        };
        assert_eq!(dtype("model.layers.0.mlp.up_proj.weight"), eight);
        assert_eq!(dtype("model.embed_tokens.weight"), Dtype::F32);
    }
}

/// Logits of the last of some tokens.
fn logits(path: &Path) -> Vec<f32> {
    let backend = CpuBackend::new(2).unwrap();
    let loaded = Loaded::open(&backend, path, f32_weights()).unwrap();
    let mut decoder = Decoder::new(&backend, &loaded.model, None, &[], 1, 8).unwrap();
    let feed = Feed {
        slot: 0,
        before: 0,
        tokens: &[20, 21, 22, 23],
    };
    decoder.feed(&[feed]).unwrap();
    decoder.logits(&[3]).unwrap()
}

fn f32_weights() -> Quantization {
    Quantization {
        format: WeightFormat::F32,
        block_size: 64,
        double_quant: false,
    }
}

#[test]
fn the_model_that_is_written_loads_again() {
    // At a learning rate of nothing the base comes out as it went in.
    let out = Folder::new("still");
    let still = config(json!({ "learningRate": 1e-30, "weightDecay": 0, "maxSteps": 1 }));
    let made = run(2, &out.0, &still, None, &mut Vec::new()).unwrap();
    assert_eq!(logits(made.path()), logits(&tiny_llama()));
    let out = Folder::new("moved");
    let made = run(2, &out.0, &config(json!({})), None, &mut Vec::new()).unwrap();
    let (before, after) = (logits(&tiny_llama()), logits(made.path()));
    // 24 follows in every row.
    assert!(after[24] > before[24] + 1.0, "{} {}", before[24], after[24]);
    let path = made.path().join("model.safetensors");
    assert_eq!(
        escada_engine_formats::atomic::sha256_file(&path).unwrap(),
        made.sha256()
    );
    assert!(made.path().join("tokenizer.json").is_file());
}

#[test]
fn fields_of_adapters_are_refused_by_name() {
    for (field, value) in [
        ("r", json!(8)),
        ("loraAlpha", json!(16)),
        ("loraDropout", json!(0.1)),
        ("targetModules", json!(["q_proj"])),
        ("rsLora", json!(true)),
    ] {
        let out = Folder::new(field);
        let error = run(1, &out.0, &config(json!({ field: value })), None, &mut Vec::new()).unwrap_err();
        assert_eq!(error.code, Code::RequestInvalid);
        assert!(error.message.contains(&format!("config.{field}")), "{error}");
    }
}

#[test]
fn norms_and_biases_do_not_decay() {
    // With the gradient clipped to nothing only decay moves a weight: by 1 - 0.5 * 0.1 a step.
    let out = Folder::new("decay");
    let changes = json!({ "learningRate": 0.5, "weightDecay": 0.1, "maxGradNorm": 1e-30, "maxSteps": 1, "warmupSteps": 0,
        "adamEpsilon": 1.0 });
    let made = run(1, &out.0, &config(changes), None, &mut Vec::new()).unwrap();
    let after = SafetensorsFile::open(&made.path().join("model.safetensors")).unwrap();
    let before = SafetensorsFile::open(&tiny_llama().join("model.safetensors")).unwrap();
    for name in before.names() {
        let factor = if name.contains("norm") { 1.0 } else { 0.95 };
        let pairs = [&before, &after].map(|file| file.tensor(&name).unwrap().values);
        for (old, new) in pairs[0].iter().zip(&pairs[1]) {
            assert!(
                (old * factor - new).abs() <= 1e-6 * old.abs(),
                "{name}: {old} {new}"
            );
        }
    }
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let out = Folder::new("rows");
    let changes = json!({ "maxSeqLengthTokens": 6 });
    let error = run(1, &out.0, &config(changes), None, &mut Vec::new()).unwrap_err();
    assert_eq!(error.code, Code::TrainingDataInvalid);
    assert_eq!(std::fs::read_dir(&out.0).unwrap().count(), 0);
}
