//! Checkpoints and rows made to harm: none is resumed from, none ends in a panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use escada_engine_core::checkpoint::{LogRow, RunIdentity, resume, save};
use escada_engine_core::control::Control;
use escada_engine_core::json_lines;
use escada_engine_core::lora::LoraLayout;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::reference::Reference;
use escada_engine_core::requests::ChatRow;
use escada_engine_core::testing::tiny_shape;
use escada_engine_core::train_config::Optim;
use escada_engine_formats::Code;
use escada_engine_formats::atomic::sha256_file;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn identity() -> RunIdentity {
    RunIdentity {
        config_digest: "c".to_owned(),
        rows_digest: "r".to_owned(),
        model_digest: "m".to_owned(),
        engine_build: "e".to_owned(),
        isa_class: "i".to_owned(),
    }
}

/// A folder of its own for each test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("escada-hostile-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Parameters of an adapter and their optimizer.
fn state(value: f32) -> (Vec<f32>, Optimizer<Reference>) {
    let adapter = LoraLayout::new(&tiny_shape(), |_, _| Some((2, 1.0))).unwrap();
    let optimizer = Optimizer::fresh(&Reference, &adapter.parameters(), Optim::AdamwTorch);
    (vec![value; adapter.len], optimizer.unwrap())
}

fn write_checkpoint(folder: &Path, first: f32) {
    let (mut parameters, optimizer) = state(0.5);
    parameters[0] = first;
    let log = [LogRow {
        step: 1,
        loss_nats: Some(1.0),
        learning_rate: 0.1,
        gradient_norm: Some(1.0),
        labelled_tokens: 3,
        skipped: false,
        warnings: Vec::new(),
        samples: Vec::new(),
    }];
    let control = Control::none();
    save(
        folder,
        &identity(),
        &log,
        &Reference,
        &parameters,
        &optimizer,
        control,
    )
    .unwrap();
}

/// Whether something was resumed from, and if not, why.
fn resumed(folder: &Path) -> (bool, String) {
    let (mut parameters, mut optimizer) = state(7.0);
    let mut why = String::new();
    let skipped = |_: &Path, reason: &str| why = reason.to_owned();
    let found = resume(
        folder,
        &identity(),
        &Reference,
        &mut parameters,
        &mut optimizer,
        skipped,
    );
    let found = found.unwrap().is_some();
    // All of a checkpoint is taken, or nothing.
    assert!(parameters.iter().all(|value| (*value == 7.0) != found));
    (found, why)
}

/// Why nothing was resumed from; panics if something was.
fn refusal(folder: &Path) -> String {
    let (found, why) = resumed(folder);
    assert!(!found);
    why
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let folder = Folder::new("nan");
    write_checkpoint(&folder.0, 0.25);
    assert!(resumed(&folder.0).0);
    for bad in [f32::NAN, f32::NEG_INFINITY] {
        write_checkpoint(&folder.0, bad);
        let why = refusal(&folder.0);
        assert!(
            why.contains("parameters.") && why.contains("NaN or infinity"),
            "{why}"
        );
    }
}

#[test]
fn manifests_that_lie_are_passed_over() {
    let folder = Folder::new("manifest");
    write_checkpoint(&folder.0, 0.25);
    let inside = folder.0.join("checkpoint-1");
    let manifest = inside.join("manifest.json");
    let good: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut changed = good.clone();
        edit(&mut changed);
        std::fs::write(&manifest, changed.to_string()).unwrap();
        refusal(&folder.0)
    };
    assert!(with(&|m| m["step"] = json!(u64::MAX)).contains("step"));
    assert!(with(&|m| m["formatVersion"] = json!(-1)).contains("manifest"));
    assert!(with(&|m| m["files"] = json!({})).contains("lacks"));
    assert!(
        with(&|m| m["files"]["state.safetensors"]["sizeBytes"] = json!(u64::MAX))
            .contains("state.safetensors")
    );
    assert!(with(&|m| m["files"]["log.jsonl"]["sha256"] = json!("00")).contains("log.jsonl"));
    std::fs::write(&manifest, "[".repeat(100_000)).unwrap();
    assert!(refusal(&folder.0).contains("damaged manifest"));
    // The manifest vouches for a log that is none, and for weights of another shape.
    std::fs::write(inside.join("log.jsonl"), "{}\n").unwrap();
    let vouch = |m: &mut Value| {
        for name in ["log.jsonl", "state.safetensors"] {
            m["files"][name]["sha256"] = json!(sha256_file(&inside.join(name)).unwrap());
            m["files"][name]["sizeBytes"] = json!(inside.join(name).metadata().unwrap().len());
        }
    };
    assert!(with(&vouch).contains("missing field"));
    std::fs::write(inside.join("state.safetensors"), [0xff; 64]).unwrap();
    assert!(with(&vouch).contains("state.safetensors"));
}

#[test]
fn rows_that_are_no_text_are_the_request_s_fault() {
    let folder = Folder::new("rows");
    let path = folder.0.join("rows.jsonl");
    for bytes in [&b"\xff\xfe"[..], b"{", b"[[[[", b"{\"id\":1}"] {
        std::fs::write(&path, bytes).unwrap();
        let error = json_lines::read::<ChatRow>(&path).err().unwrap();
        assert_eq!(error.code, Code::RequestInvalid, "{error}");
        assert!(error.message.contains("rows.jsonl"), "{error}");
    }
}
