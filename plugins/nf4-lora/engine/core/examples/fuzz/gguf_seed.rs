//! A good GGUF file with every tensor type that is read.

use escada_engine_core::testing::uniform;
use escada_engine_formats::gguf::BlockType;
use escada_engine_formats::{EngineError, Result};
use std::path::Path;

const SHAPES: [(&str, u32, &[usize]); 11] = [
    ("token_embd", 1, &[384, 32]),
    ("output_norm", 0, &[32]),
    ("blk.0.attn_norm", 0, &[32]),
    ("blk.0.attn_q", 8, &[32, 32]),
    ("blk.0.attn_k", 2, &[16, 32]),
    ("blk.0.attn_v", 3, &[16, 32]),
    ("blk.0.attn_output", 30, &[32, 32]),
    ("blk.0.ffn_norm", 0, &[32]),
    ("blk.0.ffn_gate", 0, &[32, 32]),
    ("blk.0.ffn_up", 1, &[32, 32]),
    ("blk.0.ffn_down", 8, &[32, 32]),
];

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

struct Metadata {
    bytes: Vec<u8>,
    count: u64,
}

impl Metadata {
    fn key(&mut self, key: &str, kind: u32) {
        self.count += 1;
        text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn number(&mut self, key: &str, value: u32) {
        self.key(key, 4);
        self.bytes.extend(value.to_le_bytes());
    }

    fn float(&mut self, key: &str, value: f32) {
        self.key(key, 6);
        self.bytes.extend(value.to_le_bytes());
    }

    fn string(&mut self, key: &str, value: &str) {
        self.key(key, 8);
        text(&mut self.bytes, value);
    }

    fn array(&mut self, key: &str, kind: u32, count: usize) {
        self.key(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((count as u64).to_le_bytes());
    }
}

fn metadata(template: &str) -> Metadata {
    let mut out = Metadata {
        bytes: Vec::new(),
        count: 0,
    };
    out.string("general.architecture", "llama");
    for (key, value) in [
        ("block_count", 1),
        ("embedding_length", 32),
        ("feed_forward_length", 32),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("context_length", 64),
    ] {
        out.number(&format!("llama.{key}"), value);
    }
    out.float("llama.rope.freq_base", 10_000.0);
    out.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
    out.string("tokenizer.ggml.model", "gpt2");
    out.string("tokenizer.ggml.pre", "smollm");
    let tokens = tokens();
    out.array("tokenizer.ggml.tokens", 8, tokens.len());
    tokens.iter().for_each(|token| text(&mut out.bytes, token));
    out.array("tokenizer.ggml.merges", 8, 2);
    ["a b", "ab c"]
        .iter()
        .for_each(|merge| text(&mut out.bytes, merge));
    out.array("tokenizer.ggml.token_type", 5, tokens.len());
    for at in 0..tokens.len() {
        out.bytes.extend(if at < 2 { 3_i32 } else { 1 }.to_le_bytes());
    }
    out.number("tokenizer.ggml.bos_token_id", 0);
    out.number("tokenizer.ggml.eos_token_id", 1);
    out.string("tokenizer.chat_template", template);
    out
}

/// Two control tokens, one character for each byte as byte-level vocabularies spell them, and two merged tokens.
fn tokens() -> Vec<String> {
    let printable = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let moved = (0..256)
        .filter(|byte| !printable(byte))
        .zip(256..)
        .map(|(_, code)| code);
    let characters = (0..256).filter(printable).chain(moved).filter_map(char::from_u32);
    let mut tokens = vec!["<|im_start|>".to_owned(), "<|im_end|>".to_owned()];
    tokens.extend(characters.map(String::from));
    tokens.extend(["ab".to_owned(), "abc".to_owned()]);
    tokens
}

fn size_bytes(kind: u32, values: usize) -> usize {
    BlockType::from_id(kind).map_or(0, |block| values / block.block_values() * block.block_bytes())
}

pub fn gguf(folder: &Path, template: &str) -> Result<()> {
    let metadata = metadata(template);
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend((SHAPES.len() as u64).to_le_bytes());
    out.extend(metadata.count.to_le_bytes());
    out.extend(metadata.bytes);
    let mut data: Vec<u8> = Vec::new();
    for (name, kind, shape) in SHAPES {
        data.resize(data.len().next_multiple_of(32), 0);
        text(&mut out, &format!("{name}.weight"));
        out.extend((shape.len() as u32).to_le_bytes());
        out.extend(shape.iter().rev().flat_map(|size| (*size as u64).to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        let wanted = data.len() + size_bytes(kind, shape.iter().product());
        // Small floats of every width when cut into 2 or 4 bytes.
        let noise = uniform(4, name, (wanted - data.len()).div_ceil(2));
        data.extend(
            noise
                .iter()
                .flat_map(|value| [(value.to_bits() >> 9) as u8, 0x2c]),
        );
        data.truncate(wanted);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    let path = folder.join("model.gguf");
    std::fs::write(&path, out).map_err(|cause| EngineError::io("write", &path, &cause))
}
