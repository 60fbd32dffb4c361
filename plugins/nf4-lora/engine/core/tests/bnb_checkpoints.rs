//! Checkpoints that transformers and bitsandbytes wrote in 4 bits (`test/parity/make_bnb_checkpoints.py`): what is computed
//! with them, and that the export writes such files byte for byte.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::export::{ExportFormat, ExportParams, export};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::atomic::sha256_hex;
use escada_engine_formats::error::Code;
use escada_engine_formats::safetensors_file::SafetensorsFile;
use escada_engine_formats::{ModelSource, Nf4Tensor};
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// Logits in float32, relative to the largest of their position.
const SAME: f32 = 2e-5;
const CHECKPOINTS: [&str; 7] = [
    "nested",
    "plain",
    "storage-bf16",
    "storage-f16",
    "storage-f32",
    "skipped",
    "sharded",
];

/// A checkpoint with the tokenizer that the fixtures share.
fn checkpoint(name: &str) -> TempDir {
    common::with_tokenizer(&format!("bnb/{name}"))
}

fn quantization(format: WeightFormat) -> Quantization {
    Quantization {
        format,
        block_size: 64,
        double_quant: true,
    }
}

/// Logits of the last position, and bytes of the weights in memory.
fn logits(folder: &Path, format: WeightFormat, ids: &[u32]) -> (Vec<f32>, usize) {
    let backend = CpuBackend::new(2).unwrap();
    let loaded = Loaded::open(&backend, folder, quantization(format)).unwrap();
    let mut decoder = Decoder::new(&backend, &loaded.model, None, &[], 1, ids.len()).unwrap();
    let feed = Feed {
        slot: 0,
        before: 0,
        tokens: ids,
    };
    decoder.feed(&[feed]).unwrap();
    let last = decoder.logits(&[ids.len() as u32 - 1]).unwrap();
    (last, loaded.model.weight_bytes(&backend))
}

fn write(base: &Path, adapter: Option<&Path>, out: &Path, format: ExportFormat, weights: WeightFormat) {
    let Quantization {
        block_size,
        double_quant,
        ..
    } = quantization(weights);
    let params = ExportParams {
        path: base.to_owned(),
        adapter_path: adapter.map(Path::to_owned),
        out_path: out.to_owned(),
        format,
        weight_format: weights,
        block_size,
        double_quant,
        max_shard_bytes: None,
        check: None,
    };
    export(&params, &AtomicBool::new(false)).unwrap();
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0f32, |l, v| l.max(v.abs()));
    a.iter().zip(b).fold(0.0f32, |d, (a, b)| d.max((a - b).abs())) / largest
}

fn decoded_sha256(tensor: &Nf4Tensor) -> String {
    let mut values = vec![0.0; tensor.len()];
    tensor.decode_into(&mut values);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    sha256_hex(&bytes)
}

#[test]
fn checkpoints_of_bitsandbytes_compute_what_transformers_does() {
    let golden = common::json_fixture("bnb/golden.json");
    let ids: Vec<u32> = serde_json::from_value(golden["ids"].clone()).unwrap();
    for name in CHECKPOINTS {
        let folder = checkpoint(name);
        let source = ModelSource::open(folder.path()).unwrap();
        assert!(source.is_nf4());
        let digests = golden[name]["decodedSha256"].as_object().unwrap();
        for tensor in source.config().tensor_names() {
            let stored = source.nf4_tensor(&tensor).unwrap();
            let found = stored.as_ref().map(decoded_sha256);
            let expected = digests.get(&tensor).and_then(Value::as_str);
            assert_eq!(found.as_deref(), expected, "{name}: {tensor}");
        }
        let want: Vec<f32> = serde_json::from_value(golden[name]["logits"].clone()).unwrap();
        let (nf4, nf4_bytes) = logits(folder.path(), WeightFormat::Nf4, &ids);
        assert!(
            difference(&nf4, &want) < SAME,
            "{name}: {}",
            difference(&nf4, &want)
        );
        let (f32, f32_bytes) = logits(folder.path(), WeightFormat::F32, &ids);
        assert!(difference(&f32, &want) < SAME, "{name} in 32 bits");
        assert!(nf4_bytes < f32_bytes, "{name} stays in 4 bits");
    }
}

#[test]
fn fp4_is_refused_with_the_way_out() {
    let folder = checkpoint("fp4");
    let error = ModelSource::open(folder.path()).err().unwrap();
    assert_eq!(error.code, Code::ModelUnsupported, "{error}");
    assert!(
        error.message.contains("fp4") && error.message.contains("nf4"),
        "{error}"
    );
}

