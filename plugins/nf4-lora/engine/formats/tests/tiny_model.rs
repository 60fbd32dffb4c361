//! A Hugging Face folder end to end: weights, NF4, tokenizer, chat template, digest, against values made in Python.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{f32_bytes, fixture, json_fixture};
use escada_engine_formats::atomic::sha256_hex;
use escada_engine_formats::nf4::quantize;
use escada_engine_formats::{AbsMax, Code, Message, ModelSource};
use serde_json::{Value, json};

fn tiny() -> ModelSource {
    ModelSource::open(&fixture("tiny-llama")).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap() as u32)
        .collect()
}

fn messages(value: &Value) -> Vec<Message> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn the_configuration_is_read() {
    let source = tiny();
    let config = source.config();
    assert_eq!(
        (config.layers, config.hidden, config.intermediate, config.vocab),
        (2, 64, 128, 384)
    );
    assert_eq!(
        (config.heads, config.kv_heads, config.head_dim, config.context),
        (4, 2, 16, 512)
    );
    assert_eq!(
        (config.rope_theta, config.rms_eps, config.tie_embeddings),
        (10_000.0, 1e-5, true)
    );
    assert_eq!(
        source.tensor("lm_head.weight").unwrap(),
        source.tensor("model.embed_tokens.weight").unwrap()
    );
    let counted: usize = config
        .tensor_names()
        .iter()
        .map(|name| source.tensor(name).unwrap().values.len())
        .sum();
    assert_eq!(source.parameters(), counted as u64);
}

#[test]
fn every_linear_layer_quantizes_as_the_reference_does() {
    let (source, golden) = (tiny(), json_fixture("tiny-llama/golden-nf4-double.json"));
    let layers = golden["nf4"].as_object().unwrap();
    assert_eq!(layers.len(), 14);
    for (module, expected) in layers {
        let tensor = source.tensor(&format!("{module}.weight")).unwrap();
        let nf4 = quantize(&tensor.values, tensor.shape[0], tensor.shape[1], 64, true).unwrap();
        assert_eq!(sha256_hex(&nf4.packed), expected["packedSha256"], "{module}");
        let AbsMax::Nested {
            codes,
            absmax,
            offset,
            ..
        } = &nf4.absmax
        else {
            panic!("not nested")
        };
        assert_eq!(sha256_hex(codes), expected["nestedCodesSha256"], "{module}");
        assert_eq!(
            f64::from(*offset) as f32,
            expected["offset"].as_f64().unwrap() as f32,
            "{module}"
        );
        assert_eq!(
            absmax[0],
            expected["nestedAbsmax"][0].as_f64().unwrap() as f32,
            "{module}"
        );
        let mut decoded = vec![0.0; nf4.len()];
        nf4.decode_into(&mut decoded);
        assert_eq!(
            sha256_hex(&f32_bytes(&decoded)),
            expected["decodedSha256"],
            "{module}"
        );
    }
}

#[test]
fn prompts_and_answers_have_the_reference_ids() {
    let source = tiny();
    let (tokenizer, chat) = (
        source.tokenizer().unwrap(),
        source.chat_template().unwrap().unwrap(),
    );
    assert_eq!(
        (tokenizer.bos_id(), tokenizer.eos_ids()),
        (Some(1), [2].as_slice())
    );
    for row in json_fixture("tiny-llama/golden.json")["rows"].as_array().unwrap() {
        let (messages, answer) = (messages(&row["messages"]), row["answer"].as_str().unwrap());
        let whole = ids(&row["ids"]);
        let (prompt, labelled) = whole.split_at(row["promptTokens"].as_u64().unwrap() as usize);
        let encoded = chat.encode_with_answer(&tokenizer, &messages, answer).unwrap();
        assert_eq!(
            (encoded.prompt.as_slice(), encoded.answer.as_slice()),
            (prompt, labelled)
        );
        assert_eq!(chat.encode(&tokenizer, &messages, true).unwrap(), prompt);
        assert_eq!(
            tokenizer.encode_template(row["text"].as_str().unwrap()).unwrap(),
            prompt
        );
        assert_eq!(tokenizer.decode(&encoded.answer, true).unwrap(), answer);
    }
}

#[test]
fn the_digest_covers_weights_and_text_files() {
    let copy = tempfile::tempdir().unwrap();
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ] {
        std::fs::copy(fixture("tiny-llama").join(name), copy.path().join(name)).unwrap();
    }
    let digest = || ModelSource::open(copy.path()).unwrap().digest().unwrap();
    let before = digest();
    assert_eq!(before, tiny().digest().unwrap());
    std::fs::write(copy.path().join("chat_template.jinja"), "{{ messages }}").unwrap();
    assert_ne!(before, digest());
    std::fs::write(copy.path().join("README.md"), "no part of the model").unwrap();
    std::fs::remove_file(copy.path().join("chat_template.jinja")).unwrap();
    assert_eq!(before, digest());
}

/// Rewrites one field of `config.json` in a copy of the model and opens it.
fn open_with(change: impl Fn(&mut Value)) -> Result<ModelSource, escada_engine_formats::EngineError> {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(
        fixture("tiny-llama/model.safetensors"),
        copy.path().join("model.safetensors"),
    )
    .unwrap();
    let mut config = json_fixture("tiny-llama/config.json");
    change(&mut config);
    std::fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
    ModelSource::open(copy.path())
}

#[test]
fn unsupported_features_are_named() {
    let cases = [
        ("model_type", json!("qwen9"), "qwen9"),
        (
            "rope_scaling",
            json!({ "rope_type": "dynamic", "factor": 8.0 }),
            "dynamic",
        ),
        ("rope_parameters", json!({ "rope_type": "yarn" }), "yarn"),
        ("attention_bias", json!(true), "attention_bias"),
        ("hidden_act", json!("gelu"), "gelu"),
        ("partial_rotary_factor", json!(0.5), "partial_rotary_factor"),
        ("quantization_config", json!({ "quant_method": "awq" }), "awq"),
    ];
    for (key, value, named) in cases {
        let error = open_with(|config| config[key] = value.clone()).err().expect(key);
        assert_eq!(error.code, Code::ModelUnsupported, "{key}");
        assert!(error.message.contains(named), "{}", error.message);
    }
}

#[test]
fn impossible_configurations_are_refused() {
    let cases = [
        ("hidden_size", json!(65)),
        ("hidden_size", json!(0)),
        ("hidden_size", json!(-64)),
        ("num_attention_heads", json!("four")),
        ("num_key_value_heads", json!(3)),
        ("head_dim", json!(15)),
        ("vocab_size", json!(1_u64 << 60)),
        ("num_hidden_layers", json!(3)),
        ("num_hidden_layers", json!(1 << 27)),
        ("rms_norm_eps", json!(0.0)),
        ("rope_scaling", json!({ "rope_type": "llama3", "factor": 8.0 })),
        ("rope_scaling", json!({ "rope_type": "linear", "factor": -2.0 })),
        (
            "rope_scaling",
            json!({
                "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 1.0,
                "original_max_position_embeddings": 64
            }),
        ),
        ("tie_word_embeddings", json!(false)),
    ];
    for (key, value) in cases {
        let error = open_with(|config| config[key] = value.clone()).err().expect(key);
        assert_eq!(error.code, Code::ModelFileInvalid, "{key}: {}", error.message);
    }
}
