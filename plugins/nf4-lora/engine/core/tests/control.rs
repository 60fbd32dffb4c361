//! Long operations give signs of life between their parts, and end there when they are cancelled.
#![allow(clippy::unwrap_used)]

mod common;

use common::fixture;
use escada_engine_core::batch::TokenRow;
use escada_engine_core::control::{Control, Signs};
use escada_engine_core::export::{ExportFormat, ExportParams, export};
use escada_engine_core::generate::{GenerateOptions, Prompt, generate};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::reference::Reference;
use escada_engine_core::score::{ScoreRequest, score};
use escada_engine_core::testing::{random_model, tiny_shape};
use escada_engine_core::train::{TrainRequest, TrainResult, train};
use escada_engine_core::train_config::TrainConfig;
use escada_engine_formats::error::{Code, EngineError};
use serde_json::json;
use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NF4: Quantization = Quantization {
    format: WeightFormat::Nf4,
    block_size: 64,
    double_quant: false,
};

/// Runs `work` with a sign at every poll; a sign for which `enough` holds cancels. Returns all signs.
fn followed<T>(
    enough: impl Fn(&str) -> bool,
    work: impl FnOnce(Control<'_>) -> Result<T, EngineError>,
) -> (Result<T, EngineError>, Vec<String>) {
    let (flag, said) = (AtomicBool::new(false), RefCell::new(Vec::new()));
    let tell = |doing: &str| {
        said.borrow_mut().push(doing.to_owned());
        flag.fetch_or(enough(doing), Ordering::Relaxed);
    };
    let signs = Signs::new(Duration::ZERO, &tell);
    let result = work(Control::new(&flag, &signs));
    (result, said.take())
}

/// What is followed.
type Work<'a> = dyn Fn(Control<'_>) -> Result<(), EngineError> + 'a;

fn count(said: &[String], what: &str) -> usize {
    said.iter().filter(|doing| doing.contains(what)).count()
}

#[test]
fn a_model_is_loaded_with_a_sign_for_every_tensor() {
    let path = fixture("tiny-llama");
    let open = |control: Control<'_>| Loaded::open_with(&Reference, &path, NF4, control).map(drop);
    let (loaded, said) = followed(|_| false, open);
    loaded.unwrap();
    // Two layers of seven matrices and two norms, embedding, last norm.
    assert_eq!(count(&said, "loading model."), 2 * 9 + 2);
    let (cancelled, said) = followed(|doing| doing.contains("layers.1.self_attn.k_proj"), open);
    assert_eq!(cancelled.unwrap_err().code, Code::Cancelled);
    assert!(said.last().unwrap().contains("layers.1.self_attn.k_proj"));
}

#[test]
fn an_export_gives_a_sign_for_every_tensor() {
    let out = tempfile::tempdir().unwrap();
    for (name, format) in [
        ("folder", ExportFormat::SafetensorsF16),
        ("bnb", ExportFormat::Bnb4bit),
        ("file.gguf", ExportFormat::GgufQ80),
    ] {
        let params = ExportParams {
            path: fixture("tiny-llama"),
            adapter_path: None,
            out_path: out.path().join(name),
            format,
            weight_format: WeightFormat::F32,
            block_size: 64,
            double_quant: false,
            max_shard_bytes: None,
            check: None,
        };
        let (exported, said) = followed(|_| false, |control| export(&params, control));
        exported.unwrap();
        assert!(count(&said, "exporting ") >= 2 * 9 + 2, "{name}: {said:?}");
        let (cancelled, _) = followed(|_| true, |control| export(&params, control));
        assert_eq!(cancelled.unwrap_err().code, Code::Cancelled, "{name}");
    }
}