/// All tensors of a folder's only file: name, type, shape and bytes.
fn tensors(folder: &Path) -> Vec<(String, String, Vec<usize>, Vec<u8>)> {
    let file = SafetensorsFile::open(&folder.join("model.safetensors")).unwrap();
    let tensor = |name: String| {
        let raw = file.raw(&name).unwrap();
        (
            name,
            raw.dtype.to_string(),
            raw.shape.to_vec(),
            raw.bytes.to_vec(),
        )
    };
    file.names().into_iter().map(tensor).collect()
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_checkpoint_written_back_has_the_same_bytes() {
    for name in CHECKPOINTS {
        let folder = checkpoint(name);
        let out = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            None,
            out.path(),
            ExportFormat::Bnb4bit,
            WeightFormat::Nf4,
        );
        let (before, after) = (ModelSource::open(folder.path()), ModelSource::open(out.path()));
        let (before, after) = (before.unwrap(), after.unwrap());
        for tensor in before.config().tensor_names() {
            assert_eq!(
                before.nf4_tensor(&tensor).unwrap(),
                after.nf4_tensor(&tensor).unwrap()
            );
            assert_eq!(before.tensor(&tensor).unwrap(), after.tensor(&tensor).unwrap());
            assert_eq!(before.dtype(&tensor), after.dtype(&tensor), "{name}: {tensor}");
        }
        // Stored in bytes and in one file, it is bitsandbytes' own file.
        if ["nested", "plain", "skipped"].contains(&name) {
            assert_eq!(tensors(out.path()), tensors(folder.path()), "{name}");
        }
        let config = |folder: &Path| json_file(&folder.join("config.json"))["quantization_config"].take();
        let (mut got, mut want) = (config(out.path()), config(folder.path()));
        let skipped = got["llm_int8_skip_modules"].take();
        if name == "skipped" {
            let listed = ["model.layers.0.self_attn.k_proj", "model.layers.0.mlp.down_proj"];
            assert_eq!(skipped, serde_json::json!(listed));
        } else {
            assert!(skipped.is_null(), "{name}: {skipped}");
        }
        // Stated by the user of bitsandbytes: the type to compute in and the type of storage.
        for key in [
            "llm_int8_skip_modules",
            "bnb_4bit_compute_dtype",
            "bnb_4bit_quant_storage",
        ] {
            (got[key], want[key]) = (Value::Null, Value::Null);
        }
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn a_base_alone_keeps_what_it_computes_in_nf4() {
    let ids = [5, 80, 31, 200, 7, 7, 90, 301];
    for model in ["tiny-llama", "tiny-qwen2", "tiny-mistral"] {
        let base = common::fixture(model);
        for weights in [WeightFormat::Nf4, WeightFormat::F32] {
            let out = tempfile::tempdir().unwrap();
            write(&base, None, out.path(), ExportFormat::Bnb4bit, weights);
            let want = logits(&base, WeightFormat::Nf4, &ids);
            assert_eq!(logits(out.path(), WeightFormat::Nf4, &ids), want, "{model}");
        }
    }
}

/// The merged weights of a 32-bit export, quantized.
#[test]
fn a_merged_adapter_is_quantized_once() {
    let ids = [5, 80, 31, 200, 7, 7, 90, 301];
    let base = common::fixture("tiny-llama");
    let adapter = base.join("adapter");
    for weights in [WeightFormat::Nf4, WeightFormat::F32] {
        let (whole, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(
            &base,
            Some(&adapter),
            whole.path(),
            ExportFormat::SafetensorsF32,
            weights,
        );
        write(&base, Some(&adapter), out.path(), ExportFormat::Bnb4bit, weights);
        let want = logits(whole.path(), WeightFormat::Nf4, &ids);
        assert_eq!(logits(out.path(), WeightFormat::Nf4, &ids), want);
        assert_ne!(logits(&base, WeightFormat::Nf4, &ids), want);
    }
}

/// Layers of the checkpoint that no adapter changed keep their codes and scales; merged ones their kind of scales.
#[test]
fn a_merge_into_a_checkpoint_touches_only_what_it_must() {
    let folder = checkpoint("plain");
    let changed = "model.layers.0.self_attn.q_proj";
    let source = ModelSource::open(folder.path()).unwrap();
    let tensors = [(
        changed.to_owned(),
        escada_engine_formats::AdapterTensor {
            a: (0..128).map(|at| (at as f32).sin()).collect(),
            b: (0..128).map(|at| (at as f32).cos()).collect(),
            input: 64,
            output: 64,
        },
    )];
    let adapter = escada_engine_formats::AdapterFile {
        r: 2,
        alpha: 2.0,
        rs_lora: false,
        dropout: 0.0,
        target_modules: vec!["q_proj".to_owned()],
        base_model: None,
        tensors: tensors.into(),
    };
    let (made, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    adapter.write(made.path()).unwrap();
    write(
        folder.path(),
        Some(made.path()),
        out.path(),
        ExportFormat::Bnb4bit,
        WeightFormat::Nf4,
    );
    let merged = ModelSource::open(out.path()).unwrap();
    for name in source.config().tensor_names() {
        let (before, after) = (
            source.nf4_tensor(&name).unwrap(),
            merged.nf4_tensor(&name).unwrap(),
        );
        assert_eq!(before != after, name == format!("{changed}.weight"), "{name}");
        assert!(!after.is_some_and(|nf4| nf4.absmax.is_nested()), "{name}");
    }
}
