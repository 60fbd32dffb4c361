//! Writing GGUF (version 3): atomic, tensor by tensor, so that a large model is never in memory as a whole.

use crate::atomic::write_file_with;
use crate::error::{Code, EngineError, Result};
use crate::gguf::BlockType;
use crate::gguf_reader::{Parsed, Reader};
use std::ops::Range;
use std::path::Path;

/// A tensor of the file to come.
pub struct GgufEntry {
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    pub block: BlockType,
}

impl GgufEntry {
    fn size_bytes(&self) -> usize {
        let values: usize = self.shape.iter().product();
        values / self.block.block_values() * self.block.block_bytes()
    }
}

/// Metadata entries in the order they were added.
#[derive(Default, Clone)]
pub struct GgufMetadata {
    count: u64,
    bytes: Vec<u8>,
}

const UINT32: u32 = 4;
const INT32: u32 = 5;
const FLOAT32: u32 = 6;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const ALIGNMENT_BYTES: usize = 32;

impl GgufMetadata {
    /// The entries of another file, as they are.
    pub fn copied((count, bytes): (u64, &[u8])) -> Self {
        Self {
            count,
            bytes: bytes.to_vec(),
        }
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key, TEXT);
        put_text(&mut self.bytes, value);
    }

    pub fn uint(&mut self, key: &str, value: u32) {
        self.key(key, UINT32);
        self.bytes.extend(value.to_le_bytes());
    }

    pub fn float(&mut self, key: &str, value: f32) {
        self.key(key, FLOAT32);
        self.bytes.extend(value.to_le_bytes());
    }

    pub fn texts(&mut self, key: &str, values: &[String]) {
        self.array(key, TEXT, values.len());
        for value in values {
            put_text(&mut self.bytes, value);
        }
    }

    pub fn ints(&mut self, key: &str, values: &[i32]) {
        self.array(key, INT32, values.len());
        self.bytes
            .extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    pub fn floats(&mut self, key: &str, values: &[f32]) {
        self.array(key, FLOAT32, values.len());
        self.bytes
            .extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Sets an unsigned 32-bit entry, in place of one of that name and any type.
    ///
    /// Errors: `Internal` if the entries that were copied are damaged.
    pub fn set_uint(&mut self, key: &str, value: u32) -> Result<()> {
        let found = self.place_of(key).map_err(|detail| {
            let message = format!("the copied metadata cannot be read: {detail}");
            EngineError::new(Code::Internal, message)
        })?;
        let number = [UINT32.to_le_bytes(), value.to_le_bytes()].concat();
        match found {
            Some(place) => drop(self.bytes.splice(place, number)),
            None => self.uint(key, value),
        }
        Ok(())
    }

    /// Where type and value of an entry are.
    fn place_of(&self, key: &str) -> Parsed<Option<Range<usize>>> {
        let mut reader = Reader::new(&self.bytes);
        for _ in 0..self.count {
            let found = reader.text()?;
            let start = reader.position;
            reader.value()?;
            if found == key {
                return Ok(Some(start..reader.position));
            }
        }
        Ok(None)
    }

    fn array(&mut self, key: &str, kind: u32, len: usize) {
        self.key(key, ARRAY);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((len as u64).to_le_bytes());
    }

    fn key(&mut self, key: &str, kind: u32) {
        self.count += 1;
        put_text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Writes the file; `values` gives the f32 values `[product of shape]` of each entry in turn. `alignment` is that of
/// copied metadata, or `None` for the usual one. Returns the file's SHA-256 (hex).
///
/// Errors: `Io`; those of `values`; `NonFinite` names a tensor with a value that its type cannot hold; `Internal` for a
/// row that is no whole number of blocks.
pub fn write_gguf(
    path: &Path,
    metadata: &GgufMetadata,
    alignment: Option<usize>,
    entries: &[GgufEntry],
    mut values: impl FnMut(&GgufEntry) -> Result<Vec<f32>>,
) -> Result<String> {
    let alignment = alignment.unwrap_or(ALIGNMENT_BYTES);
    let head = header(metadata, alignment, entries)?;
    let mut failed = None;
    let written = write_file_with(path, |out| {
        out.write_all(&head)?;
        for entry in entries {
            let bytes = match values(entry).and_then(|values| encode(entry, &values)) {
                Ok(bytes) => bytes,
                Err(error) => {
                    failed = Some(error);
                    return Err(std::io::Error::other("no values"));
                }
            };
            out.write_all(&bytes)?;
            out.write_all(&vec![0; bytes.len().next_multiple_of(alignment) - bytes.len()])?;
        }
        Ok(())
    });
    match failed {
        Some(error) => Err(error),
        None => written,
    }
}

fn header(metadata: &GgufMetadata, alignment: usize, entries: &[GgufEntry]) -> Result<Vec<u8>> {
    let mut head = b"GGUF".to_vec();
    head.extend(3u32.to_le_bytes());
    head.extend((entries.len() as u64).to_le_bytes());
    head.extend(metadata.count.to_le_bytes());
    head.extend(&metadata.bytes);
    let mut offset = 0u64;
    for entry in entries {
        let cols = entry.shape.last().copied().unwrap_or(0);
        if cols == 0 || !cols.is_multiple_of(entry.block.block_values()) {
            let message = format!("a row of \"{}\" is no whole number of blocks", entry.name);
            return Err(EngineError::new(Code::Internal, message));
        }
        put_text(&mut head, &entry.name);
        head.extend((entry.shape.len() as u32).to_le_bytes());
        for size in entry.shape.iter().rev() {
            head.extend((*size as u64).to_le_bytes());
        }
        head.extend(entry.block.id().to_le_bytes());
        head.extend(offset.to_le_bytes());
        offset += entry.size_bytes().next_multiple_of(alignment) as u64;
    }
    head.resize(head.len().next_multiple_of(alignment), 0);
    Ok(head)
}

fn encode(entry: &GgufEntry, values: &[f32]) -> Result<Vec<u8>> {
    let bytes = entry.block.encode(values).unwrap_or_default();
    if bytes.len() == entry.size_bytes() {
        return Ok(bytes);
    }
    let (name, kind) = (&entry.name, entry.block);
    let message = format!("tensor \"{name}\" holds values that {kind:?} cannot: choose a wider format");
    Err(EngineError::new(Code::NonFinite, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf_reader::Value;

    /// All entries, read as a file's are.
    fn entries(metadata: &GgufMetadata) -> Parsed<Vec<(String, Value)>> {
        let mut reader = Reader::new(&metadata.bytes);
        (0..metadata.count)
            .map(|_| Ok((reader.text()?, reader.value()?)))
            .collect()
    }

    #[test]
    fn a_number_is_set_in_its_own_entry_whatever_stands_in_texts_and_whatever_its_type_was() -> Result<()> {
        // A text that holds the very bytes of an entry of that name.
        let mut look_alike = Vec::new();
        put_text(&mut look_alike, "k");
        look_alike.extend(UINT32.to_le_bytes());
        look_alike.extend(7u32.to_le_bytes());
        let look_alike = String::from_utf8_lossy(&look_alike).into_owned();
        let mut metadata = GgufMetadata::default();
        metadata.text("note", &look_alike);
        let wanted = |number: Value, known: bool| {
            let note = ("note".to_owned(), Value::Text(look_alike.clone()));
            let entry = ("k".to_owned(), number);
            let last = ("z".to_owned(), Value::Int(1));
            let all = [note, entry, last];
            if known { all.to_vec() } else { all[..2].to_vec() }
        };
        metadata.set_uint("k", 3)?;
        assert_eq!(entries(&metadata), Ok(wanted(Value::Int(3), false)));
        metadata.set_uint("z", 1)?;
        metadata.set_uint("k", 4)?;
        assert_eq!(entries(&metadata), Ok(wanted(Value::Int(4), true)));
        // Another writer's file: the same name with 64 bits, or as a text.
        for kind in [10u32, TEXT] {
            let mut metadata = GgufMetadata::default();
            metadata.text("note", &look_alike);
            metadata.key("k", kind);
            metadata.bytes.extend(4u64.to_le_bytes());
            if kind == TEXT {
                metadata.bytes.extend(b"four");
            }
            metadata.uint("z", 1);
            metadata.set_uint("k", 5)?;
            assert_eq!(entries(&metadata), Ok(wanted(Value::Int(5), true)));
        }
        Ok(())
    }
}
