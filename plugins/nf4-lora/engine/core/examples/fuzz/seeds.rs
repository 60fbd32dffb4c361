//! Good files, made here: each reader's folder before it is damaged.

use escada_engine_core::checkpoint::{LogRow, RunIdentity, save};
use escada_engine_core::control::Control;
use escada_engine_core::lora::LoraLayout;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::reference::Reference;
use escada_engine_core::shape::{ModelShape, plain_inverse_frequencies};
use escada_engine_core::testing::uniform;
use escada_engine_core::train_config::Optim;
use escada_engine_formats::nf4::quantize;
use escada_engine_formats::nf4_tables::CODES;
use escada_engine_formats::safetensors_writer::{Dtype, OutTensor, write_safetensors};
use escada_engine_formats::{AbsMax, AdapterFile, AdapterTensor, EngineError, ModelConfig, Result};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The repository's tiny checkpoint, for its tokenizer.
const TINY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../../test/fixtures/tiny-llama"
);
pub const TEMPLATE: &str = "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}\
    {{ '<|im_start|>' ~ m.role }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

pub fn shape() -> ModelShape {
    ModelShape {
        layers: 1,
        hidden: 32,
        intermediate: 32,
        heads: 2,
        kv_heads: 1,
        head_size: 16,
        vocabulary: 384,
        context_tokens: 64,
        rms_epsilon: 1e-5,
        inverse_frequencies: plain_inverse_frequencies(10_000.0, 16),
        qkv_bias: false,
        window_tokens: usize::MAX,
        tied_head: true,
    }
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, bytes).map_err(|cause| EngineError::io("write", path, &cause))
}

/// `config.json`, the tokenizer's files and a chat template.
fn write_model_texts(folder: &Path) -> Result<ModelConfig> {
    let config = json!({
        "model_type": "llama", "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 32,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "num_hidden_layers": 1,
        "vocab_size": 384, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
        "rope_parameters": { "rope_theta": 10000.0, "rope_type": "default" },
        "attention_bias": false, "bos_token_id": 1, "eos_token_id": [2],
    })
    .to_string();
    write(&folder.join("config.json"), &config)?;
    write(&folder.join("chat_template.jinja"), TEMPLATE)?;
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let from = Path::new(TINY).join(name);
        std::fs::copy(&from, folder.join(name)).map_err(|cause| EngineError::io("copy", &from, &cause))?;
    }
    ModelConfig::from_hf_json(folder, &config)
}

fn weights(config: &ModelConfig) -> impl Iterator<Item = (String, Vec<usize>, Vec<f32>)> + '_ {
    config.tensor_names().into_iter().filter_map(|name| {
        let shape = config.tensor_shape(&name)?;
        let values = uniform(1, &name, shape.iter().product());
        Some((name, shape, values))
    })
}

/// A model in two files with an index.
pub fn sharded(folder: &Path) -> Result<()> {
    let config = write_model_texts(folder)?;
    let mut parts: [Vec<OutTensor>; 2] = [Vec::new(), Vec::new()];
    let mut map = BTreeMap::new();
    for (at, (name, shape, values)) in weights(&config).enumerate() {
        map.insert(name.clone(), format!("model-{}.safetensors", at % 2));
        parts[at % 2].push(OutTensor::f32(name, shape, &values));
    }
    for (at, tensors) in parts.into_iter().enumerate() {
        write_safetensors(
            &folder.join(format!("model-{at}.safetensors")),
            tensors,
            &BTreeMap::new(),
        )?;
    }
    let index = json!({ "metadata": { "total_size": 1 }, "weight_map": map }).to_string();
    write(&folder.join("model.safetensors.index.json"), index)
}

/// One file with one tensor of each readable type.
pub fn single(folder: &Path) -> Result<()> {
    let tensors =
        [(Dtype::F32, 4), (Dtype::F16, 2), (Dtype::BF16, 2), (Dtype::U8, 1)].map(|(dtype, width)| {
            OutTensor {
                name: format!("{dtype}"),
                dtype,
                shape: vec![4, 6],
                bytes: Cow::Owned(vec![0x3c; 24 * width]),
            }
        });
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    write_safetensors(&folder.join("any.safetensors"), tensors.into(), &metadata).map(drop)
}

