//! Training whose products may be computed in 16 bits: as f32 within a per cent, bit for bit the same after a break, and apart
//! from a training in f32.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::backend::{Arithmetic, Backend};
use escada_engine_core::batch::TokenRow;
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::train::{TrainEvent, TrainRequest, TrainResult, train};
use escada_engine_core::train_config::TrainConfig;
use escada_engine_cpu::{CpuBackend, Isa};
use escada_engine_formats::error::Code;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

fn config(changes: Value) -> TrainConfig {
    let mut config = json!({
        "r": 4, "loraAlpha": 8, "loraDropout": 0.1, "targetModules": "all-linear", "learningRate": 2e-3,
        "lrSchedulerType": "linear", "warmupSteps": 3, "weightDecay": 0.01, "adamBeta1": 0.9, "adamBeta2": 0.999,
        "adamEpsilon": 1e-8, "maxGradNorm": 1.0, "perDeviceTrainBatchSize": 4, "gradientAccumulationSteps": 2,
        "numTrainEpochs": 1, "maxSteps": 20, "maxSeqLengthTokens": 64, "seed": 3, "saveSteps": 4
    });
    let fields = config.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

/// Rows of 20 to 43 tokens: more than a strip of them together.
fn rows() -> Vec<TokenRow> {
    let row = |i: u32| TokenRow {
        tokens: (0..20 + i).map(|j| 3 + (i * 29 + j * j) % 300).collect(),
        labelled_from: 4,
    };
    (0..24).map(row).collect()
}

struct Setting {
    backend: CpuBackend,
    loaded: Loaded<CpuBackend>,
    rows: Vec<TokenRow>,
}

impl Setting {
    fn new(isa: Isa, threads: usize) -> Self {
        let backend = CpuBackend::with_isa(threads, isa).unwrap();
        let quantization = Quantization {
            format: WeightFormat::Nf4,
            block_size: 64,
            double_quant: true,
        };
        let loaded = Loaded::open(&backend, &common::fixture("tiny-llama"), quantization).unwrap();
        Self {
            backend,
            loaded,
            rows: rows(),
        }
    }

    /// Trains; `stop_after` cancels behind that step.
    fn train(
        &self,
        out_dir: &Path,
        config: &TrainConfig,
        stop_after: Option<usize>,
    ) -> (Option<TrainResult>, Vec<f64>) {
        let flag = AtomicBool::new(false);
        let request = TrainRequest {
            rows: &self.rows,
            row_ids: &[],
            config,
            out_dir,
            model_digest: "tiny",
            base_model: "base",
            engine_build: "test",
            samples: None,
        };
        let mut losses = Vec::new();
        let mut emit = |event: TrainEvent| {
            flag.store(stop_after == Some(event.step), Ordering::Relaxed);
            losses.extend(event.loss_nats);
        };
        match train(&self.backend, &self.loaded.model, &request, &mut emit, &flag) {
            Ok(result) => (Some(result), losses),
            Err(error) => {
                assert_eq!(error.code, Code::Cancelled, "{error}");
                (None, losses)
            }
        }
    }
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("escada-sixteen-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn the_losses_are_those_of_f32_within_a_per_cent() {
    let setting = Setting::new(Isa::detect(), 2);
    let (exact, wanted) = setting.train(&folder("f32"), &config(json!({})), None);
    assert_eq!(exact.unwrap().arithmetic, Arithmetic::F32);
    for flag in ["fp16", "bf16"] {
        let (result, losses) = setting.train(&folder(flag), &config(json!({ flag: true })), None);
        let result = result.unwrap();
        let Some(sixteen) = setting.backend.sixteen_bits() else {
            // Nothing faster here: the permission changes nothing.
            assert_eq!((result.arithmetic, losses), (Arithmetic::F32, wanted.clone()));
            continue;
        };
        assert_eq!(result.arithmetic, Arithmetic::SixteenBits);
        assert_ne!(sixteen.isa_class(), setting.backend.isa_class());
        assert_ne!(losses, wanted);
        let far = losses.iter().zip(&wanted).map(|(a, b)| (a - b).abs() / b);
        let far = far.fold(0.0, f64::max);
        eprintln!("{flag}: losses differ by {far:.1e} at most");
        assert!(far < 0.01, "{far}");
    }
}

#[test]
fn a_break_changes_no_bit() {
    let config = config(json!({ "bf16": true }));
    let (straight, broken) = (folder("straight"), folder("broken"));
    let (whole, _) = Setting::new(Isa::detect(), 2).train(&straight, &config, None);
    assert!(
        Setting::new(Isa::detect(), 1)
            .train(&broken, &config, Some(9))
            .0
            .is_none()
    );
    let (resumed, _) = Setting::new(Isa::detect(), 3).train(&broken, &config, None);
    let (whole, resumed) = (whole.unwrap(), resumed.unwrap());
    assert_eq!(resumed.resumed_from_step, 9);
    assert_eq!(resumed.sha256(), whole.sha256());
}

#[test]
fn a_checkpoint_of_the_other_arithmetic_is_not_taken() {
    let out = folder("other");
    let setting = Setting::new(Isa::detect(), 2);
    assert!(setting.train(&out, &config(json!({})), Some(9)).0.is_none());
    let (result, _) = setting.train(&out, &config(json!({ "bf16": true })), None);
    assert_eq!(result.unwrap().resumed_from_step, 0);
}

#[test]
fn a_class_without_the_instructions_trains_in_f32() {
    let (exact, wanted) = Setting::new(Isa::Portable, 2).train(&folder("plain"), &config(json!({})), None);
    let changed = config(json!({ "bf16": true }));
    let (result, losses) = Setting::new(Isa::Portable, 2).train(&folder("allowed"), &changed, None);
    let (exact, result) = (exact.unwrap(), result.unwrap());
    assert_eq!((result.arithmetic, losses), (Arithmetic::F32, wanted));
    assert_eq!(result.sha256(), exact.sha256());
}
