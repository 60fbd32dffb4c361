//! Tokenizer and chat template out of GGUF metadata: byte-level BPE ("gpt2") and SentencePiece BPE ("llama").

mod sentencepiece;

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
pub(crate) const NORMAL: i64 = 1;
pub(crate) const UNKNOWN: i64 = 2;
pub(crate) const CONTROL: i64 = 3;
pub(crate) const USER_DEFINED: i64 = 4;
pub(crate) const BYTE: i64 = 6;
const SPECIAL_KEYS: [(&str, &str); 4] = [
    ("bos_token", "bos_token_id"),
    ("eos_token", "eos_token_id"),
    ("unk_token", "unknown_token_id"),
    ("pad_token", "padding_token_id"),
];
const END_KEYS: [&str; 3] = ["eos_token_id", "eot_token_id", "eom_token_id"];

pub(crate) fn tokenizer(file: &GgufFile) -> Result<Tokenizer> {
    let invalid = |cause: &dyn std::fmt::Display| EngineError::invalid_file(file.path(), cause);
    let tokens = texts(file, "tokens")?;
    let mut inner = match text(file, "model") {
        Some("gpt2") => byte_level_bpe(file, tokens)?,
        Some("llama") => sentencepiece::tokenizer(file, tokens)?,
        other => {
            let detail = format!("tokenizer model {other:?}; \"gpt2\" and \"llama\" are supported");
            return Err(EngineError::unsupported(file.path(), detail));
        }
    };
    add_tokens(file, &mut inner, tokens)?;
    let ends: Vec<u32> = END_KEYS.iter().filter_map(|key| id(file, key)).collect();
    let tokenizer = Tokenizer::from_inner(inner).map_err(|cause| invalid(&cause))?;
    let starts = match file.value("tokenizer.ggml.add_bos_token") {
        Some(Value::Bool(asked)) => *asked,
        // What such files mean that do not say.
        _ => text(file, "model") == Some("llama") || LLAMA3.contains(&text(file, "pre").unwrap_or_default()),
    };
    Ok(tokenizer
        .with_ends(id(file, "bos_token_id"), ends)
        .with_start(starts))
}

fn byte_level_bpe(file: &GgufFile, tokens: &[String]) -> Result<HfTokenizer> {
    let invalid = |cause: &dyn std::fmt::Display| EngineError::invalid_file(file.path(), cause);
    let merges = texts(file, "merges")?
        .iter()
        .map(|merge| split_merge(merge))
        .collect::<Option<Vec<_>>>();
    let merges = merges.ok_or_else(|| invalid(&"a merge does not consist of two tokens"))?;
    // Llama 3 takes a whole word where there is one, whatever its merges would make.
    let whole_words = LLAMA3.contains(&text(file, "pre").unwrap_or_default());
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary(tokens), merges)
        .ignore_merges(whole_words);
    let bpe = caught("the tokenizer library", || bpe.build()).map_err(|cause| invalid(&cause))?;
    let mut inner = HfTokenizer::new(bpe.map_err(|cause| invalid(&cause))?);
    inner.with_pre_tokenizer(Some(pre_tokenizer(file)?));
    if text(file, "pre") == Some(QWEN2) {
        inner
            .with_normalizer(Some(NFC))
            .map_err(|cause| invalid(&cause))?;
    }
    inner.with_decoder(Some(ByteLevel::new(false, false, false)));
    Ok(inner)
}

fn vocabulary(tokens: &[String]) -> Vocabulary {
    tokens.iter().cloned().zip(0_u32..).collect()
}

pub(crate) fn chat_template(file: &GgufFile) -> Result<Option<ChatTemplate>> {
    let Some(Value::Text(source)) = file.value("tokenizer.chat_template") else {
        return Ok(None);
    };
    let tokens = texts(file, "tokens")?;
    let token = |(name, key): (&str, &str)| {
        let text = tokens.get(id(file, key)? as usize)?;
        Some((name.to_owned(), text.clone()))
    };
    let special = SPECIAL_KEYS.into_iter().filter_map(token).collect();
    ChatTemplate::from_source(file.path(), "GGUF metadata", source, &special).map(Some)
}

