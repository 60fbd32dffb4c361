//! Exports compute what base and adapter computed: read back by this engine, compared by their logits.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::adapter_file;
use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::export::{ExportFormat, ExportParams, ExportResult, export};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::LoraLayout;
use escada_engine_core::shape::Target;
use escada_engine_core::testing::uniform;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::atomic::{sha256_file, sha256_hex};
use escada_engine_formats::error::{Code, EngineError};
use escada_engine_formats::gguf::{GgufFile, Value};
use escada_engine_formats::safetensors_file::SafetensorsFile;
use escada_engine_formats::{AdapterFile, AdapterTensor};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// f32 sums in another order, relative to the largest logit.
const SAME: f32 = 2e-5;
const TOKENS: [u32; 12] = [5, 80, 31, 200, 7, 7, 90, 301, 12, 44, 66, 250];

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("escada-export-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn params(
    path: &Path,
    adapter: Option<&Path>,
    out: &Path,
    format: ExportFormat,
    weights: WeightFormat,
) -> ExportParams {
    ExportParams {
        path: path.to_owned(),
        adapter_path: adapter.map(Path::to_owned),
        out_path: out.to_owned(),
        format,
        weight_format: weights,
        block_size: 64,
        double_quant: true,
        max_shard_bytes: None,
        check: None,
    }
}

fn run(params: &ExportParams) -> Result<ExportResult, EngineError> {
    export(params, &AtomicBool::new(false))
}

/// Logits `[TOKENS, V]` of a model, with or without an adapter.
fn logits(path: &Path, adapter: Option<&Path>, format: WeightFormat) -> Vec<f32> {
    let backend = CpuBackend::new(2).unwrap();
    let quantization = Quantization {
        format,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, path, quantization).unwrap();
    let adapter = adapter.map(|folder| adapter_file::load(&backend, &loaded.model.shape, folder).unwrap());
    let mut decoder = Decoder::new(&backend, &loaded.model, adapter.as_ref(), &[], 1, TOKENS.len()).unwrap();
    let feed = Feed {
        slot: 0,
        before: 0,
        tokens: &TOKENS,
    };
    decoder.feed(&[feed]).unwrap();
    let wanted: Vec<u32> = (0..TOKENS.len() as u32).collect();
    decoder.logits(&wanted).unwrap()
}

/// Largest difference over the largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0f32, |l, v| l.max(v.abs()));
    a.iter().zip(b).fold(0.0f32, |d, (a, b)| d.max((a - b).abs())) / largest
}

/// A random adapter on every linear layer of the real model, large enough to matter.
fn random_adapter(model: &Path, to: &Path) {
    let source = escada_engine_formats::ModelSource::open(model).unwrap();
    let config = source.config();
    let mut tensors = std::collections::BTreeMap::new();
    for layer in 0..config.layers {
        for target in Target::ALL {
            let module = target.module(layer);
            let shape = config.tensor_shape(&format!("{module}.weight")).unwrap();
            let scaled = |name: &str, len: usize, scale: f32| -> Vec<f32> {
                uniform(9, &format!("{module}{name}"), len)
                    .iter()
                    .map(|x| x * scale)
                    .collect()
            };
            let tensor = AdapterTensor {
                a: scaled("a", 4 * shape[1], 0.05),
                b: scaled("b", 4 * shape[0], 0.05),
                input: shape[1],
                output: shape[0],
            };
            tensors.insert(module, tensor);
        }
    }
    let adapter = AdapterFile {
        r: 4,
        alpha: 8.0,
        rs_lora: false,
        dropout: 0.0,
        target_modules: Target::ALL.map(|t| t.name().to_owned()).to_vec(),
        base_model: None,
        tensors,
    };
    adapter.write(to).unwrap();
}

