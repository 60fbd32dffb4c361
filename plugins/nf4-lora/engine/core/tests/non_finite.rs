//! Steps that are not finite: what is said of them, and what `stop` and `skip` do.
#![allow(clippy::unwrap_used)]

use escada_engine_core::backend::LinearSource;
use escada_engine_core::batch::TokenRow;
use escada_engine_core::model::{Model, WeightSource};
use escada_engine_core::reference::Reference;
use escada_engine_core::shape::ModelShape;
use escada_engine_core::testing::{RandomWeights, tiny_shape};
use escada_engine_core::train::{TrainEvent, TrainRequest, TrainResult, train};
use escada_engine_core::train_config::TrainConfig;
use escada_engine_core::warning::WarningKind;
use escada_engine_formats::error::{Code, EngineError, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Token that only row 6 (id "pot") has.
const RARE: u32 = 36;

/// Random weights of which `poison` spoils a tensor, given its name.
struct Spoiled<F: Fn(&str, &mut [f32])>(RandomWeights, F);

impl<F: Fn(&str, &mut [f32])> WeightSource for Spoiled<F> {
    fn linear<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut values = Vec::new();
        self.0.linear(name, rows, cols, |source| {
            if let LinearSource::F32 { data, .. } = source {
                values = data.to_vec();
            }
            Ok(())
        })?;
        self.1(name, &mut values);
        take(LinearSource::F32 {
            rows,
            cols,
            data: &values,
        })
    }

    fn table<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T> {
        self.linear(name, rows, cols, take)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let mut values = self.0.vector(name, len)?;
        self.1(name, &mut values);
        Ok(values)
    }
}

fn model(poison: impl Fn(&str, &mut [f32])) -> Model<Reference> {
    let shape = ModelShape {
        tied_head: false,
        ..tiny_shape()
    };
    let weights = RandomWeights { seed: 7, scale: 2.0 };
    Model::load(&Reference, shape, &mut Spoiled(weights, poison)).unwrap()
}

/// Only rows with the rare token are spoiled.
fn rare_is_infinite(name: &str, values: &mut [f32]) {
    if name == "model.embed_tokens.weight" {
        let width = tiny_shape().hidden;
        values[RARE as usize * width] = f32::INFINITY;
    }
}

fn config(changes: Value) -> TrainConfig {
    let mut config = json!({
        "r": 2, "loraAlpha": 4, "loraDropout": 0.1, "learningRate": 0.02, "lrSchedulerType": "linear", "warmupSteps": 0,
        "weightDecay": 0.01, "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1.0,
        "perDeviceTrainBatchSize": 2, "gradientAccumulationSteps": 2, "numTrainEpochs": 3, "maxSteps": -1,
        "maxSeqLengthTokens": 32, "seed": 3, "saveSteps": 100
    });
    let changes = changes.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(changes);
    serde_json::from_value(config).unwrap()
}

