//! Tokenizer and chat template out of GGUF metadata (byte-level BPE).

use crate::chat::ChatTemplate;
use crate::error::{EngineError, Result};
use crate::gguf::{GgufFile, Value};
use crate::tokenizer::Tokenizer;
use crate::untrusted::caught;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer as HfTokenizer};

/// Values of `tokenizer.ggml.token_type`.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const END_KEYS: [&str; 3] = ["eos_token_id", "eot_token_id", "eom_token_id"];

pub(crate) fn tokenizer(file: &GgufFile) -> Result<Tokenizer> {
    let invalid = |cause: &dyn std::fmt::Display| EngineError::invalid_file(file.path(), cause);
    match text(file, "model") {
        Some("gpt2") => {}
        other => {
            return Err(EngineError::unsupported(
                file.path(),
                format!("tokenizer model {other:?}"),
            ));
        }
    }
    let tokens = texts(file, "tokens")?;
    let vocabulary = tokens.iter().cloned().zip(0_u32..).collect::<Vec<_>>();
    let merges = texts(file, "merges")?
        .iter()
        .map(|merge| split_merge(merge))
        .collect::<Option<Vec<_>>>();
    let merges = merges.ok_or_else(|| invalid(&"a merge does not consist of two tokens"))?;
    let bpe = BPE::builder().vocab_and_merges(vocabulary.into_iter().collect::<Vocabulary>(), merges);
    let bpe = caught("the tokenizer library", || bpe.build()).map_err(|cause| invalid(&cause))?;
    let mut inner = HfTokenizer::new(bpe.map_err(|cause| invalid(&cause))?);
    inner.with_pre_tokenizer(Some(pre_tokenizer(file)?));
    if text(file, "pre") == Some("qwen2") {
        inner
            .with_normalizer(Some(NFC))
            .map_err(|cause| invalid(&cause))?;
    }
    inner.with_decoder(Some(ByteLevel::new(false, false, false)));
    add_tokens(file, &mut inner, tokens)?;
    let mut ends: Vec<u32> = END_KEYS.iter().filter_map(|key| id(file, key)).collect();
    ends.sort_unstable();
    ends.dedup();
    let tokenizer = Tokenizer::from_inner(inner).map_err(|cause| invalid(&cause))?;
    Ok(tokenizer.with_ends(id(file, "bos_token_id"), ends))
}

pub(crate) fn chat_template(file: &GgufFile) -> Result<Option<ChatTemplate>> {
    let Some(Value::Text(source)) = file.value("tokenizer.chat_template") else {
        return Ok(None);
    };
    let tokens = texts(file, "tokens")?;
    let token = |key| {
        id(file, key)
            .and_then(|id| tokens.get(id as usize))
            .map(String::as_str)
    };
    ChatTemplate::new(file.path(), source, token("bos_token_id"), token("eos_token_id")).map(Some)
}

type Vocabulary = tokenizers::models::bpe::Vocab;

/// How text is cut into words, by the name the file gives. Digits must come before the byte level: the other order
/// joins blanks in front of a digit differently.
fn pre_tokenizer(file: &GgufFile) -> Result<PreTokenizerWrapper> {
    let byte_level = PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, true));
    match text(file, "pre") {
        Some("smollm") => {
            let digits = PreTokenizerWrapper::Digits(Digits::new(true));
            Ok(PreTokenizerWrapper::Sequence(Sequence::new(vec![
                digits, byte_level,
            ])))
        }
        Some("gpt-2") => Ok(byte_level),
        Some("qwen2") => qwen2_words(file),
        other => {
            let detail =
                format!("pre-tokenizer {other:?}; \"smollm\", \"gpt-2\" and \"qwen2\" are supported");
            Err(EngineError::unsupported(file.path(), detail))
        }
    }
}

/// Qwen2: English contractions; letters with one sign before them; single digits; other signs with line ends behind them;
/// line ends; blanks, the last one left to the word behind it.
const QWEN2_WORDS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

fn qwen2_words(file: &GgufFile) -> Result<PreTokenizerWrapper> {
    let pattern = SplitPattern::Regex(QWEN2_WORDS.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
        .map_err(|cause| EngineError::invalid_file(file.path(), cause))?;
    Ok(PreTokenizerWrapper::Sequence(Sequence::new(vec![
        PreTokenizerWrapper::Split(split),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)),
    ])))
}

fn add_tokens(file: &GgufFile, inner: &mut HfTokenizer, tokens: &[String]) -> Result<()> {
    let invalid = |cause: &dyn std::fmt::Display| EngineError::invalid_file(file.path(), cause);
    let Some(Value::Ints(types)) = file.value("tokenizer.ggml.token_type") else {
        return Err(invalid(&"tokenizer.ggml.token_type is missing"));
    };
    if types.len() != tokens.len() {
        return Err(invalid(&format!(
            "{} token types for {} tokens",
            types.len(),
            tokens.len()
        )));
    }
    // All at once: every call builds the search tables of all added tokens anew.
    let added = tokens
        .iter()
        .zip(types)
        .filter(|(_, kind)| [CONTROL, USER_DEFINED].contains(kind));
    let added =
        added.map(|(token, kind)| AddedToken::from(token.clone(), *kind == CONTROL).normalized(false));
    inner.add_tokens(added).map_err(|cause| invalid(&cause)).map(drop)
}

/// Merges are written as two tokens with one blank between; blanks inside tokens are spelled `Ġ`.
fn split_merge(merge: &str) -> Option<(String, String)> {
    let (left, right) = merge.split_once(' ')?;
    (!left.is_empty() && !right.is_empty() && !right.contains(' '))
        .then(|| (left.to_owned(), right.to_owned()))
}

fn text<'a>(file: &'a GgufFile, key: &str) -> Option<&'a str> {
    match file.value(&format!("tokenizer.ggml.{key}"))? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn texts<'a>(file: &'a GgufFile, key: &str) -> Result<&'a [String]> {
    match file.value(&format!("tokenizer.ggml.{key}")) {
        Some(Value::Texts(texts)) => Ok(texts),
        _ => Err(EngineError::invalid_file(
            file.path(),
            format!("tokenizer.ggml.{key} is missing"),
        )),
    }
}

fn id(file: &GgufFile, key: &str) -> Option<u32> {
    match file.value(&format!("tokenizer.ggml.{key}"))? {
        Value::Int(id) => u32::try_from(*id).ok(),
        _ => None,
    }
}
