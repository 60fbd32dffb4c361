//! What a template makes of turns, found out by rendering a few: whether it has a system role, whether it writes a system
//! turn of its own, and what it ends an answer with.

use super::{ChatTemplate, Message};
use crate::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Where the text of a system turn goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemTurns {
    /// Into a turn of its own.
    Own,
    /// In front of the next user turn: the template refuses or drops a system role.
    Merged,
}

/// What the probes said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turns {
    pub system: SystemTurns,
    /// Without a system turn the template writes one of its own: an empty one is kept, which is how to have none.
    pub writes_system: bool,
}

/// Texts that no template writes by itself.
const SYSTEM: &str = "Zyqua system probe.";
const USER: &str = "Zyqua user probe.";
const ANSWER: &str = "Zyqua answer probe.";
/// Between a system text and the user's.
const GAP: &str = "\n\n";

impl Default for Turns {
    fn default() -> Self {
        Self {
            system: SystemTurns::Own,
            writes_system: true,
        }
    }
}

impl Turns {
    /// Renders a few conversations. A template that renders none of them is left to say so when it is used.
    pub(super) fn of(template: &ChatTemplate) -> Self {
        let rendered = |turns: &[Message]| template.render(turns, true).ok();
        let user = Message::new("user", USER);
        let Some(alone) = rendered(std::slice::from_ref(&user)).filter(|text| text.contains(USER)) else {
            return Self::default();
        };
        let with = |system: &str| rendered(&[Message::new("system", system), user.clone()]);
        let shows = with(SYSTEM).is_some_and(|text| text.contains(SYSTEM) && text.contains(USER));
        if !shows {
            return Self {
                system: SystemTurns::Merged,
                writes_system: false,
            };
        }
        Self {
            system: SystemTurns::Own,
            writes_system: with("").is_some_and(|empty| alone.len() > empty.len()),
        }
    }

    /// The turns as the template is given them.
    pub(super) fn arranged<'a>(&self, messages: &'a [Message]) -> Cow<'a, [Message]> {
        let is_system = |message: &Message| message.role == "system";
        let is_dropped = |message: &Message| is_system(message) && message.content.trim().is_empty();
        match self.system {
            SystemTurns::Own if self.writes_system || !messages.iter().any(is_dropped) => {
                Cow::Borrowed(messages)
            }
            SystemTurns::Own => messages
                .iter()
                .filter(|turn| !is_dropped(turn))
                .cloned()
                .collect(),
            SystemTurns::Merged if !messages.iter().any(is_system) => Cow::Borrowed(messages),
            SystemTurns::Merged => Cow::Owned(merged(messages)),
        }
    }
}

/// Without system turns: the text of each goes in front of the next user turn, or is one.
fn merged(messages: &[Message]) -> Vec<Message> {
    let (mut turns, mut waiting) = (Vec::with_capacity(messages.len()), Vec::new());
    for message in messages {
        match message.role.as_str() {
            "system" if message.content.trim().is_empty() => {}
            "system" => waiting.push(message.content.as_str()),
            "user" if !waiting.is_empty() => {
                waiting.push(&message.content);
                turns.push(Message::new("user", waiting.join(GAP)));
                waiting.clear();
            }
            _ => turns.push(message.clone()),
        }
    }
    if !waiting.is_empty() {
        turns.push(Message::new("user", waiting.join(GAP)));
    }
    turns
}

/// The token that the template writes behind an assistant's text, blanks left aside; `None` where it writes other text or
/// nothing.
pub(super) fn turn_end(template: &ChatTemplate, tokenizer: &Tokenizer) -> Option<u32> {
    let turns = [Message::new("user", USER), Message::new("assistant", ANSWER)];
    // Some templates treat the last answer in another way, and some refuse to end with one.
    let text = template.render(&turns, false).ok().or_else(|| {
        let [user, answer] = turns.clone();
        template.render(&[user.clone(), answer, user], false).ok()
    })?;
    let behind = &text[text.rfind(ANSWER)? + ANSWER.len()..];
    let first = *tokenizer.encode_template(behind.trim_start()).ok()?.first()?;
    tokenizer.is_added(first).then_some(first)
}
