//! Text to token ids and back, with a hard line between text and control tokens.
//!
//! Text of users and data sets never becomes a control token: [`Tokenizer::encode_text`] has no control tokens at
//! all, and chat templates mark control strings inside contents with [`GUARD`], which breaks the match and is removed
//! again before the text is split into words. So benign contents get exactly the ids of the rendered whole.

use crate::error::{Code, EngineError, Result};
use crate::untrusted::caught;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;
use tokenizers::normalizers::{Replace, Sequence};
use tokenizers::{AddedToken, NormalizerWrapper, Tokenizer as HfTokenizer};

/// A noncharacter, never meant for interchange; dropped wherever it appears in template input.
pub(crate) const GUARD: char = '\u{FDD0}';

const LIBRARY: &str = "the tokenizer library";

/// The parts of a `tokenizer.json` that are looked at before the library is.
#[derive(Deserialize)]
struct Outline {
    model: ModelOutline,
}

#[derive(Deserialize)]
struct ModelOutline {
    continuing_subword_prefix: Option<String>,
}

/// A tokenizer. Cheap to share between threads, not to clone (it holds the vocabulary).
pub struct Tokenizer {
    /// Control strings are ordinary text.
    text: HfTokenizer,
    /// Control strings become control tokens; the guard is dropped.
    markup: HfTokenizer,
    /// Strings of all control tokens.
    control: Vec<String>,
    bos: Option<u32>,
    starts_with_bos: bool,
    eos: Vec<u32>,
    text_end: Option<u32>,
}

impl Tokenizer {
    /// Reads the content of a `tokenizer.json`; `path` is for messages. No start or end ids are set.
    pub fn from_json(path: &Path, bytes: &[u8]) -> Result<Self> {
        let invalid = |cause: &dyn Display| EngineError::invalid_file(path, cause);
        // The library panics on some texts that are no JSON, and trusts the prefix to be there.
        let outline: Outline = serde_json::from_slice(bytes).map_err(|cause| invalid(&cause))?;
        if outline
            .model
            .continuing_subword_prefix
            .is_some_and(|prefix| !prefix.is_empty())
        {
            return Err(EngineError::unsupported(path, "a continuing_subword_prefix"));
        }
        let made = caught(LIBRARY, || {
            HfTokenizer::from_bytes(bytes).and_then(Self::from_inner)
        });
        made.map_err(|cause| invalid(&cause))?
            .map_err(|cause| invalid(&cause))
    }

    /// The content of a `tokenizer.json` that gives the same ids.
    pub fn to_json(&self) -> Result<String> {
        let failed = |cause: &dyn Display| EngineError::new(Code::Internal, format!("{LIBRARY}: {cause}"));
        caught(LIBRARY, || self.text.to_string(true))
            .map_err(|cause| failed(&cause))?
            .map_err(|cause| failed(&cause))
    }

    pub(crate) fn from_inner(mut text: HfTokenizer) -> tokenizers::Result<Self> {
        text.with_truncation(None)?;
        text.with_padding(None);
        let special: Vec<AddedToken> = text
            .get_added_tokens_decoder()
            .into_values()
            .filter(|token| token.special)
            .collect();
        let mut control: Vec<String> = special.iter().map(|token| token.content.clone()).collect();
        control.sort();
        let mut markup = text.clone();
        // Control strings must be found before the guard is dropped, hence in the text as it is.
        markup.add_special_tokens(special.into_iter().map(|token| token.normalized(false)))?;
        let guard = Replace::new(GUARD.to_string(), "")?;
        let mut steps = vec![NormalizerWrapper::Replace(guard)];
        steps.extend(markup.get_normalizer().cloned());
        markup.with_normalizer(Some(Sequence::new(steps)))?;
        text.set_encode_special_tokens(true);
        Ok(Self {
            text,
            markup,
            control,
            bos: None,
            starts_with_bos: false,
            eos: Vec::new(),
            text_end: None,
        })
    }

    /// Sets the ids that start a text and that end a turn or text. The first of `eos` ends a text.
    pub fn with_ends(mut self, bos: Option<u32>, eos: Vec<u32>) -> Self {
        self.bos = bos;
        self.text_end = eos.first().copied();
        self.eos = eos;
        self.eos.sort_unstable();
        self.eos.dedup();
        self
    }

    /// One more id that ends a turn.
    pub fn with_turn_end(mut self, end: Option<u32>) -> Self {
        self.eos.extend(end);
        self.eos.sort_unstable();
        self.eos.dedup();
        self
    }

    /// Whether the model is used to find its start token in front of every text.
    pub fn with_start(mut self, starts_with_bos: bool) -> Self {
        self.starts_with_bos = starts_with_bos;
        self
    }

