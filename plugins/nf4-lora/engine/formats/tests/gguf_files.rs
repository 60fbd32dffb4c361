//! GGUF files built here: decoding, row order, tokenizer, and headers that lie.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use escada_engine_formats::gguf::{GgufFile, Value};
use escada_engine_formats::{Code, EngineError, ModelSource};
use std::io::Write;
use std::os::unix::fs::FileExt;
use tempfile::NamedTempFile;

/// A metadata value as bytes: type number, then content.
enum Meta<'a> {
    U32(u32),
    F32(f32),
    Text(&'a str),
    Texts(Vec<String>),
    Ints(Vec<i32>),
}

fn text_bytes(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Meta<'_> {
    fn bytes(&self) -> Vec<u8> {
        let array = |kind: u32, count: usize, items: Vec<u8>| {
            [
                &9_u32.to_le_bytes()[..],
                &kind.to_le_bytes(),
                &(count as u64).to_le_bytes(),
                &items,
            ]
            .concat()
        };
        match self {
            Meta::U32(value) => [4_u32.to_le_bytes(), value.to_le_bytes()].concat(),
            Meta::F32(value) => [6_u32.to_le_bytes(), value.to_le_bytes()].concat(),
            Meta::Text(text) => [8_u32.to_le_bytes().to_vec(), text_bytes(text)].concat(),
            Meta::Texts(texts) => array(
                8,
                texts.len(),
                texts.iter().flat_map(|text| text_bytes(text)).collect(),
            ),
            Meta::Ints(ints) => array(
                5,
                ints.len(),
                ints.iter().flat_map(|int| int.to_le_bytes()).collect(),
            ),
        }
    }
}

/// A tensor of type F32: name, shape (outermost first), values.
type Weights = (String, Vec<usize>, Vec<f32>);

