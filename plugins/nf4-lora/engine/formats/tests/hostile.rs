//! Files made to harm: each must end in its coded error, and soon.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{f32_bytes, fixture};
use escada_engine_formats::safetensors_file::SafetensorsFile;
use escada_engine_formats::{AdapterFile, ChatTemplate, Code, EngineError, Message, ModelSource, Tokenizer};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Generous for a busy machine; a hang would take minutes.
const SOON: Duration = Duration::from_secs(20);

fn error_of<T>(outcome: Result<T, EngineError>) -> EngineError {
    match outcome {
        Ok(_) => panic!("accepted"),
        Err(error) => error,
    }
}

fn check<T>(outcome: Result<T, EngineError>, code: Code, part: &str) {
    let error = error_of(outcome);
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(part), "{error}");
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn opened(header: &str, data: &[u8]) -> Result<SafetensorsFile, EngineError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.safetensors");
    std::fs::write(&path, safetensors(header, data)).unwrap();
    SafetensorsFile::open(&path)
}

/// A copy of the tiny checkpoint, for one of its files to be replaced.
fn model_folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        std::fs::copy(fixture("tiny-llama").join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn nested(depth: usize) -> String {
    format!("{}0{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    let cases = [
        (
            r#"{"a":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}"#,
            "",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,8]}}"#,
            "",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}}"#,
            "",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            "offset",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            "twice",
        ),
        (r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#, ""),
        (r#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#, "F99"),
        (r#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, ""),
    ];
    for (header, part) in cases {
        check(opened(header, &[0; 8]), Code::ModelFileInvalid, part);
    }
    let deep = format!(r#"{{"__metadata__":{}}}"#, nested(100_000));
    check(opened(&deep, &[]), Code::ModelFileInvalid, "");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.safetensors");
    std::fs::write(&path, [&u64::MAX.to_le_bytes()[..], b"{}"].concat()).unwrap();
    check(SafetensorsFile::open(&path), Code::ModelFileInvalid, "");
    std::fs::write(&path, b"").unwrap();
    check(SafetensorsFile::open(&path), Code::ModelFileInvalid, "");
}

#[test]
fn what_is_no_file_is_refused_and_never_waited_for() {
    let folder = model_folder();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let path = folder.path().join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let outcome = ModelSource::open(folder.path()).and_then(|source| source.tokenizer());
        check(outcome, Code::ModelFileInvalid, "not a regular file");
        std::fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let outcome = ModelSource::open(folder.path()).and_then(|source| source.tokenizer());
        check(outcome, Code::ModelFileInvalid, name);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(ModelSource::open(folder.path()).unwrap().tokenizer().is_ok());
}

#[test]
fn an_index_cannot_leave_its_folder() {
    let folder = model_folder();
    let weights = folder.path().join("model.safetensors");
    let outside = TempDir::new().unwrap();
    std::fs::rename(&weights, outside.path().join("x.safetensors")).unwrap();
    let index = |file: &str| {
        let text = json!({ "weight_map": { "model.norm.weight": file } }).to_string();
        std::fs::write(folder.path().join("model.safetensors.index.json"), text).unwrap();
        ModelSource::open(folder.path())
    };
    let absolute = outside.path().join("x.safetensors");
    for file in [
        "../x.safetensors",
        absolute.to_str().unwrap(),
        "..",
        ".",
        "",
        "a/b",
        "a\0b",
    ] {
        check(index(file), Code::ModelFileInvalid, "bad file name");
    }
    check(
        index("gone.safetensors"),
        Code::ModelIncomplete,
        "gone.safetensors",
    );
    let text = r#"{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), text).unwrap();
    check(
        ModelSource::open(folder.path()),
        Code::ModelFileInvalid,
        "\"a\" appears twice",
    );
}

#[test]
fn configurations_that_lie_are_refused() {
    let folder = model_folder();
    let path = folder.path().join("config.json");
    let good: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let with = |key: &str, value: Value| {
        let mut config = good.clone();
        config[key] = value;
        std::fs::write(&path, config.to_string()).unwrap();
        ModelSource::open(folder.path())
    };
    for (key, value) in [
        ("max_position_embeddings", json!(1_u64 << 28)),
        ("num_hidden_layers", json!(u64::MAX)),
        ("num_hidden_layers", json!(4097)),
        ("vocab_size", json!(0)),
        ("hidden_size", json!(-1)),
        ("head_dim", json!(0)),
        ("num_key_value_heads", json!(3)),
        ("rms_norm_eps", json!("1e-5")),
        ("tie_word_embeddings", json!("yes")),
        ("attention_bias", json!(1)),
        ("rope_parameters", json!({ "rope_theta": -1 })),
    ] {
        check(with(key, value), Code::ModelFileInvalid, "");
    }
    std::fs::write(&path, nested(200_000)).unwrap();
    check(
        ModelSource::open(folder.path()),
        Code::ModelFileInvalid,
        "recursion",
    );
    std::fs::write(&path, b"{\"model_type\": \"\xff\"}").unwrap();
    check(ModelSource::open(folder.path()), Code::ModelFileInvalid, "UTF-8");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    check(
        ModelSource::open(folder.path()),
        Code::ModelFileInvalid,
        "larger than",
    );
}

fn tokenizer_with(edit: impl FnOnce(&mut Value)) -> Result<Tokenizer, EngineError> {
    let bytes = std::fs::read(fixture("tiny-llama").join("tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_slice(&bytes).unwrap();
    edit(&mut json);
    Tokenizer::from_json(Path::new("tokenizer.json"), json.to_string().as_bytes())
}

#[test]
fn tokenizers_that_lie_are_refused() {
    let read = |text: &str| Tokenizer::from_json(Path::new("tokenizer.json"), text.as_bytes());
    for text in [
        "",
        "null",
        "[]",
        "{\"decoder\":{\"type\":}}",
        "{\"model\":{}}",
        &nested(100_000),
    ] {
        check(read(text), Code::ModelFileInvalid, "tokenizer.json");
    }
    let merges = |json: &mut Value, merges: Value| json["model"]["merges"] = merges;
    check(
        tokenizer_with(|json| merges(json, json!([["never", "there"]]))),
        Code::ModelFileInvalid,
        "",
    );
    let prefixed = tokenizer_with(|json| {
        json["model"]["continuing_subword_prefix"] = json!("a very long prefix");
        merges(json, json!([["a", "b"]]));
    });
    check(prefixed, Code::ModelUnsupported, "continuing_subword_prefix");
    let deep = tokenizer_with(|json| {
        let inner = json!({ "type": "Lowercase" });
        json["normalizer"] = (0..50).fold(
            inner,
            |inner, _| json!({ "type": "Sequence", "normalizers": [inner] }),
        );
    });
    assert!(deep.is_ok() || error_of(deep).code == Code::ModelFileInvalid);
}

#[test]
fn cyclic_merges_end() {
    let start = Instant::now();
    // Every merge leads back into another one: "ab", "ba", "aba", "bab" …
    let tokenizer = tokenizer_with(|json| {
        let model = &mut json["model"];
        let mut next = 10_000;
        for token in ["ab", "ba", "aba", "bab", "abab", "baba"] {
            if model["vocab"].get(token).is_none() {
                model["vocab"][token] = json!(next);
                next += 1;
            }
        }
        model["merges"] = json!([
            ["a", "b"],
            ["b", "a"],
            ["ab", "a"],
            ["ba", "b"],
            ["ab", "ab"],
            ["ba", "ba"]
        ]);
    })
    .unwrap();
    let ids = tokenizer.encode_text(&"ab".repeat(100_000)).unwrap();
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "ab".repeat(100_000));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

fn render(source: &str) -> Result<Vec<u32>, EngineError> {
    let tokenizer = tokenizer_with(|_| {}).unwrap();
    let message = Message {
        role: "user".to_owned(),
        content: "Hi".to_owned(),
    };
    ChatTemplate::new(Path::new("model"), source, None, None)?.encode(&tokenizer, &[message], true)
}

#[test]
fn templates_without_end_are_stopped() {
    let start = Instant::now();
    let endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
    check(render(endless), Code::ModelFileInvalid, "does not end");
    let recursive = "{% macro m(x) %}{{ m(x) }}{{ m(x) }}{% endmacro %}{{ m(1) }}";
    assert!([Code::ModelFileInvalid, Code::RequestInvalid].contains(&error_of(render(recursive)).code));
    let long = "{% for i in range(99999) %}{{ 'a' * 100000 }}{% endfor %}";
    check(render(long), Code::ModelFileInvalid, "writes too much");
    check(
        render("{{ 'a' * 99999999999 }}"),
        Code::RequestInvalid,
        "too large",
    );
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000));
    check(render(&deep), Code::ModelFileInvalid, "chat template");
    check(
        render(&"a".repeat(2 << 20)),
        Code::ModelFileInvalid,
        "longer than",
    );
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let folder = model_folder();
    let path = folder.path().join("model.safetensors");
    let good = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&good[8..8 + length]).unwrap();
    let name = "model.norm.weight";
    let at = 8 + length + header[name]["data_offsets"][0].as_u64().unwrap() as usize;
    for bits in [0x7fc0_u16, 0x7f80, 0xff80] {
        let mut bytes = good.clone();
        let width = header[name]["dtype"].as_str().unwrap();
        match width {
            "F32" => bytes[at..at + 4].copy_from_slice(&(u32::from(bits) << 16).to_le_bytes()),
            _ => bytes[at..at + 2].copy_from_slice(&bits.to_le_bytes()),
        }
        std::fs::write(&path, bytes).unwrap();
        let source = ModelSource::open(folder.path()).unwrap();
        check(source.tensor(name), Code::ModelFileInvalid, name);
    }
}

fn adapter(config: Value, input: usize, a: &[f32]) -> Result<AdapterFile, EngineError> {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    let key = "base_model.model.model.layers.0.self_attn.q_proj";
    let split = 4 * a.len();
    let header = json!({
        format!("{key}.lora_A.weight"): { "dtype": "F32", "shape": [2, input], "data_offsets": [0, split] },
        format!("{key}.lora_B.weight"): { "dtype": "F32", "shape": [2, 2], "data_offsets": [split, split + 16] },
    });
    let data = [f32_bytes(a), f32_bytes(&[0.0; 4])].concat();
    let bytes = safetensors(&header.to_string(), &data);
    std::fs::write(folder.path().join("adapter_model.safetensors"), bytes).unwrap();
    AdapterFile::read(folder.path())
}

#[test]
fn adapters_that_lie_are_refused() {
    let config = |r: Value, alpha: Value| json!({ "peft_type": "LORA", "r": r, "lora_alpha": alpha, "target_modules": ["q_proj"] });
    let good = || config(json!(2), json!(4));
    assert!(adapter(good(), 1, &[1.0, 2.0]).is_ok());
    check(adapter(good(), 0, &[]), Code::ModelFileInvalid, "q_proj");
    for bad in [f32::NAN, f32::INFINITY] {
        check(adapter(good(), 1, &[1.0, bad]), Code::ModelFileInvalid, "q_proj");
    }
    let huge = [json!(0), json!(u64::MAX), json!("2"), json!(3)];
    for r in huge {
        check(
            adapter(config(r, json!(4)), 1, &[1.0, 2.0]),
            Code::ModelFileInvalid,
            "",
        );
    }
    check(
        adapter(config(json!(2), json!(1e300)), 1, &[1.0, 2.0]),
        Code::ModelFileInvalid,
        "lora_alpha",
    );
    // The name of the base model is information, never a path that is opened.
    let mut elsewhere = good();
    elsewhere["base_model_name_or_path"] = json!("../../../../etc/passwd");
    assert!(adapter(elsewhere, 1, &[1.0, 2.0]).is_ok());
}
