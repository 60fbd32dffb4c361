//! What `npm run parity` asks the engine: one JSON request a line on standard input, one JSON answer a line on standard
//! output, tensors by safetensors files. `test/parity/probe.py` is the other side.
//!
//! The protocol of the child process has no logits and no gradients, and no product needs them: hence a program apart.
#![allow(clippy::unwrap_used)]

mod full;
mod model;
mod nf4;

use escada_engine_core::export::{ExportParams, export};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_cpu::CpuBackend;
use model::{Embed, Gradients, Logits, Train};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Request {
    /// Loads a model in place of the one before.
    Open {
        model: PathBuf,
        format: WeightFormat,
        threads: usize,
        /// 64 when absent.
        block_size: Option<usize>,
        /// True when absent.
        double_quant: Option<bool>,
    },
    Encode {
        strings: Vec<String>,
    },
    Logits(Logits),
    Embed(Embed),
    Generate {
        prompts: Vec<Vec<u32>>,
        new_tokens: usize,
    },
    Gradients(Gradients),
    Train(Train),
    #[serde(rename = "full-gradients")]
    FullGradients(full::Gradients),
    #[serde(rename = "full-train")]
    FullTrain(full::Train),
    Quantize(nf4::Quantize),
    /// Of a model on disk, without loading it.
    Weights(nf4::Weights),
    Export(ExportParams),
    NestedDecode(nf4::NestedDecode),
    NestedEncode(nf4::NestedEncode),
}

struct Open {
    backend: CpuBackend,
    loaded: Loaded<CpuBackend>,
}

fn main() {
    let mut open: Option<Open> = None;
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = answer(&mut open, request);
        println!("{answer}");
        std::io::stdout().flush().unwrap();
    }
}

fn answer(open: &mut Option<Open>, request: Request) -> Value {
    match request {
        Request::Open {
            model,
            format,
            threads,
            block_size,
            double_quant,
        } => {
            *open = None;
            let backend = CpuBackend::new(threads).unwrap();
            let quantization = Quantization {
                format,
                block_size: block_size.unwrap_or(64),
                double_quant: double_quant.unwrap_or(true),
            };
            let loaded = Loaded::open(&backend, &model, quantization).unwrap();
            let digest = loaded.digest.clone();
            *open = Some(Open { backend, loaded });
            json!({ "digest": digest })
        }
        Request::Quantize(r) => nf4::quantize_file(&r),
        Request::Weights(r) => nf4::weights(&r),
        Request::Export(r) => {
            let done = export(&r, &AtomicBool::new(false)).unwrap();
            json!({ "merged": done.merged, "seconds": done.seconds })
        }
        Request::NestedDecode(r) => nf4::nested_decode(&r),
        Request::NestedEncode(r) => nf4::nested_encode(&r),
        other => {
            let Open { backend, loaded } = open.as_ref().unwrap();
            with_model(backend, loaded, other)
        }
    }
}

fn with_model(backend: &CpuBackend, loaded: &Loaded<CpuBackend>, request: Request) -> Value {
    match request {
        Request::Encode { strings } => {
            let ids = |text: &String| {
                let t = &loaded.tokenizer;
                json!({ "ids": t.encode_template(text).unwrap(), "plainIds": t.encode_text(text).unwrap() })
            };
            json!(strings.iter().map(ids).collect::<Vec<_>>())
        }
        Request::Logits(r) => model::logits(backend, loaded, &r),
        Request::Embed(r) => model::embeddings(backend, loaded, &r),
        Request::Generate { prompts, new_tokens } => model::greedy(backend, loaded, &prompts, new_tokens),
        Request::Gradients(r) => model::gradients(backend, loaded, &r),
        Request::Train(r) => model::train(backend, loaded, &r),
        Request::FullGradients(r) => full::gradients(backend, &loaded.path, &r),
        Request::FullTrain(r) => full::train(backend, &loaded.path, &r),
        _ => unreachable!("handled without a model"),
    }
}