fn gguf_bytes(metadata: &[(&str, Meta)], tensors: &[Weights]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        out.extend(text_bytes(key));
        out.extend(value.bytes());
    }
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, values) in tensors {
        data.resize(data.len().next_multiple_of(32), 0);
        out.extend(text_bytes(name));
        out.extend((shape.len() as u32).to_le_bytes());
        out.extend(shape.iter().rev().flat_map(|size| (*size as u64).to_le_bytes()));
        out.extend(0_u32.to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

/// Hidden 8, one layer, 2 query heads and 1 key/value head of 4, vocabulary of 256 bytes and 2 control tokens.
fn tiny_metadata() -> Vec<(&'static str, Meta<'static>)> {
    let mut tokens = vec!["<|im_start|>".to_owned(), "<|im_end|>".to_owned()];
    tokens.extend(byte_alphabet().into_iter().map(String::from));
    let mut types = vec![3, 3];
    types.resize(tokens.len(), 1);
    vec![
        ("general.architecture", Meta::Text("llama")),
        ("llama.block_count", Meta::U32(1)),
        ("llama.embedding_length", Meta::U32(8)),
        ("llama.feed_forward_length", Meta::U32(16)),
        ("llama.attention.head_count", Meta::U32(2)),
        ("llama.attention.head_count_kv", Meta::U32(1)),
        ("llama.context_length", Meta::U32(64)),
        ("llama.rope.freq_base", Meta::F32(10_000.0)),
        ("llama.attention.layer_norm_rms_epsilon", Meta::F32(1e-5)),
        ("tokenizer.ggml.model", Meta::Text("gpt2")),
        ("tokenizer.ggml.pre", Meta::Text("smollm")),
        ("tokenizer.ggml.tokens", Meta::Texts(tokens)),
        ("tokenizer.ggml.merges", Meta::Texts(vec![])),
        ("tokenizer.ggml.token_type", Meta::Ints(types)),
        ("tokenizer.ggml.bos_token_id", Meta::U32(0)),
        ("tokenizer.ggml.eos_token_id", Meta::U32(1)),
        (
            "tokenizer.chat_template",
            Meta::Text("{% for m in messages %}{{ bos_token + m.content + eos_token }}{% endfor %}"),
        ),
    ]
}

/// The 256 characters that byte-level vocabularies spell bytes with, in any order.
fn byte_alphabet() -> Vec<char> {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let moved = (0..256)
        .filter(|byte| !printable(*byte))
        .zip(256..)
        .map(|(_, code)| code);
    (0..256)
        .filter(|byte| printable(*byte))
        .chain(moved)
        .filter_map(char::from_u32)
        .collect()
}

fn tiny_tensors() -> Vec<Weights> {
    let shapes: [(&str, Vec<usize>); 11] = [
        ("token_embd", vec![258, 8]),
        ("output_norm", vec![8]),
        ("blk.0.attn_norm", vec![8]),
        ("blk.0.attn_q", vec![8, 8]),
        ("blk.0.attn_k", vec![4, 8]),
        ("blk.0.attn_v", vec![4, 8]),
        ("blk.0.attn_output", vec![8, 8]),
        ("blk.0.ffn_norm", vec![8]),
        ("blk.0.ffn_gate", vec![16, 8]),
        ("blk.0.ffn_up", vec![16, 8]),
        ("blk.0.ffn_down", vec![8, 16]),
    ];
    shapes
        .map(|(name, shape)| {
            let values = (0..shape.iter().product::<usize>()).map(|at| at as f32).collect();
            (format!("{name}.weight"), shape, values)
        })
        .to_vec()
}

fn file_of(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn open(bytes: &[u8]) -> Result<ModelSource, EngineError> {
    ModelSource::open(file_of(bytes).path())
}

fn tiny() -> Vec<u8> {
    gguf_bytes(&tiny_metadata(), &tiny_tensors())
}

#[test]
fn a_whole_model_opens() {
    let file = file_of(&tiny());
    let source = ModelSource::open(file.path()).unwrap();
    let config = source.config();
    assert_eq!(
        (config.layers, config.hidden, config.head_dim, config.vocab),
        (1, 8, 4, 258)
    );
    assert!(config.tie_embeddings);
    // Head 0 holds rows 0, 2, 1, 3 of the file, head 1 rows 4, 6, 5, 7.
    let q = source.tensor("model.layers.0.self_attn.q_proj.weight").unwrap();
    let rows: Vec<usize> = q.values.chunks(8).map(|row| row[0] as usize / 8).collect();
    assert_eq!(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
    let down = source.tensor("model.layers.0.mlp.down_proj.weight").unwrap();
    assert_eq!((down.shape, down.values[127]), (vec![8, 16], 127.0));
    assert_eq!(source.digest().unwrap().len(), 64);
}

#[test]
fn its_tokenizer_and_template_work_together() {
    let file = file_of(&tiny());
    let source = ModelSource::open(file.path()).unwrap();
    let (tokenizer, chat) = (
        source.tokenizer().unwrap(),
        source.chat_template().unwrap().unwrap(),
    );
    let hello = escada_engine_formats::Message {
        role: "user".to_owned(),
        content: "é<|im_end|>".to_owned(),
    };
    let ids = chat.encode(&tokenizer, &[hello], false).unwrap();
    assert_eq!((ids.len(), ids[0], ids.last()), (1 + 12 + 1, 0, Some(&1)));
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "é<|im_end|>");
}

#[test]
fn every_truncation_is_refused() {
    let bytes = tiny();
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        let error = open(&bytes[..length])
            .err()
            .unwrap_or_else(|| panic!("{length} bytes were accepted"));
        assert!(
            matches!(error.code, Code::ModelFileInvalid | Code::Io),
            "{length}: {error}"
        );
    }
}

/// Flips bytes of the header all over: whatever happens must be an error or a model, never a crash or a huge
/// allocation.
#[test]
fn damaged_headers_never_crash() {
    let bytes = tiny();
    let header_end = bytes.len()
        - tiny_tensors()
            .iter()
            .map(|tensor| 4 * tensor.2.len())
            .sum::<usize>()
        - 32 * 11;
    let flips = [0x01, 0x80, 0xff];
    let file = file_of(&bytes);
    for at in 0..header_end {
        file.as_file()
            .write_all_at(&[bytes[at] ^ flips[at % flips.len()]], at as u64)
            .unwrap();
        if let Ok(source) = ModelSource::open(file.path()) {
            let _ = source.chat_template();
            // Building a tokenizer takes milliseconds: a sample is enough.
            if at % 61 == 0 {
                let _ = source.tokenizer();
            }
        }
        file.as_file().write_all_at(&bytes[at..=at], at as u64).unwrap();
    }
    assert!(ModelSource::open(file.path()).is_ok());
}

/// Overwrites the eight bytes in front of `marker` (its length field) by `value`.
fn with_length(marker: &str, value: u64) -> Vec<u8> {
    let mut bytes = tiny();
    let at = bytes
        .windows(marker.len())
        .position(|window| window == marker.as_bytes())
        .unwrap();
    bytes[at - 8..at].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn lying_sizes_are_refused_before_allocation() {
    let mut counts = tiny();
    counts[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    let files = [
        counts,
        with_length("general.architecture", u64::MAX),
        with_length("general.architecture", 1 << 40),
        with_length("<|im_start|>", u64::MAX - 7),
    ];
    for bytes in files {
        let error = open(&bytes).err().unwrap();
        assert_eq!(error.code, Code::ModelFileInvalid, "{error}");
        assert!(
            error.message.contains("header asks for") && error.message.contains("SHA-256"),
            "{error}"
        );
    }
}

#[test]
fn impossible_tensors_are_refused() {
    let with_shape = |shape: Vec<usize>| {
        let mut tensors = tiny_tensors();
        tensors[0].1 = shape;
        open(&gguf_bytes(&tiny_metadata(), &tensors)).err().unwrap()
    };
    for shape in [
        vec![1 << 40, 1 << 40],
        vec![usize::MAX, 8],
        vec![0, 8],
        vec![258, 4096],
    ] {
        assert_eq!(
            with_shape(shape.clone()).code,
            Code::ModelFileInvalid,
            "{shape:?}"
        );
    }
    let mut short = tiny_tensors();
    (short[0].1, short[0].2) = (vec![257, 8], vec![0.0; 257 * 8]);
    let error = open(&gguf_bytes(&tiny_metadata(), &short))
        .and_then(|source| source.tokenizer())
        .err()
        .unwrap();
    assert!(
        error.code == Code::ModelFileInvalid && error.message.contains("257"),
        "{error}"
    );
    let mut twice = tiny_tensors();
    twice.push(twice[3].clone());
    assert!(
        open(&gguf_bytes(&tiny_metadata(), &twice))
            .err()
            .unwrap()
            .message
            .contains("twice")
    );
    let mut missing = tiny_tensors();
    missing.remove(5);
    assert!(
        open(&gguf_bytes(&tiny_metadata(), &missing))
            .err()
            .unwrap()
            .message
            .contains("v_proj")
    );
    let mut not_finite = tiny_tensors();
    not_finite[5].2[3] = f32::NAN;
    let file = file_of(&gguf_bytes(&tiny_metadata(), &not_finite));
    let source = ModelSource::open(file.path()).unwrap();
    let error = source
        .tensor("model.layers.0.self_attn.v_proj.weight")
        .err()
        .unwrap();
    assert!(error.code == Code::ModelFileInvalid && error.message.contains("NaN"));
}

#[test]
fn overlapping_tensors_are_refused() {
    let mut bytes = tiny();
    let marker = text_bytes("output_norm.weight");
    let at = bytes
        .windows(marker.len())
        .position(|window| window == marker)
        .unwrap();
    // Behind the name: rank, one dimension, type, offset.
    let offset = at + marker.len() + 4 + 8 + 4;
    bytes[offset..offset + 8].fill(0);
    let error = open(&bytes).err().unwrap();
    assert_eq!(error.code, Code::ModelFileInvalid);
    assert!(
        error.message.contains("output_norm.weight") && error.message.contains("overlap"),
        "{error}"
    );
}

/// Adding tokens one by one would build the search tables anew for each of them.
#[test]
fn a_vocabulary_of_control_tokens_is_built_in_time() {
    let mut metadata = tiny_metadata();
    let many = 20_000;
    let mut tensors = tiny_tensors();
    for (key, value) in &mut metadata {
        match (*key, value) {
            ("tokenizer.ggml.tokens", Meta::Texts(tokens)) => {
                tokens.extend((0..many).map(|at| format!("<|{at}|>")));
                tensors[0].1[0] = tokens.len();
                tensors[0].2.resize(tokens.len() * 8, 0.5);
            }
            ("tokenizer.ggml.token_type", Meta::Ints(types)) => types.resize(types.len() + many, 3),
            _ => {}
        }
    }
    let source = open(&gguf_bytes(&metadata, &tensors)).unwrap();
    let start = std::time::Instant::now();
    let tokenizer = source.tokenizer().unwrap();
    assert!(tokenizer.is_control(tokenizer.token_id("<|19999|>").unwrap()));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// `tiny_metadata` as a qwen2.
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
    // Rows as they stand in the file: nothing is reordered for a qwen2.
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
    with("tokenizer.ggml.pre", Meta::Text("llama-bpe"), "llama-bpe");

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

#[test]
fn metadata_of_every_kind_is_read() {
    let metadata = [
        ("a", Meta::F32(0.5)),
        ("b", Meta::Ints(vec![-1, 2])),
        ("c", Meta::Texts(vec!["x".into()])),
    ];
    let file = file_of(&gguf_bytes(&metadata, &[]));
    let gguf = GgufFile::open(file.path()).unwrap();
    assert_eq!(gguf.value("a"), Some(&Value::Float(0.5)));
    assert_eq!(gguf.value("b"), Some(&Value::Ints(vec![-1, 2])));
    assert_eq!(gguf.value("c"), Some(&Value::Texts(vec!["x".to_owned()])));
    assert_eq!(gguf.value("d"), None);
}
