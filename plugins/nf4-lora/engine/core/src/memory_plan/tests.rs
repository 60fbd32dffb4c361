//! The plan against the buffers of real passes.

use super::*;
use crate::batch::{Batch, PrefixSharing};
use crate::full::FullWeights;
use crate::lora_pass::DropoutPlan;
use crate::optimizer::Optimizer;
use crate::pass::{HEAD_ROWS, Pass};
use crate::reference::Reference;
use crate::schedule::{StepPlan, units};
use crate::testing::{RandomWeights, random_model, tiny_shape};
use crate::train_config::Optim;
use serde_json::json;

const F32: u64 = size_of::<f32>() as u64;
const SETTINGS: [&str; 3] = ["none", "mlp", "full"];

fn rows() -> Vec<TokenRow> {
    let row = |i: u32| TokenRow {
        tokens: [1, 2, 3, 4, 5]
            .into_iter()
            .chain((0..4 + i % 5).map(|j| (i * 5 + j) % 37))
            .collect(),
        labelled_from: 7,
    };
    (0..10).map(row).collect()
}

fn config(changes: serde_json::Value) -> TrainConfig {
    let mut config = json!({
        "r": 2, "loraAlpha": 4, "targetModules": "all-linear", "learningRate": 0.01, "lrSchedulerType": "constant",
        "warmupSteps": 0, "weightDecay": 0, "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8,
        "maxGradNorm": 1, "gradientAccumulationSteps": 1, "numTrainEpochs": 2, "maxSteps": -1,
        "maxSeqLengthTokens": 64, "seed": 1, "saveSteps": 10
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    serde_json::from_value(config).unwrap_or_else(|cause| panic!("{cause}"))
}

/// A model of five layers, so that layers can differ in what they keep.
fn five_layers() -> ModelShape {
    ModelShape {
        layers: 5,
        ..tiny_shape()
    }
}

/// What a run with an adapter is planned from, and a plan of it.
fn with_planned<T>(
    shape: &ModelShape,
    config: &TrainConfig,
    then: impl FnOnce(&Planned<'_>) -> Result<T>,
) -> Result<T> {
    let layout = config.layout(shape)?;
    then(&Planned {
        shape,
        layer_ranks: layout.layer_ranks,
        lowest_layer: layout.lowest_layer(),
        moments: &MomentLayout::new(&layout.parameters(), Optim::AdamwTorch),
        rows: &rows(),
        config,
    })
}

fn plan_with(shape: &ModelShape, config: &TrainConfig, available: u64) -> Result<MemoryPlan> {
    with_planned(shape, config, |planned| planned.require(available))
}

/// Bytes that the buffers of a run really have after it went through all its batches.
fn allocated(shape: &ModelShape, config: &TrainConfig, plan: &MemoryPlan) -> Result<u64> {
    let model = random_model(&Reference, shape.clone(), 1)?;
    let layout = config.layout(shape)?;
    let adapter = crate::lora::Adapter::new(&Reference, layout.clone(), &layout.start_values(1))?;
    let mut optimizer = Optimizer::fresh(&Reference, &layout.parameters(), Optim::AdamwTorch)?;
    let mut pass = Pass::with_policies(&Reference, &plan.layers.by_layer())?;
    every_batch(config, &rows(), |batch| {
        let dropout = DropoutPlan {
            probability: config.lora_dropout as f32,
            ..DropoutPlan::NONE
        };
        let gradients = &mut optimizer.gradients;
        pass.run(&Reference, &model, &adapter, dropout, batch, 0.1, gradients)
    })?;
    let held = F32 * pass.elements(&Reference, shape) as u64;
    Ok(held + 4 * F32 * layout.len as u64)
}

fn every_batch(
    config: &TrainConfig,
    rows: &[TokenRow],
    mut visit: impl FnMut(&Batch<Reference>) -> Result<f64>,
) -> Result<()> {
    let mut batch = Batch::new(&Reference)?;
    let lengths: Vec<usize> = rows.iter().map(|row| row.tokens.len()).collect();
    let units = units(config, &lengths);
    let steps = StepPlan::new(config, units.len());
    for step in 0..steps.total_steps {
        for numbers in steps.micro_batches(&steps.order(steps.epoch(step)), step) {
            let numbers = numbers.iter().flat_map(|unit| &units[*unit as usize]);
            let chosen: Vec<&TokenRow> = numbers.map(|i| &rows[*i as usize]).collect();
            let sharing = PrefixSharing::of(config.lora_dropout);
            batch.pack(&Reference, &chosen, HEAD_ROWS, sharing)?;
            visit(&batch)?;
        }
    }
    Ok(())
}

#[test]
fn the_plan_of_all_weights_is_what_the_buffers_take() -> Result<()> {
    for (optim, setting) in [Optim::AdamwTorch, Optim::Adamw8bit]
        .into_iter()
        .flat_map(|optim| SETTINGS.map(|setting| (optim, setting)))
    {
        let config = config(json!({ "perDeviceTrainBatchSize": 3, "gradientCheckpointing": setting }));
        let mut source = RandomWeights { seed: 1, scale: 2.0 };
        // Wide enough for tensors with 8-bit moments.
        let shape = ModelShape {
            intermediate: 256,
            ..tiny_shape()
        };
        let weights = FullWeights::load(&Reference, shape, &mut source)?;
        let moments = MomentLayout::new(weights.layout.parameters(), optim);
        assert_eq!(moments.codes > 0, optim == Optim::Adamw8bit);
        let plan = Planned {
            shape: &weights.shape,
            layer_ranks: 0,
            lowest_layer: 0,
            moments: &moments,
            rows: &rows(),
            config: &config,
        }
        .require(u64::MAX)?;
        let mut pass = Pass::with_policies(&Reference, &plan.layers.by_layer())?;
        let mut gradients = vec![0.0; weights.layout.len];
        every_batch(&config, &rows(), |batch| {
            pass.run_full(&Reference, &weights, batch, 0.1, &mut gradients)
        })?;
        let elements = pass.elements(&Reference, &weights.shape) + weights.values.len() + gradients.len();
        let held = F32 * elements as u64 + moments.bytes() as u64;
        assert_eq!(held, plan.total() - plan.transfer_bytes, "{optim:?}: {plan:?}");
    }
    Ok(())
}

#[test]
fn the_plan_is_what_the_buffers_take() -> Result<()> {
    let shape = five_layers();
    for changes in [
        json!({ "perDeviceTrainBatchSize": 3 }),
        json!({ "perDeviceTrainBatchSize": 1 }),
        json!({ "perDeviceTrainBatchSize": 4, "loraDropout": 0.1 }),
        json!({ "perDeviceTrainBatchSize": 2, "targetModules": ["q_proj", "down_proj"] }),
        json!({ "perDeviceTrainBatchSize": 2, "packing": true }),
    ] {
        for setting in SETTINGS {
            let mut changes = changes.clone();
            changes["gradientCheckpointing"] = json!(setting);
            let config = config(changes.clone());
            let plan = plan_with(&shape, &config, u64::MAX)?;
            let held = allocated(&shape, &config, &plan)?;
            assert_eq!(held, plan.total() - plan.transfer_bytes, "{changes}: {plan:?}");
        }
    }
    Ok(())
}

#[test]
fn auto_repeats_more_the_less_memory_there_is() -> Result<()> {
    let (shape, config) = (five_layers(), config(json!({ "perDeviceTrainBatchSize": 4 })));
    let roomy = plan_with(&shape, &config, u64::MAX)?;
    assert_eq!(roomy.layers, LayerPolicies::keep(5));
    let (mut available, mut before, mut seen) = (roomy.total(), -1.0, 0);
    while let Ok(plan) = plan_with(&shape, &config, available) {
        let repeated = plan.layers.repeated(&shape, 0, 4.0);
        assert!(repeated >= before, "{plan:?}");
        let held = allocated(&shape, &config, &plan)?;
        assert_eq!(held, plan.total() - plan.transfer_bytes, "{plan:?}");
        assert!(plan.total() <= available);
        (before, available, seen) = (repeated, plan.total() - 1, seen + 1);
    }
    let all = with_planned(&shape, &config, |planned| {
        let largest = planned.extents(&config);
        Ok(planned.best(&largest, GradientCheckpointing::Full, 0))
    })?;
    assert_eq!(
        available,
        all.total() - 1,
        "the last plan that fits repeats every layer"
    );
    assert!(seen > 5, "{seen} plans");
    Ok(())
}

#[test]
fn layers_below_the_lowest_adapter_cost_nothing() -> Result<()> {
    let shape = five_layers();
    let config = config(json!({
        "perDeviceTrainBatchSize": 4, "targetModules": ["model.layers.3.mlp.up_proj", "model.layers.4.mlp.up_proj"]
    }));
    let plan = plan_with(&shape, &config, u64::MAX)?;
    assert_eq!(
        (plan.layers.keep, plan.layers.repeated(&shape, 3, 4.0)),
        (1, 0.0),
        "{plan:?}"
    );
    let held = allocated(&shape, &config, &plan)?;
    assert_eq!(held, plan.total() - plan.transfer_bytes);
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() -> Result<()> {
    let shape = five_layers();
    let refusal = |setting: &str, available: u64| {
        let config = config(json!({ "perDeviceTrainBatchSize": 4, "gradientCheckpointing": setting }));
        match plan_with(&shape, &config, available) {
            Err(error) => (error.code, error.message),
            Ok(plan) => panic!("{plan:?}"),
        }
    };
    let needs = |setting: &str| {
        let config = config(json!({ "perDeviceTrainBatchSize": 4, "gradientCheckpointing": setting }));
        plan_with(&shape, &config, u64::MAX).map(|plan| plan.total())
    };
    let (keep, checkpoint) = (needs("none")?, needs("full")?);
    let (code, message) = refusal("none", keep - 1);
    assert_eq!(code, Code::OutOfMemory);
    assert!(
        message.contains("gradientCheckpointing \"auto\" fits"),
        "{message}"
    );
    for setting in ["auto", "full"] {
        let (_, message) = refusal(setting, checkpoint - 1);
        let smaller = "perDeviceTrainBatchSize 2 with gradientAccumulationSteps 2 fits and trains the same up to rounding";
        assert!(message.contains(smaller), "{message}");
    }
    let (_, message) = refusal("auto", 1000);
    assert!(message.contains("every layer computed again"), "{message}");
    assert!(message.contains("lower maxSeqLengthTokens"), "{message}");
    let (_, message) = refusal("none", 1000);
    assert!(
        message.contains("take gradientCheckpointing \"auto\""),
        "{message}"
    );
    Ok(())
}
