//! Files of one JSON object a line.

use escada_engine_formats::atomic::write_file_with;
use escada_engine_formats::error::{Code, EngineError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads all rows. Errors: `Io`; `RequestInvalid` names file, line and what is wrong.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let bytes = std::fs::read(path).map_err(|e| EngineError::io("read", path, &e))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| EngineError::new(Code::RequestInvalid, format!("{}: not UTF-8", path.display())))?;
    // Only \n ends a line: U+2028 may stand unescaped inside a JSON string.
    let lines = text
        .split('\n')
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let parse = |(i, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|e| EngineError::new(Code::RequestInvalid, format!("{}:{}: {e}", path.display(), i + 1)))
    };
    lines.map(parse).collect()
}

/// Writes all rows; the file appears whole or not at all.
pub fn write(path: &Path, rows: &[impl Serialize]) -> Result<()> {
    write_file_with(path, |out| {
        rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut *out, row)?;
            out.write_all(b"\n")
        })
    })
    .map(drop)
}
