//! Tokenizers of kind "llama": SentencePiece BPE, whose pieces have scores in place of a list of merges. Of two neighbours
//! that make a piece, those with the best score are joined first; a blank is spelled `▁`, what no piece covers as bytes.

use super::{NORMAL, UNKNOWN, token_types, vocabulary};
use crate::error::{EngineError, Result};
use crate::gguf::{GgufFile, Value};
use crate::untrusted::caught;
use std::cmp::Reverse;
use std::collections::HashMap;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Prepend, Replace, Sequence as Normalizers};
use tokenizers::{DecoderWrapper, NormalizerWrapper, Tokenizer as HfTokenizer};

const BLANK: &str = "▁";
/// Longest piece in bytes. Real ones have a tenth of it; every cut of every piece is looked up.
const LONGEST: usize = 256;

pub(super) fn tokenizer(file: &GgufFile, tokens: &[String]) -> Result<HfTokenizer> {
    let invalid = |cause: &dyn std::fmt::Display| EngineError::invalid_file(file.path(), cause);
    if flag(file, "remove_extra_whitespaces", false) || flag(file, "treat_whitespace_as_suffix", false) {
        let detail = "a SentencePiece tokenizer that changes blanks";
        return Err(EngineError::unsupported(file.path(), detail));
    }
    let types = token_types(file, tokens)?;
    let unknown = tokens.iter().zip(types).find(|(_, kind)| **kind == UNKNOWN);
    let (unknown, _) = unknown.ok_or_else(|| invalid(&"there is no token for unknown text"))?;
    let merges = merges(file, tokens, types)?;
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary(tokens), merges)
        .unk_token(unknown.clone())
        .fuse_unk(true)
        .byte_fallback(true);
    let bpe = caught("the tokenizer library", || bpe.build()).map_err(|cause| invalid(&cause))?;
    let mut made = HfTokenizer::new(bpe.map_err(|cause| invalid(&cause))?);
    blanks(&mut made, flag(file, "add_space_prefix", true)).map_err(|cause| invalid(&cause))?;
    Ok(made)
}

/// Blanks to `▁` and back; with `prefix` every text starts with one more.
fn blanks(made: &mut HfTokenizer, prefix: bool) -> tokenizers::Result<()> {
    let mut before = vec![NormalizerWrapper::Replace(Replace::new(" ", BLANK)?)];
    let mut after = vec![
        DecoderWrapper::Replace(Replace::new(BLANK, " ")?),
        DecoderWrapper::ByteFallback(ByteFallback::new()),
        DecoderWrapper::Fuse(Fuse::new()),
    ];
    if prefix {
        before.insert(0, NormalizerWrapper::Prepend(Prepend::new(BLANK.to_owned())));
        after.push(DecoderWrapper::Strip(Strip::new(' ', 1, 0)));
    }
    made.with_normalizer(Some(Normalizers::new(before)))?;
    made.with_decoder(Some(Decoders::new(after)));
    Ok(())
}

/// Every pair of pieces that makes a piece, the best score first; of equal ones, as in transformers, the longer left part,
/// then the lower ids.
fn merges(file: &GgufFile, tokens: &[String], types: &[i64]) -> Result<Vec<(String, String)>> {
    let invalid = |cause: String| EngineError::invalid_file(file.path(), cause);
    let Some(Value::Floats(scores)) = file.value("tokenizer.ggml.scores") else {
        return Err(invalid("tokenizer.ggml.scores is missing".to_owned()));
    };
    if scores.len() != tokens.len() || scores.iter().any(|score| score.is_nan()) {
        let detail = format!("tokenizer.ggml.scores are not {} numbers", tokens.len());
        return Err(invalid(detail));
    }
    let normal = || {
        tokens
            .iter()
            .zip(0_u32..)
            .zip(types)
            .filter(|(_, kind)| **kind == NORMAL)
    };
    let ids: HashMap<&str, u32> = normal().map(|((token, id), _)| (token.as_str(), id)).collect();
    let mut found = Vec::new();
    for ((token, id), _) in normal() {
        if token.len() > LONGEST {
            let detail = format!(
                "token {id} has {} bytes; at most {LONGEST} are supported",
                token.len()
            );
            return Err(EngineError::unsupported(file.path(), detail));
        }
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(&a), Some(&b)) = (ids.get(left), ids.get(right)) {
                found.push((scores[id as usize], left.chars().count(), [a, b], (left, right)));
            }
        }
    }
    found.sort_by(|x, y| {
        let rest = |of: &(f64, usize, [u32; 2], (&str, &str))| (Reverse(of.1), of.2);
        y.0.total_cmp(&x.0).then_with(|| rest(x).cmp(&rest(y)))
    });
    let owned =
        |(.., (left, right)): (f64, usize, [u32; 2], (&str, &str))| (left.to_owned(), right.to_owned());
    Ok(found.into_iter().map(owned).collect())
}

fn flag(file: &GgufFile, key: &str, default: bool) -> bool {
    match file.value(&format!("tokenizer.ggml.{key}")) {
        Some(Value::Bool(flag)) => *flag,
        _ => default,
    }
}
