//! A bitsandbytes 4-bit checkpoint: written here in the layout of bitsandbytes 0.50, read back bit for bit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{fixture, json_fixture};
use escada_engine_formats::nf4::quantize;
use escada_engine_formats::nf4_tables::CODES;
use escada_engine_formats::safetensors_file::Dtype;
use escada_engine_formats::safetensors_writer::{OutTensor, write_safetensors};
use escada_engine_formats::{AbsMax, Code, EngineError, ModelSource, Nf4Tensor};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

type Tensors = BTreeMap<String, OutTensor<'static>>;

/// The tensors of one weight, named and shaped as bitsandbytes does with `quant_storage` of `storage`.
fn stored(name: &str, nf4: &Nf4Tensor, storage: Dtype) -> Vec<OutTensor<'static>> {
    let AbsMax::Nested {
        codes,
        table,
        absmax,
        offset,
        nested_blocksize,
    } = &nf4.absmax
    else {
        panic!("not nested")
    };
    let blob = format!(
        "{{\"quant_type\": \"nf4\", \"blocksize\": {}, \"dtype\": \"bfloat16\", \"shape\": [{}, {}], \
         \"nested_blocksize\": {nested_blocksize}, \"nested_dtype\": \"float32\", \"nested_offset\": {}}}",
        nf4.blocksize,
        nf4.rows,
        nf4.cols,
        f64::from(*offset)
    );
    let bytes = |name: String, dtype: Dtype, shape, bytes: Vec<u8>| OutTensor {
        name,
        dtype,
        shape,
        bytes: Cow::Owned(bytes),
    };
    let packed_len = nf4.packed.len() * 8 / storage.bitsize();
    vec![
        bytes(name.to_owned(), storage, vec![packed_len, 1], nf4.packed.clone()),
        bytes(
            format!("{name}.absmax"),
            Dtype::U8,
            vec![codes.len()],
            codes.clone(),
        ),
        OutTensor::f32(format!("{name}.nested_absmax"), vec![absmax.len()], absmax),
        OutTensor::f32(format!("{name}.nested_quant_map"), vec![256], &**table),
        OutTensor::f32(format!("{name}.quant_map"), vec![16], &CODES),
        bytes(
            format!("{name}.quant_state.bitsandbytes__nf4"),
            Dtype::U8,
            vec![blob.len()],
            blob.into_bytes(),
        ),
    ]
}

/// The tiny model with its linear layers in NF4, as one map from name to tensor.
fn quantized(storage: Dtype) -> Tensors {
    let source = ModelSource::open(&fixture("tiny-llama")).unwrap();
    let mut tensors = Tensors::new();
    for name in source.config().tensor_names() {
        let tensor = source.tensor(&name).unwrap();
        let out = if name.contains("_proj.") {
            let nf4 = quantize(&tensor.values, tensor.shape[0], tensor.shape[1], 64, true).unwrap();
            stored(&name, &nf4, storage)
        } else {
            vec![OutTensor::f32(name.clone(), tensor.shape.clone(), &tensor.values)]
        };
        tensors.extend(out.into_iter().map(|tensor| (tensor.name.clone(), tensor)));
    }
    tensors
}

fn open(folder: &Path, tensors: Tensors) -> Result<ModelSource, EngineError> {
    let mut config = json_fixture("tiny-llama/config.json");
    config["quantization_config"] = json!({ "quant_method": "bitsandbytes", "load_in_4bit": true });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    write_safetensors(
        &folder.join("model.safetensors"),
        tensors.into_values().collect(),
        &BTreeMap::new(),
    )?;
    ModelSource::open(folder)
}

/// Replaces text in the state of `NAME`.
fn edit_state(tensors: &mut Tensors, from: &str, to: &str) {
    let name = format!("{NAME}.quant_state.bitsandbytes__nf4");
    let tensor = tensors.get_mut(&name).unwrap();
    let before = String::from_utf8(tensor.bytes.to_vec()).unwrap();
    let after = before.replace(from, to);
    assert_ne!(before, after);
    (tensor.shape, tensor.bytes) = (vec![after.len()], Cow::Owned(after.into_bytes()));
}

const NAME: &str = "model.layers.1.mlp.up_proj.weight";

#[test]
fn weights_come_back_bit_for_bit_whatever_the_storage_type() {
    let plain = ModelSource::open(&fixture("tiny-llama")).unwrap();
    for storage in [Dtype::U8, Dtype::BF16, Dtype::F32] {
        let folder = tempfile::tempdir().unwrap();
        let source = open(folder.path(), quantized(storage)).unwrap();
        let original = plain.tensor(NAME).unwrap();
        let expected = quantize(&original.values, original.shape[0], original.shape[1], 64, true).unwrap();
        assert_eq!(source.nf4_tensor(NAME).unwrap().as_ref(), Some(&expected));
        let mut decoded = vec![0.0; expected.len()];
        expected.decode_into(&mut decoded);
        assert_eq!(source.tensor(NAME).unwrap().values, decoded);
        assert_eq!(source.nf4_tensor("model.norm.weight").unwrap(), None);
    }
}

#[test]
fn contradicting_companions_are_refused() {
    let broken = |change: &dyn Fn(&mut Tensors)| {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = quantized(Dtype::U8);
        change(&mut tensors);
        open(folder.path(), tensors)
            .and_then(|source| source.tensor(NAME))
            .expect_err("must be refused")
    };
    let replace = |tensors: &mut Tensors, suffix: &str, values: &[f32]| {
        let name = format!("{NAME}.{suffix}");
        tensors.insert(name.clone(), OutTensor::f32(name, vec![values.len()], values));
    };
    let code = |change: &dyn Fn(&mut Tensors)| broken(change).code;
    let mut other_table = CODES;
    other_table[3] = -0.4;
    assert_eq!(
        code(&|tensors| replace(tensors, "quant_map", &other_table)),
        Code::ModelUnsupported
    );
    assert_eq!(
        code(&|tensors| replace(tensors, "nested_quant_map", &[0.0; 255])),
        Code::ModelFileInvalid
    );
    assert_eq!(
        code(&|tensors| replace(tensors, "nested_absmax", &[f32::NAN])),
        Code::ModelFileInvalid
    );
    let drop = |tensors: &mut Tensors| drop(tensors.remove(&format!("{NAME}.absmax")));
    assert_eq!(code(&drop), Code::ModelFileInvalid);
    let unknown_key = |tensors: &mut Tensors| edit_state(tensors, "{", "{\"surprise\": 1, ");
    assert_eq!(code(&unknown_key), Code::ModelFileInvalid);
    for (what, value, other) in [
        ("blocksize", "64", "16"),
        ("blocksize", "64", "96"),
        ("nested_blocksize", "256", "3"),
    ] {
        let error = broken(&|tensors| {
            edit_state(
                tensors,
                &format!("\"{what}\": {value}"),
                &format!("\"{what}\": {other}"),
            );
        });
        assert_eq!(error.code, Code::ModelFileInvalid, "{what}");
        assert!(
            error.message.contains(NAME) && error.message.contains(other),
            "{error}"
        );
    }
    let fp4 = |tensors: &mut Tensors| {
        let old = tensors
            .remove(&format!("{NAME}.quant_state.bitsandbytes__nf4"))
            .unwrap();
        let name = format!("{NAME}.quant_state.bitsandbytes__fp4");
        tensors.insert(name.clone(), OutTensor { name, ..old });
    };
    assert!(!broken(&fp4).message.is_empty());
}
