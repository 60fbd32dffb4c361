//! Requests on NF4 tensors alone.

use crate::model::write;
use escada_engine_formats::Nf4Tensor;
use escada_engine_formats::nf4::{AbsMax, nest_absmax, quantize};
use escada_engine_formats::safetensors_file::SafetensorsFile;
use escada_engine_formats::safetensors_writer::OutTensor;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

const BLOCK: usize = 64;

/// Reads `values [n]` (BF16 or F32); writes `packed`, `absmax` and `decoded`.
#[derive(Deserialize)]
pub struct Quantize {
    input: PathBuf,
    out: PathBuf,
}

/// Reads `packed`, `codes` (U8), `table [256]`, `absmax` (F32) of a nested tensor; writes `decoded` and `scales`.
#[derive(Deserialize)]
pub struct NestedDecode {
    input: PathBuf,
    /// f32 widened to f64, as the files state it.
    offset: f64,
    out: PathBuf,
}

/// Reads `scales [blocks]`; writes `codes` and `absmax` of the second level.
#[derive(Deserialize)]
pub struct NestedEncode {
    input: PathBuf,
    offset: f64,
    out: PathBuf,
}

pub fn quantize_file(request: &Quantize) -> Value {
    let values = open(&request.input).tensor("values").unwrap().values;
    let tensor = quantize(&values, 1, values.len(), BLOCK, false).unwrap();
    let AbsMax::Plain(absmax) = &tensor.absmax else {
        unreachable!("no double quantization was asked for")
    };
    let decoded = decoded(&tensor);
    let out = vec![
        OutTensor::u8("packed", vec![tensor.packed.len()], &tensor.packed),
        OutTensor::f32("absmax", vec![absmax.len()], absmax),
        OutTensor::f32("decoded", vec![decoded.len()], &decoded),
    ];
    write(&request.out, out);
    json!({ "values": decoded.len() })
}

pub fn nested_decode(request: &NestedDecode) -> Value {
    let file = open(&request.input);
    let packed = file.raw("packed").unwrap().bytes.to_vec();
    let table = file.tensor("table").unwrap().values;
    let absmax = AbsMax::Nested {
        codes: file.raw("codes").unwrap().bytes.to_vec(),
        table: Box::new(table.try_into().unwrap()),
        absmax: file.tensor("absmax").unwrap().values,
        offset: request.offset as f32,
        nested_blocksize: 256,
    };
    let scales: Vec<f32> = (0..absmax.blocks()).map(|block| absmax.value(block)).collect();
    let tensor = Nf4Tensor {
        rows: 1,
        cols: packed.len() * 2,
        blocksize: BLOCK,
        packed,
        absmax,
    };
    let decoded = decoded(&tensor);
    let out = vec![
        OutTensor::f32("decoded", vec![decoded.len()], &decoded),
        OutTensor::f32("scales", vec![scales.len()], &scales),
    ];
    write(&request.out, out);
    json!({ "values": decoded.len() })
}

pub fn nested_encode(request: &NestedEncode) -> Value {
    let scales = open(&request.input).tensor("scales").unwrap().values;
    let AbsMax::Nested { codes, absmax, .. } = nest_absmax(&scales, request.offset as f32) else {
        unreachable!("nest_absmax nests")
    };
    let out = vec![
        OutTensor::u8("codes", vec![codes.len()], &codes),
        OutTensor::f32("absmax", vec![absmax.len()], &absmax),
    ];
    write(&request.out, out);
    json!({ "scales": codes.len() })
}

fn decoded(tensor: &Nf4Tensor) -> Vec<f32> {
    let mut values = vec![0.0; tensor.len()];
    tensor.decode_into(&mut values);
    values
}

fn open(path: &std::path::Path) -> SafetensorsFile {
    SafetensorsFile::open(path).unwrap()
}
