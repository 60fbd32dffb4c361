//! Requests on NF4 tensors alone.

use crate::model::write;
use escada_engine_formats::nf4::{AbsMax, nest_absmax, quantize};
use escada_engine_formats::safetensors_file::SafetensorsFile;
use escada_engine_formats::safetensors_writer::{Dtype, OutTensor};
use escada_engine_formats::{ModelSource, Nf4Tensor};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

const BLOCK: usize = 64;

/// Reads `values [n]` (BF16 or F32); writes `packed`, `absmax` and `decoded`.
#[derive(Deserialize)]
pub struct Quantize {
    input: PathBuf,
    /// Values per block.
    #[serde(default = "usual")]
    block: usize,
    out: PathBuf,
}

fn usual() -> usize {
    BLOCK
}

/// Writes `<name>.packed`, `<name>.scales` (of the blocks, decoded) and `<name>.decoded` of every linear layer of a model:
/// as it is stored, or as the engine quantizes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Weights {
    model: PathBuf,
    block_size: usize,
    double_quant: bool,
    out: PathBuf,
}

/// Reads `packed`, `codes` (U8), `table [256]`, `absmax` (F32) of a nested tensor; writes `decoded` and `scales`.
#[derive(Deserialize)]
pub struct NestedDecode {
    input: PathBuf,
    /// f32 widened to f64, as the files state it.
    offset: f64,
    #[serde(default = "usual")]
    block: usize,
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
    let tensor = quantize(&values, 1, values.len(), request.block, false).unwrap();
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
        blocksize: request.block,
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

pub fn weights(request: &Weights) -> Value {
    let source = ModelSource::open(&request.model).unwrap();
    let names = source.config().tensor_names();
    let mut out = Vec::new();
    for name in names.iter().filter(|name| name.ends_with("_proj.weight")) {
        let tensor = source.nf4_tensor(name).unwrap().unwrap_or_else(|| {
            let tensor = source.tensor(name).unwrap();
            let (rows, cols) = (tensor.shape[0], tensor.shape[1]);
            quantize(
                &tensor.values,
                rows,
                cols,
                request.block_size,
                request.double_quant,
            )
            .unwrap()
        });
        let scales: Vec<f32> = (0..tensor.absmax.blocks())
            .map(|block| tensor.block_absmax(block))
            .collect();
        let decoded = decoded(&tensor);
        out.push(OutTensor {
            name: format!("{name}.packed"),
            dtype: Dtype::U8,
            shape: vec![tensor.packed.len()],
            bytes: tensor.packed.into(),
        });
        out.push(OutTensor::f32(
            format!("{name}.scales"),
            vec![scales.len()],
            &scales,
        ));
        out.push(OutTensor::f32(
            format!("{name}.decoded"),
            vec![decoded.len()],
            &decoded,
        ));
    }
    let layers = out.len() / 3;
    write(&request.out, out);
    json!({ "layers": layers })
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
