//! What GGUF metadata say about a model: read, or refused by name.
#![allow(clippy::unwrap_used)]

mod common;

use common::gguf::*;
use escada_engine_formats::config::RopeScaling;
use escada_engine_formats::{Code, EngineError, ModelSource, Tokenizer};

fn qwen2_metadata() -> Vec<(&'static str, Meta<'static>)> {
    let renamed = |(key, value): (&'static str, Meta<'static>)| match (key, key.strip_prefix("llama.")) {
        ("general.architecture", _) => (key, Meta::Text("qwen2")),
        (_, Some(rest)) => (&*format!("qwen2.{rest}").leak(), value),
        _ => (key, value),
    };
    tiny_metadata().into_iter().map(renamed).collect()
}

#[test]
fn biases_and_windows_are_those_of_the_architecture() {
    let bias = |part: &str, rows: usize| (format!("blk.0.{part}.bias"), vec![rows], vec![0.5; rows]);
    let opened = |metadata: &[(&'static str, Meta<'static>)], biases: &[(&str, usize)]| {
        let mut tensors = tiny_tensors();
        tensors.extend(biases.iter().map(|(part, rows)| bias(part, *rows)));
        open(&gguf_bytes(metadata, &tensors))
    };
    let three = [("attn_q", 8), ("attn_k", 4), ("attn_v", 4)];
    let source = opened(&qwen2_metadata(), &three).unwrap();
    assert_eq!(
        (source.config().architecture.as_str(), source.config().qkv_bias),
        ("qwen2", true)
    );
    let name = "model.layers.0.self_attn.k_proj.bias";
    assert_eq!(source.tensor(name).unwrap().values, [0.5; 4]);
    // Rows as they are in the file: nothing is reordered for a qwen2.
    let q = source.tensor("model.layers.0.self_attn.q_proj.weight").unwrap();
    assert!(q.values.iter().enumerate().all(|(at, value)| *value == at as f32));
    let refusal = |metadata: &[(&'static str, Meta<'static>)], biases: &[(&str, usize)]| {
        let error = opened(metadata, biases).err().unwrap();
        (error.code, error.message)
    };
    let (code, message) = refusal(&qwen2_metadata(), &three[..2]);
    assert!(
        code == Code::ModelFileInvalid && message.contains("v_proj.bias"),
        "{message}"
    );
    for (metadata, biases) in [
        (tiny_metadata(), &three[..1]),
        (qwen2_metadata(), &[("attn_output", 8)][..]),
        (tiny_metadata(), &[("ffn_down", 8)][..]),
        (qwen2_metadata(), &[("ffn_up", 16)][..]),
    ] {
        let (code, message) = refusal(&metadata, biases);
        assert!(
            code == Code::ModelUnsupported && message.contains("bias"),
            "{message}"
        );
    }
    let with = |mut metadata: Vec<(&'static str, Meta<'static>)>, key, window| {
        metadata.push((key, Meta::U32(window)));
        metadata
    };
    let llama = "llama.attention.sliding_window";
    for (window, seen, architecture) in [(0, None, "llama"), (16, Some(16), "mistral"), (64, None, "llama")] {
        let source = opened(&with(tiny_metadata(), llama, window), &[]).unwrap();
        let config = source.config();
        assert_eq!(
            (config.sliding_window, config.architecture.as_str()),
            (seen, architecture)
        );
    }
    let (code, _) = refusal(
        &with(qwen2_metadata(), "qwen2.attention.sliding_window", 16),
        &three,
    );
    assert_eq!(code, Code::ModelUnsupported);
}

