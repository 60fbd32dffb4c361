//! Safetensors in and out: types, shards, damaged files, fixed bytes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{fixture, json_fixture};
use escada_engine_formats::safetensors_file::{Dtype, SafetensorsFile};
use escada_engine_formats::safetensors_writer::{OutTensor, write_safetensors};
use escada_engine_formats::{Code, ModelSource, Tensor};
use half::{bf16, f16};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

fn halves(name: &str, dtype: Dtype, bytes: Vec<u8>) -> OutTensor<'static> {
    OutTensor {
        name: name.to_owned(),
        dtype,
        shape: vec![bytes.len() / 2],
        bytes: Cow::Owned(bytes),
    }
}

#[test]
fn every_type_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let values = [1.5_f32, -0.25, 65_504.0];
    let tensors = vec![
        OutTensor::u8("codes", vec![3], &[7, 8, 9]),
        halves(
            "half",
            Dtype::F16,
            values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
        halves(
            "brain",
            Dtype::BF16,
            values
                .iter()
                .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
        OutTensor::f32("full", vec![3, 1], &values),
    ];
    let metadata = BTreeMap::from([
        ("format".to_owned(), "pt".to_owned()),
        ("step".to_owned(), "3".to_owned()),
    ]);
    write_safetensors(&path, tensors, &metadata).unwrap();
    let file = SafetensorsFile::open(&path).unwrap();
    assert_eq!(file.names(), ["brain", "codes", "full", "half"]);
    assert_eq!(file.metadata(), metadata);
    assert_eq!(file.tensor("half").unwrap().values, values);
    assert_eq!(file.tensor("full").unwrap().shape, [3, 1]);
    assert_eq!(file.tensor("brain").unwrap().values[0], 1.5);
    assert_eq!(file.raw("codes").unwrap().bytes, [7, 8, 9]);
    assert_eq!(file.tensor("codes").err().unwrap().code, Code::ModelUnsupported);
    assert_eq!(file.tensor("none").err().unwrap().code, Code::ModelFileInvalid);
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, turn: usize| {
        let mut tensors: Vec<_> = (0..9)
            .map(|at| OutTensor::f32(format!("t{at}"), vec![1], &[at as f32]))
            .collect();
        tensors.rotate_left(turn);
        let metadata = (0..9)
            .map(|at| (format!("key{}", (at + turn) % 9), String::new()))
            .collect();
        write_safetensors(&folder.path().join(name), tensors, &metadata).unwrap()
    };
    assert_eq!(write("a", 0), write("b", 4));
}

#[test]
fn bad_tensors_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let wrong_length = OutTensor::f32("a", vec![2], &[1.0]);
    assert_eq!(
        write_safetensors(&path, vec![wrong_length], &BTreeMap::new())
            .err()
            .unwrap()
            .code,
        Code::Internal
    );
    let twice = vec![
        OutTensor::f32("a", vec![1], &[1.0]),
        OutTensor::f32("a", vec![1], &[1.0]),
    ];
    assert_eq!(
        write_safetensors(&path, twice, &BTreeMap::new())
            .err()
            .unwrap()
            .code,
        Code::Internal
    );
    assert!(!path.exists());
}

#[test]
fn damaged_files_are_refused() {
    let bytes = std::fs::read(fixture("tiny-llama/model.safetensors")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let refused = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        let error = SafetensorsFile::open(&path).err().expect("must be refused");
        assert!(error.message.contains("x.safetensors"), "{error}");
        error.code
    };
    for length in [1, 7, 8, 100, bytes.len() - 1] {
        assert_eq!(refused(&bytes[..length]), Code::ModelFileInvalid, "{length}");
    }
    let mut lying = bytes.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(refused(&lying), Code::ModelFileInvalid);
    let header = r#"{"a":{"dtype":"F32","shape":[18446744073709551615,4],"data_offsets":[0,4]}}"#;
    let overflow = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 4]].concat();
    assert_eq!(refused(&overflow), Code::ModelFileInvalid);
}

const SHARDS: [&str; 2] = [
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
];

/// `tensor` in one of the types of checkpoints.
fn typed(name: &str, tensor: &Tensor, dtype: Dtype) -> OutTensor<'static> {
    let values = tensor.values.iter();
    let bytes: Vec<u8> = match dtype {
        Dtype::F16 => values.flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::BF16 => values.flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        _ => values.flat_map(|v| v.to_le_bytes()).collect(),
    };
    OutTensor {
        name: name.to_owned(),
        dtype,
        shape: tensor.shape.clone(),
        bytes: Cow::Owned(bytes),
    }
}

