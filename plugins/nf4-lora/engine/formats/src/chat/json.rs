//! `tojson` as transformers has it: Python's `json.dumps` with its blanks, and without HTML escapes.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};
use std::fmt::Write;

/// Nesting that is written; a list can hold itself a few times over only by being copied.
const MAX_DEPTH: usize = 64;
/// Text that one call writes at most.
const MAX_BYTES: usize = 2 << 20;

struct Style {
    ascii: bool,
    sorted: bool,
    /// Text of one level, when the result has lines.
    indent: Option<String>,
    item: String,
    key: String,
}

/// The filter: `value|tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
pub(super) fn tojson(
    value: &Value,
    first: Option<bool>,
    second: Option<Value>,
    named: Kwargs,
) -> Result<String, Error> {
    let ascii = named
        .get::<Option<bool>>("ensure_ascii")?
        .or(first)
        .unwrap_or(false);
    let indent = named.get::<Option<Value>>("indent")?.or(second);
    let indent = indent
        .filter(|v| !v.is_none() && !v.is_undefined())
        .map(indentation);
    let indent = indent.transpose()?;
    let separators = named.get::<Option<Value>>("separators")?.filter(|v| !v.is_none());
    let (item, key) = match separators {
        None => (
            if indent.is_some() { "," } else { ", " }.to_owned(),
            ": ".to_owned(),
        ),
        Some(pair) => (
            pair.get_item_by_index(0)?.to_string(),
            pair.get_item_by_index(1)?.to_string(),
        ),
    };
    let sorted = named.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    named.assert_all_used()?;
    let style = Style {
        ascii,
        sorted,
        indent,
        item,
        key,
    };
    let mut out = String::new();
    style.write(value, 0, &mut out)?;
    Ok(out)
}

fn indentation(value: Value) -> Result<String, Error> {
    match (value.as_str(), value.as_usize()) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, Some(count @ ..=32)) => Ok(" ".repeat(count)),
        _ => Err(refused("indent is a text or a small number")),
    }
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("tojson: {what}"))
}

impl Style {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > MAX_DEPTH || out.len() > MAX_BYTES {
            return Err(refused("the value is too deep or too large"));
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::String => self.text(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
                self.list(('[', ']'), &items, depth, out, |item, out| {
                    self.write(item, depth + 1, out)
                })?;
            }
            ValueKind::Map => {
                let mut keys = value.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
                if self.sorted {
                    keys.sort();
                }
                self.list(('{', '}'), &keys, depth, out, |key, out| {
                    self.text(&key_text(key)?, out);
                    out.push_str(&self.key);
                    self.write(&value.get_item(key)?, depth + 1, out)
                })?;
            }
            other => return Err(refused(&format!("a value of kind {other} is not JSON"))),
        }
        Ok(())
    }

    fn list<T>(
        &self,
        (open, close): (char, char),
        items: &[T],
        depth: usize,
        out: &mut String,
        mut each: impl FnMut(&T, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(&self.item);
            }
            self.line(depth + 1, out);
            each(item, out)?;
        }
        if !items.is_empty() {
            self.line(depth, out);
        }
        out.push(close);
        Ok(())
    }

    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ascii && !c.is_ascii()) => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        // Writing to a string cannot fail.
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// Python writes keys that are no text as their values.
fn key_text(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number => Ok(number(key)),
        ValueKind::Bool => Ok(key.is_true().to_string()),
        ValueKind::None => Ok("null".to_owned()),
        other => Err(refused(&format!("a key of kind {other}"))),
    }
}

fn number(value: &Value) -> String {
    match value.to_string().as_str() {
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        text => text.to_owned(),
    }
}