#[test]
fn unsupported_features_are_named() {
    let with = |key: &'static str, value: Meta<'static>, named: &str| {
        let mut metadata = tiny_metadata();
        metadata.retain(|(existing, _)| *existing != key);
        metadata.push((key, value));
        let error = open(&gguf_bytes(&metadata, &tiny_tensors()))
            .and_then(|source| source.tokenizer())
            .err()
            .unwrap();
        assert_eq!(error.code, Code::ModelUnsupported, "{error}");
        assert!(error.message.contains(named), "{error}");
    };
    with("general.architecture", Meta::Text("mamba"), "mamba");
    with("llama.rope.scaling.type", Meta::Text("yarn"), "yarn");
    // Without a type a factor scales linearly; older files have it under another name.
    with(
        "llama.rope.scaling.factor",
        Meta::F32(4.0),
        "llama.rope.scaling.factor",
    );
    with(
        "llama.rope.scale_linear",
        Meta::F32(2.0),
        "llama.rope.scale_linear",
    );
    with("llama.rope.dimension_count", Meta::U32(2), "rotary");
    with("llama.expert_count", Meta::U32(8), "experts");
    with("tokenizer.ggml.model", Meta::Text("unigram"), "unigram");
    with("tokenizer.ggml.pre", Meta::Text("falcon"), "falcon");

    let mut bytes = tiny();
    let at = bytes
        .windows(20)
        .position(|window| window == b"blk.0.ffn_up.weight\x02")
        .unwrap();
    bytes[at + 19 + 4 + 16] = 12;
    let file = file_of(&bytes);
    let error = ModelSource::open(file.path())
        .unwrap()
        .tensor("model.layers.0.mlp.up_proj.weight")
        .err()
        .unwrap();
    assert!(
        error.code == Code::ModelUnsupported && error.message.contains("Q4_K"),
        "{error}"
    );

    let mut version = tiny();
    version[4] = 1;
    assert_eq!(open(&version).err().unwrap().code, Code::ModelUnsupported);
    version[4..8].copy_from_slice(&3_u32.to_be_bytes());
    assert!(open(&version).err().unwrap().message.contains("big-endian"));
}

#[test]
fn a_number_that_is_none_is_refused_and_not_replaced_by_a_default() {
    let opened = |key: &'static str, value: Meta<'static>| {
        let mut metadata = tiny_metadata();
        metadata.retain(|(existing, _)| *existing != key);
        metadata.push((key, value));
        open(&gguf_bytes(&metadata, &tiny_tensors()))
    };
    let theta = "llama.rope.freq_base";
    assert_eq!(
        opened(theta, Meta::U32(500_000)).unwrap().config().rope_theta,
        5e5
    );
    for key in [theta, "llama.attention.layer_norm_rms_epsilon"] {
        let error = opened(key, Meta::Text("many")).err().unwrap();
        assert_eq!(error.code, Code::ModelFileInvalid);
        assert!(error.message.contains(key), "{error}");
    }
}

/// With the table of rotary frequencies that is given, `[2]` of the tiny model's frequencies 1 and 0.01.
fn with_table(table: &[f32]) -> Result<ModelSource, EngineError> {
    let mut tensors = tiny_tensors();
    tensors.push(("rope_freqs.weight".to_owned(), vec![table.len()], table.to_vec()));
    open(&gguf_bytes(&tiny_metadata(), &tensors))
}

#[test]
fn a_table_of_frequencies_is_read_where_it_is_one_of_llama_3() {
    let scaling = |table| with_table(table).map(|source| source.config().rope_scaling);
    assert_eq!(scaling(&[1.0, 1.0]).unwrap(), RopeScaling::None);
    let RopeScaling::Llama3 { factor, .. } = scaling(&[1.0, 8.0]).unwrap() else {
        panic!("no scaling of Llama 3")
    };
    assert_eq!(factor, 8.0);
    for (table, code, named) in [
        (&[8.0, 1.0][..], Code::ModelUnsupported, "not Llama 3's"),
        (&[1.0, f32::NAN], Code::ModelUnsupported, "not Llama 3's"),
        (&[1.0, 8.0, 8.0], Code::ModelFileInvalid, "[3]"),
    ] {
        let error = scaling(table).err().unwrap();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(named), "{error}");
    }
}