type Vocabulary = tokenizers::models::bpe::Vocab;

/// How text is cut into words, by the name the file gives. Digits must come before the byte level: the other order
/// joins blanks in front of a digit differently.
fn pre_tokenizer(file: &GgufFile) -> Result<PreTokenizerWrapper> {
    let name = text(file, "pre");
    let made = name.and_then(named).ok_or_else(|| {
        let known = "\"smollm\", \"gpt-2\", \"qwen2\" and \"llama-bpe\"";
        EngineError::unsupported(
            file.path(),
            format!("pre-tokenizer {name:?}; {known} are supported"),
        )
    })?;
    made.map_err(|cause| EngineError::invalid_file(file.path(), cause))
}

/// `None` for a name that is not known.
fn named(name: &str) -> Option<tokenizers::Result<PreTokenizerWrapper>> {
    let byte_level = PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, true));
    match name {
        "smollm" => {
            let digits = PreTokenizerWrapper::Digits(Digits::new(true));
            let both = Sequence::new(vec![digits, byte_level]);
            Some(Ok(PreTokenizerWrapper::Sequence(both)))
        }
        "gpt-2" => Some(Ok(byte_level)),
        QWEN2 => Some(words_of(r"\p{N}")),
        _ if LLAMA3.contains(&name) => Some(words_of(r"\p{N}{1,3}")),
        _ => None,
    }
}

/// Every known way of cutting words: its name, itself, whether characters are composed (NFC) before it, and whether a whole
/// word is taken before its merges are tried.
pub(crate) fn named_pre_tokenizers() -> Vec<(&'static str, PreTokenizerWrapper, bool, bool)> {
    let all = [
        ("smollm", false, false),
        ("gpt-2", false, false),
        (QWEN2, true, false),
        (LLAMA3[0], false, true),
    ];
    let made = |(name, composes, whole)| Some((name, named(name)?.ok()?, composes, whole));
    all.into_iter().filter_map(made).collect()
}

const QWEN2: &str = "qwen2";
/// Names of Llama 3's pre-tokenizer.
const LLAMA3: [&str; 2] = ["llama-bpe", "llama3"];
/// Words of Qwen2 and Llama 3: English contractions; letters with one sign before them. Digits come after these.
const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+";
/// After the digits: other signs with line ends behind them; line ends; blanks, the last one left to the word behind it.
const SIGNS: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn words_of(digits: &str) -> tokenizers::Result<PreTokenizerWrapper> {
    let pattern = SplitPattern::Regex(format!("{WORDS}|{digits}|{SIGNS}"));
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
    Ok(PreTokenizerWrapper::Sequence(Sequence::new(vec![
        PreTokenizerWrapper::Split(split),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)),
    ])))
}

/// One for each token.
fn token_types<'a>(file: &'a GgufFile, tokens: &[String]) -> Result<&'a [i64]> {
    let invalid = |cause: String| Err(EngineError::invalid_file(file.path(), cause));
    let Some(Value::Ints(types)) = file.value("tokenizer.ggml.token_type") else {
        return invalid("tokenizer.ggml.token_type is missing".to_owned());
    };
    if types.len() != tokens.len() {
        return invalid(format!("{} token types for {} tokens", types.len(), tokens.len()));
    }
    Ok(types)
}

fn add_tokens(file: &GgufFile, inner: &mut HfTokenizer, tokens: &[String]) -> Result<()> {
    let invalid = |cause: &dyn std::fmt::Display| EngineError::invalid_file(file.path(), cause);
    let types = token_types(file, tokens)?;
    // All at once: every call builds the search tables of all added tokens again.
    let added = tokens
        .iter()
        .zip(types)
        .filter(|(_, kind)| [CONTROL, USER_DEFINED, UNKNOWN].contains(kind));
    let added =
        added.map(|(token, kind)| AddedToken::from(token.clone(), *kind != USER_DEFINED).normalized(false));
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
