//! Chat templates: messages to token ids, with contents that cannot inject control tokens.

use crate::error::{Code, EngineError, Result};
use crate::tokenizer::Tokenizer;
use crate::untrusted::caught;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or what else the template knows.
    pub role: String,
    pub content: String,
}

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
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

const NAME: &str = "chat";
const LIBRARY: &str = "the template library";
/// Longest template that is parsed; real ones have a few kilobytes.
const MAX_SOURCE_BYTES: usize = 1 << 20;
/// Steps one rendering may take: a second or so, and far more than any real template needs for a context of text.
const MAX_STEPS: u64 = 2_000_000;
/// What a template may write of its own, and how often it may repeat the messages: the tokenizer takes a hundred bytes
/// of memory for each byte of text.
const MAX_OWN_BYTES: usize = 2 << 20;
const MAX_REPEATS: usize = 4;

impl ChatTemplate {
    /// Parses `source`; `path` is for messages, `bos` and `eos` are offered to the template as `bos_token` and
    /// `eos_token`. Errors: `ModelFileInvalid`.
    pub fn new(path: &Path, source: &str, bos: Option<&str>, eos: Option<&str>) -> Result<Self> {
        let invalid = |cause: String| EngineError::invalid_file(path, format!("chat template: {cause}"));
        if source.len() > MAX_SOURCE_BYTES {
            return Err(invalid(format!("it is longer than {MAX_SOURCE_BYTES} bytes")));
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(MAX_STEPS));
        // The reference implementation renders with these settings.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|cause| EngineError::new(Code::Internal, cause.to_string()))?);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        caught(LIBRARY, || {
            environment.add_template_owned(NAME, source.to_owned())
        })
        .map_err(invalid)?
        .map_err(|cause| invalid(cause.to_string()))?;
        let text = |token: Option<&str>| token.unwrap_or_default().to_owned();
        Ok(Self {
            path: path.to_owned(),
            source: source.to_owned(),
            environment,
            bos: text(bos),
            eos: text(eos),
        })
    }

    /// The template as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Token ids of `messages`. Contents (and roles) are plain text: control strings inside them stay text. For contents without
    /// control strings the ids are those of the rendered whole.
    ///
    /// Errors: `RequestInvalid` if the template refuses the messages; `ModelFileInvalid` if it does not end, or writes
    /// without end.
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>> {
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
        let whole = self.encode(tokenizer, &answered, false)?;
        if let Some(rest) = whole.strip_prefix(prompt.as_slice())
            && let Some(end) = rest.iter().position(|id| tokenizer.eos_ids().contains(id))
        {
            return Ok(AnsweredPrompt {
                prompt,
                answer: rest[..=end].to_vec(),
            });
        }
        // The border was merged into one token, or the turn has no end: generation starts behind the prompt as it
        // is, so the answer is encoded on its own.
        let end = tokenizer.eos_ids().first().ok_or_else(|| {
            EngineError::new(
                Code::ModelUnsupported,
                "the model names no end-of-turn token (eos_token_id)",
            )
        })?;
        let mut answer = tokenizer.encode_text(answer)?;
        answer.push(*end);
        Ok(AnsweredPrompt { prompt, answer })
    }

    fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
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
        let (bos_token, eos_token) = (&self.bos, &self.eos);
        let context = context! { messages, add_generation_prompt, bos_token, eos_token };
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

fn raise_exception(message: String) -> std::result::Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
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