#[test]
fn merged_folders_compute_what_base_and_adapter_did() {
    for model in ["tiny-llama", "tiny-qwen2", "tiny-mistral"] {
        let base = common::fixture(model);
        let adapter = base.join("adapter");
        for weights in [WeightFormat::F32, WeightFormat::Nf4] {
            let out = folder(&format!("{model}-{weights:?}"));
            let asked = params(&base, Some(&adapter), &out, ExportFormat::SafetensorsF32, weights);
            let result = run(&asked).unwrap();
            assert_eq!(result.merged, 14);
            let want = logits(&base, Some(&adapter), weights);
            let got = logits(&out, None, WeightFormat::F32);
            assert!(
                difference(&got, &want) < SAME,
                "{model} {weights:?}: {}",
                difference(&got, &want)
            );
            // The adapter matters: the comparison would notice if it were lost.
            assert!(difference(&logits(&base, None, weights), &want) > 1e-2);
            let again = run(&asked).unwrap();
            assert_eq!(again.sha256, result.sha256);
        }
    }
}

#[test]
fn shards_hold_what_one_file_does() {
    let base = common::fixture("tiny-llama");
    let adapter = base.join("adapter");
    for format in [ExportFormat::SafetensorsF32, ExportFormat::Bnb4bit] {
        let (whole, parts) = (folder("one-file"), folder("shards"));
        let asked = |out: &Path, max_shard_bytes: Option<u64>| ExportParams {
            max_shard_bytes,
            ..params(&base, Some(&adapter), out, format, WeightFormat::F32)
        };
        let single = run(&asked(&whole, None)).unwrap();
        // A file from before must not be read in place of the shards.
        std::fs::write(parts.join("model.safetensors"), "old").unwrap();
        let most = 40_000;
        let sharded = run(&asked(&parts, Some(most))).unwrap();
        assert!(!parts.join("model.safetensors").exists());
        let index: Json =
            serde_json::from_slice(&std::fs::read(parts.join("model.safetensors.index.json")).unwrap())
                .unwrap();
        let one = SafetensorsFile::open(&whole.join("model.safetensors")).unwrap();
        let places = index["weight_map"].as_object().unwrap();
        assert_eq!(places.len(), one.names().len());
        let files: BTreeSet<&str> = places.values().map(|file| file.as_str().unwrap()).collect();
        assert!(files.len() > 2, "{files:?}");
        let (mut lines, mut size, mut total) = (String::new(), 0, 0);
        for (at, name) in files.iter().enumerate() {
            assert_eq!(
                *name,
                format!("model-{:05}-of-{:05}.safetensors", at + 1, files.len())
            );
            let path = parts.join(name);
            let file = SafetensorsFile::open(&path).unwrap();
            let mut held = 0;
            for tensor in file.names() {
                assert_eq!(places[&tensor], *name);
                let (got, want) = (file.raw(&tensor).unwrap(), one.raw(&tensor).unwrap());
                assert_eq!(
                    (got.dtype, got.shape, got.bytes),
                    (want.dtype, want.shape, want.bytes)
                );
                held += got.bytes.len() as u64;
            }
            assert!(held <= most || file.names().len() == 1, "{name}: {held} bytes");
            lines += &format!("{}  {name}\n", sha256_file(&path).unwrap());
            size += std::fs::metadata(&path).unwrap().len();
            total += held;
        }
        assert_eq!(
            (sharded.sha256, sharded.size_bytes),
            (sha256_hex(lines.as_bytes()), size)
        );
        assert_eq!(index["metadata"]["total_size"], total);
        // What fits one file is one file.
        let roomy = run(&asked(&whole, Some(single.size_bytes))).unwrap();
        assert_eq!(roomy.sha256, single.sha256);
        let weights = match format {
            ExportFormat::Bnb4bit => WeightFormat::Nf4,
            _ => WeightFormat::F32,
        };
        assert_eq!(logits(&parts, None, weights), logits(&whole, None, weights));
        for folder in [whole, parts] {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[test]
fn an_index_from_before_does_not_stand_for_shards_that_are_not_all_written() {
    let base = common::fixture("tiny-llama");
    let out = folder("interrupted");
    let index = out.join("model.safetensors.index.json");
    let asked = ExportParams {
        max_shard_bytes: Some(40_000),
        ..params(&base, None, &out, ExportFormat::SafetensorsF32, WeightFormat::F32)
    };
    run(&asked).unwrap();
    assert!(index.exists());
    let error = export(&asked, &AtomicBool::new(true)).unwrap_err();
    assert_eq!(error.code, Code::Cancelled);
    assert!(!index.exists());
    std::fs::remove_dir_all(&out).unwrap();
}

#[test]
fn shards_of_what_cannot_be_cut_are_refused() {
    let base = common::fixture("gguf").join("tiny-qwen2.gguf");
    let out = folder("uncut");
    for (format, most) in [(ExportFormat::GgufF32, 1_000), (ExportFormat::SafetensorsF32, 0)] {
        let asked = ExportParams {
            max_shard_bytes: Some(most),
            ..params(&base, None, &out.join("x"), format, WeightFormat::F32)
        };
        let error = run(&asked).unwrap_err();
        assert_eq!(error.code, Code::RequestInvalid);
        assert!(error.message.starts_with("maxShardBytes"), "{error}");
    }
}

#[test]
fn sixteen_bits_round_and_a_base_alone_is_copied() {
    let base = common::fixture("tiny-llama");
    let out = folder("half");
    for (format, bound) in [
        (ExportFormat::SafetensorsF16, 2e-3),
        (ExportFormat::SafetensorsBf16, 2e-2),
    ] {
        run(&params(
            &base,
            Some(&base.join("adapter")),
            &out,
            format,
            WeightFormat::F32,
        ))
        .unwrap();
        let want = logits(&base, Some(&base.join("adapter")), WeightFormat::F32);
        let far = difference(&logits(&out, None, WeightFormat::F32), &want);
        assert!(far > 0.0 && far < bound, "{format:?}: {far}");
    }
    // The fixture's weights are bf16 numbers: nothing is rounded.
    run(&params(
        &base,
        None,
        &out,
        ExportFormat::SafetensorsBf16,
        WeightFormat::F32,
    ))
    .unwrap();
    assert_eq!(
        logits(&out, None, WeightFormat::F32),
        logits(&base, None, WeightFormat::F32)
    );
}

#[test]
fn what_cannot_be_exported_is_refused_by_name() {
    let base = common::fixture("tiny-llama");
    let out = folder("refused");
    let code = |params: &ExportParams| run(params).unwrap_err().code;
    let lora = params(
        &base,
        None,
        &out.join("x.gguf"),
        ExportFormat::GgufLora,
        WeightFormat::F32,
    );
    assert_eq!(code(&lora), Code::RequestInvalid);
    let other = common::fixture("tiny-qwen2").join("adapter");
    let misfit = params(
        &base,
        Some(&other),
        &out,
        ExportFormat::SafetensorsF32,
        WeightFormat::F32,
    );
    assert_eq!(code(&misfit), Code::ModelFileInvalid);
    let cancelled = export(
        &params(&base, None, &out, ExportFormat::SafetensorsF32, WeightFormat::F32),
        &AtomicBool::new(true),
    );
    assert_eq!(cancelled.unwrap_err().code, Code::Cancelled);
    assert!(!out.join("model.safetensors").exists());
}

#[test]
fn gguf_of_the_real_model_computes_what_base_and_adapter_did() {
    let Some(base) = common::real_model("gguf_of_the_real_model_computes_what_base_and_adapter_did") else {
        return;
    };
    let out = folder("gguf");
    let adapter = out.join("adapter");
    random_adapter(&base, &adapter);
    let want = logits(&base, Some(&adapter), WeightFormat::Nf4);
    assert!(difference(&logits(&base, None, WeightFormat::Nf4), &want) > 1e-2);
    for (format, file_type, bound) in [
        (ExportFormat::GgufF16, 1, 5e-3),
        (ExportFormat::GgufQ80, 7, 5e-2),
        // Four bits of a model this small, made worse by a random adapter: it only has to stay a model.
        (ExportFormat::GgufQ40, 2, 0.8),
    ] {
        let path = out.join("model.gguf");
        let result = run(&params(&base, Some(&adapter), &path, format, WeightFormat::Nf4)).unwrap();
        assert_eq!(result.merged, 210);
        let file = GgufFile::open(&path).unwrap();
        assert_eq!(file.value("general.file_type"), Some(&Value::Int(file_type)));
        let far = difference(&logits(&path, None, WeightFormat::F32), &want);
        eprintln!(
            "{format:?}: {} MB, logits differ by {far:.1e}",
            result.size_bytes / 1_000_000
        );
        assert!(far < bound, "{format:?}: {far}");
    }
    // The same as a folder that transformers reads: config and tokenizer made from the GGUF file.
    let hf = out.join("hf");
    run(&params(
        &base,
        Some(&adapter),
        &hf,
        ExportFormat::SafetensorsF32,
        WeightFormat::Nf4,
    ))
    .unwrap();
    assert!(difference(&logits(&hf, None, WeightFormat::F32), &want) < SAME);
    let backend = CpuBackend::new(1).unwrap();
    let quantization = Quantization {
        format: WeightFormat::F32,
        block_size: 64,
        double_quant: false,
    };
    let (ours, theirs) = (
        Loaded::open(&backend, &hf, quantization).unwrap(),
        Loaded::open(&backend, &base, quantization).unwrap(),
    );
    for text in ["Hello 42 worlds", "  x\n\ny <|im_end|> ü½"] {
        assert_eq!(ours.text(text).unwrap(), theirs.text(text).unwrap());
    }
    let messages = [escada_engine_formats::Message {
        role: "user".to_owned(),
        content: "Hi 12".to_owned(),
    }];
    assert_eq!(ours.prompt(&messages).unwrap(), theirs.prompt(&messages).unwrap());
    let lora = run(&params(
        &base,
        Some(&adapter),
        &out.join("lora.gguf"),
        ExportFormat::GgufLora,
        WeightFormat::Nf4,
    ));
    assert_eq!(lora.unwrap().merged, 210);
    check_lora(&out.join("lora.gguf"), &base, &adapter);
    std::fs::remove_dir_all(&out).unwrap();
}

/// The adapter file holds the factors under llama.cpp's names, rows of queries in its order.
fn check_lora(file: &Path, base: &Path, adapter: &Path) {
    let file = GgufFile::open(file).unwrap();
    assert_eq!(file.value("adapter.lora.alpha"), Some(&Value::Float(8.0)));
    assert_eq!(file.tensors().len(), 420);
    assert_eq!(file.tensors()["blk.0.attn_q.weight.lora_b"].shape, [576, 4]);
    let backend = CpuBackend::new(1).unwrap();
    let quantization = Quantization {
        format: WeightFormat::Nf4,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, base, quantization).unwrap();
    let shape = &loaded.model.shape;
    let layout = LoraLayout::new(shape, |_, _| Some((4, 2.0))).unwrap();
    let read = AdapterFile::read(adapter).unwrap();
    let of = |name: &str| -> Vec<f32> {
        let (_, bytes) = file.blocks(name).unwrap();
        bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|raw| f32::from_le_bytes(*raw))
            .collect()
    };
    for m in layout.modules.iter().filter(|m| m.layer == 3) {
        let module = m.target.module(3);
        let name = escada_engine_formats::ModelSource::gguf_name(&format!("{module}.weight")).unwrap();
        assert_eq!(of(&format!("{name}.lora_a")), read.tensors[&module].a);
        let (got, want) = (of(&format!("{name}.lora_b")), &read.tensors[&module].b);
        if matches!(m.target, Target::Q | Target::K) {
            // Row 1 of a head of 64 is its row 32.
            assert_eq!(got[4..8], want[128..132]);
        } else {
            assert_eq!(&got, want);
        }
    }
}
