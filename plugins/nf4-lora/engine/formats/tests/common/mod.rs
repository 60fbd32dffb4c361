//! What the tests of this crate share.
#![allow(
    dead_code,
    reason = "every test file is its own crate and uses a part of this"
)]

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

/// The real model's path, or `None` with a line that says which test is skipped.
pub fn real_model(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("ESCADA_TEST_MODEL").map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: {test}: ESCADA_TEST_MODEL does not name a model file");
    }
    path
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