/// Twelve rows, three steps an epoch.
fn rows() -> (Vec<TokenRow>, Vec<String>) {
    let row = |i: u32| TokenRow {
        tokens: (0..6)
            .map(|j| if (i, j) == (6, 1) { RARE } else { (i * 3 + j) % 30 })
            .collect(),
        labelled_from: 3,
    };
    let id = |i: u32| if i == 6 { "pot".to_owned() } else { format!("r{i}") };
    ((0..12).map(row).collect(), (0..12).map(id).collect())
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("escada-non-finite-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Trains; `stop_after` sets the cancellation flag behind that step.
fn run(
    model: &Model<Reference>,
    out_dir: &Path,
    config: &TrainConfig,
    stop_after: Option<usize>,
) -> (std::result::Result<TrainResult, EngineError>, Vec<TrainEvent>) {
    let (flag, (rows, row_ids)) = (AtomicBool::new(false), rows());
    let request = TrainRequest {
        rows: &rows,
        row_ids: &row_ids,
        config,
        out_dir,
        model_digest: "tiny",
        base_model: "base",
        engine_build: "test",
        samples: None,
    };
    let mut events = Vec::new();
    let mut emit = |event: TrainEvent| {
        flag.store(stop_after == Some(event.step), Ordering::Relaxed);
        events.push(event);
    };
    (train(&Reference, model, &request, &mut emit, &flag), events)
}

/// Steps of the first epochs that hold the spoiled row, from 1.
fn spoiled_steps() -> Vec<usize> {
    let skipping = config(json!({ "nonFinite": "skip" }));
    let (result, events) = run(&model(rare_is_infinite), &folder("which"), &skipping, None);
    result.unwrap();
    let skipped = |e: &&TrainEvent| e.loss_nats.is_none();
    events.iter().filter(skipped).map(|e| e.step).collect()
}

#[test]
fn stop_names_step_rows_and_tensor_and_keeps_what_was_learnt() {
    let (out, model) = (folder("stop"), model(rare_is_infinite));
    // The first seed with which the row does not come at once.
    let late = (1..9).find_map(|seed| {
        let (result, events) = run(&model, &out, &config(json!({ "seed": seed })), None);
        (!events.is_empty()).then(|| (result.unwrap_err(), events.len() + 1))
    });
    let (error, step) = late.unwrap();
    assert_eq!(error.code, Code::NonFinite);
    for part in [
        format!("the loss of step {step} is NaN: micro-batch"),
        "\"pot\"".to_owned(),
        "first not finite: output of model.embed_tokens".to_owned(),
        "nonFinite to \"skip\"".to_owned(),
        format!("checkpoint-{} is kept", step - 1),
    ] {
        assert!(error.message.contains(&part), "{part}: {error}");
    }
    assert!(
        out.join(format!("checkpoint-{}/manifest.json", step - 1))
            .exists()
    );
}

#[test]
fn the_first_tensor_is_named_in_the_middle_of_the_model() {
    let poisons: [(&str, &str); 3] = [
        (
            "model.layers.1.mlp.down_proj.weight",
            "output of model.layers.1.mlp.down_proj",
        ),
        (
            "model.layers.0.self_attn.k_proj.weight",
            "output of model.layers.0.self_attn.k_proj",
        ),
        (
            "model.layers.1.post_attention_layernorm.weight",
            "output of model.layers.1.post_attention_layernorm",
        ),
    ];
    for (tensor, place) in poisons {
        let model = model(|name, values| {
            if name == tensor {
                values.fill(f32::INFINITY);
            }
        });
        let error = run(&model, &folder("middle"), &config(json!({})), None)
            .0
            .unwrap_err();
        assert!(
            error.message.contains(&format!("first not finite: {place}.")),
            "{place}: {error}"
        );
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_found_behind_a_finite_loss() {
    // Logits of 1e38 have a finite loss; divided by the small norm of the stream, their gradient overflows.
    let model = model(|name, values| match name {
        "lm_head.weight" => values.iter_mut().for_each(|v| *v *= 2e37),
        "model.embed_tokens.weight" => values.iter_mut().for_each(|v| *v *= 1e-4),
        _ if name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight") => {
            values.iter_mut().for_each(|v| *v *= 1e-4);
        }
        _ => {}
    });
    let error = run(&model, &folder("gradient"), &config(json!({})), None)
        .0
        .unwrap_err();
    assert!(
        error
            .message
            .contains("the gradient of step 1 is not finite (its loss is)"),
        "{error}"
    );
    assert!(
        error.message.contains("first not finite: gradient of the ")
            && error.message.contains(", then gradient of model.layers.1."),
        "{error}"
    );
    let skip = config(json!({ "nonFinite": "skip", "maxSteps": 2 }));
    let (result, events) = run(&model, &folder("gradient-skip"), &skip, None);
    assert!(result.unwrap_err().message.contains("every step was skipped"));
    assert!(
        events
            .iter()
            .all(|e| e.loss_nats.is_some() && e.gradient_norm.is_none())
    );
}

#[test]
fn skip_leaves_the_update_out_and_tells() {
    let (out, model, steps) = (folder("skip"), model(rare_is_infinite), spoiled_steps());
    assert_eq!(steps.len(), 3, "one an epoch");
    let config = config(json!({ "nonFinite": "skip", "saveSteps": 1, "seed": 3 }));
    run(&model, &out, &config, Some(steps[1])).0.unwrap_err();
    // Weights and moments are those of the step before.
    let state =
        |step: usize| std::fs::read(out.join(format!("checkpoint-{step}/state.safetensors"))).unwrap();
    assert!(state(steps[1]) == state(steps[1] - 1));

    let (result, events) = run(&model, &out, &config, None);
    let result = result.unwrap();
    assert_eq!(
        (result.steps, result.skipped_steps, result.resumed_from_step),
        (9, 3, steps[1])
    );
    let last = events.last().unwrap();
    assert_eq!(last.skipped_steps, 3);
    assert!(result.loss_first_nats.is_finite() && result.loss_last_nats < result.loss_first_nats);
    let text = std::fs::read_to_string(out.join("checkpoint-9/log.jsonl")).unwrap();
    let log: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for row in &log {
        let skipped = steps.contains(&(row["step"].as_u64().unwrap() as usize));
        assert_eq!(row["skipped"], if skipped { json!(true) } else { Value::Null });
        assert_eq!(row["lossNats"].is_null(), skipped);
    }
    // The schedule continues: equal falls from step to step.
    let rate = |i: usize| log[i]["learningRate"].as_f64().unwrap();
    assert!((rate(steps[1] - 2) - rate(steps[1] - 1) - 0.02 / 9.0).abs() < 1e-12);
    let warning = &log[steps[0] - 1]["warnings"][0];
    assert_eq!(
        warning["kind"],
        serde_json::to_value(WarningKind::SkippedStep).unwrap()
    );
    assert!(
        warning["rows"].as_array().unwrap().contains(&json!("pot")),
        "{warning}"
    );
}

#[test]
fn interrupted_runs_with_skipped_steps_end_in_the_same_bytes() {
    let (model, config) = (
        model(rare_is_infinite),
        config(json!({ "nonFinite": "skip", "saveSteps": 2 })),
    );
    let (straight, broken) = (folder("straight"), folder("broken"));
    let whole = run(&model, &straight, &config, None).0.unwrap();
    for stop in [1, 3, 4, 7] {
        run(&model, &broken, &config, Some(stop)).0.unwrap_err();
    }
    let resumed = run(&model, &broken, &config, None).0.unwrap();
    assert_eq!((resumed.resumed_from_step, resumed.sha256()), (7, whole.sha256()));
    for file in ["checkpoint-9/state.safetensors", "checkpoint-9/log.jsonl"] {
        let bytes = |out: &Path| std::fs::read(out.join(file)).unwrap();
        assert!(bytes(&straight) == bytes(&broken), "{file}");
    }
}

#[test]
fn too_many_skips_in_a_row_end_the_training() {
    let model = model(|name, values| {
        if name == "model.norm.weight" {
            values[0] = f32::NAN;
        }
    });
    let out = folder("too-many");
    let skip = config(json!({ "nonFinite": "skip", "maxConsecutiveSkips": 2 }));
    let (result, events) = run(&model, &out, &skip, None);
    let error = result.unwrap_err();
    assert_eq!(events.len(), 2);
    assert!(
        error.message.contains("step 3 is NaN")
            && error.message.contains("The 2 steps before it were skipped"),
        "{error}"
    );
    assert!(out.join("checkpoint-2/manifest.json").exists());
    // Started again it ends there again, and not with two more skips.
    let (again, events) = run(&model, &out, &skip, None);
    assert_eq!((again.unwrap_err().message, events.len()), (error.message, 0));
    let error = run(
        &model,
        &folder("bad"),
        &config(json!({ "maxConsecutiveSkips": 0 })),
        None,
    )
    .0
    .unwrap_err();
    assert!(error.message.contains("config.maxConsecutiveSkips"), "{error}");
}
