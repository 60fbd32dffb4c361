//! Replies after every epoch: when they come, what is kept of them, and that they change nothing else.
#![allow(clippy::unwrap_used)]

use escada_engine_core::batch::TokenRow;
use escada_engine_core::reference::Reference;
use escada_engine_core::sample::Ending;
use escada_engine_core::testing::{random_model, tiny_shape};
use escada_engine_core::train::{SampleRequest, TrainEvent, TrainRequest, TrainResult, train};
use escada_engine_core::train_config::TrainConfig;
use escada_engine_formats::error::{Code, EngineError, Result};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

fn config(changes: Value) -> TrainConfig {
    let mut config = json!({
        "r": 2, "loraAlpha": 4, "loraDropout": 0.1, "learningRate": 0.02, "lrSchedulerType": "linear", "warmupSteps": 0,
        "weightDecay": 0.01, "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1.0,
        "perDeviceTrainBatchSize": 2, "gradientAccumulationSteps": 2, "numTrainEpochs": 3, "maxSteps": -1,
        "maxSeqLengthTokens": 32, "seed": 3, "saveSteps": 100, "sampleRows": 2, "sampleMaxNewTokens": 5
    });
    let changes = changes.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(changes);
    serde_json::from_value(config).unwrap()
}

/// Ten rows, three steps an epoch.
fn rows() -> Vec<TokenRow> {
    let row = |i: u32| TokenRow {
        tokens: (0..5 + i % 4).map(|j| (i * 3 + j) % 37).collect(),
        labelled_from: 2,
    };
    (0..10).map(row).collect()
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("escada-samples-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

struct Asked<'a> {
    config: TrainConfig,
    sampled: bool,
    /// Sets the cancellation flag behind this step.
    stop_after: Option<usize>,
    text: &'a dyn Fn(&[u32]) -> Result<String>,
}

fn run(
    out_dir: &Path,
    asked: &Asked<'_>,
) -> (std::result::Result<TrainResult, EngineError>, Vec<TrainEvent>) {
    let (flag, rows) = (AtomicBool::new(false), rows());
    let held_out = vec![
        ("a".to_owned(), rows[3].clone()),
        ("b".to_owned(), rows[8].clone()),
    ];
    let request = TrainRequest {
        rows: &rows,
        row_ids: &[],
        config: &asked.config,
        out_dir,
        model_digest: "tiny",
        base_model: "base",
        engine_build: "test",
        samples: asked.sampled.then_some(SampleRequest {
            rows: &held_out,
            end_ids: &[36],
            text: asked.text,
        }),
    };
    let model = random_model(&Reference, tiny_shape(), 7).unwrap();
    let mut events = Vec::new();
    let mut emit = |event: TrainEvent| {
        flag.store(asked.stop_after == Some(event.step), Ordering::Relaxed);
        events.push(event);
    };
    (train(&Reference, &model, &request, &mut emit, &flag), events)
}

fn joined(ids: &[u32]) -> Result<String> {
    let words: Vec<String> = ids.iter().map(u32::to_string).collect();
    Ok(words.join(" "))
}

fn asked(changes: Value) -> Asked<'static> {
    Asked {
        config: config(changes),
        sampled: true,
        stop_after: None,
        text: &joined,
    }
}

fn sampled_steps(events: &[TrainEvent]) -> Vec<(usize, usize)> {
    let with = events.iter().filter(|event| !event.samples.is_empty());
    with.map(|event| (event.step, event.samples[0].epoch)).collect()
}

