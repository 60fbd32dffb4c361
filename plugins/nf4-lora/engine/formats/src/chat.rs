//! Chat templates: messages to token ids, with contents that cannot inject control tokens.

mod date;
mod environment;
mod json;
mod methods;
mod rewrite;
mod turns;

use crate::error::{Code, EngineError, Result};
use crate::tokenizer::Tokenizer;
use crate::untrusted::caught;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use turns::SystemTurns;
use turns::Turns;

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or what else the template knows.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Self {
            role: role.to_owned(),
            content: content.into(),
        }
    }
}

/// Texts of a model's special tokens by the names that templates know them by: `bos_token`, `eos_token` …
pub type SpecialTexts = BTreeMap<String, String>;

/// Ids of a prompt and of the answer that follows it.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredPrompt {
    /// What generation would be given: the messages and the opening of the assistant's turn.
    pub prompt: Vec<u32>,
    /// The answer's text and its end-of-turn token: what generation should produce.
    pub answer: Vec<u32>,
}

/// A model's chat template (Jinja).
pub struct ChatTemplate {
    /// For messages.
    path: PathBuf,
    source: String,
    origin: String,
    environment: Environment<'static>,
    special: Value,
    turns: Turns,
    /// Of the tokenizer that the template came with.
    turn_end: OnceLock<Option<u32>>,
}

const NAME: &str = "chat";
const LIBRARY: &str = "the template library";
/// Longest template that is parsed; real ones have a few kilobytes.
const MAX_SOURCE_BYTES: usize = 1 << 20;
/// What a template may write of its own, and how often it may repeat the messages: the tokenizer takes a hundred bytes
/// of memory for each byte of text.
const MAX_OWN_BYTES: usize = 2 << 20;
const MAX_REPEATS: usize = 4;

/// The template of models that bring none: base models. System text, instruction and input in lines, then the answer and
/// the token that ends a text: what such a model has read before.
const PLAIN: &str = "{% if starts_with_bos %}{{ bos_token }}{% endif %}{% for message in messages %}\
    {% if message.role == 'assistant' %}{{ message.content }}{{ eos_token }}{{ '\\n\\n' }}\
    {% elif message.role == 'system' %}{{ message.content }}{{ '\\n\\n' }}\
    {% else %}{{ message.content }}{{ '\\n' }}{% endif %}{% endfor %}";
/// Where [`ChatTemplate::plain`] comes from.
const PLAIN_ORIGIN: &str = "default";

impl ChatTemplate {
    /// Parses `source`; `path` is for messages, `bos` and `eos` are offered to the template as `bos_token` and
    /// `eos_token`. Errors: `ModelFileInvalid`.
    pub fn new(path: &Path, source: &str, bos: Option<&str>, eos: Option<&str>) -> Result<Self> {
        let named = [("bos_token", bos), ("eos_token", eos)];
        let special = named.map(|(name, text)| Some((name.to_owned(), text?.to_owned())));
        Self::from_source(path, "text", source, &special.into_iter().flatten().collect())
    }

    /// As [`ChatTemplate::new`], with all special tokens; `origin` says where in the model it was found.
    pub fn from_source(path: &Path, origin: &str, source: &str, special: &SpecialTexts) -> Result<Self> {
        Self::parsed(
            path,
            origin,
            source,
            Value::from_pairs(special.iter().map(|(name, text)| (name.as_str(), text.as_str()))),
        )
    }

    /// The plain template of models that bring none. It writes the tokenizer's start of a text where that puts one in
    /// front of every text, and its end of a text behind answers.
    pub fn plain(path: &Path, tokenizer: &Tokenizer) -> Result<Self> {
        let text = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default();
        let special = context! {
            bos_token => text(tokenizer.bos_id()),
            eos_token => text(tokenizer.text_end()),
            starts_with_bos => tokenizer.starts_with_bos(),
        };
        Self::parsed(path, PLAIN_ORIGIN, PLAIN, special)
    }

    fn parsed(path: &Path, origin: &str, source: &str, special: Value) -> Result<Self> {
        let invalid = |cause: String| EngineError::invalid_file(path, format!("chat template: {cause}"));
        if source.len() > MAX_SOURCE_BYTES {
            return Err(invalid(format!("it is longer than {MAX_SOURCE_BYTES} bytes")));
        }
        let parsed = caught(LIBRARY, || environment::environment(NAME, source)).map_err(invalid)??;
        let mut template = Self {
            path: path.to_owned(),
            source: source.to_owned(),
            origin: origin.to_owned(),
            environment: parsed.map_err(|cause| invalid(cause.to_string()))?,
            special,
            turns: Turns::default(),
            turn_end: OnceLock::new(),
        };
        template.turns = Turns::of(&template);
        Ok(template)
    }

    /// The template as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it was found: a file's name, `GGUF metadata`, or `default`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it is the plain one of models that bring none.
    pub fn is_plain(&self) -> bool {
        self.origin == PLAIN_ORIGIN
    }

