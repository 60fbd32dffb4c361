//! The planned peak of resident memory against the measured one. Alone in its process: other tests would be measured, too.
#![allow(clippy::unwrap_used)]

use escada_engine_core::batch::TokenRow;
use escada_engine_core::process::peak_rss_bytes;
use escada_engine_core::shape::{ModelShape, plain_inverse_frequencies};
use escada_engine_core::testing::{random_model, tiny_shape};
use escada_engine_core::train::{TrainRequest, train};
use escada_engine_core::train_config::TrainConfig;
use escada_engine_cpu::CpuBackend;
use serde_json::json;
use std::sync::atomic::AtomicBool;

/// The part by which plan and measurement may differ.
const TOLERANCE: f64 = 0.1;

#[test]
fn the_planned_peak_is_the_measured_one() {
    let shape = ModelShape {
        layers: 6,
        hidden: 128,
        intermediate: 512,
        heads: 4,
        kv_heads: 2,
        head_size: 32,
        vocabulary: 1024,
        context_tokens: 512,
        inverse_frequencies: plain_inverse_frequencies(10_000.0, 32),
        ..tiny_shape()
    };
    let config: TrainConfig = serde_json::from_value(json!({
        "r": 8, "loraAlpha": 16, "loraDropout": 0.1, "learningRate": 1e-3, "lrSchedulerType": "constant",
        "warmupSteps": 0, "weightDecay": 0, "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1,
        "perDeviceTrainBatchSize": 8, "gradientAccumulationSteps": 1, "numTrainEpochs": 1, "maxSteps": 2,
        "maxSeqLengthTokens": 512, "seed": 1, "saveSteps": 1, "gradientCheckpointing": "mlp"
    }))
    .unwrap();
    let row = |i: u32| TokenRow {
        tokens: (0..256).map(|j| (i * 31 + j * j) % 1024).collect(),
        labelled_from: 40,
    };
    let rows: Vec<TokenRow> = (0..8).map(row).collect();
    let out_dir = std::env::temp_dir().join(format!("escada-memory-peak-{}", std::process::id()));
    std::fs::create_dir_all(&out_dir).unwrap();
    let backend = CpuBackend::new(2).unwrap();
    let model = random_model(&backend, shape, 7).unwrap();
    let request = TrainRequest {
        rows: &rows,
        row_ids: &[],
        config: &config,
        out_dir: &out_dir,
        model_digest: "random",
        base_model: "base",
        engine_build: "test",
        samples: None,
    };
    let result = train(&backend, &model, &request, &mut |_| (), &AtomicBool::new(false)).unwrap();
    std::fs::remove_dir_all(&out_dir).unwrap();
    let (planned, measured) = (result.planned_peak_bytes as f64, peak_rss_bytes() as f64);
    // Small beside what is measured, so that the plan is what is tested.
    assert!(
        result.memory_plan.saved_bytes as f64 > planned / 3.0,
        "{result:?}"
    );
    assert!(
        (measured / planned - 1.0).abs() < TOLERANCE,
        "planned {planned}, measured {measured}: {result:?}"
    );
}