fn config(changes: serde_json::Value) -> TrainConfig {
    let mut config = json!({
        "r": 2, "loraAlpha": 4, "loraDropout": 0.1, "targetModules": "all-linear", "learningRate": 0.02,
        "lrSchedulerType": "cosine", "warmupSteps": 0, "weightDecay": 0, "adamBeta1": 0.9, "adamBeta2": 0.999,
        "adamEpsilon": 1e-8, "maxGradNorm": 1.0, "perDeviceTrainBatchSize": 8, "gradientAccumulationSteps": 1,
        "numTrainEpochs": 1, "maxSteps": 4, "maxSeqLengthTokens": 32, "seed": 3, "saveSteps": 100
    });
    let fields = config.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn train_in(out_dir: &Path, config: &TrainConfig, control: Control<'_>) -> Result<TrainResult, EngineError> {
    let row = |i: u32| TokenRow {
        tokens: (0..6 + i % 4).map(|j| (i * 3 + j) % 37).collect(),
        labelled_from: 2,
    };
    let rows: Vec<TokenRow> = (0..8).map(row).collect();
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
    let model = random_model(&Reference, tiny_shape(), 7).unwrap();
    train(&Reference, &model, &request, &mut |_| {}, control)
}

/// One micro-batch is all of a step here: what is asked between micro-batches only would end with the step.
#[test]
fn a_training_is_cancelled_in_the_middle_of_a_micro_batch_and_loses_that_step_only() {
    let folder = tempfile::tempdir().unwrap();
    for (number, setting) in ["none", "full"].into_iter().enumerate() {
        let config = config(json!({ "gradientCheckpointing": setting }));
        let whole = folder.path().join(format!("whole-{number}"));
        let (result, said) = followed(|_| false, |control| train_in(&whole, &config, control));
        let whole = result.unwrap();
        for place in [
            "layer 2 forward",
            "the loss",
            "layer 2 backward",
            "layer 1 backward",
        ] {
            assert!(count(&said, place) >= 4, "{place}: {said:?}");
            let out = folder.path().join(format!("{number}-{place}"));
            let seen = RefCell::new(0);
            // Its third step: two are whole by then.
            let enough = |doing: &str| {
                *seen.borrow_mut() += usize::from(doing == "computing step 3");
                *seen.borrow() > 0 && doing.contains(place)
            };
            let (cancelled, said) = followed(enough, |control| train_in(&out, &config, control));
            let error = cancelled.unwrap_err();
            assert_eq!(error.code, Code::Cancelled, "{place}: {error}");
            let at = said.iter().rposition(|doing| doing.contains(place)).unwrap();
            let rest = &said[at + 1..];
            assert_eq!(
                count(rest, "writing checkpoint-2"),
                rest.len(),
                "{place}: {rest:?}"
            );
            let (resumed, _) = followed(|_| false, |control| train_in(&out, &config, control));
            let resumed = resumed.unwrap();
            assert_eq!(resumed.resumed_from_step, 2, "{place}");
            assert_eq!(resumed.sha256(), whole.sha256(), "{place}");
        }
    }
}

#[test]
fn scoring_and_generation_are_polled_in_every_layer() {
    let model = random_model(&Reference, tiny_shape(), 7).unwrap();
    let requests = [ScoreRequest {
        prompt: vec![1, 2, 3],
        continuations: vec![vec![4, 5], vec![6]],
    }];
    let scored =
        |control: Control<'_>| score(&Reference, &model, None, &requests, &mut |_, _| {}, control).map(drop);
    let prompts = [Prompt {
        tokens: vec![1, 2, 3],
        key: 0,
    }];
    let options = GenerateOptions {
        max_new_tokens: 4,
        batch_rows: 1,
        sampling: None,
        end_ids: &[],
        stops: &|_| Ok(false),
    };
    let generated = |control: Control<'_>| {
        generate(
            &Reference,
            &model,
            None,
            &prompts,
            &options,
            &mut |_, _| {},
            control,
        )
        .map(drop)
    };
    for work in [&scored as &Work<'_>, &generated] {
        let (done, said) = followed(|_| false, work);
        done.unwrap();
        assert!(count(&said, "computing layer 2 of") >= 2, "{said:?}");
        let (cancelled, said) = followed(|doing| doing.contains("layer 2 of"), work);
        assert_eq!(cancelled.unwrap_err().code, Code::Cancelled);
        assert!(said.last().unwrap().contains("layer 2 of"));
    }
}
