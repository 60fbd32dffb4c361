//! GGUF (versions 2 and 3, little-endian) over a memory map.

use crate::error::{EngineError, Result};
pub use crate::gguf_blocks::BlockType;
use crate::gguf_blocks::type_name;
pub use crate::gguf_reader::Value;
use crate::gguf_reader::{Parsed, Reader};
use crate::untrusted::open_regular;
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where a tensor is and what it is.
#[derive(Debug, Clone)]
pub struct TensorEntry {
    /// Outermost dimension first (the file lists the innermost first).
    pub shape: Vec<usize>,
    /// GGML's type number; decoded only if [`BlockType::from_id`] knows it.
    pub type_id: u32,
    /// Offset from the start of the data section, in bytes.
    offset_bytes: u64,
}

/// An open GGUF file: header parsed and checked, tensor data mapped.
pub struct GgufFile {
    path: PathBuf,
    map: Mmap,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorEntry>,
    data_start: usize,
    /// Number and bytes of the metadata entries.
    raw_metadata: (u64, Range<usize>),
}

const DEFAULT_ALIGNMENT_BYTES: usize = 32;
const MAX_DIMENSIONS: usize = 4;
/// Least bytes of a metadata entry (key length, type, value) and of a tensor entry (name length, rank, type, offset).
const MIN_METADATA_BYTES: usize = 8 + 4 + 1;
const MIN_TENSOR_BYTES: usize = 8 + 4 + 4 + 8;

impl GgufFile {
    /// Opens and checks `path`.
    ///
    /// Errors: `Io`; `ModelFileInvalid` if the header contradicts itself or the file's size; `ModelUnsupported` for
    /// another version or byte order.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |cause: std::io::Error| EngineError::io("open", path, &cause);
        let file = open_regular(path)?;
        // SAFETY: model files are opened read-only and are immutable by contract; a writer that truncates one while
        // it is mapped stops this process, which is why the engine runs in a child process.
        let map = unsafe { Mmap::map(&file) }.map_err(fail)?;
        let mut reader = Reader::new(&map);
        check_version(&mut reader, path)?;
        let parsed = parse(&mut reader).map_err(|detail| EngineError::invalid_file(path, detail))?;
        let (metadata, tensors, data_start, raw_metadata) = parsed;
        let file = Self {
            path: path.to_owned(),
            map,
            metadata,
            tensors,
            data_start,
            raw_metadata,
        };
        file.check_extents()?;
        Ok(file)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file, for hashing.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// A metadata value, if present.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// Number of metadata entries, and the entries as they are in the file.
    pub fn raw_metadata(&self) -> (u64, &[u8]) {
        (self.raw_metadata.0, &self.map[self.raw_metadata.1.clone()])
    }

    /// Bytes that tensors are aligned to.
    pub fn alignment(&self) -> usize {
        match self.metadata.get("general.alignment") {
            Some(Value::Int(bytes)) => *bytes as usize,
            _ => DEFAULT_ALIGNMENT_BYTES,
        }
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorEntry> {
        &self.tensors
    }

    /// Type and raw bytes of a tensor. Errors: `ModelFileInvalid` if absent, `ModelUnsupported` for another type.
    pub fn blocks(&self, name: &str) -> Result<(BlockType, &[u8])> {
        let entry = self
            .tensors
            .get(name)
            .ok_or_else(|| self.invalid(format!("no tensor \"{name}\"")))?;
        let block = self.block_type(name, entry)?;
        let start = self.data_start + entry.offset_bytes as usize;
        let size_bytes = size_bytes(entry, block).ok_or_else(|| self.invalid("a tensor size overflows"))?;
        Ok((block, &self.map[start..start + size_bytes]))
    }

    fn block_type(&self, name: &str, entry: &TensorEntry) -> Result<BlockType> {
        BlockType::from_id(entry.type_id).ok_or_else(|| {
            let known = "F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are";
            let found = type_name(entry.type_id);
            EngineError::unsupported(
                &self.path,
                format!("tensor \"{name}\" has type {found}; only {known} supported"),
            )
        })
    }

    fn invalid(&self, detail: impl std::fmt::Display) -> EngineError {
        EngineError::invalid_file(&self.path, detail)
    }

    /// Every tensor of a known type must lie inside the file, end on a whole block and have its bytes for itself.
    fn check_extents(&self) -> Result<()> {
        let data_bytes = self.map.len().saturating_sub(self.data_start) as u64;
        let mut extents = Vec::with_capacity(self.tensors.len());
        for (name, entry) in &self.tensors {
            let Some(block) = BlockType::from_id(entry.type_id) else {
                continue;
            };
            let size = size_bytes(entry, block).ok_or_else(|| {
                self.invalid(format!(
                    "tensor \"{name}\" has an impossible shape {:?}",
                    entry.shape
                ))
            })?;
            let end = entry.offset_bytes.checked_add(size as u64);
            if end.is_none_or(|end| end > data_bytes) {
                let at = entry.offset_bytes;
                return Err(self.invalid(format!(
                    "tensor \"{name}\" needs {size} bytes at offset {at}, but the file has {data_bytes} bytes of data"
                )));
            }
            extents.push((entry.offset_bytes, size as u64, name));
        }
        extents.sort_unstable();
        let overlap = extents.windows(2).find(|pair| pair[1].0 - pair[0].0 < pair[0].1);
        overlap.map_or(Ok(()), |pair| {
            let (first, second) = (pair[0].2, pair[1].2);
            Err(self.invalid(format!("the tensors \"{first}\" and \"{second}\" overlap")))
        })
    }
}

/// Bytes of a tensor; `None` if its shape overflows or its rows are no whole number of blocks.
fn size_bytes(entry: &TensorEntry, block: BlockType) -> Option<usize> {
    let cols = *entry.shape.last()?;
    let values = entry
        .shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))?;
    if values == 0 || !cols.is_multiple_of(block.block_values()) {
        return None;
    }
    (values / block.block_values()).checked_mul(block.block_bytes())
}

