//! Between the flat adapter on the device and PEFT's files.

use crate::backend::Backend;
use crate::lora::{Adapter, LoraLayout, LoraModule};
use crate::shape::{ModelShape, Target};
use crate::train_config::TrainConfig;
use escada_engine_formats::atomic::write_file;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::peft::{AdapterFile, AdapterTensor};
use serde_json::Value;
use std::path::Path;

/// A PEFT adapter from flat values.
pub fn to_file(layout: &LoraLayout, values: &[f32], config: &TrainConfig, base_model: &str) -> AdapterFile {
    let tensor = |m: &LoraModule| AdapterTensor {
        a: values[m.a..m.a + m.rank * m.input].to_vec(),
        b: values[m.b..m.b + m.output * m.rank].to_vec(),
        input: m.input,
        output: m.output,
    };
    let mut names: Vec<String> = layout
        .modules
        .iter()
        .map(|m| m.target.name().to_owned())
        .collect();
    names.sort();
    names.dedup();
    AdapterFile {
        r: config.r,
        alpha: config.lora_alpha,
        rs_lora: config.rs_lora,
        dropout: config.lora_dropout,
        target_modules: names,
        base_model: Some(base_model.to_owned()),
        tensors: layout
            .modules
            .iter()
            .map(|m| (m.target.module(m.layer), tensor(m)))
            .collect(),
    }
}

/// Writes the adapter's `README.md`: the base, for people and for a hub, and the digest of the weights it was trained on.
pub fn write_card(folder: &Path, base_model: &str, model_digest: &str) -> Result<()> {
    // A JSON text is a YAML text; the name may hold anything.
    let name = Value::from(base_model);
    let card = format!(
        "---\nbase_model: {name}\nlibrary_name: peft\n---\n\nLoRA adapter. Trained on {base_model}, weights {model_digest}.\n"
    );
    write_file(&folder.join("README.md"), card.as_bytes()).map(drop)
}

/// Reads a PEFT adapter for a model. Errors: `ModelFileInvalid` for a module or shape the model does not have.
pub fn load<B: Backend>(backend: &B, shape: &ModelShape, folder: &Path) -> Result<Adapter<B>> {
    let file = AdapterFile::read(folder)?;
    let scale = file.scale() as f32;
    let layout = LoraLayout::new(shape, |l, t| {
        file.tensors.contains_key(&t.module(l)).then_some((file.r, scale))
    })?;
    let known = |name: &String| layout.modules.iter().any(|m| m.target.module(m.layer) == *name);
    if let Some(name) = file.tensors.keys().find(|name| !known(name)) {
        return Err(misfit(folder, &format!("module {name} is not in the model")));
    }
    let mut values = vec![0.0; layout.len];
    for m in &layout.modules {
        let Some(tensor) = file.tensors.get(&m.target.module(m.layer)) else {
            continue;
        };
        if (tensor.input, tensor.output) != (m.input, m.output) {
            return Err(misfit(folder, &shape_message(m.layer, m.target, tensor, m)));
        }
        values[m.a..m.a + tensor.a.len()].copy_from_slice(&tensor.a);
        values[m.b..m.b + tensor.b.len()].copy_from_slice(&tensor.b);
    }
    Adapter::new(backend, layout, &values)
}

fn shape_message(layer: usize, target: Target, found: &AdapterTensor, wanted: &LoraModule) -> String {
    let (name, (i, o)) = (target.module(layer), (found.input, found.output));
    format!(
        "module {name} maps {i} to {o}, the model's layer {} to {}",
        wanted.input, wanted.output
    )
}

fn misfit(folder: &Path, what: &str) -> EngineError {
    EngineError::new(
        Code::ModelFileInvalid,
        format!("{}: {what}: made for another model", folder.display()),
    )
}
