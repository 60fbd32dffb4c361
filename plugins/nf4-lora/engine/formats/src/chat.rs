//! Chat templates: messages to token ids, with contents that cannot inject control tokens.

use crate::error::{Code, EngineError, Result};
use crate::tokenizer::Tokenizer;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::{Deserialize, Serialize};
use std::path::Path;

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
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Parses `source`; `path` is for messages, `bos` and `eos` are offered to the template as `bos_token` and
    /// `eos_token`. Errors: `ModelFileInvalid`.
    pub fn new(path: &Path, source: &str, bos: Option<&str>, eos: Option<&str>) -> Result<Self> {
        let mut environment = Environment::new();
        // The reference implementation renders with these settings.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|cause| EngineError::new(Code::Internal, cause.to_string()))?);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|cause| EngineError::invalid_file(path, format!("chat template: {cause}")))?;
        let text = |token: Option<&str>| token.unwrap_or_default().to_owned();
        Ok(Self {
            environment,
            bos: text(bos),
            eos: text(eos),
        })
    }

    /// Token ids of `messages`. Contents (and roles) are plain text: control strings inside them stay text. For contents without
    /// control strings the ids are those of the rendered whole.
    ///
    /// Errors: `RequestInvalid` if the template refuses the messages.
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
            let detail = cause.detail().map_or_else(|| cause.to_string(), str::to_owned);
            EngineError::new(
                Code::RequestInvalid,
                format!("the chat template refuses the messages: {detail}"),
            )
        };
        let template = self.environment.get_template(NAME).map_err(refuse)?;
        let turn = |message: &Message| context! { role => &message.role, content => &message.content };
        let messages: Vec<Value> = messages.iter().map(turn).collect();
        let (bos_token, eos_token) = (&self.bos, &self.eos);
        template
            .render(context! { messages, add_generation_prompt, bos_token, eos_token })
            .map_err(refuse)
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