#[test]
fn replies_come_after_every_epoch_and_are_logged() {
    let out = folder("epochs");
    let (result, events) = run(&out, &asked(json!({})));
    result.unwrap();
    assert_eq!(sampled_steps(&events), [(3, 1), (6, 2), (9, 3)]);
    let samples = &events[8].samples;
    assert_eq!([&samples[0].id, &samples[1].id], ["a", "b"]);
    for sample in samples {
        // Answers have 6 and 3 tokens; a reply is half as long again at most, or sampleMaxNewTokens.
        assert!(sample.new_tokens <= 5);
        let cut = sample.new_tokens == 5 && !sample.text.ends_with("36");
        assert_eq!(sample.finish == Ending::Length, cut, "{sample:?}");
        assert_eq!(sample.text.split(' ').count(), sample.new_tokens);
    }
    assert_eq!([samples[0].gold_tokens, samples[1].gold_tokens], [6, 3]);
    let log = std::fs::read_to_string(out.join("checkpoint-9/log.jsonl")).unwrap();
    let with: Vec<bool> = log.lines().map(|line| line.contains("\"samples\":[")).collect();
    assert_eq!(with, [false, false, true, false, false, true, false, false, true]);
}

#[test]
fn a_run_by_steps_ends_with_replies_and_a_long_one_thins_them() {
    let (_, events) = run(&folder("steps"), &asked(json!({ "maxSteps": 4 })));
    assert_eq!(sampled_steps(&events), [(3, 1), (4, 2)]);
    // Sixty epochs: after every third.
    let (_, events) = run(&folder("long"), &asked(json!({ "numTrainEpochs": 60 })));
    let every_third: Vec<_> = (1..=20).map(|i| (9 * i, 3 * i)).collect();
    assert_eq!(sampled_steps(&events), every_third);
}

#[test]
fn replies_change_nothing_of_what_is_learnt() {
    let (with, without) = (folder("with"), folder("without"));
    let settings = || json!({ "gradientCheckpointing": "full" });
    let (result, events) = run(&with, &asked(settings()));
    result.unwrap();
    let plain = Asked {
        sampled: false,
        ..asked(settings())
    };
    let (result, plain_events) = run(&without, &plain);
    result.unwrap();
    let losses = |events: &[TrainEvent]| events.iter().map(|e| e.loss_nats).collect::<Vec<_>>();
    assert_eq!(losses(&events), losses(&plain_events));
    let adapter = |out: &Path| std::fs::read(out.join("adapter/adapter_model.safetensors")).unwrap();
    assert!(adapter(&with) == adapter(&without));
}

#[test]
fn a_resumed_run_has_the_same_log() {
    let (calm, hit) = (folder("calm"), folder("hit"));
    run(&calm, &asked(json!({}))).0.unwrap();
    for stop_after in [2, 3, 5] {
        let stopped = Asked {
            stop_after: Some(stop_after),
            ..asked(json!({}))
        };
        assert_eq!(run(&hit, &stopped).0.unwrap_err().code, Code::Cancelled);
        assert!(hit.join(format!("checkpoint-{stop_after}")).exists());
    }
    // Cancelled between the last step of an epoch and its replies: that step is done again.
    let times = Cell::new(0);
    let cancelling = |ids: &[u32]| {
        times.set(times.get() + 1);
        match times.get() {
            2 => Err(EngineError::new(Code::Cancelled, "cancelled")),
            _ => joined(ids),
        }
    };
    let stopped = Asked {
        text: &cancelling,
        ..asked(json!({}))
    };
    assert_eq!(run(&hit, &stopped).0.unwrap_err().code, Code::Cancelled);
    assert!(!hit.join("checkpoint-6").exists());
    let (result, events) = run(&hit, &asked(json!({})));
    assert_eq!(result.unwrap().resumed_from_step, 5);
    assert_eq!(sampled_steps(&events), [(6, 2), (9, 3)]);
    for file in ["checkpoint-9/log.jsonl", "adapter/adapter_model.safetensors"] {
        let bytes = |out: &Path| std::fs::read(out.join(file)).unwrap();
        assert!(bytes(&calm) == bytes(&hit), "{file}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (changes, field) in [
        (json!({ "sampleRows": 65 }), "sampleRows"),
        (json!({ "sampleMaxNewTokens": 0 }), "sampleMaxNewTokens"),
    ] {
        let error = config(changes).check().unwrap_err();
        assert!(error.message.contains(field), "{error}");
    }
}
