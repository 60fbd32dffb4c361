//! What the tests with the real model share.
#![allow(
    dead_code,
    reason = "every test file is its own crate and uses a part of this"
)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file or folder under `test/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../../test/fixtures")
        .join(name)
}

/// A copy of a folder under `test/fixtures` together with tiny-llama's tokenizer.
pub fn with_tokenizer(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: PathBuf| {
        std::fs::copy(&from, folder.path().join(from.file_name().unwrap())).unwrap();
    };
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        copy(entry.unwrap().path());
    }
    for text in ["tokenizer.json", "tokenizer_config.json"] {
        copy(fixture("tiny-llama").join(text));
    }
    folder
}

/// A JSON fixture.
pub fn json_fixture(name: &str) -> Value {
    let path = fixture(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// The quickstart's model: `ESCADA_MODEL_PATH` (which `npm test` sets) or the user cache. Without either a line says
/// which test did not run. Panics when the variable names no file.
pub fn real_model(test: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ESCADA_MODEL_PATH").map(PathBuf::from) {
        assert!(
            named.is_file(),
            "ESCADA_MODEL_PATH: {} is no file",
            named.display()
        );
        return Some(named);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cached = home
        .map(|home| home.join(".cache/escada/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"));
    let found = cached.filter(|path| path.is_file());
    if found.is_none() {
        eprintln!("not run: {test}: no model; `npm test` fetches it, ESCADA_MODEL_PATH names it");
    }
    found
}
