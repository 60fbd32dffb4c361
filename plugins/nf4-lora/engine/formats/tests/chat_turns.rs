//! System turns, ends of turns and models without a template: what reaches the model, and what it learns to write.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{fixture, json_fixture};
use escada_engine_formats::{ChatTemplate, Message, ModelSource, SystemTurns, Tokenizer};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                      {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const REFUSES: &str = "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
                       {{ raise_exception('roles must alternate') }}{% endif %}{{ m.role[0] }}: {{ m.content|trim }}\n{% endfor %}";
const DROPS: &str = "{% for m in messages %}{% if m.role == 'user' %}u: {{ m.content|trim }}\n\
                     {% elif m.role == 'assistant' %}a: {{ m.content }}{{ eos_token }}\n{% endif %}{% endfor %}";
const DEFAULTS: &str =
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}";

/// The tiny model with another `tokenizer_config.json` (fields that are null are taken out) and other added tokens.
fn model(config: Value, added: &[(u32, &str, bool)], files: &[(&str, &str)]) -> TempDir {
    let made = TempDir::new().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture("tiny-llama").join(name), made.path().join(name)).unwrap();
    }
    let mut tokenizer = json_fixture("tiny-llama/tokenizer.json");
    for (id, content, special) in added {
        let token = json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                            "normalized": false, "special": special });
        tokenizer["added_tokens"].as_array_mut().unwrap().push(token);
    }
    std::fs::write(made.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let mut own = json_fixture("tiny-llama/tokenizer_config.json");
    for (key, value) in config.as_object().unwrap() {
        own[key] = value.clone();
    }
    own.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    std::fs::write(made.path().join("tokenizer_config.json"), own.to_string()).unwrap();
    for (name, text) in files {
        std::fs::create_dir_all(made.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(made.path().join(name), text).unwrap();
    }
    made
}

fn tokenizer_and_template(model: &TempDir) -> (Tokenizer, ChatTemplate) {
    ModelSource::open(model.path())
        .unwrap()
        .tokenizer_and_template()
        .unwrap()
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(Path::new("test"), source, None, Some("<|im_end|>")).unwrap()
}

fn turns(list: &[(&str, &str)]) -> Vec<Message> {
    list.iter()
        .map(|(role, content)| Message::new(role, *content))
        .collect()
}

/// The text that the model is given.
fn given(template: &ChatTemplate, list: &[(&str, &str)]) -> String {
    let tokenizer = ModelSource::open(&fixture("tiny-llama"))
        .unwrap()
        .tokenizer()
        .unwrap();
    let ids = template.encode(&tokenizer, &turns(list), true).unwrap();
    tokenizer.decode(&ids, false).unwrap()
}

#[test]
fn a_template_without_a_system_role_has_its_text_in_the_user_turn() {
    for source in [REFUSES, DROPS] {
        let template = template(source);
        assert_eq!(template.system_turns(), SystemTurns::Merged);
        assert_eq!(
            given(&template, &[("system", "Be brief."), ("user", "Hi")]),
            "u: Be brief.\n\nHi\n"
        );
        assert_eq!(given(&template, &[("system", ""), ("user", "Hi")]), "u: Hi\n");
        assert_eq!(given(&template, &[("system", " \n"), ("user", "Hi")]), "u: Hi\n");
        assert_eq!(given(&template, &[("user", "Hi")]), "u: Hi\n");
        assert_eq!(given(&template, &[("system", "Alone")]), "u: Alone\n");
    }
    let shots = [
        ("system", "Be brief."),
        ("user", "1"),
        ("assistant", "2"),
        ("user", "3"),
    ];
    assert_eq!(
        given(&template(REFUSES), &shots),
        "u: Be brief.\n\n1\na: 2\nu: 3\n"
    );
}

#[test]
fn a_system_role_is_kept_and_an_empty_turn_of_it_left_out() {
    let own = template(CHATML);
    assert_eq!(own.system_turns(), SystemTurns::Own);
    let user = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(
        given(&own, &[("system", "S"), ("user", "Hi")]),
        format!("<|im_start|>system\nS<|im_end|>\n{user}")
    );
    assert_eq!(given(&own, &[("system", ""), ("user", "Hi")]), user);
    // Left out, it would make room for a text that nobody asked for.
    let defaults = template(&format!("{DEFAULTS}{CHATML}"));
    assert_eq!(defaults.system_turns(), SystemTurns::Own);
    assert_eq!(
        given(&defaults, &[("system", ""), ("user", "Hi")]),
        format!("<|im_start|>system\n<|im_end|>\n{user}")
    );
}

#[test]
fn training_rows_start_with_what_generation_is_given() {
    let tokenizer = ModelSource::open(&fixture("tiny-llama"))
        .unwrap()
        .tokenizer()
        .unwrap();
    let list = turns(&[("system", "Be brief."), ("user", "Hi")]);
    for source in [REFUSES, DROPS, CHATML, DEFAULTS] {
        let template = template(source);
        let row = template.encode_with_answer(&tokenizer, &list, "Yes.").unwrap();
        assert_eq!(
            row.prompt,
            template.encode(&tokenizer, &list, true).unwrap(),
            "{source}"
        );
    }
}

#[test]
fn a_turn_ends_with_what_the_template_writes() {
    // The end of a text is id 0; the template ends turns with another token, which the configuration does not name.
    let eos =
        json!({ "eos_token": "<|endoftext|>", "chat_template": CHATML.replace("<|im_end|>", "<|eot|>") });
    let made = model(eos, &[(383, "<|eot|>", true)], &[]);
    let config = json_fixture("tiny-llama/config.json");
    let mut config = config.as_object().unwrap().clone();
    config.insert("eos_token_id".to_owned(), json!(0));
    std::fs::write(made.path().join("config.json"), Value::Object(config).to_string()).unwrap();
    let (tokenizer, template) = tokenizer_and_template(&made);
    let end = tokenizer.token_id("<|eot|>").unwrap();
    assert_eq!(template.turn_end(&tokenizer), Some(end));
    assert!(tokenizer.eos_ids().contains(&end) && tokenizer.eos_ids().contains(&0));
    let row = template
        .encode_with_answer(&tokenizer, &turns(&[("user", "Hi")]), "Yes.")
        .unwrap();
    assert_eq!(row.answer.last(), Some(&end));
    assert_eq!(tokenizer.decode(&row.answer, true).unwrap(), "Yes.");
    // The same where the conversation as a whole does not start with the prompt.
    let thinks = CHATML
        .replace("<|im_end|>", "<|eot|>")
        .replace("assistant\n{% endif", "assistant\n<think>\n{% endif");
    let template = ChatTemplate::new(Path::new("test"), &thinks, None, None).unwrap();
    let row = template
        .encode_with_answer(&tokenizer, &turns(&[("user", "Hi")]), "Yes.")
        .unwrap();
    assert_eq!(row.answer.last(), Some(&end));
}

#[test]
fn without_a_word_from_the_template_the_named_end_of_a_text_is_taken() {
    // Not the smallest of the ids.
    let made = model(
        json!({ "chat_template": "{{ messages[0].content }}" }),
        &[],
        &[("generation_config.json", r#"{ "eos_token_id": [0, 2] }"#)],
    );
    let (tokenizer, template) = tokenizer_and_template(&made);
    assert_eq!(template.turn_end(&tokenizer), None);
    assert_eq!(
        (tokenizer.text_end(), tokenizer.eos_ids()),
        (Some(2), [0, 2].as_slice())
    );
    let row = template
        .encode_with_answer(&tokenizer, &turns(&[("user", "Hi")]), "Yes.")
        .unwrap();
    assert_eq!(row.answer.last(), Some(&2));
}

#[test]
fn a_model_without_a_template_is_given_plain_text() {
    let made = model(json!({ "chat_template": null }), &[], &[]);
    let (tokenizer, template) = tokenizer_and_template(&made);
    assert!(template.is_plain());
    assert_eq!(
        (template.origin(), template.system_turns()),
        ("default", SystemTurns::Own)
    );
    let list = turns(&[
        ("system", "Shop."),
        ("user", "Say it.\none"),
        ("assistant", "1"),
        ("user", "Say it.\ntwo"),
    ]);
    let row = template.encode_with_answer(&tokenizer, &list, "zwei").unwrap();
    let text = |ids: &[u32]| tokenizer.decode(ids, false).unwrap();
    assert_eq!(
        text(&row.prompt),
        "Shop.\n\nSay it.\none\n1<|im_end|>\n\nSay it.\ntwo\n"
    );
    assert_eq!(text(&row.answer), "zwei<|im_end|>");
    let with_start = model(json!({ "chat_template": null, "add_bos_token": true }), &[], &[]);
    let (tokenizer, template) = tokenizer_and_template(&with_start);
    assert!(tokenizer.starts_with_bos());
    let ids = template
        .encode(&tokenizer, &turns(&[("system", ""), ("user", "Hi")]), true)
        .unwrap();
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "<|im_start|>Hi\n");
}

#[test]
fn a_template_is_found_wherever_models_keep_it() {
    let named = |entries: &[(&str, &str)]| {
        let entry = |(name, template): &(&str, &str)| json!({ "name": name, "template": template });
        json!({ "chat_template": entries.iter().map(entry).collect::<Vec<_>>() })
    };
    let none = json!({ "chat_template": null });
    let as_json = json!({ "chat_template": "J" }).to_string();
    type Texts<'a> = (&'a str, &'a str);
    let cases: [(Value, &[Texts], Texts); 6] = [
        (
            json!({ "chat_template": "C" }),
            &[],
            ("tokenizer_config.json", "C"),
        ),
        (
            json!({ "chat_template": "C" }),
            &[("chat_template.jinja", "F")],
            ("chat_template.jinja", "F"),
        ),
        (
            none.clone(),
            &[("chat_template.json", &as_json)],
            ("chat_template.json", "J"),
        ),
        (
            none,
            &[("additional_chat_templates/default.jinja", "D")],
            ("additional_chat_templates/default.jinja", "D"),
        ),
        (
            named(&[("tool_use", "T"), ("default", "D")]),
            &[],
            ("tokenizer_config.json", "D"),
        ),
        (named(&[("only", "O")]), &[], ("tokenizer_config.json", "O")),
    ];
    let mut digests = Vec::new();
    for (config, files, wanted) in cases {
        let made = model(config, &[], files);
        let source = ModelSource::open(made.path()).unwrap();
        let template = source.chat_template().unwrap().unwrap();
        assert_eq!((template.origin(), template.source()), wanted);
        digests.push(source.digest().unwrap());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 6);
    let error = ModelSource::open(model(named(&[("a", "A"), ("b", "B")]), &[], &[]).path())
        .unwrap()
        .chat_template();
    assert!(error.is_err_and(
        |error| error.message.contains("\"a\", \"b\"") && error.message.contains("chat_template.jinja")
    ));
}