/// `<unk>`, all bytes, and pieces with scores.
fn sentencepiece(pieces: &[(&str, f32)]) -> Vec<(&'static str, Meta<'static>)> {
    let mut tokens = vec!["<unk>".to_owned()];
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    let mut types = vec![2];
    types.resize(tokens.len(), 6);
    let mut scores = vec![0.0; tokens.len()];
    tokens.extend(pieces.iter().map(|(piece, _)| (*piece).to_owned()));
    types.resize(tokens.len(), 1);
    scores.extend(pieces.iter().map(|(_, score)| *score));
    let mut metadata = tiny_metadata();
    metadata.retain(|(key, _)| !key.starts_with("tokenizer.ggml"));
    metadata.extend([
        ("tokenizer.ggml.model", Meta::Text("llama")),
        ("tokenizer.ggml.tokens", Meta::Texts(tokens)),
        ("tokenizer.ggml.token_type", Meta::Ints(types)),
        ("tokenizer.ggml.scores", Meta::Floats(scores)),
    ]);
    metadata
}

fn tokenizer_of(metadata: &[(&'static str, Meta)]) -> Result<Tokenizer, EngineError> {
    let mut tensors = tiny_tensors();
    tensors[0].1 = vec![400, 8];
    tensors[0].2 = vec![0.0; 3200];
    open(&gguf_bytes(metadata, &tensors))?.tokenizer()
}

#[test]
fn pieces_are_joined_by_their_scores() {
    let pieces = [
        ("a", -9.0),
        ("b", -9.0),
        ("▁", -9.0),
        ("ab", -2.0),
        ("▁a", -1.0),
        ("ba", -3.0),
    ];
    let texts = |metadata: &[(&'static str, Meta)], text: &str| -> Vec<String> {
        let tokenizer = tokenizer_of(metadata).unwrap();
        let ids = tokenizer.encode_text(text).unwrap();
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
        ids.iter().map(|id| tokenizer.token_text(*id).unwrap()).collect()
    };
    // `▁a` goes before `ab`, which goes before `ba`, wherever they are.
    assert_eq!(texts(&sentencepiece(&pieces), "abab"), ["▁a", "b", "ab"]);
    assert_eq!(texts(&sentencepiece(&pieces), "bab a"), ["▁", "b", "ab", "▁a"]);
    assert_eq!(texts(&sentencepiece(&pieces), "é"), ["▁", "<0xC3>", "<0xA9>"]);
    let mut bare = sentencepiece(&pieces);
    bare.push(("tokenizer.ggml.add_space_prefix", Meta::Bool(false)));
    assert_eq!(texts(&bare, "abab"), ["ab", "ab"]);
}

#[test]
fn pieces_that_are_damaged_or_not_supported_are_refused() {
    let long = "a".repeat(257);
    let pieces = [("a", -1.0), ("b", -2.0)];
    let without = |key: &str| {
        let mut metadata = sentencepiece(&pieces);
        metadata.retain(|(existing, _)| *existing != key);
        metadata
    };
    let with = |key, value| {
        [without(key), vec![(key, value)]]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    let plain = vec![1; 259];
    for (metadata, code, named) in [
        (without("tokenizer.ggml.scores"), Code::ModelFileInvalid, "scores"),
        (
            with("tokenizer.ggml.scores", Meta::Floats(vec![0.0; 3])),
            Code::ModelFileInvalid,
            "259",
        ),
        (
            sentencepiece(&[("a", f32::NAN)]),
            Code::ModelFileInvalid,
            "scores",
        ),
        (
            with("tokenizer.ggml.token_type", Meta::Ints(plain)),
            Code::ModelFileInvalid,
            "unknown",
        ),
        (
            sentencepiece(&[(&long, -1.0)]),
            Code::ModelUnsupported,
            "257 bytes",
        ),
        (
            with("tokenizer.ggml.remove_extra_whitespaces", Meta::Bool(true)),
            Code::ModelUnsupported,
            "blanks",
        ),
    ] {
        let error = tokenizer_of(&metadata).err().unwrap();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(named), "{error}");
    }
}