fn check_version(reader: &mut Reader, path: &Path) -> Result<()> {
    let invalid = |detail| EngineError::invalid_file(path, detail);
    if reader.take(4).map_err(invalid)? != b"GGUF" {
        return Err(invalid("not a GGUF file (wrong magic number)".into()));
    }
    match reader.u32().map_err(invalid)? {
        2 | 3 => Ok(()),
        other if other.swap_bytes() <= 3 => Err(EngineError::unsupported(path, "a big-endian GGUF file")),
        other => Err(EngineError::unsupported(
            path,
            format!("GGUF version {other}; versions 2 and 3 are supported"),
        )),
    }
}

type Header = (
    BTreeMap<String, Value>,
    BTreeMap<String, TensorEntry>,
    usize,
    (u64, Range<usize>),
);

fn parse(reader: &mut Reader) -> Parsed<Header> {
    let tensor_count = reader.count(MIN_TENSOR_BYTES)?;
    let metadata_count = reader.count(MIN_METADATA_BYTES)?;
    let mut metadata = BTreeMap::new();
    let metadata_start = reader.position;
    for _ in 0..metadata_count {
        let key = reader.text()?;
        let value = reader.value()?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(format!("the key \"{key}\" appears twice").into());
        }
    }
    let raw_metadata = (metadata_count as u64, metadata_start..reader.position);
    let alignment = alignment(&metadata)?;
    let mut tensors = BTreeMap::new();
    for _ in 0..tensor_count {
        let (name, entry) = tensor_entry(reader, alignment)?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(format!("the tensor \"{name}\" appears twice").into());
        }
    }
    let data_start = reader.position.next_multiple_of(alignment);
    Ok((metadata, tensors, data_start, raw_metadata))
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Parsed<usize> {
    match metadata.get("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT_BYTES),
        Some(Value::Int(bytes @ 1..=65_536)) if (*bytes as usize).is_power_of_two() => Ok(*bytes as usize),
        Some(other) => Err(format!("general.alignment is {other:?}").into()),
    }
}

fn tensor_entry(reader: &mut Reader, alignment: usize) -> Parsed<(String, TensorEntry)> {
    let name = reader.text()?;
    let rank = reader.u32()? as usize;
    if rank == 0 || rank > MAX_DIMENSIONS {
        return Err(format!("tensor \"{name}\" has {rank} dimensions").into());
    }
    let mut shape = (0..rank)
        .map(|_| {
            usize::try_from(reader.u64()?).map_err(|_| "a tensor dimension exceeds the address space".into())
        })
        .collect::<Parsed<Vec<usize>>>()?;
    shape.reverse();
    let type_id = reader.u32()?;
    let offset_bytes = reader.u64()?;
    if !offset_bytes.is_multiple_of(alignment as u64) {
        return Err(format!("tensor \"{name}\" starts at {offset_bytes}, no multiple of {alignment}").into());
    }
    Ok((
        name,
        TensorEntry {
            shape,
            type_id,
            offset_bytes,
        },
    ))
}
