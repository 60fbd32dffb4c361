//! PEFT adapters: reading what PEFT wrote, writing the same bytes again and again, refusing what would compute
//! something else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{fixture, json_fixture};
use escada_engine_formats::{AdapterFile, AdapterTensor, Code};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn sample() -> AdapterFile {
    let tensor = AdapterTensor {
        a: vec![0.5; 6],
        b: vec![-0.25; 8],
        input: 3,
        output: 4,
    };
    let names = ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"];
    AdapterFile {
        r: 2,
        alpha: 8.0,
        rs_lora: false,
        dropout: 0.0,
        target_modules: vec!["up_proj".to_owned(), "q_proj".to_owned()],
        base_model: Some("tiny".to_owned()),
        tensors: names.map(|name| (name.to_owned(), tensor.clone())).into(),
    }
}

#[test]
fn an_adapter_of_peft_is_read() {
    let adapter = AdapterFile::read(&fixture("tiny-llama/adapter")).unwrap();
    assert_eq!(
        (adapter.r, adapter.alpha, adapter.scale(), adapter.tensors.len()),
        (4, 8.0, 2.0, 14)
    );
    let q = &adapter.tensors["model.layers.0.self_attn.q_proj"];
    assert_eq!((q.input, q.output, q.a.len(), q.b.len()), (64, 64, 256, 256));
    let up = &adapter.tensors["model.layers.1.mlp.up_proj"];
    assert_eq!((up.input, up.output), (64, 128));
}

#[test]
fn writing_and_reading_gives_the_same_adapter_and_the_same_bytes() {
    for adapter in [
        sample(),
        AdapterFile::read(&fixture("tiny-llama/adapter")).unwrap(),
    ] {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let digest = adapter.write(first.path()).unwrap();
        let back = AdapterFile::read(first.path()).unwrap();
        let mut expected = adapter.clone();
        expected.target_modules.sort();
        assert_eq!(back, expected);
        assert_eq!(back.write(second.path()).unwrap(), digest);
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            let content = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(name)).unwrap();
            assert_eq!(content(&first), content(&second), "{name}");
        }
    }
}

#[test]
fn the_configuration_has_what_peft_needs() {
    let folder = tempfile::tempdir().unwrap();
    sample().write(folder.path()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["target_modules"], json!(["q_proj", "up_proj"]));
    assert!(text.contains("\"lora_alpha\": 8,") && text.contains("\"inference_mode\": true"));
    let reference = json_fixture("tiny-llama/adapter/adapter_config.json");
    for (key, value) in config.as_object().unwrap() {
        let known = reference
            .get(key)
            .unwrap_or_else(|| panic!("PEFT does not know \"{key}\""));
        let same_kind = std::mem::discriminant(known) == std::mem::discriminant(value);
        assert!(
            same_kind || known.is_null() || value.is_null(),
            "{key}: {value} against {known}"
        );
    }
}

#[test]
fn the_scale_follows_the_rank() {
    let mut adapter = sample();
    (adapter.r, adapter.alpha) = (8, 16.0);
    assert_eq!(adapter.scale(), 2.0);
    adapter.rs_lora = true;
    assert_eq!(adapter.scale(), 5.65685424949238);
}

/// Writes the sample, changes its configuration, and reads it.
fn read_with(change: impl Fn(&mut Value)) -> Result<AdapterFile, escada_engine_formats::EngineError> {
    let folder = tempfile::tempdir().unwrap();
    sample().write(folder.path()).unwrap();
    let path = folder.path().join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(&path, config.to_string()).unwrap();
    AdapterFile::read(folder.path())
}

#[test]
fn the_minimum_is_enough() {
    let minimum = json!({ "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"] });
    let adapter = read_with(|config| *config = minimum.clone()).unwrap();
    assert_eq!(
        (adapter.scale(), adapter.rs_lora, adapter.base_model),
        (2.0, false, None)
    );
    assert!(read_with(|config| config["target_modules"] = json!("all-linear")).is_ok());
    assert!(read_with(|config| config["an_unknown_field"] = json!({ "a": 1 })).is_ok());
}

#[test]
fn options_that_change_the_result_are_refused_by_name() {
    let cases = [
        ("rank_pattern", json!({ "q_proj": 4 })),
        ("alpha_pattern", json!({ "q_proj": 4 })),
        ("use_dora", json!(true)),
        ("bias", json!("lora_only")),
        ("lora_bias", json!(true)),
        ("fan_in_fan_out", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("layer_replication", json!([[0, 2]])),
        ("peft_type", json!("LOHA")),
    ];
    for (key, value) in cases {
        let error = read_with(|config| config[key] = value.clone()).expect_err(key);
        assert_eq!(error.code, Code::ModelUnsupported, "{key}");
        assert!(error.message.contains(key), "{error}");
    }
}

#[test]
fn starts_that_change_the_base_are_refused_and_those_that_do_not_are_read() {
    for start in [
        json!(null),
        json!(true),
        json!(false),
        json!("gaussian"),
        json!("eva"),
        json!("orthogonal"),
    ] {
        let read = read_with(|config| config["init_lora_weights"] = start.clone());
        assert!(read.is_ok(), "{start}: {read:?}");
    }
    let plain = "path_initial_model_for_weight_conversion";
    for (start, way) in [
        (json!("pissa"), plain),
        (json!("pissa_niter_16"), plain),
        (json!("PiSSA"), plain),
        (json!("olora"), plain),
        (json!("corda"), plain),
        (json!("lora_ga"), plain),
        (json!("loftq"), "a base with weights of its own"),
        (json!("something_new"), "is not known"),
        (json!(1), "is not known"),
    ] {
        let error =
            read_with(|config| config["init_lora_weights"] = start.clone()).expect_err("must be refused");
        assert_eq!(error.code, Code::ModelUnsupported, "{start}");
        let (named, way) = (format!("init_lora_weights {start}"), error.message.contains(way));
        assert!(error.message.contains(&named) && way, "{error}");
        assert!(
            error.message.contains("adapter_config.json") && error.message.contains("merge it"),
            "{error}"
        );
    }
}

#[test]
fn damaged_adapters_are_refused() {
    for (key, value) in [
        ("r", json!(3)),
        ("r", json!(0)),
        ("r", json!("2")),
        ("lora_alpha", Value::Null),
    ] {
        let error = read_with(|config| config[key] = value.clone()).expect_err(key);
        assert_eq!(error.code, Code::ModelFileInvalid, "{error}");
    }
    let broken = |change: &dyn Fn(&mut AdapterFile)| {
        let folder = tempfile::tempdir().unwrap();
        let mut adapter = sample();
        change(&mut adapter);
        adapter
            .write(folder.path())
            .and_then(|_| AdapterFile::read(folder.path()))
            .expect_err("must be refused")
    };
    let poison = |adapter: &mut AdapterFile| {
        adapter
            .tensors
            .values_mut()
            .for_each(|tensor| tensor.a[0] = f32::NAN)
    };
    assert!(broken(&poison).message.contains("NaN"));
    assert_eq!(
        broken(&|adapter| adapter.tensors = BTreeMap::new()).code,
        Code::ModelFileInvalid
    );
}
