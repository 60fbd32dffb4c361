//! Reading safetensors files over a memory map.

use crate::error::{EngineError, Result};
use crate::tensor::{Tensor, decode_bf16, decode_f16, decode_f32};
use crate::untrusted::{UniqueMap, open_regular};
use memmap2::Mmap;
pub use safetensors::tensor::Dtype;
use safetensors::tensor::{Metadata, SafeTensors};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One tensor of a file, not decoded.
pub struct RawTensor<'a> {
    pub dtype: Dtype,
    pub shape: &'a [usize],
    /// Little-endian, row-major.
    pub bytes: &'a [u8],
}

/// An open safetensors file: header checked against the file's size, data mapped.
pub struct SafetensorsFile {
    path: PathBuf,
    map: Mmap,
    header: Metadata,
    data_start: usize,
}

/// Bytes before the header: its length as u64.
const LENGTH_BYTES: usize = 8;

impl SafetensorsFile {
    /// Opens and checks `path`. Errors: `Io`; `ModelFileInvalid` for a header that contradicts itself or the size.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |cause: std::io::Error| EngineError::io("open", path, &cause);
        let file = open_regular(path)?;
        // SAFETY: as for every model file: opened read-only, immutable by contract, read in a child process.
        let map = unsafe { Mmap::map(&file) }.map_err(fail)?;
        let (header_bytes, header) =
            SafeTensors::read_metadata(&map).map_err(|cause| EngineError::invalid_file(path, cause))?;
        let text = &map[LENGTH_BYTES..LENGTH_BYTES + header_bytes];
        serde_json::from_slice::<UniqueMap<IgnoredAny>>(text)
            .map_err(|cause| EngineError::invalid_file(path, cause))?;
        Ok(Self {
            path: path.to_owned(),
            map,
            header,
            data_start: LENGTH_BYTES + header_bytes,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file, for hashing.
    pub fn file_bytes(&self) -> &[u8] {
        &self.map
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort();
        names
    }

    /// The `__metadata__` entries.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        self.header
            .metadata()
            .iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Type, shape and bytes of a tensor. Errors: `ModelFileInvalid` if there is none of that name.
    pub fn raw(&self, name: &str) -> Result<RawTensor<'_>> {
        let info = self
            .header
            .info(name)
            .ok_or_else(|| EngineError::invalid_file(&self.path, format!("no tensor \"{name}\"")))?;
        let (start, end) = info.data_offsets;
        let bytes = &self.map[self.data_start + start..self.data_start + end];
        Ok(RawTensor {
            dtype: info.dtype,
            shape: &info.shape,
            bytes,
        })
    }

    /// A tensor as f32 (from F32, F16 or BF16). Errors: as [`SafetensorsFile::raw`]; `ModelUnsupported` for another
    /// type.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let raw = self.raw(name)?;
        let mut values = vec![0.0; raw.shape.iter().product()];
        match raw.dtype {
            Dtype::F32 => decode_f32(raw.bytes, &mut values),
            Dtype::F16 => decode_f16(raw.bytes, &mut values),
            Dtype::BF16 => decode_bf16(raw.bytes, &mut values),
            other => {
                let detail = format!("tensor \"{name}\" has type {other}; F32, F16 and BF16 are supported");
                return Err(EngineError::unsupported(&self.path, detail));
            }
        }
        Ok(Tensor {
            shape: raw.shape.to_vec(),
            values,
        })
    }
}
