//! What layers keep changes no bit of a loss or gradient: every mixture of policies against layers that keep all, on random
//! models of each family, with adapters and with full fine-tuning.
#![allow(clippy::unwrap_used)]

mod common;

use escada_engine_core::DropoutPlan;
use escada_engine_core::activation_policy::ActivationPolicy::{self, Checkpoint, Keep, RecomputeMlp};
use escada_engine_core::backend::Backend;
use escada_engine_core::batch::{Batch, PrefixSharing, TokenRow};
use escada_engine_core::control::Control;
use escada_engine_core::loaded::{Loaded, Quantization, WeightFormat};
use escada_engine_core::lora::{Adapter, LoraLayout};
use escada_engine_core::model::Model;
use escada_engine_core::pass::Pass;
use escada_engine_core::reference::Reference;
use escada_engine_core::shape::{ModelShape, Target};
use escada_engine_core::testing::{random_adapter, random_model, tiny_shape};
use escada_engine_core::train::full_weights;
use escada_engine_cpu::CpuBackend;
use escada_engine_formats::ModelSource;

const FAMILIES: [&str; 4] = ["tiny-llama", "tiny-llama3", "tiny-mistral", "tiny-qwen2"];
const DROPOUT: DropoutPlan = DropoutPlan {
    probability: 0.25,
    seed: 5,
    micro_batch: 0,
};

/// Two micro-batches of rows with a common beginning.
fn micro_batches() -> Vec<Vec<TokenRow>> {
    let row = |i: u32| TokenRow {
        tokens: [7, 7, 1, 30, 2]
            .into_iter()
            .chain((0..4 + i * 3 % 7).map(|j| (i * 11 + j * 5) % 37))
            .collect(),
        labelled_from: 6,
    };
    vec![(0..3).map(row).collect(), (3..5).map(row).collect()]
}

/// Every way to give `layers` layers a policy.
fn mixtures(layers: usize) -> Vec<Vec<ActivationPolicy>> {
    (0..3usize.pow(layers as u32))
        .map(|mut code| {
            let mut next = || {
                let policy = [Keep, RecomputeMlp, Checkpoint][code % 3];
                code /= 3;
                policy
            };
            (0..layers).map(|_| next()).collect()
        })
        .collect()
}

/// Bits of the loss and of every gradient that `run` leaves, accumulated over the micro-batches.
fn bits<B: Backend>(
    backend: &B,
    policies: &[ActivationPolicy],
    sharing: PrefixSharing,
    len: usize,
    mut run: impl FnMut(&mut Pass<B>, u64, &Batch<B>, &mut B::Buffer) -> f64,
) -> (u64, Vec<u32>) {
    let mut pass = Pass::with_policies(backend, policies).unwrap();
    let (mut batch, mut gradients) = (Batch::new(backend).unwrap(), backend.alloc(len).unwrap());
    let mut loss = 0.0;
    // Twice: buffers and slots carry what the step before left in them.
    for (i, rows) in micro_batches().iter().chain(&micro_batches()).enumerate() {
        let rows: Vec<&TokenRow> = rows.iter().collect();
        batch.pack(backend, &rows, 4, sharing).unwrap();
        assert_eq!(batch.prefix_tokens > 0, sharing == PrefixSharing::Always);
        loss += run(&mut pass, i as u64, &batch, &mut gradients);
    }
    let mut values = vec![0.0; len];
    backend.download(&gradients, 0, &mut values).unwrap();
    (loss.to_bits(), values.iter().map(|x| x.to_bits()).collect())
}

fn check_lora<B: Backend>(backend: &B, model: &Model<B>, adapter: &Adapter<B>, name: &str) {
    let layers = model.shape.layers;
    for (sharing, dropout) in [
        (PrefixSharing::Always, DropoutPlan::NONE),
        (PrefixSharing::Never, DROPOUT),
    ] {
        let of = |policies: &[ActivationPolicy]| {
            bits(
                backend,
                policies,
                sharing,
                adapter.layout.len,
                |pass, i, batch, to| {
                    let dropout = DropoutPlan {
                        micro_batch: i,
                        ..dropout
                    };
                    pass.run(backend, model, adapter, dropout, batch, 0.05, to)
                        .unwrap()
                },
            )
        };
        let keep = of(&vec![Keep; layers]);
        assert!(keep.1.iter().filter(|bits| **bits != 0).count() > keep.1.len() / 2);
        for policies in mixtures(layers) {
            assert!(of(&policies) == keep, "{name}, {sharing:?}: {policies:?}");
        }
    }
}

fn check_fixture<B: Backend>(backend: &B, name: &str) {
    let quantization = Quantization {
        format: WeightFormat::Nf4,
        block_size: 64,
        double_quant: true,
    };
    let loaded = Loaded::open(backend, &common::fixture(name), quantization).unwrap();
    let adapter = random_adapter(backend, &loaded.model.shape, 3, 11).unwrap();
    check_lora(backend, &loaded.model, &adapter, name);
    let weights = full_weights(
        backend,
        &ModelSource::open(&common::fixture(name)).unwrap(),
        Control::none(),
    )
    .unwrap();
    for sharing in [PrefixSharing::Always, PrefixSharing::Never] {
        let of = |policies: &[ActivationPolicy]| {
            bits(
                backend,
                policies,
                sharing,
                weights.layout.len,
                |pass, _, batch, to| pass.run_full(backend, &weights, batch, 0.05, to).unwrap(),
            )
        };
        let keep = of(&vec![Keep; weights.shape.layers]);
        for policies in mixtures(weights.shape.layers) {
            assert!(of(&policies) == keep, "{name}, full, {sharing:?}: {policies:?}");
        }
    }
}

#[test]
fn of_every_family() {
    for (threads, name) in FAMILIES.into_iter().enumerate() {
        check_fixture(&CpuBackend::new(1 + threads % 2).unwrap(), name);
    }
}

#[test]
fn with_adapters_on_some_layers_and_modules_only() {
    let shape = ModelShape {
        layers: 4,
        ..tiny_shape()
    };
    let model = random_model(&Reference, shape.clone(), 7).unwrap();
    let chosen: [fn(usize, Target) -> bool; 3] = [
        |layer, _| layer > 0,
        |_, target| matches!(target, Target::Q | Target::Down),
        |layer, target| layer == 2 && target == Target::V,
    ];
    for (i, chosen) in chosen.into_iter().enumerate() {
        let layout = LoraLayout::new(&shape, |l, t| chosen(l, t).then_some((2, 1.5))).unwrap();
        let values = escada_engine_core::testing::uniform(3, "adapter", layout.len);
        let adapter = Adapter::new(&Reference, layout, &values).unwrap();
        check_lora(&Reference, &model, &adapter, &format!("choice {i}"));
    }
}
