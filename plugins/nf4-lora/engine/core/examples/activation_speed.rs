//! Seconds of a forward and backward pass for each activation policy, in turns within one process, for `npm run bench:memory`.
//!
//! `cargo run --release -p escada-engine-core --example activation_speed -- MODEL nf4|f32 THREADS ROWS ROW_TOKENS ROUNDS`
#![allow(clippy::unwrap_used)]

use escada_engine_core::DropoutPlan;
use escada_engine_core::activation_policy::ActivationPolicy::{Checkpoint, Keep, RecomputeMlp};
use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::{Adapter, LoraLayout};
use escada_engine_core::pass::{HEAD_ROWS, Pass};
use escada_engine_core::rng;
use escada_engine_cpu::CpuBackend;
use serde_json::json;
use std::time::Instant;

/// Rank and scale of the adapters on every linear layer.
const LORA: (usize, f32) = (16, 2.0);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments[at].parse::<usize>().unwrap();
    let (rows, row_tokens, rounds) = (number(3), number(4), number(5));
    let backend = CpuBackend::new(number(2)).unwrap();
    let quantization = Quantization {
        format: if arguments[1] == "f32" {
            WeightFormat::F32
        } else {
            WeightFormat::Nf4
        },
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(&backend, arguments[0].as_ref(), quantization).unwrap();
    let shape = &loaded.model.shape;
    let layout = LoraLayout::new(shape, |_, _| Some(LORA)).unwrap();
    let values = layout.start_values(1);
    let adapter = Adapter::new(&backend, layout, &values).unwrap();
    let rows: Vec<TokenRow> = (0..rows as u64)
        .map(|row| TokenRow {
            tokens: (0..row_tokens)
                .map(|i| 100 + rng::word(1, row, i as u64) % 40_000)
                .collect(),
            labelled_from: row_tokens / 2,
        })
        .collect();
    let mut batch = Batch::new(&backend).unwrap();
    let all: Vec<&TokenRow> = rows.iter().collect();
    batch
        .pack(&backend, &all, HEAD_ROWS, PrefixSharing::Never)
        .unwrap();
    let mut passes: Vec<Pass<CpuBackend>> = [Keep, RecomputeMlp, Checkpoint]
        .map(|policy| Pass::with_policies(&backend, &vec![policy; shape.layers]).unwrap())
        .into();
    let mut seconds = vec![Vec::new(); passes.len()];
    let mut gradients = backend.alloc(values.len()).unwrap();
    // The first round makes room.
    for round in 0..=rounds {
        for (pass, seconds) in passes.iter_mut().zip(&mut seconds) {
            let started = Instant::now();
            let (model, plan) = (&loaded.model, DropoutPlan::NONE);
            pass.run(&backend, model, &adapter, plan, &batch, 1e-3, &mut gradients)
                .unwrap();
            if round > 0 {
                seconds.push(started.elapsed().as_secs_f64());
            }
        }
    }
    let [keep, mlp, checkpoint] = &seconds[..] else {
        return;
    };
    println!("{}", json!({ "none": keep, "mlp": mlp, "full": checkpoint }));
}
