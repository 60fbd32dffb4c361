//! GGUF files built for tests.
#![allow(clippy::unwrap_used)]

use escada_engine_formats::{EngineError, ModelSource};
use std::io::Write;
use tempfile::NamedTempFile;

pub enum Meta<'a> {
    U32(u32),
    F32(f32),
    Text(&'a str),
    Texts(Vec<String>),
    Ints(Vec<i32>),
    Floats(Vec<f32>),
    Bool(bool),
}

pub fn text_bytes(text: &str) -> Vec<u8> {
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
            Meta::Bool(flag) => [7_u32.to_le_bytes().to_vec(), vec![u8::from(*flag)]].concat(),
            Meta::Floats(floats) => array(
                6,
                floats.len(),
                floats.iter().flat_map(|float| float.to_le_bytes()).collect(),
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
pub type Weights = (String, Vec<usize>, Vec<f32>);

pub fn gguf_bytes(metadata: &[(&str, Meta)], tensors: &[Weights]) -> Vec<u8> {
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
pub fn tiny_metadata() -> Vec<(&'static str, Meta<'static>)> {
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
pub fn byte_alphabet() -> Vec<char> {
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

pub fn tiny_tensors() -> Vec<Weights> {
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

pub fn file_of(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

pub fn open(bytes: &[u8]) -> Result<ModelSource, EngineError> {
    ModelSource::open(file_of(bytes).path())
}

pub fn tiny() -> Vec<u8> {
    gguf_bytes(&tiny_metadata(), &tiny_tensors())
}