    /// Where system texts go.
    pub fn system_turns(&self) -> SystemTurns {
        self.turns.system
    }

    /// The token that the template writes behind an answer: `<|eot_id|>`, `<end_of_turn>`, not the end of a text. `None`
    /// where it writes none. A template belongs to one tokenizer: the first that asks.
    pub fn turn_end(&self, tokenizer: &Tokenizer) -> Option<u32> {
        *self.turn_end.get_or_init(|| turns::turn_end(self, tokenizer))
    }

    /// Token ids of `messages`. Contents (and roles) are plain text: control strings inside them stay text. For contents without
    /// control strings the ids are those of the rendered whole. Where the template has no system role, system texts come
    /// before the next user turn; an empty system turn is left out, unless the template would write one of its own then.
    ///
    /// Errors: `RequestInvalid` if the template refuses the messages; `ModelFileInvalid` if it does not end, or writes
    /// without end.
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>> {
        let messages = self.turns.arranged(messages);
        let guarded = messages
            .iter()
            .map(|message| guarded(tokenizer, message))
            .collect::<Result<Vec<_>>>()?;
        tokenizer.encode_template(&self.render(&guarded, add_generation_prompt)?)
    }

    /// Token ids of `messages` and of `answer` as the assistant's next turn, for training and scoring.
    ///
    /// The answer ends with its end-of-turn token; what the template writes behind it is left out. Errors: as
    /// [`ChatTemplate::encode`]; `ModelUnsupported` if the model has no end-of-turn token.
    pub fn encode_with_answer(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        answer: &str,
    ) -> Result<AnsweredPrompt> {
        let prompt = self.encode(tokenizer, messages, true)?;
        let mut answered = messages.to_vec();
        answered.push(Message {
            role: "assistant".to_owned(),
            content: answer.to_owned(),
        });
        let turn_end = self.turn_end(tokenizer);
        let ends = |id: &u32| turn_end.map_or_else(|| tokenizer.eos_ids().contains(id), |end| end == *id);
        // Some templates refuse a conversation that ends with an answer.
        let whole = self.encode(tokenizer, &answered, false).unwrap_or_default();
        if let Some(rest) = whole.strip_prefix(prompt.as_slice())
            && let Some(end) = rest.iter().position(ends)
        {
            return Ok(AnsweredPrompt {
                prompt,
                answer: rest[..=end].to_vec(),
            });
        }
        // The border was merged into one token, or the turn has no end: generation starts behind the prompt as it
        // is, so the answer is encoded on its own.
        let end = turn_end.or_else(|| tokenizer.text_end()).ok_or_else(|| {
            EngineError::new(
                Code::ModelUnsupported,
                "the model names no end-of-turn token (eos_token_id)",
            )
        })?;
        let mut answer = tokenizer.encode_text(answer)?;
        answer.push(end);
        Ok(AnsweredPrompt { prompt, answer })
    }

    /// The template's text for `messages` as they are: nothing guarded, no system turn moved. Errors: as [`ChatTemplate::encode`].
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let refuse = |cause: minijinja::Error| {
            if let ErrorKind::OutOfFuel | ErrorKind::WriteFailure = cause.kind() {
                let detail = "the chat template does not end, or writes too much";
                return EngineError::invalid_file(&self.path, detail);
            }
            let detail = cause.detail().map_or_else(|| cause.to_string(), str::to_owned);
            EngineError::new(
                Code::RequestInvalid,
                format!("the chat template refuses the messages: {detail}"),
            )
        };
        let template = self.environment.get_template(NAME).map_err(refuse)?;
        let turn = |message: &Message| context! { role => &message.role, content => &message.content };
        let given: usize = messages.iter().map(|m| m.role.len() + m.content.len()).sum();
        let messages: Vec<Value> = messages.iter().map(turn).collect();
        // Named, with nothing in them, as the reference implementation passes them.
        let (tools, documents) = ((), ());
        let context = context! { messages, add_generation_prompt, tools, documents, ..self.special.clone() };
        let mut out = Bounded {
            text: Vec::new(),
            most: MAX_OWN_BYTES + MAX_REPEATS * given,
        };
        caught(LIBRARY, || {
            template.render_captured_to(context, &mut out).map(drop)
        })
        .map_err(|cause| EngineError::invalid_file(&self.path, cause))?
        .map_err(refuse)?;
        String::from_utf8(out.text).map_err(|cause| EngineError::new(Code::Internal, cause.to_string()))
    }
}

fn guarded(tokenizer: &Tokenizer, message: &Message) -> Result<Message> {
    let role = tokenizer.guarded(&message.role)?.into_owned();
    Ok(Message {
        role,
        content: tokenizer.guarded(&message.content)?.into_owned(),
    })
}

/// Takes no more than `most` bytes.
struct Bounded {
    text: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.text.len() + bytes.len() > self.most {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