/// A bitsandbytes checkpoint: linear layers in NF4, every second one with nested scales.
pub fn nf4(folder: &Path) -> Result<()> {
    let config = write_model_texts(folder)?;
    let mut tensors = Vec::new();
    for (at, (name, shape, values)) in weights(&config).enumerate() {
        match shape.as_slice() {
            &[rows, cols] if name.contains("proj") => {
                let tensor = quantize(&values, rows, cols, 64, at % 2 == 0)?;
                let mut state =
                    json!({ "quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": shape });
                match &tensor.absmax {
                    AbsMax::Plain(scales) => tensors.push(OutTensor::f32(
                        format!("{name}.absmax"),
                        vec![scales.len()],
                        scales,
                    )),
                    AbsMax::Nested {
                        codes,
                        table,
                        absmax,
                        offset,
                        nested_blocksize,
                    } => {
                        state["nested_blocksize"] = json!(nested_blocksize);
                        state["nested_dtype"] = json!("float32");
                        state["nested_offset"] = json!(f64::from(*offset));
                        tensors.push(bytes(format!("{name}.absmax"), codes.clone()));
                        tensors.push(OutTensor::f32(
                            format!("{name}.nested_absmax"),
                            vec![absmax.len()],
                            absmax,
                        ));
                        tensors.push(OutTensor::f32(
                            format!("{name}.nested_quant_map"),
                            vec![256],
                            &**table,
                        ));
                    }
                }
                tensors.push(OutTensor::f32(format!("{name}.quant_map"), vec![16], &CODES));
                let state = state.to_string().into_bytes();
                tensors.push(bytes(format!("{name}.quant_state.bitsandbytes__nf4"), state));
                tensors.push(bytes(name, tensor.packed));
            }
            _ => tensors.push(OutTensor::f32(name, shape, &values)),
        }
    }
    write_safetensors(&folder.join("model.safetensors"), tensors, &BTreeMap::new()).map(drop)
}

fn bytes(name: String, bytes: Vec<u8>) -> OutTensor<'static> {
    OutTensor {
        name,
        dtype: Dtype::U8,
        shape: vec![bytes.len()],
        bytes: Cow::Owned(bytes),
    }
}

/// A PEFT adapter on two modules.
pub fn adapter(folder: &Path) -> Result<()> {
    let tensor = |output: usize| AdapterTensor {
        a: uniform(2, "a", 4 * 32),
        b: uniform(2, "b", output * 4),
        input: 32,
        output,
    };
    let adapter = AdapterFile {
        r: 4,
        alpha: 8.0,
        rs_lora: false,
        dropout: 0.05,
        target_modules: vec!["q_proj".to_owned(), "v_proj".to_owned()],
        base_model: Some("base".to_owned()),
        tensors: BTreeMap::from([
            ("model.layers.0.self_attn.q_proj".to_owned(), tensor(32)),
            ("model.layers.0.self_attn.v_proj".to_owned(), tensor(16)),
        ]),
    };
    adapter.write(folder).map(drop)
}

pub fn identity() -> RunIdentity {
    let text = |name: &str| name.to_owned();
    RunIdentity {
        config_digest: text("c"),
        rows_digest: text("r"),
        model_digest: text("m"),
        engine_build: text("e"),
        isa_class: text("i"),
    }
}

/// Parameters and an optimizer in its first state.
pub fn state() -> Result<(Vec<f32>, Optimizer<Reference>)> {
    let layout = LoraLayout::new(&shape(), |_, _| Some((2, 1.0)))?;
    // Tensors of this size have f32 moments whatever the optimizer; the codes of a file are read by the same code as
    // any U8 tensor's.
    let optimizer = Optimizer::fresh(&Reference, &layout.parameters(), Optim::AdamwTorch)?;
    Ok((uniform(3, "p", layout.len), optimizer))
}

/// A folder with one checkpoint.
pub fn checkpoint(folder: &Path) -> Result<()> {
    let row = |step: usize| LogRow {
        step,
        loss_nats: Some(2.5),
        learning_rate: 1e-3,
        gradient_norm: Some(0.5),
        labelled_tokens: 9,
        skipped: false,
        warnings: Vec::new(),
        samples: Vec::new(),
    };
    let (parameters, optimizer) = state()?;
    save(
        folder,
        &identity(),
        &[row(1), row(2)],
        &Reference,
        &parameters,
        &optimizer,
        Control::none(),
    )
}

/// Rows for the engine, one JSON object a line.
pub fn rows(folder: &Path) -> Result<()> {
    let row = json!({ "id": "r1", "messages": [{ "role": "user", "content": "Hello" }], "answer": "Hi" });
    write(&folder.join("rows.jsonl"), format!("{row}\n{row}\n"))
}

/// Templates, each of which a damaged file starts from.
pub fn templates(folder: &Path) -> Result<()> {
    write_model_texts(folder)?;
    let more = "{% macro m(x) %}{{ x|upper }}{% endmacro %}{%- if messages[0].role == 'system' -%}{{ raise_exception('no') }}\
        {%- endif -%}{% for i in range(9) %}{{ m('a' * i) }}{{ messages | tojson }}{% endfor %}{{ bos_token }}";
    write(&folder.join("other.jinja"), more)
}
