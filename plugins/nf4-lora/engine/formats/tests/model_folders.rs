//! Folders that are not quite a model: what is there, what is missing, what to do; and none of it as a fault of a moment.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::fixture;
use escada_engine_formats::{Code, EngineError, ModelSource};
use std::path::Path;
use tempfile::TempDir;

const TEXTS: [&str; 3] = ["config.json", "tokenizer.json", "tokenizer_config.json"];

/// A folder with some files of the tiny model, and others with the given content.
fn folder(copied: &[&str], written: &[(&str, &str)]) -> TempDir {
    let made = TempDir::new().unwrap();
    for name in copied {
        std::fs::copy(fixture("tiny-llama").join(name), made.path().join(name)).unwrap();
    }
    for (name, text) in written {
        std::fs::create_dir_all(made.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(made.path().join(name), text).unwrap();
    }
    made
}

fn refusal(path: &Path) -> EngineError {
    let opened = ModelSource::open(path).and_then(|source| source.tokenizer_and_template());
    opened.map(drop).expect_err("it was opened")
}

fn assert_says(path: &Path, parts: &[&str]) {
    let error = refusal(path);
    assert_eq!(error.code, Code::ModelIncomplete, "{error}");
    for part in parts {
        assert!(error.message.contains(part), "{part:?} is not in {error}");
    }
}

/// Files of a folder (name, content), and what the refusal says.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn weights_that_are_missing_or_called_otherwise_are_named() {
    let cases: [Case; 7] = [
        (
            &[
                ("model-00001-of-00002.safetensors", ""),
                ("model-00002-of-00002.safetensors", ""),
            ],
            &[
                "model-00001-of-00002.safetensors",
                "no model.safetensors.index.json",
                "fetch the index",
            ],
        ),
        (
            &[
                ("model-00001-of-00002.safetensors", ""),
                (
                    "model.safetensors.index.json",
                    r#"{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#,
                ),
            ],
            &[
                "1 of the 2 files",
                "not model-00002-of-00002.safetensors",
                "fetch the missing",
            ],
        ),
        (
            &[("consolidated.safetensors", "")],
            &["consolidated.safetensors, but no model.safetensors", "rename it"],
        ),
        (
            &[("pytorch_model.bin", ""), ("training_args.bin", "")],
            &["only pytorch_model.bin;", "never read", "save_pretrained"],
        ),
        (
            &[("tf_model.h5", ""), ("flax_model.msgpack", "")],
            &["tf_model.h5, flax_model.msgpack", "never read"],
        ),
        (
            &[("README.md", "")],
            &["no weights", "README.md", "fetch the model again"],
        ),
        (
            &[("a.gguf", ""), ("b.gguf", "")],
            &["2 GGUF files (a.gguf, b.gguf)", "one of them"],
        ),
    ];
    for (written, parts) in cases {
        assert_says(folder(&TEXTS, written).path(), parts);
    }
}

#[test]
fn a_folder_that_is_something_else_is_told_apart() {
    let adapter = r#"{"base_model_name_or_path":"org/base"}"#;
    let adapter_files: &[(&str, &str)] = &[
        ("adapter_config.json", adapter),
        ("adapter_model.safetensors", ""),
    ];
    assert_says(
        folder(&[], adapter_files).path(),
        &["an adapter", "(org/base)", "this folder as the adapter"],
    );
    assert_says(folder(&TEXTS, adapter_files).path(), &["an adapter"]);
    assert_says(
        folder(&[], &[("adapter_config.json", "{")]).path(),
        &["an adapter"],
    );
    assert_says(
        folder(&[], &[("snapshots/config.json", "{}")]).path(),
        &["its folder snapshots"],
    );
    assert_says(
        folder(&[], &[("params.json", ""), ("consolidated.00.pth", "")]).path(),
        &["params.json", "transformers' format"],
    );
    assert_says(
        folder(&["model.safetensors", "tokenizer.json"], &[]).path(),
        &["no config.json", "model.safetensors, tokenizer.json"],
    );
    assert_says(folder(&[], &[]).path(), &["no config.json", "nothing"]);
    let parts = [("a-00001-of-00002.gguf", ""), ("a-00002-of-00002.gguf", "")];
    assert_says(
        folder(&[], &parts).path(),
        &["2 parts", "llama-gguf-split --merge"],
    );
}

#[test]
fn a_missing_tokenizer_is_told_with_what_is_there_instead() {
    let weights = ["config.json", "model.safetensors", "tokenizer_config.json"];
    assert_says(folder(&weights, &[]).path(), &["no tokenizer.json"]);
    assert_says(
        folder(&weights, &[("tokenizer.model", "x")]).path(),
        &["no tokenizer.json, only tokenizer.model", "save_pretrained"],
    );
    assert_says(
        folder(&weights, &[("vocab.json", "{}"), ("merges.txt", "")]).path(),
        &["vocab.json, merges.txt"],
    );
}

#[test]
fn notes_of_git_lfs_are_no_files() {
    let note = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    for name in ["model.safetensors", "tokenizer.json"] {
        let copied: Vec<&str> = [&TEXTS[..], &["model.safetensors"]].concat();
        let made = folder(&copied, &[(name, note)]);
        assert_says(made.path(), &[name, "Git LFS", "git lfs pull"]);
    }
    let alone = folder(&[], &[("a.gguf", note)]);
    assert_says(alone.path(), &["a.gguf", "Git LFS"]);
    assert_says(&alone.path().join("a.gguf"), &["Git LFS"]);
}

#[test]
fn a_single_file_that_is_no_gguf_says_what_to_give() {
    let made = folder(
        &["model.safetensors", "config.json"],
        &[("m.bin", "x"), ("m.gguf", "no")],
    );
    assert_says(&made.path().join("model.safetensors"), &["give the folder"]);
    assert_says(&made.path().join("config.json"), &["give its folder"]);
    assert_says(&made.path().join("m.bin"), &["never read"]);
    assert_eq!(refusal(&made.path().join("m.gguf")).code, Code::ModelFileInvalid);
}

#[test]
fn a_folder_with_one_gguf_is_that_file() {
    let file = fixture("gguf/tiny-llama.gguf");
    let made = TempDir::new().unwrap();
    std::fs::copy(&file, made.path().join("weights.Q8_0.gguf")).unwrap();
    std::fs::write(made.path().join("README.md"), "").unwrap();
    std::fs::write(made.path().join("config.json"), "{}").unwrap();
    let opened = ModelSource::open(made.path()).unwrap();
    assert_eq!(
        opened.digest().unwrap(),
        ModelSource::open(&file).unwrap().digest().unwrap()
    );
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_named() {
    let made = folder(&TEXTS, &[]);
    std::os::unix::fs::symlink("../blobs/gone", made.path().join("model.safetensors")).unwrap();
    assert_says(
        made.path(),
        &["no weights", "links that lead nowhere: model.safetensors"],
    );
}

#[test]
fn a_missing_path_is_a_missing_model() {
    for path in ["/nonexistent/model.gguf", "/nonexistent/folder"] {
        let error = refusal(Path::new(path));
        assert_eq!(error.code, Code::ModelNotFound);
        assert!(
            error.message.contains(path) && error.message.contains("escada model pull"),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_no_fault_of_a_moment() {
    // A file among the folders of the path fails as one that may not be read does, for root too.
    let made = folder(&[&TEXTS[..], &["model.safetensors"]].concat(), &[]);
    let error = refusal(&made.path().join("config.json").join("inner"));
    assert_eq!(error.code, Code::ModelUnreadable, "{error}");
    assert!(error.message.contains("config.json"), "{error}");
}
