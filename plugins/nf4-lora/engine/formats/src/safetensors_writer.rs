//! Writing safetensors files: atomic, and the same bytes for the same content (the header is in a fixed order).

use crate::atomic::write_file_with;
use crate::error::{Code, EngineError, Result};
pub use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// A tensor to write.
pub struct OutTensor<'a> {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Little-endian, row-major; its length must be that of `shape` and `dtype`.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> OutTensor<'a> {
    /// An F32 tensor.
    pub fn f32(name: impl Into<String>, shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self {
            name: name.into(),
            dtype: Dtype::F32,
            shape,
            bytes: Cow::Owned(bytes),
        }
    }

    /// A U8 tensor of the given bytes.
    pub fn u8(name: impl Into<String>, shape: Vec<usize>, bytes: &'a [u8]) -> Self {
        Self {
            name: name.into(),
            dtype: Dtype::U8,
            shape,
            bytes: Cow::Borrowed(bytes),
        }
    }
}

/// Writes `tensors` and `metadata` to `path` atomically; returns the file's SHA-256 (hex).
///
/// Wider types come first and names are sorted within a type, so that every tensor is aligned. Errors: `Io`;
/// `Internal` if a tensor's length does not fit its shape or a name is used twice.
pub fn write_safetensors(
    path: &Path,
    mut tensors: Vec<OutTensor<'_>>,
    metadata: &BTreeMap<String, String>,
) -> Result<String> {
    tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
    let header = header(&tensors, metadata)?;
    write_file_with(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        tensors.iter().try_for_each(|tensor| out.write_all(&tensor.bytes))
    })
}

/// A tensor whose bytes come when it is written.
pub struct LaterTensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
}

/// As [`write_safetensors`], one tensor in memory at a time: `bytes` gives those of each in turn. All tensors have one
/// type, or wider types come first: then every tensor is aligned.
///
/// Errors: also those of `bytes`.
pub fn write_safetensors_later(
    path: &Path,
    tensors: &[LaterTensor],
    metadata: &BTreeMap<String, String>,
    mut bytes: impl FnMut(&LaterTensor) -> Result<Vec<u8>>,
) -> Result<String> {
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), json!(metadata));
    let mut offset = 0;
    for tensor in tensors {
        let values: usize = tensor.shape.iter().product();
        let end = offset + values * tensor.dtype.bitsize() / 8;
        let entry = json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end] });
        entries.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let header = padded(Value::Object(entries).to_string());
    let mut failed = None;
    let written = write_file_with(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for tensor in tensors {
            match bytes(tensor) {
                Ok(bytes) => out.write_all(&bytes)?,
                Err(error) => {
                    failed = Some(error);
                    return Err(std::io::Error::other("no values"));
                }
            }
        }
        Ok(())
    });
    match failed {
        Some(error) => Err(error),
        None => written,
    }
}

fn padded(mut text: String) -> String {
    text.extend(std::iter::repeat_n(
        ' ',
        text.len().next_multiple_of(8) - text.len(),
    ));
    text
}

/// JSON text padded with blanks to a multiple of 8 bytes.
fn header(tensors: &[OutTensor<'_>], metadata: &BTreeMap<String, String>) -> Result<String> {
    let mut entries = Map::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut offset = 0;
    for tensor in tensors {
        check_length(tensor)?;
        let end = offset + tensor.bytes.len();
        let entry = json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end] });
        if entries.insert(tensor.name.clone(), entry).is_some() {
            return Err(EngineError::new(
                Code::Internal,
                format!("tensor \"{}\" is written twice", tensor.name),
            ));
        }
        offset = end;
    }
    Ok(padded(Value::Object(entries).to_string()))
}

fn check_length(tensor: &OutTensor<'_>) -> Result<()> {
    let values: usize = tensor.shape.iter().product();
    if values * tensor.dtype.bitsize() == 8 * tensor.bytes.len() {
        return Ok(());
    }
    let (name, shape, length) = (&tensor.name, &tensor.shape, tensor.bytes.len());
    Err(EngineError::new(
        Code::Internal,
        format!("tensor \"{name}\" has {length} bytes for shape {shape:?}"),
    ))
}
