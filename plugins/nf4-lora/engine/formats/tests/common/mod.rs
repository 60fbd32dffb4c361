//! What the tests of this crate share.
#![allow(
    dead_code,
    reason = "every test file is its own crate and uses a part of this"
)]

pub mod gguf;

use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file or folder under `test/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../../test/fixtures")
        .join(name)
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

/// Little-endian bytes of f32 values.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// `"3e490c00"` to the float with these bits.
pub fn float(hex: &Value) -> f32 {
    let bits = hex.as_str().and_then(|text| u32::from_str_radix(text, 16).ok());
    f32::from_bits(bits.unwrap_or_else(|| panic!("{hex} is no f32 in hex")))
}

/// All floats of an array of hex strings.
pub fn floats(array: &Value) -> Vec<f32> {
    array.as_array().into_iter().flatten().map(float).collect()
}
