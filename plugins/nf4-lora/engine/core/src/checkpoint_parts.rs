//! The tensors of a checkpoint, each between its place on the device and the bytes of a file.

use crate::backend::Backend;
use crate::moments::{MomentLayout, MomentSlot};
use crate::optimizer::Optimizer;
use crate::parameters::Parameter;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::safetensors_file::{Dtype, SafetensorsFile};
use escada_engine_formats::safetensors_writer::LaterTensor;

/// Which buffer a part is in.
#[derive(Clone, Copy)]
enum Store {
    Parameters,
    Full(Which),
    Codes(Which),
    Scales(Which),
}

#[derive(Clone, Copy)]
enum Which {
    First,
    Second,
}

/// One tensor of the file.
pub(crate) struct Part {
    name: String,
    shape: Vec<usize>,
    store: Store,
    /// First element in its buffer.
    at: usize,
}

/// `parameters.<name>`; `m.<name>`, `v.<name>` as F32, or as U8 codes with the scales of their blocks beside them in
/// `m_scales.<name>`, `v_scales.<name>`. F32 first, so that all are aligned.
pub(crate) fn parts(layout: &MomentLayout) -> Vec<Part> {
    let mut parts: Vec<Part> = layout.slots.iter().map(|s| of_parameter(&s.parameter)).collect();
    for (name, which) in [("m", Which::First), ("v", Which::Second)] {
        parts.extend(layout.slots.iter().flat_map(|slot| of_moment(slot, name, which)));
    }
    parts.sort_by_key(|part| part.dtype() == Dtype::U8);
    parts
}

fn of_parameter(parameter: &Parameter) -> Part {
    Part {
        name: format!("parameters.{}", parameter.name),
        shape: parameter.shape(),
        store: Store::Parameters,
        at: parameter.offset,
    }
}

fn of_moment(slot: &MomentSlot, prefix: &str, which: Which) -> Vec<Part> {
    let name = &slot.parameter.name;
    let mut parts = vec![Part {
        name: format!("{prefix}.{name}"),
        shape: slot.parameter.shape(),
        store: if slot.eight_bit {
            Store::Codes(which)
        } else {
            Store::Full(which)
        },
        at: slot.at,
    }];
    if slot.eight_bit {
        parts.push(Part {
            name: format!("{prefix}_scales.{name}"),
            shape: vec![slot.blocks()],
            store: Store::Scales(which),
            at: slot.block,
        });
    }
    parts
}

impl Part {
    fn dtype(&self) -> Dtype {
        match self.store {
            Store::Codes(_) => Dtype::U8,
            _ => Dtype::F32,
        }
    }

    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn header(&self) -> LaterTensor {
        LaterTensor {
            name: self.name.clone(),
            dtype: self.dtype(),
            shape: self.shape.clone(),
        }
    }

    /// Little-endian bytes of the tensor.
    pub fn download<B: Backend>(
        &self,
        backend: &B,
        parameters: &B::Buffer,
        optimizer: &Optimizer<B>,
    ) -> Result<Vec<u8>> {
        let of = |which| match which {
            Which::First => &optimizer.m,
            Which::Second => &optimizer.v,
        };
        let buffer = match self.store {
            Store::Codes(which) => {
                let mut bytes = vec![0; self.len()];
                backend.download_bytes(&of(which).codes, self.at, &mut bytes)?;
                return Ok(bytes);
            }
            Store::Parameters => parameters,
            Store::Full(which) => &of(which).full,
            Store::Scales(which) => &of(which).scales,
        };
        f32_bytes(backend, buffer, self.at, self.len())
    }

    /// Whether the file's tensor can be taken. Errors: `CheckpointMismatch` for another shape or type, and for NaN or
    /// infinity.
    pub fn check(&self, file: &SafetensorsFile) -> Result<()> {
        let misfit = |what: &str| EngineError::new(Code::CheckpointMismatch, format!("{} {what}", self.name));
        let raw = file.raw(&self.name)?;
        if raw.dtype != self.dtype() || raw.shape != self.shape {
            return Err(misfit("has another shape or type"));
        }
        if self.dtype() == Dtype::F32 && !floats(raw.bytes).all(f32::is_finite) {
            return Err(misfit("holds NaN or infinity"));
        }
        Ok(())
    }

    /// Takes the tensor from a file that was checked.
    pub fn upload<B: Backend>(
        &self,
        file: &SafetensorsFile,
        backend: &B,
        parameters: &mut B::Buffer,
        optimizer: &mut Optimizer<B>,
    ) -> Result<()> {
        let bytes = file.raw(&self.name)?.bytes;
        let moment = match self.store {
            Store::Full(Which::Second) | Store::Codes(Which::Second) | Store::Scales(Which::Second) => {
                &mut optimizer.v
            }
            _ => &mut optimizer.m,
        };
        let buffer = match self.store {
            Store::Codes(_) => return backend.upload_bytes(bytes, &mut moment.codes, self.at),
            Store::Parameters => parameters,
            Store::Full(_) => &mut moment.full,
            Store::Scales(_) => &mut moment.scales,
        };
        backend.upload(&floats(bytes).collect::<Vec<f32>>(), buffer, self.at)
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word))
}

/// Little-endian bytes of `len` elements of a buffer from `at` on.
pub(crate) fn f32_bytes<B: Backend>(
    backend: &B,
    buffer: &B::Buffer,
    at: usize,
    len: usize,
) -> Result<Vec<u8>> {
    let mut values = vec![0.0f32; len];
    backend.download(buffer, at, &mut values)?;
    Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}
