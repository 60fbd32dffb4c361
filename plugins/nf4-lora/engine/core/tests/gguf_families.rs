//! GGUF files of the Mistral, Qwen2, Llama 3.1 and Llama 2 families, written by gguf-py: they compute what their folders do, and so do exports
//! made from them.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::adapter_file;
use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::export::{ExportFormat, ExportParams, export};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::gguf::{BlockType, GgufFile, Value};
use escada_engine_formats::{AdapterFile, Code, Message, ModelSource};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Folder of the fixture, its architecture here and in GGUF.
const MODELS: [(&str, &str, &str); 4] = [
    ("tiny-mistral", "mistral", "llama"),
    ("tiny-qwen2", "qwen2", "qwen2"),
    // Its rotary frequencies are scaled, which the file says by a table.
    ("tiny-llama3", "llama", "llama"),
    // With a SentencePiece tokenizer of its own.
    ("tiny-llama", "llama", "llama"),
];
/// f32 sums in another order, relative to the largest logit.
const SAME: f32 = 2e-5;
/// Longer than Mistral's window of 16.
const TOKENS: usize = 40;

fn gguf(name: &str) -> PathBuf {
    common::fixture("gguf").join(format!("{name}.gguf"))
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("escada-gguf-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn open(backend: &CpuBackend, path: &Path) -> Loaded<CpuBackend> {
    let quantization = Quantization {
        format: WeightFormat::F32,
        block_size: 64,
        double_quant: false,
    };
    Loaded::open(backend, path, quantization).unwrap()
}

/// Logits `[TOKENS, V]`.
fn logits(path: &Path, adapter: Option<&Path>) -> Vec<f32> {
    let backend = CpuBackend::new(2).unwrap();
    let loaded = open(&backend, path);
    let adapter = adapter.map(|folder| adapter_file::load(&backend, &loaded.model.shape, folder).unwrap());
    let tokens: Vec<u32> = (0..TOKENS as u32).map(|i| 3 + (i * i * 7 + i) % 370).collect();
    let mut decoder = Decoder::new(&backend, &loaded.model, adapter.as_ref(), &[], 1, TOKENS).unwrap();
    let feed = Feed {
        slot: 0,
        before: 0,
        tokens: &tokens,
    };
    decoder.feed(&[feed]).unwrap();
    decoder.logits(&(0..TOKENS as u32).collect::<Vec<_>>()).unwrap()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0f32, |l, v| l.max(v.abs()));
    a.iter().zip(b).fold(0.0f32, |d, (a, b)| d.max((a - b).abs())) / largest
}

fn write(base: &Path, adapter: Option<&Path>, out: &Path, format: ExportFormat) -> String {
    let params = params(base, adapter, out, format);
    export(&params, &AtomicBool::new(false)).unwrap().sha256
}

fn params(base: &Path, adapter: Option<&Path>, out: &Path, format: ExportFormat) -> ExportParams {
    ExportParams {
        path: base.to_owned(),
        adapter_path: adapter.map(Path::to_owned),
        out_path: out.to_owned(),
        format,
        weight_format: WeightFormat::F32,
        block_size: 64,
        double_quant: false,
        max_shard_bytes: None,
        check: None,
    }
}

#[test]
fn a_gguf_file_computes_what_its_folder_does() {
    for (name, architecture, in_gguf) in MODELS {
        let source = ModelSource::open(&gguf(name)).unwrap();
        let from_folder = ModelSource::open(&common::fixture(name)).unwrap();
        assert_eq!(source.config().architecture, architecture);
        assert_eq!(source.config().gguf_architecture(), in_gguf);
        assert_eq!(source.config(), from_folder.config(), "{name}");
        // The weights are the same bits, so the results are.
        assert_eq!(
            logits(&gguf(name), None),
            logits(&common::fixture(name), None),
            "{name}"
        );
    }
}

