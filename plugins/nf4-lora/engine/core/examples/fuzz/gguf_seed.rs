//! A good GGUF file with every tensor type that is read.

use escada_engine_core::testing::uniform;
use escada_engine_formats::gguf::BlockType;
use escada_engine_formats::{EngineError, Result};
use std::path::Path;

/// Of ones, which scale nothing.
const ROPE_TABLE: &str = "rope_freqs";

const SHAPES: [(&str, u32, &[usize]); 12] = [
    (ROPE_TABLE, 0, &[8]),
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

    fn texts(&mut self, key: &str, texts: &[impl AsRef<str>]) {
        self.array(key, 8, texts.len());
        texts.iter().for_each(|each| text(&mut self.bytes, each.as_ref()));
    }

    fn array(&mut self, key: &str, kind: u32, count: usize) {
        self.key(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((count as u64).to_le_bytes());
    }
}

/// Which tokenizer a file has.
#[derive(Clone, Copy, PartialEq)]
pub enum Words {
    ByteLevel,
    SentencePiece,
}

fn metadata(template: &str, words: Words) -> Metadata {
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
    match words {
        Words::ByteLevel => byte_level(&mut out),
        Words::SentencePiece => sentencepiece(&mut out),
    }
    out.number("tokenizer.ggml.bos_token_id", 0);
    out.number("tokenizer.ggml.eos_token_id", 1);
    out.string("tokenizer.chat_template", template);
    out
}

fn byte_level(out: &mut Metadata) {
    out.string("tokenizer.ggml.model", "gpt2");
    out.string("tokenizer.ggml.pre", "smollm");
    let tokens = tokens();
    out.texts("tokenizer.ggml.tokens", &tokens);
    out.texts("tokenizer.ggml.merges", &["a b", "ab c"]);
    out.array("tokenizer.ggml.token_type", 5, tokens.len());
    for at in 0..tokens.len() {
        out.bytes.extend(if at < 2 { 3_i32 } else { 1 }.to_le_bytes());
    }
}

/// Two control tokens, unknown text, all bytes, and pieces that other pieces make.
fn sentencepiece(out: &mut Metadata) {
    out.string("tokenizer.ggml.model", "llama");
    let (mut tokens, mut types) = (vec!["<s>".to_owned(), "</s>".to_owned()], vec![3_i32, 3]);
    tokens.push("<unk>".to_owned());
    types.push(2);
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    types.resize(tokens.len(), 6);
    let pieces = ["ab", "▁a", "abab", "▁▁", "▁ab", "▁", "a", "b", "é"];
    tokens.extend(pieces.map(str::to_owned));
    types.resize(tokens.len(), 1);
    out.texts("tokenizer.ggml.tokens", &tokens);
    out.array("tokenizer.ggml.scores", 6, tokens.len());
    let scores = (0..tokens.len()).flat_map(|at| (-(at as f32)).to_le_bytes());
    out.bytes.extend(scores);
    out.array("tokenizer.ggml.token_type", 5, tokens.len());
    out.bytes.extend(types.iter().flat_map(|kind| kind.to_le_bytes()));
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

pub fn gguf(folder: &Path, template: &str, words: Words) -> Result<()> {
    let metadata = metadata(template, words);
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
        if name == ROPE_TABLE {
            data.extend([1.0_f32; 8].iter().flat_map(|one| one.to_le_bytes()));
            continue;
        }
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
