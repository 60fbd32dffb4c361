//! Every block size of NF4, double quantization or not: loading, generating and training on the CPU back end against the
//! reference back end, which decodes on its own.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::DropoutPlan;
use escada_engine_core::adapter_file;
use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::decoder::{Decoder, Feed};
use escada_engine_core::generate::{GenerateOptions, Prompt, generate};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::Adapter;
use escada_engine_core::optimizer::Optimizer;
use escada_engine_core::pass::Pass;
use escada_engine_core::reference::Reference;
use escada_engine_core::train_config::Optim;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::error::Code;
use escada_engine_formats::nf4::BLOCKSIZES;
use std::sync::atomic::AtomicBool;

/// f32 sums in another order, relative to the largest value.
const SAME: f32 = 2e-5;
const TOKENS: [u32; 12] = [5, 80, 31, 200, 7, 7, 90, 301, 12, 44, 66, 250];
/// Widths 64 and 128, and 32 and 48.
const MODELS: [&str; 2] = ["tiny-llama", "tiny-llama3"];

fn quantization(block_size: usize, double_quant: bool) -> Quantization {
    Quantization {
        format: WeightFormat::Nf4,
        block_size,
        double_quant,
    }
}

/// Logits, greedy tokens, and the adapter's gradients of one row.
fn outcome<B: Backend>(
    backend: &B,
    model: &str,
    quantization: Quantization,
) -> (Vec<f32>, Vec<u32>, Vec<f32>) {
    let folder = common::fixture(model);
    let loaded = Loaded::open(backend, &folder, quantization).unwrap();
    let adapter = adapter_file::load(backend, &loaded.model.shape, &folder.join("adapter")).unwrap();
    let mut decoder = Decoder::new(backend, &loaded.model, None, &[], 1, TOKENS.len()).unwrap();
    let feed = Feed {
        slot: 0,
        before: 0,
        tokens: &TOKENS,
    };
    decoder.feed(&[feed]).unwrap();
    let logits = decoder
        .logits(&(0..TOKENS.len() as u32).collect::<Vec<_>>())
        .unwrap();
    let answer = greedy(backend, &loaded, &adapter);
    let gradients = gradients(backend, &loaded, &adapter);
    (logits, answer, gradients)
}

fn greedy<B: Backend>(backend: &B, loaded: &Loaded<B>, adapter: &Adapter<B>) -> Vec<u32> {
    let prompt = Prompt {
        tokens: TOKENS.to_vec(),
        key: 0,
    };
    let options = GenerateOptions {
        max_new_tokens: 8,
        batch_rows: 1,
        sampling: None,
        end_ids: loaded.tokenizer.eos_ids(),
        stops: &|_| Ok(false),
    };
    let (model, flag) = (&loaded.model, AtomicBool::new(false));
    let made = generate(
        backend,
        model,
        Some(adapter),
        &[prompt],
        &options,
        &mut |_, _| (),
        &flag,
    );
    made.unwrap().rows.remove(0).tokens
}

fn gradients<B: Backend>(backend: &B, loaded: &Loaded<B>, adapter: &Adapter<B>) -> Vec<f32> {
    let mut optimizer = Optimizer::fresh(backend, &adapter.layout.parameters(), Optim::AdamwTorch).unwrap();
    let mut pass = Pass::new(backend, &loaded.model.shape).unwrap();
    let mut batch = Batch::new(backend).unwrap();
    let row = TokenRow {
        tokens: TOKENS.to_vec(),
        labelled_from: 3,
    };
    batch.pack(backend, &[&row], 7, PrefixSharing::Never).unwrap();
    let (plan, weight) = (DropoutPlan::NONE, 1.0 / row.labelled() as f32);
    let into = &mut optimizer.gradients;
    pass.run(backend, &loaded.model, adapter, plan, &batch, weight, into)
        .unwrap();
    let mut values = vec![0.0; adapter.layout.len];
    backend.download(&optimizer.gradients, 0, &mut values).unwrap();
    values
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0f32, |l, v| l.max(v.abs()));
    a.iter().zip(b).fold(0.0f32, |d, (a, b)| d.max((a - b).abs())) / largest
}

#[test]
fn every_block_size_computes_the_same_on_both_back_ends() {
    let cpu = CpuBackend::new(2).unwrap();
    for model in MODELS {
        let mut before: Option<Vec<f32>> = None;
        for (size, double) in BLOCKSIZES
            .into_iter()
            .flat_map(|size| [(size, false), (size, true)])
        {
            let label = format!("{model}, blocks of {size}, double {double}");
            let asked = quantization(size, double);
            let (got, want) = (outcome(&cpu, model, asked), outcome(&Reference, model, asked));
            assert!(difference(&got.0, &want.0) < SAME, "logits of {label}");
            assert_eq!(got.1, want.1, "answer of {label}");
            assert!(difference(&got.2, &want.2) < SAME, "gradients of {label}");
            // The size is not ignored: other scales, other logits, as long as a layer has more than a block.
            let other = before.replace(want.0.clone());
            let distinct = size < 2048 || model == "tiny-llama";
            assert!(!distinct || other.is_none_or(|other| other != want.0), "{label}");
        }
    }
}

#[test]
fn other_block_sizes_are_refused_before_anything_is_read() {
    for size in [0, 16, 48, 8192] {
        for format in [WeightFormat::Nf4, WeightFormat::F32] {
            let asked = Quantization {
                format,
                ..quantization(size, true)
            };
            let error = Loaded::open(&Reference, &common::fixture("nowhere"), asked)
                .err()
                .unwrap();
            assert_eq!(error.code, Code::RequestInvalid);
            assert!(error.message.contains(&format!("blockSize {size}")), "{error}");
        }
    }
}
