//! Loads a model, trains a few steps and generates, and prints what each phase took.
//!
//! `cargo run --release -p escada-engine-cpu --example model_speed -- MODEL [THREADS]`

use escada_engine_core::Session;
use escada_engine_cpu::CpuBackend;
use serde_json::{Value, json};
use std::sync::atomic::AtomicBool;

/// Rows of the made-up task; half of a row is shared by all of them.
const ROWS: usize = 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments
        .next()
        .ok_or("the first argument is a .gguf file or a model folder")?;
    let threads: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("escada-model-speed-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut session = Session::new("model-speed", Box::new(|n| CpuBackend::new(n.unwrap_or(1))))?;
    let mut run = |method: &str, params: Value| -> Result<(), Box<dyn std::error::Error>> {
        let mut last = Value::Null;
        let result = session.run(method, params, &mut |event| last = event, &AtomicBool::new(false))?;
        println!("{method}: {result}\n  last event: {last}");
        Ok(())
    };
    run(
        "load",
        json!({ "path": model, "weightFormat": "nf4", "blockSize": 64, "doubleQuant": true, "threads": threads }),
    )?;
    let rows = folder.join("rows.jsonl");
    std::fs::write(
        &rows,
        lines(
            |i| json!({ "id": format!("r{i}"), "messages": messages(i), "answer": format!("Item {i} is blue and costs {} coins, delivered on Monday.", i * 7) }),
        ),
    )?;
    let requests = folder.join("requests.jsonl");
    std::fs::write(
        &requests,
        lines(|i| json!({ "id": format!("r{i}"), "messages": messages(i) })),
    )?;
    let out = folder.join("out.jsonl");
    run(
        "generate",
        json!({ "requestsPath": requests, "outPath": out, "maxNewTokens": 48, "batchRows": 8, "stop": [] }),
    )?;
    let config = json!({
        "r": 16, "loraAlpha": 32, "loraDropout": 0, "targetModules": "all-linear", "rsLora": false,
        "learningRate": 2e-4, "lrSchedulerType": "constant", "warmupSteps": 0, "weightDecay": 0.0,
        "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1.0,
        "perDeviceTrainBatchSize": 8, "gradientAccumulationSteps": 1, "numTrainEpochs": 1, "maxSteps": 6,
        "maxSeqLengthTokens": 512, "seed": 1, "saveSteps": 100,
    });
    run(
        "train",
        json!({ "rowsPath": rows, "outDir": folder.join("train"), "config": config }),
    )?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn lines(row: impl Fn(usize) -> Value) -> String {
    (0..ROWS).map(|i| row(i).to_string() + "\n").collect()
}

fn messages(i: usize) -> Value {
    let rules = "You describe items of a shop in one sentence. Say the colour, the price in coins and the day of delivery. "
        .repeat(3);
    json!([{ "role": "system", "content": rules }, { "role": "user", "content": format!("Describe item {i}: blue, {} coins, Monday, sold since 19{:02}, weight {} grams.", i * 7, i, i * 31) }])
}
