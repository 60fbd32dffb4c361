//! The training loop: it learns, resumes bit for bit, accumulates exactly, refuses what it cannot use.
#![allow(clippy::unwrap_used)]

use escada_engine_core::batch::TokenRow;
use escada_engine_core::model::Model;
use escada_engine_core::reference::Reference;
use escada_engine_core::shape::{ModelShape, plain_inverse_frequencies};
use escada_engine_core::testing::{random_model, tiny_shape};
use escada_engine_core::train::{TrainEvent, TrainRequest, TrainResult, train};
use escada_engine_core::train_config::TrainConfig;
use escada_engine_formats::error::{Code, EngineError};
use escada_engine_formats::safetensors_file::{Dtype, SafetensorsFile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

fn config(changes: Value) -> TrainConfig {
    let mut config = json!({
        "r": 2, "loraAlpha": 4, "loraDropout": 0.1, "targetModules": "all-linear", "learningRate": 0.02,
        "lrSchedulerType": "cosine", "warmupSteps": 2, "weightDecay": 0.01, "adamBeta1": 0.9, "adamBeta2": 0.999,
        "adamEpsilon": 1e-8, "maxGradNorm": 1.0, "perDeviceTrainBatchSize": 2, "gradientAccumulationSteps": 2,
        "numTrainEpochs": 3, "maxSteps": -1, "maxSeqLengthTokens": 32, "seed": 3, "saveSteps": 2
    });
    config
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

/// Ten rows of the pattern "token, token + 1, …": something to learn.
fn rows() -> Vec<TokenRow> {
    let row = |i: u32| TokenRow {
        tokens: (0..5 + i % 4).map(|j| (i * 3 + j) % 37).collect(),
        labelled_from: 2,
    };
    (0..10).map(row).collect()
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("escada-training-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn model() -> Model<Reference> {
    random_model(&Reference, tiny_shape(), 7).unwrap()
}

/// Trains; `stop_after` sets the cancellation flag behind that step.
fn run(
    out_dir: &Path,
    config: &TrainConfig,
    stop_after: Option<usize>,
    events: &mut Vec<TrainEvent>,
) -> Result<TrainResult, EngineError> {
    run_on(&model(), out_dir, config, stop_after, events)
}

fn run_on(
    model: &Model<Reference>,
    out_dir: &Path,
    config: &TrainConfig,
    stop_after: Option<usize>,
    events: &mut Vec<TrainEvent>,
) -> Result<TrainResult, EngineError> {
    let flag = AtomicBool::new(false);
    let rows = rows();
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
    train(&Reference, model, &request, &mut emit, &flag)
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn loss_falls_and_files_are_written() {
    let out = folder("falls");
    let mut events = Vec::new();
    let result = run(
        &out,
        &config(json!({ "maxSteps": 30, "warmupSteps": 0 })),
        None,
        &mut events,
    )
    .unwrap();
    let text = |name: &str| std::fs::read_to_string(out.join("adapter").join(name)).unwrap();
    let written: Value = serde_json::from_str(&text("adapter_config.json")).unwrap();
    assert_eq!(written["base_model_name_or_path"], "base");
    let card = text("README.md");
    assert!(
        card.starts_with("---\nbase_model: \"base\"\n") && card.contains("weights tiny."),
        "{card}"
    );
    assert_eq!(
        (result.steps, result.resumed_from_step, events.len()),
        (30, 0, 30)
    );
    assert!(result.loss_last_nats < 0.6 * result.loss_first_nats, "{result:?}");
    assert!(
        events
            .iter()
            .all(|e| e.gradient_norm > Some(0.0) && e.total_steps == 30)
    );
    assert_eq!(events[1].checkpoint_step, 2);
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["adapter", "checkpoint-28", "checkpoint-30"]);
    assert!(result.path().join("adapter_config.json").exists());
}

#[test]
fn epochs_and_accumulation_give_the_number_of_steps() {
    let mut events = Vec::new();
    // 10 rows, 4 a step: 3 steps an epoch, the last one short.
    let result = run(
        &folder("epochs"),
        &config(json!({ "numTrainEpochs": 1.5 })),
        None,
        &mut events,
    )
    .unwrap();
    assert_eq!(result.steps, 5);
    assert!(events.iter().map(|e| e.step).eq(1..=5));
}

#[test]
fn interrupted_runs_end_in_the_same_bytes() {
    let config = config(json!({}));
    let straight = folder("straight");
    let whole = run(&straight, &config, None, &mut Vec::new()).unwrap();
    let broken = folder("broken");
    for stop in [1, 3, 6] {
        let error = run(&broken, &config, Some(stop), &mut Vec::new()).unwrap_err();
        assert_eq!(error.code, Code::Cancelled);
        assert!(broken.join(format!("checkpoint-{stop}/manifest.json")).exists());
    }
    let resumed = run(&broken, &config, None, &mut Vec::new()).unwrap();
    assert_eq!(resumed.resumed_from_step, 6);
    assert_eq!(resumed.sha256(), whole.sha256());
    assert_eq!(
        (resumed.loss_first_nats, resumed.labelled_tokens),
        (whole.loss_first_nats, whole.labelled_tokens)
    );
    for file in [
        "adapter/adapter_config.json",
        "checkpoint-9/state.safetensors",
        "checkpoint-9/log.jsonl",
    ] {
        assert_eq!(bytes(&straight.join(file)), bytes(&broken.join(file)), "{file}");
    }
    // A finished run is not trained again.
    let again = run(&broken, &config, None, &mut Vec::new()).unwrap();
    assert_eq!((again.resumed_from_step, again.sha256()), (9, whole.sha256()));
}

#[test]
fn a_run_goes_on_in_the_same_bytes_with_other_activations_kept() {
    let with = |setting: &str| config(json!({ "gradientCheckpointing": setting }));
    let straight = folder("kept");
    let whole = run(&straight, &with("none"), None, &mut Vec::new()).unwrap();
    assert_eq!(whole.memory_plan.layers.keep, 2);
    let changing = folder("changing");
    for (stop, setting) in [(2, "none"), (4, "full"), (7, "mlp")] {
        run(&changing, &with(setting), Some(stop), &mut Vec::new()).unwrap_err();
    }
    let resumed = run(&changing, &with("full"), None, &mut Vec::new()).unwrap();
    assert_eq!(resumed.memory_plan.layers.checkpoint, 2);
    assert_eq!((resumed.resumed_from_step, resumed.sha256()), (7, whole.sha256()));
    for file in ["checkpoint-9/state.safetensors", "checkpoint-9/log.jsonl"] {
        assert_eq!(bytes(&straight.join(file)), bytes(&changing.join(file)), "{file}");
    }
    // Nothing is said: as much is kept as fits, which here is all.
    let auto = run(&folder("auto"), &config(json!({})), None, &mut Vec::new()).unwrap();
    assert_eq!((auto.memory_plan.layers.keep, auto.sha256()), (2, whole.sha256()));
}

#[test]
fn eight_bit_moments_learn_and_resume_in_the_same_bytes() {
    // Wide enough for tensors of 4,096 elements: A and B of q_proj have 64 x 64.
    let shape = ModelShape {
        layers: 1,
        hidden: 64,
        heads: 4,
        kv_heads: 4,
        head_size: 16,
        inverse_frequencies: plain_inverse_frequencies(10_000.0, 16),
        ..tiny_shape()
    };
    let model = random_model(&Reference, shape, 7).unwrap();
    let changes =
        json!({ "optim": "adamw_8bit", "r": 64, "targetModules": ["q_proj", "v_proj"], "loraDropout": 0 });
    let config = config(changes);
    let (straight, broken) = (folder("straight8"), folder("broken8"));
    let whole = run_on(&model, &straight, &config, None, &mut Vec::new()).unwrap();
    assert!(whole.loss_last_nats < whole.loss_first_nats, "{whole:?}");
    for stop in [2, 5] {
        run_on(&model, &broken, &config, Some(stop), &mut Vec::new()).unwrap_err();
    }
    let resumed = run_on(&model, &broken, &config, None, &mut Vec::new()).unwrap();
    assert_eq!((resumed.resumed_from_step, resumed.sha256()), (5, whole.sha256()));
    let state = "checkpoint-9/state.safetensors";
    assert_eq!(bytes(&straight.join(state)), bytes(&broken.join(state)));
    let file = SafetensorsFile::open(&straight.join(state)).unwrap();
    let q = "model.layers.0.self_attn.q_proj.lora_A.weight";
    assert_eq!(file.raw(&format!("m.{q}")).unwrap().dtype, Dtype::U8);
    assert_eq!(file.raw(&format!("v_scales.{q}")).unwrap().shape, [16]);
}

#[test]
fn damaged_and_unfinished_checkpoints_are_skipped() {
    let config = config(json!({}));
    let whole = run(&folder("reference"), &config, None, &mut Vec::new()).unwrap();
    let out = folder("damaged");
    run(&out, &config, Some(6), &mut Vec::new()).unwrap_err();
    let state = out.join("checkpoint-6/state.safetensors");
    let mut damaged = bytes(&state);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&state, damaged).unwrap();
    std::fs::create_dir_all(out.join("checkpoint-8")).unwrap();
    std::fs::write(out.join("checkpoint-8/log.jsonl"), "").unwrap();
    let resumed = run(&out, &config, None, &mut Vec::new()).unwrap();
    assert_eq!((resumed.resumed_from_step, resumed.sha256()), (4, whole.sha256()));
}

#[test]
fn a_checkpoint_of_another_configuration_is_not_used() {
    let out = folder("other");
    run(&out, &config(json!({})), Some(4), &mut Vec::new()).unwrap_err();
    let result = run(
        &out,
        &config(json!({ "seed": 4, "maxSteps": 2 })),
        None,
        &mut Vec::new(),
    )
    .unwrap();
    assert_eq!(result.resumed_from_step, 0);
    assert!(!out.join("checkpoint-4").exists());
}

#[test]
fn accumulation_equals_one_large_batch() {
    let losses = |batch: usize, accumulation: usize| {
        let changes = json!({ "perDeviceTrainBatchSize": batch, "gradientAccumulationSteps": accumulation,
            "loraDropout": 0.0 });
        let mut events = Vec::new();
        run(
            &folder(&format!("acc{batch}")),
            &config(changes),
            None,
            &mut events,
        )
        .unwrap();
        events.iter().map(|e| e.loss_nats.unwrap()).collect::<Vec<_>>()
    };
    for (a, b) in losses(4, 1).iter().zip(losses(1, 4)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn long_rows_and_bad_values_are_refused_by_name() {
    let error = run(
        &folder("long"),
        &config(json!({ "maxSeqLengthTokens": 7 })),
        None,
        &mut Vec::new(),
    );
    let error = error.unwrap_err();
    assert_eq!(error.code, Code::TrainingDataInvalid);
    assert!(
        error
            .message
            .starts_with("2 of 10 rows are longer than 7 tokens (longest: 8"),
        "{error}"
    );
    for (field, value) in [
        ("r", json!(0)),
        ("learningRate", json!(-1.0)),
        ("targetModules", json!(["x_proj"])),
    ] {
        let error = run(
            &folder("bad"),
            &config(json!({ field: value })),
            None,
            &mut Vec::new(),
        )
        .unwrap_err();
        assert_eq!(error.code, Code::RequestInvalid);
        assert!(error.message.contains(field), "{error}");
    }
}

#[test]
fn a_gradient_that_overflows_names_step_and_tensor() {
    let changes = json!({ "learningRate": 1e30, "maxGradNorm": 0.0, "warmupSteps": 0, "maxSteps": 5 });
    let error = run(&folder("overflow"), &config(changes), None, &mut Vec::new()).unwrap_err();
    assert_eq!(error.code, Code::NonFinite);
    assert!(error.message.contains("step 2"), "{error}");
    assert!(error.message.ends_with("checkpoint-1 is kept"), "{error}");
}

#[test]
fn only_named_modules_learn() {
    let out = folder("targets");
    let changes = json!({ "targetModules": ["q_proj", "model.layers.1.mlp.up_proj"], "maxSteps": 1 });
    run(&out, &config(changes), None, &mut Vec::new()).unwrap();
    let adapter = escada_engine_formats::AdapterFile::read(&out.join("adapter")).unwrap();
    let modules: Vec<&str> = adapter.tensors.keys().map(String::as_str).collect();
    assert_eq!(
        modules,
        [
            "model.layers.0.self_attn.q_proj",
            "model.layers.1.mlp.up_proj",
            "model.layers.1.self_attn.q_proj"
        ]
    );
}

#[test]
fn runs_that_would_never_end_and_sizes_beyond_counting_are_refused_by_name() {
    for (field, value) in [
        ("maxSteps", json!(10_000_001)),
        ("maxSteps", json!(i64::MAX)),
        ("numTrainEpochs", json!(1e12)),
        ("numTrainEpochs", json!(1e300)),
        ("perDeviceTrainBatchSize", json!(1_u64 << 63)),
        ("gradientAccumulationSteps", json!(u64::MAX)),
    ] {
        let error = run(
            &folder("sizes"),
            &config(json!({ field: value })),
            None,
            &mut Vec::new(),
        )
        .unwrap_err();
        assert_eq!(error.code, Code::RequestInvalid, "{field} {value}");
        assert!(error.message.contains(field), "{error}");
    }
}
