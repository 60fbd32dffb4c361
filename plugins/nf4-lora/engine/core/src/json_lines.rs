//! Files of one JSON object a line.

use escada_engine_formats::atomic::write_file_with;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::untrusted::open_regular;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Longest line: a row is a prompt, not a book.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Reads all rows, a line in memory at a time. Errors: `Io`; `RequestInvalid` names file, line and what is wrong.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut file = BufReader::with_capacity(1 << 16, open_regular(path)?);
    let (mut rows, mut line) = (Vec::new(), Vec::new());
    for number in 1_usize.. {
        line.clear();
        let refuse = |what: &dyn std::fmt::Display| {
            let message = format!("{}:{number}: {what}", path.display());
            EngineError::new(Code::RequestInvalid, message)
        };
        // Only \n ends a line: U+2028 may be unescaped inside a JSON string.
        let count = (&mut file)
            .take(MAX_LINE_BYTES as u64 + 1)
            .read_until(b'\n', &mut line)
            .map_err(|cause| EngineError::io("read", path, &cause))?;
        if count > MAX_LINE_BYTES {
            return Err(refuse(&format!("the line is longer than {MAX_LINE_BYTES} bytes")));
        }
        if count == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).map_err(|_| refuse(&"not UTF-8"))?;
        if !text.trim().is_empty() {
            rows.push(serde_json::from_str(text).map_err(|cause| refuse(&cause))?);
        }
    }
    Ok(rows)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read_text(text: &[u8]) -> Result<Vec<Value>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, text)?;
        read(&path)
    }

    fn refusal(text: &[u8]) -> String {
        match read_text(text) {
            Ok(rows) => panic!("{rows:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn rows_are_read_line_by_line_and_what_is_wrong_is_named_by_its_line() -> Result<()> {
        let text = "{\"a\":\"x\u{2028}y\"}\r\n\n  \n{\"a\":2}\n[3]";
        let rows = read_text(text.as_bytes())?;
        assert_eq!(
            rows,
            [json!({ "a": "x\u{2028}y" }), json!({ "a": 2 }), json!([3])]
        );
        assert!(read_text(b"")?.is_empty());
        assert!(refusal(b"{}\n\n{\n").contains("rows.jsonl:3:"));
        assert!(refusal(b"{}\n\"\xff\"\n").contains("rows.jsonl:2: not UTF-8"));
        Ok(())
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_a_line_may() -> Result<()> {
        let long = vec![b' '; MAX_LINE_BYTES + 1];
        assert!(refusal(&long).contains("rows.jsonl:1: the line is longer than"));
        assert!(read_text(&long[1..])?.is_empty());
        Ok(())
    }
}