#[test]
fn exports_from_gguf_compute_what_base_and_adapter_did() {
    for (name, _, in_gguf) in MODELS {
        let (base, out) = (gguf(name), folder(name));
        let adapter = common::fixture(name).join("adapter");
        let want = logits(&base, Some(&adapter));
        assert!(difference(&logits(&base, None), &want) > 1e-2);
        for (format, file_type, bound) in [
            (ExportFormat::GgufF32, 0, SAME),
            (ExportFormat::GgufF16, 1, 5e-3),
            // Rows of 32 values are one block each: coarser than in a real model.
            (ExportFormat::GgufQ80, 7, 0.1),
        ] {
            let path = out.join("model.gguf");
            write(&base, Some(&adapter), &path, format);
            let file = GgufFile::open(&path).unwrap();
            assert_eq!(file.value("general.file_type"), Some(&Value::Int(file_type)));
            assert_eq!(
                file.value("general.architecture"),
                Some(&Value::Text(in_gguf.to_owned()))
            );
            let far = difference(&logits(&path, None), &want);
            assert!(far < bound, "{name} {format:?}: {far}");
        }
        // In 32 bits nothing is rounded.
        write(&base, None, &out.join("same.gguf"), ExportFormat::GgufF32);
        assert_eq!(logits(&out.join("same.gguf"), None), logits(&base, None));
        let hf = out.join("hf");
        write(&base, Some(&adapter), &hf, ExportFormat::SafetensorsF32);
        assert!(difference(&logits(&hf, None), &want) < SAME, "{name}");
        let (made, fixture) = (ModelSource::open(&hf), ModelSource::open(&common::fixture(name)));
        assert_eq!(made.unwrap().config(), fixture.unwrap().config());
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn an_adapter_has_its_rows_in_the_order_of_the_file() {
    for (name, _, in_gguf) in MODELS {
        let (out, adapter) = (
            folder(&format!("{name}-lora")),
            common::fixture(name).join("adapter"),
        );
        let path = out.join("lora.gguf");
        // From the folder as from the file: the adapter does not know which.
        let sums = [common::fixture(name), gguf(name)]
            .map(|base| write(&base, Some(&adapter), &path, ExportFormat::GgufLora));
        assert_eq!(sums[0], sums[1], "{name}");
        let file = GgufFile::open(&path).unwrap();
        assert_eq!(
            file.value("general.architecture"),
            Some(&Value::Text(in_gguf.to_owned()))
        );
        let read = AdapterFile::read(&adapter).unwrap();
        let factors = &read.tensors["model.layers.1.self_attn.q_proj"];
        let (block, bytes) = file.blocks("blk.1.attn_q.weight.lora_b").unwrap();
        assert_eq!(block, BlockType::F32);
        let mut rows = vec![0.0; factors.b.len()];
        block.decode(bytes, &mut rows);
        // Where halves of a head are interleaved, its row 1 is the first of the second half.
        let half = ModelSource::open(&gguf(name)).unwrap().config().head_dim / 2;
        let row = if in_gguf == "llama" { half } else { 1 };
        let r = read.r;
        assert_eq!(rows[r..2 * r], factors.b[row * r..(row + 1) * r], "{name}");
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_folder_becomes_a_gguf_file_that_does_the_same() {
    for (name, _, in_gguf) in MODELS {
        let (base, adapter) = (common::fixture(name), common::fixture(name).join("adapter"));
        let out = folder(&format!("{name}-from-folder"));
        let path = out.join("model.gguf");
        write(&base, Some(&adapter), &path, ExportFormat::GgufF32);
        let far = difference(&logits(&path, None), &logits(&base, Some(&adapter)));
        assert!(far < SAME, "{name}: {far}");
        let file = GgufFile::open(&path).unwrap();
        let architecture = Value::Text(in_gguf.to_owned());
        assert_eq!(file.value("general.architecture"), Some(&architecture));
        compare_models(&base, &path);
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn sentencepiece_and_named_tokenizers_survive_the_way_through_a_folder() {
    for name in ["tiny-llama", "tiny-llama3", "tiny-qwen2"] {
        let out = folder(&format!("{name}-there-and-back"));
        let (hf, path) = (out.join("hf"), out.join("model.gguf"));
        write(&gguf(name), None, &hf, ExportFormat::SafetensorsF32);
        write(&hf, None, &path, ExportFormat::GgufF16);
        compare_models(&gguf(name), &path);
        for key in ["model", "pre", "token_type", "tokens", "merges"] {
            let [before, after] = [gguf(name), path.clone()].map(|path| GgufFile::open(&path).unwrap());
            let key = format!("tokenizer.ggml.{key}");
            assert_eq!(before.value(&key), after.value(&key), "{name} {key}");
        }
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_tokenizer_without_a_name_in_gguf_is_refused() {
    let out = folder("no-name");
    let changed = |file: &str, change: &dyn Fn(&mut serde_json::Value)| {
        for entry in std::fs::read_dir(common::fixture("tiny-llama")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, out.join(path.file_name().unwrap())).unwrap();
            }
        }
        let path = out.join(file);
        let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        std::fs::write(&path, json.to_string()).unwrap();
        let params = params(&out, None, &out.join("x.gguf"), ExportFormat::GgufF16);
        let error = export(&params, &AtomicBool::new(false)).unwrap_err();
        assert_eq!(error.code, Code::ModelUnsupported, "{error}");
        assert!(!out.join("x.gguf").exists());
        error.message
    };
    let whitespace =
        |json: &mut serde_json::Value| json["pre_tokenizer"] = serde_json::json!({ "type": "Whitespace" });
    assert!(changed("tokenizer.json", &whitespace).contains("no name in GGUF"));
    let composed = |json: &mut serde_json::Value| json["normalizer"] = serde_json::json!({ "type": "NFC" });
    assert!(changed("tokenizer.json", &composed).contains("no name in GGUF"));
    let bytes = |json: &mut serde_json::Value| json["model"]["byte_fallback"] = true.into();
    assert!(changed("tokenizer.json", &bytes).contains("blanks"));
    let linear = |json: &mut serde_json::Value| {
        json["rope_parameters"] =
            serde_json::json!({ "rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0 });
    };
    assert!(changed("config.json", &linear).contains("linear"));
    std::fs::remove_dir_all(&out).unwrap();
}

/// The same shape, tokenizer and prompts.
fn compare_models(a: &Path, b: &Path) {
    let [one, other] = [a, b].map(|path| open(&CpuBackend::new(1).unwrap(), path));
    let configs = [a, b].map(|path| ModelSource::open(path).unwrap().config().clone());
    assert_eq!(configs[0], configs[1], "{}", a.display());
    let golden = common::json_fixture("gguf/sentencepiece-tokenizer.json");
    for case in golden["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(one.text(text).unwrap(), other.text(text).unwrap(), "{text:?}");
        let message = Message {
            role: "user".to_owned(),
            content: text.to_owned(),
        };
        let prompts = [&one, &other].map(|model| model.prompt(std::slice::from_ref(&message)).unwrap());
        assert_eq!(prompts[0], prompts[1], "{text:?}");
    }
    assert_eq!(one.tokenizer.eos_ids(), other.tokenizer.eos_ids());
    assert_eq!(one.tokenizer.bos_id(), other.tokenizer.bos_id());
}

#[test]
fn token_ids_are_those_of_transformers_and_llama_cpp() {
    for (model, name) in [
        ("tiny-qwen2", "qwen2"),
        ("tiny-llama3", "llama3"),
        ("tiny-llama", "sentencepiece"),
    ] {
        compare_token_ids(
            model,
            &common::json_fixture(&format!("gguf/{name}-tokenizer.json")),
        );
    }
}

fn compare_token_ids(model: &str, golden: &serde_json::Value) {
    let loaded = open(&CpuBackend::new(1).unwrap(), &gguf(model));
    if let Some(prompt) = golden.get("prompt") {
        let content = prompt["content"].as_str().unwrap().to_owned();
        let role = "user".to_owned();
        let ids = loaded.prompt(&[Message { role, content }]).unwrap();
        assert_eq!(serde_json::json!(ids), prompt["ids"], "{model}");
    }
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 8);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let want: Vec<u64> = case["ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_u64().unwrap())
            .collect();
        let ids = loaded.text(text).unwrap();
        let got: Vec<u64> = ids.iter().copied().map(u64::from).collect();
        assert_eq!(got, want, "{model} {text:?}");
        // Qwen2 composes characters.
        if model != "tiny-qwen2" {
            assert_eq!(loaded.tokenizer.decode(&ids, true).unwrap(), text, "{model}");
        }
    }
}
