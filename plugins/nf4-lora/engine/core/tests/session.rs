//! The protocol's operations on the tiny checkpoint, through JSON and files as the child process uses them.
#![allow(clippy::unwrap_used)]

use escada_engine_core::Session;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::error::{Code, EngineError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../test/fixtures/tiny-llama")
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("escada-session-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

struct Engine(Session<CpuBackend>);

impl Engine {
    fn new() -> Self {
        let make = |threads: Option<usize>| CpuBackend::new(threads.unwrap_or(2));
        Self(Session::new("test", Box::new(make)).unwrap())
    }

    fn loaded() -> Self {
        Self::loaded_as("nf4")
    }

    fn loaded_as(format: &str) -> Self {
        let mut engine = Self::new();
        let params = json!({ "path": fixture(), "weightFormat": format, "blockSize": 64, "doubleQuant": true, "threads": 1 });
        let result = engine.run("load", params).unwrap().0;
        assert_eq!(result["layers"], 2);
        assert_eq!(result["vocabularySize"], 384);
        assert_eq!(result["architecture"], "llama");
        engine
    }

    fn run(&mut self, method: &str, params: Value) -> Result<(Value, Vec<Value>), EngineError> {
        let mut events = Vec::new();
        let result = self
            .0
            .run(method, params, &mut |e| events.push(e), &AtomicBool::new(false))?;
        Ok((result, events))
    }
}

fn write(path: &Path, rows: &[Value]) {
    std::fs::write(path, rows.iter().map(|r| format!("{r}\n")).collect::<String>()).unwrap();
}

fn read(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn chat(id: &str, text: &str) -> Value {
    json!({ "id": id, "messages": [{ "role": "user", "content": text }] })
}

#[test]
fn counts_prompts_and_answers() {
    let (mut engine, dir) = (Engine::loaded(), folder("count"));
    let golden: Value =
        serde_json::from_slice(&std::fs::read(fixture().join("golden.json")).unwrap()).unwrap();
    let rows = golden["rows"].as_array().unwrap();
    let with_id = |(i, row): (usize, &Value)| json!({ "id": format!("{i}"), "messages": row["messages"], "answer": row["answer"] });
    write(
        &dir.join("in"),
        &rows.iter().enumerate().map(with_id).collect::<Vec<_>>(),
    );
    engine
        .run(
            "count",
            json!({ "rowsPath": dir.join("in"), "outPath": dir.join("out") }),
        )
        .unwrap();
    for (row, out) in rows.iter().zip(read(&dir.join("out"))) {
        assert_eq!(out["promptTokens"], row["promptTokens"]);
        let total = out["promptTokens"].as_u64().unwrap() + out["answerTokens"].as_u64().unwrap();
        assert_eq!(total as usize, row["ids"].as_array().unwrap().len());
    }
}

#[test]
fn trains_then_generates_and_scores_with_the_adapter() {
    let (mut engine, dir) = (Engine::loaded(), folder("train"));
    let rows: Vec<Value> = ["pot", "kettle", "sock"]
        .iter()
        .map(|word| {
            let mut row = chat(word, &format!("Describe a {word}."));
            row["answer"] = json!("It is cool.");
            row
        })
        .collect();
    write(&dir.join("rows"), &rows);
    let config = json!({
        "r": 8, "loraAlpha": 16, "loraDropout": 0, "targetModules": "all-linear", "rsLora": false,
        "learningRate": 0.02, "lrSchedulerType": "linear", "warmupSteps": 0, "weightDecay": 0, "adamBeta1": 0.9,
        "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1, "perDeviceTrainBatchSize": 3,
        "gradientAccumulationSteps": 1, "numTrainEpochs": 30, "maxSteps": -1, "maxSeqLengthTokens": 128,
        "seed": 0, "saveSteps": 10
    });
    let (result, events) = engine
        .run(
            "train",
            json!({ "rowsPath": dir.join("rows"), "outDir": dir.join("out"), "config": config }),
        )
        .unwrap();
    assert_eq!(events.len(), 30);
    assert!(result["lossLastNats"].as_f64().unwrap() < 0.1, "{result}");
    let adapter = result["adapterPath"].clone();

    write(&dir.join("requests"), &rows);
    let generate = json!({
        "requestsPath": dir.join("requests"), "outPath": dir.join("texts"), "adapterPath": adapter,
        "maxNewTokens": 20, "batchRows": 2, "temperature": 0, "topP": 1, "seed": 0, "stop": []
    });
    let (result, events) = engine.run("generate", generate).unwrap();
    assert!(result["sharedPrefixTokens"].as_u64().unwrap() > 3);
    assert_eq!(events.last().unwrap()["done"], 3);
    for (row, out) in rows.iter().zip(read(&dir.join("texts"))) {
        assert_eq!(
            (&out["id"], &out["text"], &out["finish"]),
            (&row["id"], &json!("It is cool."), &json!("stop"))
        );
    }

    let mut scored = chat("a", "Describe a pot.");
    scored["continuations"] = json!(["It is cool.", "No."]);
    write(&dir.join("requests"), &[scored]);
    let mut params = json!({ "requestsPath": dir.join("requests"), "outPath": dir.join("scores") });
    engine.run("score", params.clone()).unwrap();
    let plain = read(&dir.join("scores"))[0]["scores"][0]["logProbNats"]
        .as_f64()
        .unwrap();
    params["adapterPath"] = adapter;
    engine.run("score", params).unwrap();
    let scores = read(&dir.join("scores"))[0]["scores"].clone();
    let score = |i: usize| scores[i]["logProbNats"].as_f64().unwrap();
    assert!(
        score(0) > -0.5 && score(0) > score(1) + 3.0 && plain < -10.0,
        "{scores} {plain}"
    );
}

#[test]
fn trains_all_weights_and_has_the_base_again_afterwards() {
    let dir = folder("full");
    let mut row = chat("pot", "Describe a pot.");
    row["answer"] = json!("It is cool.");
    write(&dir.join("rows"), &[row.clone()]);
    let config = json!({
        "method": "full", "learningRate": 0.003, "lrSchedulerType": "linear", "warmupSteps": 0, "weightDecay": 0,
        "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1, "perDeviceTrainBatchSize": 1,
        "gradientAccumulationSteps": 1, "numTrainEpochs": 20, "maxSteps": -1, "maxSeqLengthTokens": 128, "seed": 0,
        "saveSteps": 10
    });
    let train = json!({ "rowsPath": dir.join("rows"), "outDir": dir.join("out"), "config": config });
    let refused = Engine::loaded().run("train", train.clone()).unwrap_err();
    assert_eq!(refused.code, Code::RequestInvalid);
    assert!(refused.message.contains("weightFormat \"f32\""), "{refused}");

    let mut engine = Engine::loaded_as("f32");
    let text_of = |engine: &mut Engine| {
        let params = json!({ "requestsPath": dir.join("rows"), "outPath": dir.join("texts"), "maxNewTokens": 20, "batchRows": 1 });
        engine.run("generate", params).unwrap();
        read(&dir.join("texts"))[0]["text"].clone()
    };
    let base = text_of(&mut engine);
    let (result, events) = engine.run("train", train).unwrap();
    assert_eq!((events.len(), &result["adapterPath"]), (20, &Value::Null));
    assert_eq!(text_of(&mut engine), base);
    let load =
        json!({ "path": result["modelPath"], "weightFormat": "f32", "blockSize": 64, "doubleQuant": false });
    engine.run("load", load).unwrap();
    assert_eq!(text_of(&mut engine), "It is cool.");
    assert_ne!(base, "It is cool.");
}

#[test]
fn each_row_may_name_its_adapter() {
    let (mut engine, dir) = (Engine::loaded(), folder("row-adapters"));
    let first = fixture().join("adapter");
    // The same matrices with another factor are another adapter.
    let second = dir.join("second");
    std::fs::create_dir_all(&second).unwrap();
    std::fs::copy(
        first.join("adapter_model.safetensors"),
        second.join("adapter_model.safetensors"),
    )
    .unwrap();
    let mut config: Value =
        serde_json::from_slice(&std::fs::read(first.join("adapter_config.json")).unwrap()).unwrap();
    config["lora_alpha"] = json!(24);
    std::fs::write(second.join("adapter_config.json"), config.to_string()).unwrap();
    let adapters = [None, Some(&first), Some(&second)];
    let row = |i: usize| {
        let mut row = chat(&format!("{i}"), ["Describe a pot.", "Is it dry?", "Why?"][i % 3]);
        row["continuations"] = json!([" yes", " no, not at all"]);
        row
    };
    let answers = |engine: &mut Engine, rows: &[Value], adapter: Option<&PathBuf>| {
        write(&dir.join("in"), rows);
        let mut params = json!({
            "requestsPath": dir.join("in"), "outPath": dir.join("out"), "adapterPath": adapter,
        });
        engine.run("score", params.clone()).unwrap();
        let scores = read(&dir.join("out"));
        params["maxNewTokens"] = json!(12);
        params["batchRows"] = json!(4);
        params["temperature"] = json!(1);
        engine.run("generate", params).unwrap();
        (scores, read(&dir.join("out")))
    };
    let rows: Vec<Value> = (0..9).map(row).collect();
    let alone: Vec<_> = adapters
        .map(|path| answers(&mut engine, &rows, path))
        .into_iter()
        .collect();
    assert!(alone[0] != alone[1] && alone[1] != alone[2]);
    let mixed: Vec<Value> = (0..9)
        .map(|i| {
            let mut row = row(i);
            if let Some(path) = adapters[i % 3] {
                row["adapterPath"] = json!(path);
            }
            row
        })
        .collect();
    let (scores, texts) = answers(&mut engine, &mixed, None);
    for i in 0..9 {
        assert_eq!((&scores[i], &texts[i]), (&alone[i % 3].0[i], &alone[i % 3].1[i]));
    }
    // A row's own path wins over the call's, which the others take.
    let (scores, texts) = answers(&mut engine, &mixed, Some(&second));
    for i in 0..9 {
        let by = &alone[[2, 1, 2][i % 3]];
        assert_eq!((&scores[i], &texts[i]), (&by.0[i], &by.1[i]));
    }
}

#[test]
fn a_bad_adapter_path_names_its_row() {
    let (mut engine, dir) = (Engine::loaded(), folder("bad-adapters"));
    let mut rows = vec![chat("a", "Why?"), chat("b", "Why?")];
    rows[1]["adapterPath"] = json!(dir.join("nowhere"));
    write(&dir.join("in"), &rows);
    let params = json!({ "requestsPath": dir.join("in"), "outPath": dir.join("out"), "maxNewTokens": 1, "batchRows": 2 });
    let error = engine.run("generate", params.clone()).unwrap_err();
    assert_eq!(error.code, Code::RequestInvalid);
    for part in ["request 2 (id \"b\"), adapterPath", "nowhere", "PEFT"] {
        assert!(error.message.contains(part), "{error}");
    }
    std::fs::create_dir_all(dir.join("nowhere")).unwrap();
    std::fs::write(dir.join("nowhere/adapter_config.json"), "{").unwrap();
    let error = engine.run("generate", params.clone()).unwrap_err();
    assert_eq!(error.code, Code::ModelFileInvalid, "{error}");
    assert!(
        error.message.starts_with("request 2 (id \"b\"), adapterPath"),
        "{error}"
    );
    let mut params = params;
    params["adapterPath"] = json!(dir.join("gone"));
    let error = engine.run("generate", params).unwrap_err();
    assert!(
        error.message.starts_with("adapterPath: there is no folder"),
        "{error}"
    );
}

#[test]
fn plain_prompts_and_stop_strings() {
    let (mut engine, dir) = (Engine::loaded(), folder("stop"));
    write(
        &dir.join("in"),
        &[json!({ "id": "x", "prompt": "Boils quickly" })],
    );
    let mut params = json!({
        "requestsPath": dir.join("in"), "outPath": dir.join("out"), "maxNewTokens": 16, "batchRows": 1
    });
    engine.run("generate", params.clone()).unwrap();
    let whole = read(&dir.join("out"))[0]["text"].as_str().unwrap().to_owned();
    let stop: String = whole.chars().skip(3).take(2).collect();
    params["stop"] = json!([stop]);
    engine.run("generate", params).unwrap();
    let row = read(&dir.join("out"))[0].clone();
    assert_eq!(
        row["text"].as_str().unwrap(),
        &whole[..whole.find(&stop).unwrap()]
    );
    assert_eq!(row["finish"], "stop");
}

#[test]
fn mistakes_are_named() {
    let (mut engine, dir) = (Engine::new(), folder("mistakes"));
    let count = json!({ "rowsPath": dir.join("in"), "outPath": dir.join("out") });
    let fails = |engine: &mut Engine, method: &str, params: Value, code: Code, part: &str| {
        let error = engine.run(method, params).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(part), "{error}");
    };
    fails(&mut engine, "fly", json!({}), Code::RequestInvalid, "`fly`");
    fails(
        &mut engine,
        "count",
        count.clone(),
        Code::RequestInvalid,
        "no model is loaded",
    );
    fails(
        &mut engine,
        "load",
        json!({ "path": "x", "speed": 1 }),
        Code::RequestInvalid,
        "speed",
    );
    let mut engine = Engine::loaded();
    fails(&mut engine, "count", count.clone(), Code::Io, "in");
    std::fs::write(dir.join("in"), "{\"id\":\"a\",\"messages\":[]}\n{\"id\":1}\n").unwrap();
    fails(&mut engine, "count", count, Code::RequestInvalid, "in:2");
    write(
        &dir.join("in"),
        &[json!({ "id": "q", "prompt": "a", "messages": [] })],
    );
    let generate = json!({ "requestsPath": dir.join("in"), "outPath": dir.join("out"), "maxNewTokens": 1, "batchRows": 1 });
    fails(&mut engine, "generate", generate, Code::RequestInvalid, "\"q\"");
}
