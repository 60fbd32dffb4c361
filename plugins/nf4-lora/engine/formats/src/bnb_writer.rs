//! Writing NF4 weights as bitsandbytes stores them inside safetensors, byte for byte.

use crate::bnb::STATE_SUFFIX;
use crate::nf4::{AbsMax, Nf4Tensor};
use crate::nf4_tables::CODES;
use crate::safetensors_writer::{Dtype, LaterTensor, OutTensor};
use std::borrow::Cow;

/// The packed codes of the weight `name`, `[ceil(rows*cols/2), 1] u8`: `tensor.packed` when its turn comes.
pub fn codes(name: &str, tensor: &Nf4Tensor) -> LaterTensor {
    LaterTensor {
        name: name.to_owned(),
        dtype: Dtype::U8,
        shape: vec![tensor.packed.len(), 1],
    }
}

/// Everything next to the codes: scales, tables and the state in JSON. `dtype` is PyTorch's name of the type that the
/// weight decodes to there (`bfloat16`, `float16`, `float32`).
pub fn companions(name: &str, tensor: &Nf4Tensor, dtype: &str) -> Vec<OutTensor<'static>> {
    let scales = match &tensor.absmax {
        AbsMax::Plain(values) => {
            vec![OutTensor::f32(
                format!("{name}.absmax"),
                vec![values.len()],
                values,
            )]
        }
        AbsMax::Nested {
            codes, table, absmax, ..
        } => vec![
            bytes(format!("{name}.absmax"), codes.clone()),
            OutTensor::f32(format!("{name}.nested_absmax"), vec![absmax.len()], absmax),
            OutTensor::f32(format!("{name}.nested_quant_map"), vec![256], &**table),
        ],
    };
    let rest = [
        OutTensor::f32(format!("{name}.quant_map"), vec![CODES.len()], &CODES),
        bytes(
            format!("{name}.{STATE_SUFFIX}"),
            state(tensor, dtype).into_bytes(),
        ),
    ];
    scales.into_iter().chain(rest).collect()
}

fn bytes(name: String, bytes: Vec<u8>) -> OutTensor<'static> {
    OutTensor {
        name,
        dtype: Dtype::U8,
        shape: vec![bytes.len()],
        bytes: Cow::Owned(bytes),
    }
}

/// As Python's `json.dumps` writes it.
fn state(tensor: &Nf4Tensor, dtype: &str) -> String {
    let (rows, cols) = (tensor.rows, tensor.cols);
    let nested = match &tensor.absmax {
        AbsMax::Plain(_) => String::new(),
        AbsMax::Nested {
            offset,
            nested_blocksize,
            ..
        } => format!(
            ", \"nested_blocksize\": {nested_blocksize}, \"nested_dtype\": \"float32\", \"nested_offset\": {}",
            python_float(f64::from(*offset))
        ),
    };
    format!(
        "{{\"quant_type\": \"nf4\", \"blocksize\": {}, \"dtype\": \"{dtype}\", \"shape\": [{rows}, {cols}]{nested}}}",
        tensor.blocksize
    )
}

/// A finite number as Python's `repr` writes it: the shortest digits that read back, with an exponent of at least two
/// digits below 1e-4 and from 1e16 on.
fn python_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::python_float;

    #[test]
    fn numbers_are_written_as_python_does() {
        let cases = [
            (0.05157279968261719, "0.05157279968261719"),
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.0001, "0.0001"),
            (0.00009999999747378752, "9.999999747378752e-05"),
            (1.401298464324817e-45, "1.401298464324817e-45"),
            (-2.5e-7, "-2.5e-07"),
            (123456.0, "123456.0"),
            (1e16, "1e+16"),
            (9007199254740992.0, "9007199254740992.0"),
            (3.4028234663852886e38, "3.4028234663852886e+38"),
        ];
        for (value, text) in cases {
            assert_eq!(python_float(value), text);
        }
    }
}
