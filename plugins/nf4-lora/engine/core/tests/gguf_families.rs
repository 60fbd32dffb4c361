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
use escada_engine_formats::{AdapterFile, Message, ModelSource};
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
    let params = ExportParams {
        path: base.to_owned(),
        adapter_path: adapter.map(Path::to_owned),
        out_path: out.to_owned(),
        format,
        weight_format: WeightFormat::F32,
        block_size: 64,
        double_quant: false,
        max_shard_bytes: None,
        check: None,
    };
    export(&params, &AtomicBool::new(false)).unwrap().sha256
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
fn words_are_those_of_transformers_and_llama_cpp() {
    for (model, words) in [
        ("tiny-qwen2", "qwen2"),
        ("tiny-llama3", "llama3"),
        ("tiny-llama", "sentencepiece"),
    ] {
        compare_words(model, &common::json_fixture(&format!("gguf/{words}-words.json")));
    }
}

fn compare_words(model: &str, golden: &serde_json::Value) {
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
