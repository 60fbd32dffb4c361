//! Chat templates render as transformers renders them (`test/parity/make_chat_goldens.py`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::json_fixture;
use escada_engine_formats::{ChatTemplate, Code, Message, SpecialTexts};
use serde_json::Value;
use std::path::Path;

#[test]
fn every_kind_of_template_gives_the_reference_text() {
    let golden = json_fixture("chat-templates/golden.json");
    let special: SpecialTexts = serde_json::from_value(golden["special"].clone()).unwrap();
    let mut wrong = Vec::new();
    let rows = golden["rows"].as_array().unwrap();
    assert!(rows.len() > 200);
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap();
        let name = format!("{} {} {}", text("template"), text("conversation"), row["open"]);
        let source = golden["templates"][text("template")].as_str().unwrap();
        let messages: Vec<Message> =
            serde_json::from_value(golden["conversations"][text("conversation")].clone()).unwrap();
        let template = ChatTemplate::from_source(Path::new("model"), "test", source, &special);
        let made = template.and_then(|template| template.render(&messages, row["open"] == true));
        match (made, &row["text"]) {
            (Ok(made), Value::String(wanted)) if made == *wanted => {}
            (Err(error), Value::Object(refusal))
                if error.code == Code::RequestInvalid
                    && error.message.ends_with(refusal["refused"].as_str().unwrap()) => {}
            (made, wanted) => wrong.push(format!("{name}\n  {made:?}\n  {wanted:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}
