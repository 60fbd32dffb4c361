//! Models as they come from outside: without a chat template, with tokens beyond the embedding, with prompts beyond the
//! context; through JSON and files as the child process uses them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use escada_engine_core::Session;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::error::{Code, EngineError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../../test/fixtures/tiny-llama")
        .join(name)
}

fn json_fixture(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

/// The tiny model with changes to its tokenizer's two files.
fn model(change: impl Fn(&mut Value, &mut Value)) -> TempDir {
    let made = TempDir::new().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture(name), made.path().join(name)).unwrap();
    }
    let (mut tokenizer, mut config) = (
        json_fixture("tokenizer.json"),
        json_fixture("tokenizer_config.json"),
    );
    change(&mut tokenizer, &mut config);
    for (name, json) in [("tokenizer.json", tokenizer), ("tokenizer_config.json", config)] {
        std::fs::write(made.path().join(name), json.to_string()).unwrap();
    }
    made
}

fn added(id: u32, content: &str, special: bool) -> Value {
    json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": special })
}

struct Engine {
    session: Session<CpuBackend>,
    loaded: Value,
    room: TempDir,
}

impl Engine {
    fn load(path: &Path) -> Result<Self, EngineError> {
        let make = |threads: Option<usize>| CpuBackend::new(threads.unwrap_or(1));
        let mut engine = Self {
            session: Session::new("test", Box::new(make)).unwrap(),
            loaded: Value::Null,
            room: TempDir::new().unwrap(),
        };
        let params = json!({ "path": path, "weightFormat": "nf4", "blockSize": 64, "doubleQuant": true, "threads": 1 });
        engine.loaded = engine.run("load", params)?;
        Ok(engine)
    }

    fn run(&mut self, method: &str, params: Value) -> Result<Value, EngineError> {
        self.session
            .run(method, params, &mut |_| (), &AtomicBool::new(false))
    }

    /// Runs a method over rows and reads what it wrote.
    fn rows(&mut self, method: &str, rows: &[Value], mut params: Value) -> Result<Vec<Value>, EngineError> {
        let (given, made) = (
            self.room.path().join("in.jsonl"),
            self.room.path().join("out.jsonl"),
        );
        std::fs::write(
            &given,
            rows.iter().map(|row| format!("{row}\n")).collect::<String>(),
        )
        .unwrap();
        params[if method == "count" {
            "rowsPath"
        } else {
            "requestsPath"
        }] = json!(given);
        params["outPath"] = json!(made);
        self.run(method, params)?;
        let text = std::fs::read(&made).unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines
            .map_while(|line| serde_json::from_slice(line).ok())
            .collect())
    }

    fn refusal(&mut self, method: &str, rows: &[Value], params: Value) -> EngineError {
        self.rows(method, rows, params).expect_err("it was answered")
    }
}

fn chat(id: &str, text: &str) -> Value {
    json!({ "id": id, "messages": [{ "role": "system", "content": "" }, { "role": "user", "content": text }] })
}

const GENERATE: &str = r#"{ "maxNewTokens": 4, "batchRows": 2 }"#;

fn generating() -> Value {
    serde_json::from_str(GENERATE).unwrap()
}

#[test]
fn a_base_model_counts_answers_and_learns_with_the_plain_template() {
    let base = model(|_, config| drop(config.as_object_mut().unwrap().remove("chat_template")));
    let mut engine = Engine::load(base.path()).unwrap();
    assert_eq!(
        (&engine.loaded["chatTemplate"], &engine.loaded["systemTurns"]),
        (&json!("default"), &json!("own"))
    );
    let counted = engine.rows(
        "count",
        &[json!({ "id": "1", "messages": chat("1", "Hi")["messages"], "answer": "A" })],
        json!({}),
    );
    let counted = counted.unwrap();
    assert!(counted[0]["promptTokens"].as_u64().unwrap() > 0);
    // The letter, and the end of the text.
    assert_eq!(counted[0]["answerTokens"], 2);
    let generated = engine.rows("generate", &[chat("1", "Hi")], generating()).unwrap();
    assert_eq!(generated[0]["promptTokens"], counted[0]["promptTokens"]);
    let rows_path = engine.room.path().join("rows.jsonl");
    let row = json!({ "id": "1", "messages": chat("1", "Hi")["messages"], "answer": "A sock." });
    std::fs::write(&rows_path, format!("{row}\n")).unwrap();
    let mut config: Value = json!({
        "method": "lora", "r": 4, "loraAlpha": 8, "loraDropout": 0, "targetModules": "all-linear", "rsLora": false,
        "learningRate": 0.01, "lrSchedulerType": "constant", "warmupSteps": 0, "optim": "adamw_torch", "weightDecay": 0,
        "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8, "maxGradNorm": 1, "perDeviceTrainBatchSize": 1,
        "gradientAccumulationSteps": 1, "numTrainEpochs": 1, "maxSteps": 20, "maxSeqLengthTokens": 128, "packing": false,
        "seed": 7, "saveSteps": 20, "fp16": false, "bf16": false, "nonFinite": "stop", "maxConsecutiveSkips": 10,
        "gradientCheckpointing": "auto", "sampleRows": 0, "sampleMaxNewTokens": 8
    });
    let out_dir = engine.room.path().join("out");
    let trained = engine
        .run(
            "train",
            json!({ "rowsPath": rows_path, "outDir": out_dir, "config": config.take() }),
        )
        .unwrap();
    assert!(trained["lossLastNats"].as_f64().unwrap() < trained["lossFirstNats"].as_f64().unwrap());
    // Its identity is not that of the same weights with a template.
    let own = Engine::load(&fixture("")).unwrap();
    assert_ne!(own.loaded["modelDigest"], engine.loaded["modelDigest"]);
    assert_eq!(own.loaded["chatTemplate"], "tokenizer_config.json");
}