/// The tiny model in two shards of the given types. Returns its index.
fn write_shards(folder: &Path, dtypes: [Dtype; 2]) -> serde_json::Map<String, Value> {
    let whole = ModelSource::open(&fixture("tiny-llama")).unwrap();
    let names = whole.config().tensor_names();
    let mut weight_map = serde_json::Map::new();
    let halves = names.chunks(names.len() / 2 + 1);
    for ((shard, dtype), names) in SHARDS.iter().zip(dtypes).zip(halves) {
        let tensors = names.iter().map(|name| {
            weight_map.insert(name.clone(), json!(shard));
            typed(name, &whole.tensor(name).unwrap(), dtype)
        });
        write_safetensors(&folder.join(shard), tensors.collect(), &BTreeMap::new()).unwrap();
    }
    let config = json_fixture("tiny-llama/config.json").to_string();
    std::fs::write(folder.join("config.json"), config).unwrap();
    write_index(folder, &weight_map);
    weight_map
}

fn write_index(folder: &Path, weight_map: &serde_json::Map<String, Value>) {
    let index = json!({ "metadata": {}, "weight_map": weight_map });
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

/// The error of opening `folder`, which must name the file at fault and `what`.
fn refused(folder: &Path, what: &str) {
    let error = ModelSource::open(folder).err().expect(what);
    assert_eq!(error.code, Code::ModelFileInvalid, "{error}");
    assert!(error.message.contains(what), "{error}");
}

#[test]
fn what_is_wrong_with_shards_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let good = write_shards(folder, [Dtype::F32; 2]);
    let first = good.keys().next().unwrap().clone();
    let mut wrong = good.clone();
    let other = if good[&first] == SHARDS[0] {
        SHARDS[1]
    } else {
        SHARDS[0]
    };
    wrong.insert(first.clone(), json!(other));
    write_index(folder, &wrong);
    refused(folder, &format!("{other}: no tensor \"{first}\""));
    let mut incomplete = good.clone();
    incomplete.remove(&first);
    write_index(folder, &incomplete);
    refused(folder, &format!("tensor \"{first}\" is missing"));
    let twice = format!(r#"{{ "weight_map": {{ "{first}": "{other}", "{first}": "{other}" }} }}"#);
    std::fs::write(folder.join("model.safetensors.index.json"), twice).unwrap();
    refused(folder, "appears twice");
    std::fs::write(folder.join("model.safetensors.index.json"), "{}").unwrap();
    refused(folder, "weight_map");
    write_index(folder, &good);
    // The other shard gets the tensor, too.
    let source = ModelSource::open(folder).unwrap();
    let tensors = good
        .iter()
        .filter(|(name, shard)| **name == first || *shard == other);
    let tensors = tensors.map(|(name, _)| typed(name, &source.tensor(name).unwrap(), Dtype::F32));
    write_safetensors(&folder.join(other), tensors.collect(), &BTreeMap::new()).unwrap();
    refused(folder, "is in two of its files");
    write_shards(folder, [Dtype::F32; 2]);
    std::fs::remove_file(folder.join(SHARDS[1])).unwrap();
    let error = ModelSource::open(folder).err().unwrap();
    assert_eq!(error.code, Code::ModelIncomplete, "{error}");
    assert!(error.message.contains(&format!("not {}", SHARDS[1])), "{error}");
}

/// The tiny model cut into two shards gives the same tensors, also of two types; an index may not point outside its
/// folder.
#[test]
fn shards_are_joined_by_the_index() {
    let whole = ModelSource::open(&fixture("tiny-llama")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let names = whole.config().tensor_names();
    let mut weight_map = serde_json::Map::new();
    for dtypes in [
        [Dtype::F32, Dtype::F32],
        [Dtype::BF16, Dtype::BF16],
        [Dtype::F32, Dtype::BF16],
        [Dtype::F16, Dtype::F16],
    ] {
        weight_map = write_shards(folder.path(), dtypes);
        let sharded = ModelSource::open(folder.path()).unwrap();
        for name in &names {
            let (got, want) = (sharded.tensor(name).unwrap(), whole.tensor(name).unwrap());
            assert_eq!(got.shape, want.shape);
            // The fixture's weights are bf16 numbers.
            let half = |value: &f32| f16::from_f32(*value).to_f32();
            let in_half: Vec<f32> = want.values.iter().map(half).collect();
            let expected = if dtypes[0] == Dtype::F16 {
                &in_half
            } else {
                &want.values
            };
            assert_eq!(&got.values, expected, "{name}");
        }
    }
    let index = folder.path().join("model.safetensors.index.json");
    for bad in ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "", ".."] {
        weight_map.insert(names[0].clone(), json!(bad));
        std::fs::write(&index, json!({ "weight_map": weight_map }).to_string()).unwrap();
        assert_eq!(
            ModelSource::open(folder.path()).err().unwrap().code,
            Code::ModelFileInvalid,
            "{bad}"
        );
    }
}
