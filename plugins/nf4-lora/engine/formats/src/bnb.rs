//! Reading 4-bit weights as bitsandbytes stores them inside safetensors: one packed tensor and its companions.

use crate::error::{EngineError, Result};
use crate::nf4::{AbsMax, BLOCKSIZES, Nf4Tensor};
use crate::nf4_tables::CODE_BITS;
use crate::safetensors_file::{Dtype, RawTensor};
use crate::tensor::decode_f32;
use serde::Deserialize;
use std::fmt::Display;
use std::path::Path;

/// The JSON blob next to a packed weight. The reference refuses unknown keys too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuantState {
    quant_type: String,
    blocksize: usize,
    /// Type the weight had before; the decoder here always makes f32.
    dtype: String,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    #[serde(rename = "nested_dtype")]
    _nested_dtype: Option<String>,
    nested_offset: Option<f64>,
}

pub(crate) const STATE_SUFFIX: &str = "quant_state.bitsandbytes__nf4";
const FP4_SUFFIX: &str = "quant_state.bitsandbytes__fp4";
const MAX_NESTED_BLOCKSIZE: usize = 4096;

/// Finds tensors by name, in whichever file of the checkpoint they are.
pub(crate) struct Companions<'a, F> {
    /// For messages.
    pub path: &'a Path,
    pub find: F,
}

impl<'a, F: Fn(&str) -> Option<RawTensor<'a>>> Companions<'_, F> {
    /// The 4-bit weight called `name`, or `None` if it is stored plainly.
    ///
    /// Errors: `ModelFileInvalid` if the companions contradict each other; `ModelUnsupported` for FP4.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Nf4Tensor>> {
        let Some(state) = (self.find)(&format!("{name}.{STATE_SUFFIX}")) else {
            if (self.find)(&format!("{name}.{FP4_SUFFIX}")).is_some() {
                let detail = format!(
                    "tensor \"{name}\" is stored as fp4; quantize the model with bnb_4bit_quant_type \"nf4\""
                );
                return Err(EngineError::unsupported(self.path, detail));
            }
            return Ok(None);
        };
        let state: QuantState =
            serde_json::from_slice(state.bytes).map_err(|cause| self.invalid(name, cause))?;
        let (rows, cols) = self.check_state(name, &state)?;
        self.check_code_table(name)?;
        let packed = self.companion(name)?.bytes.to_vec();
        let values = rows
            .checked_mul(cols)
            .ok_or_else(|| self.invalid(name, "its shape overflows"))?;
        self.check_length(name, packed.len(), values.div_ceil(2))?;
        let absmax = self.absmax(name, &state, values.div_ceil(state.blocksize))?;
        Ok(Some(Nf4Tensor {
            rows,
            cols,
            blocksize: state.blocksize,
            packed,
            absmax,
        }))
    }

    /// Shape of the 4-bit weight called `name`, or `None` if it is stored plainly (or not readable).
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.state(name).map(|state| state.shape)
    }

    /// PyTorch's name of the type that the 4-bit weight called `name` had before; `None` as for `shape`.
    pub(crate) fn dtype(&self, name: &str) -> Option<String> {
        self.state(name).map(|state| state.dtype)
    }

    fn state(&self, name: &str) -> Option<QuantState> {
        let state = (self.find)(&format!("{name}.{STATE_SUFFIX}"))?;
        serde_json::from_slice(state.bytes).ok()
    }

    fn absmax(&self, name: &str, state: &QuantState, blocks: usize) -> Result<AbsMax> {
        let Some(nested_blocksize) = state.nested_blocksize else {
            return self.floats(&format!("{name}.absmax"), blocks).map(AbsMax::Plain);
        };
        let codes = self.companion(&format!("{name}.absmax"))?;
        if codes.dtype != Dtype::U8 {
            return Err(self.invalid(name, format!("its absmax has type {} instead of U8", codes.dtype)));
        }
        self.check_length(name, codes.bytes.len(), blocks)?;
        let codes = codes.bytes.to_vec();
        let table = self.floats(&format!("{name}.nested_quant_map"), 256)?;
        let table =
            Box::try_from(table).map_err(|_| self.invalid(name, "its nested_quant_map is too short"))?;
        let absmax = self.floats(
            &format!("{name}.nested_absmax"),
            blocks.div_ceil(nested_blocksize),
        )?;
        // Written as the shortest f64 text of an f32: the cast is exact.
        let offset = state.nested_offset.unwrap_or(f64::NAN) as f32;
        if !offset.is_finite() {
            return Err(self.invalid(name, "its nested_offset is missing or not finite"));
        }
        let scales = AbsMax::Nested {
            codes,
            table,
            absmax,
            offset,
            nested_blocksize,
        };
        // Finite parts can have an infinite product.
        if !(0..blocks).all(|block| scales.value(block).is_finite()) {
            return Err(self.invalid(name, "a scale is not finite"));
        }
        Ok(scales)
    }

    fn check_state(&self, name: &str, state: &QuantState) -> Result<(usize, usize)> {
        if state.quant_type != "nf4" {
            let detail = format!(
                "its quant_state has the type \"{}\" instead of \"nf4\"",
                state.quant_type
            );
            return Err(self.invalid(name, detail));
        }
        let nested = state.nested_blocksize.unwrap_or(2);
        let possible = nested.is_power_of_two() && (2..=MAX_NESTED_BLOCKSIZE).contains(&nested);
        if !BLOCKSIZES.contains(&state.blocksize) || !possible {
            let detail = format!(
                "its quant_state has blocks of {} values (second level {nested}); {BLOCKSIZES:?} are possible",
                state.blocksize
            );
            return Err(self.invalid(name, detail));
        }
        match state.shape.as_slice() {
            &[rows, cols] if rows > 0 && cols > 0 => Ok((rows, cols)),
            other => Err(self.invalid(name, format!("its quant_state has the shape {other:?}"))),
        }
    }

    /// The reference ignores the stored code table; another one than NF4's would silently mean other weights.
    fn check_code_table(&self, name: &str) -> Result<()> {
        let table = self.floats(&format!("{name}.quant_map"), CODE_BITS.len())?;
        if table
            .iter()
            .zip(CODE_BITS)
            .all(|(value, bits)| value.to_bits() == bits)
        {
            return Ok(());
        }
        Err(EngineError::unsupported(
            self.path,
            format!("tensor \"{name}\" has a quant_map other than NF4's"),
        ))
    }

    fn floats(&self, name: &str, count: usize) -> Result<Vec<f32>> {
        let raw = self.companion(name)?;
        self.check_length(name, raw.bytes.len(), 4 * count)?;
        let mut values = vec![0.0; count];
        decode_f32(raw.bytes, &mut values);
        if raw.dtype != Dtype::F32 || !values.iter().all(|value| value.is_finite()) {
            return Err(self.invalid(name, "it is not of type F32, or holds NaN or infinity"));
        }
        Ok(values)
    }

    fn companion(&self, name: &str) -> Result<RawTensor<'a>> {
        (self.find)(name).ok_or_else(|| self.invalid(name, "it is missing"))
    }

    fn check_length(&self, name: &str, length: usize, expected: usize) -> Result<()> {
        if length == expected {
            return Ok(());
        }
        Err(self.invalid(name, format!("{length} bytes instead of {expected}")))
    }

    fn invalid(&self, name: &str, detail: impl Display) -> EngineError {
        EngineError::invalid_file(self.path, format!("4-bit tensor \"{name}\": {detail}"))
    }
}