#[test]
fn a_template_without_a_system_role_is_said_and_used() {
    let refuses = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}\
                   {{ m.content }}{{ eos_token }}{% endfor %}";
    let made = model(|_, config| config["chat_template"] = json!(refuses));
    let mut engine = Engine::load(made.path()).unwrap();
    assert_eq!(engine.loaded["systemTurns"], "merged");
    let with = |system: &str| json!({ "id": "1", "messages": [{ "role": "system", "content": system }, { "role": "user", "content": "a" }] });
    let tokens = |rows: Vec<Value>| rows[0]["promptTokens"].as_u64().unwrap();
    let empty = tokens(engine.rows("count", &[with("")], json!({})).unwrap());
    let full = tokens(engine.rows("count", &[with("b")], json!({})).unwrap());
    assert!(full > empty);
    assert!(engine.rows("generate", &[with("b")], generating()).is_ok());
}

#[test]
fn tokens_beyond_the_embedding_are_refused_where_they_are_used() {
    let made = model(|tokenizer, config| {
        let tokens = tokenizer["added_tokens"].as_array_mut().unwrap();
        tokens.push(added(384, "<pad>", true));
        tokens.push(added(385, "<extra>", false));
        config["pad_token"] = json!("<pad>");
    });
    let mut engine = Engine::load(made.path()).unwrap();
    // Control strings in contents are text, so that of the padding token is no token.
    let rows = [chat("1", "plain"), chat("2", "a <pad> in a text")];
    assert_eq!(engine.rows("generate", &rows, generating()).unwrap().len(), 2);
    for (method, params) in [("generate", generating()), ("count", json!({}))] {
        let error = engine.refusal(method, &[chat("one", "x"), chat("two", "an <extra> one")], params);
        assert_eq!(error.code, Code::ModelUnsupported);
        for part in ["row \"two\"", "<extra>", "385", "384"] {
            assert!(error.message.contains(part), "{part} is not in {error}");
        }
    }
}

#[test]
fn a_prompt_beyond_the_context_is_named_with_its_tokens() {
    let mut engine = Engine::load(&fixture("")).unwrap();
    let long = "word ".repeat(600);
    let scoring = json!({ "id": "long", "prompt": "a", "continuations": ["b", long] });
    let embedding = json!({ "id": "long", "text": long });
    for (method, row, params) in [
        ("generate", chat("long", &long), generating()),
        ("score", scoring, json!({})),
        ("embed", embedding, json!({})),
    ] {
        let error = engine.refusal(method, &[row], params);
        assert_eq!(error.code, Code::PromptTooLong, "{method}: {error}");
        let fields = error.fields.unwrap();
        assert_eq!(
            (&fields["row"], &fields["contextTokens"]),
            (&json!("long"), &json!(512)),
            "{method}"
        );
        assert!(fields["tokens"].as_u64().unwrap() > 512, "{method}");
        assert!(
            error.message.contains("row \"long\"") && error.message.contains("context of 512"),
            "{}",
            error.message
        );
    }
    // Counting is how one finds out: it answers.
    assert!(
        engine.rows("count", &[chat("long", &long)], json!({})).unwrap()[0]["promptTokens"]
            .as_u64()
            .unwrap()
            > 512
    );
}