    /// Encodes text in which control strings such as `<|im_end|>` are ordinary characters. Nothing is added in front
    /// or behind.
    ///
    /// Errors: `ModelUnsupported` if the tokenizer makes a control token out of plain text even so.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>> {
        let ids = encode(&self.text, text)?;
        match ids.iter().find(|id| self.is_control(**id)) {
            None => Ok(ids),
            Some(id) => {
                let detail = format!("the tokenizer turns plain text into the control token {id}");
                Err(EngineError::new(Code::ModelUnsupported, detail))
            }
        }
    }

    /// Encodes markup: control strings become control tokens. Never for text from users or data.
    pub fn encode_template(&self, markup: &str) -> Result<Vec<u32>> {
        encode(&self.markup, markup)
    }

    /// Text of `ids`; bytes that are no UTF-8 become U+FFFD. Errors: `ModelFileInvalid`.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        caught(LIBRARY, || self.text.decode(ids, skip_special))
            .map_err(unusable)?
            .map_err(unusable)
    }

    /// Id of a token by its exact text, control tokens included.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.text.token_to_id(token)
    }

    /// Text of a token as the vocabulary spells it.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.text.id_to_token(id)
    }

    /// True for control tokens.
    pub fn is_control(&self, id: u32) -> bool {
        self.text
            .get_added_vocabulary()
            .get_added_tokens_decoder()
            .get(&id)
            .is_some_and(|token| token.special)
    }

    /// Whether the library would put `id` in front of every text.
    pub(crate) fn puts_in_front(&self, id: u32) -> bool {
        let encoded = caught(LIBRARY, || self.text.encode_fast("a", true));
        encoded.is_ok_and(|made| made.is_ok_and(|made| made.get_ids().first() == Some(&id)))
    }

    /// True for control tokens and for others that were added to the vocabulary.
    pub(crate) fn is_added(&self, id: u32) -> bool {
        let added = self.text.get_added_vocabulary().get_added_tokens_decoder();
        added.contains_key(&id)
    }

    /// Id that starts a text, if the model has one (not added by the encoders).
    pub fn bos_id(&self) -> Option<u32> {
        self.bos
    }

    /// Ids that end a turn or a text, ascending.
    pub fn eos_ids(&self) -> &[u32] {
        &self.eos
    }

    /// Id that ends a text, as opposed to a turn within one.
    pub fn text_end(&self) -> Option<u32> {
        self.text_end
    }

    /// Whether the model is used to find its start token in front of every text (not added by the encoders).
    pub fn starts_with_bos(&self) -> bool {
        self.starts_with_bos
    }

    /// Size of the vocabulary, control tokens included.
    pub fn vocabulary_size(&self) -> usize {
        self.text.get_vocab_size(true)
    }

    /// Puts guards into `text` so that no control string can match in it, nor across its borders with markup.
    ///
    /// Errors: `ModelUnsupported` for a control string of one character, which cannot be broken up.
    pub(crate) fn guarded<'a>(&self, text: &'a str) -> Result<Cow<'a, str>> {
        let mut cuts = Vec::new();
        for control in &self.control {
            let mut starts = control.char_indices().map(|(at, _)| at).skip(1);
            let Some(first) = starts.clone().next() else {
                if text.contains(control.as_str()) {
                    let detail = format!("the text holds {control:?}, a control string of one character");
                    return Err(EngineError::new(Code::ModelUnsupported, detail));
                }
                continue;
            };
            // By the first character: matches of the whole string would skip overlapping ones.
            let candidates = text.match_indices(&control[..first]).map(|(at, _)| at);
            cuts.extend(
                candidates
                    .filter(|at| text[*at..].starts_with(control))
                    .map(|at| at + first),
            );
            let (front, back) = (text.trim_start(), text.trim_end());
            if starts.clone().any(|at| front.starts_with(&control[at..])) {
                cuts.push(text.len() - front.len());
            }
            if let Some(at) = starts.find(|at| back.ends_with(&control[..*at])) {
                cuts.push(back.len() - at + first);
            }
        }
        Ok(with_guards(text, cuts))
    }
}

fn with_guards(text: &str, mut cuts: Vec<usize>) -> Cow<'_, str> {
    if cuts.is_empty() {
        return Cow::Borrowed(text);
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut guarded = String::with_capacity(text.len() + cuts.len() * GUARD.len_utf8());
    let mut from = 0;
    for cut in cuts {
        guarded.push_str(&text[from..cut]);
        guarded.push(GUARD);
        from = cut;
    }
    guarded.push_str(&text[from..]);
    Cow::Owned(guarded)
}

fn encode(tokenizer: &HfTokenizer, text: &str) -> Result<Vec<u32>> {
    let encoding = caught(LIBRARY, || tokenizer.encode_fast(text, false));
    let encoding = encoding.map_err(unusable)?.map_err(unusable)?;
    Ok(encoding.get_ids().to_vec())
}

/// The file was read, but what it says does not work on this text.
fn unusable(cause: impl Display) -> EngineError {
    EngineError::new(Code::ModelFileInvalid, format!("the tokenizer: {cause}"))
}
