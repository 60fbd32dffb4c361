//! GGUF files built here: decoding, row order, tokenizer, and headers that lie.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::gguf::*;
use escada_engine_formats::gguf::{GgufFile, Value};
use escada_engine_formats::{Code, ModelSource};
use std::os::unix::fs::FileExt;

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
    // A token without a row is no fault of the file: whoever uses it gets the error.
    let source = open(&gguf_bytes(&tiny_metadata(), &short)).unwrap();
    assert_eq!(source.config().vocab, 257);
    assert!(source.tokenizer().unwrap().token_text(257).is_some());
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

/// Adding tokens one by one would build the search tables again for each of them.
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
