//! What a layer keeps between forward and backward pass. The rest is computed again, from the same inputs in the same order:
//! gradients do not depend on the policy, bit for bit.

use crate::shape::{ModelShape, Target};
use serde::{Deserialize, Serialize};

/// Of one layer. `F` is the width of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationPolicy {
    /// All that the backward pass cannot make by elementwise work.
    Keep,
    /// As `Keep` without the two `[T, F]` outputs of gate and up.
    RecomputeMlp,
    /// The layer's input alone, `[T, C]`.
    Checkpoint,
}

/// Activation checkpointing: the setting of a run, for all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientCheckpointing {
    /// Of the mixtures that fit the free memory the one with the least to compute again.
    #[default]
    Auto,
    /// No layer computes anything again.
    None,
    /// Every layer computes the outputs of gate and up again.
    Mlp,
    /// Every layer keeps its input alone.
    Full,
}

/// How many layers have which policy: those with `checkpoint` are the lowest, then come those with `recompute_mlp`.
///
/// A layer costs the same wherever it is, except below the lowest adapter, where there is no backward pass and nothing is
/// computed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerPolicies {
    pub keep: usize,
    pub recompute_mlp: usize,
    pub checkpoint: usize,
}

impl LayerPolicies {
    /// Every layer keeps all.
    pub fn keep(layers: usize) -> Self {
        Self {
            keep: layers,
            recompute_mlp: 0,
            checkpoint: 0,
        }
    }

    /// Those that a setting allows.
    pub fn allowed(setting: GradientCheckpointing, layers: usize) -> Vec<Self> {
        let of = |checkpoint, recompute_mlp| Self {
            keep: layers - checkpoint - recompute_mlp,
            recompute_mlp,
            checkpoint,
        };
        match setting {
            GradientCheckpointing::None => vec![of(0, 0)],
            GradientCheckpointing::Mlp => vec![of(0, layers)],
            GradientCheckpointing::Full => vec![of(layers, 0)],
            GradientCheckpointing::Auto => (0..=layers)
                .flat_map(|checkpoint| (0..=layers - checkpoint).map(move |mlp| of(checkpoint, mlp)))
                .collect(),
        }
    }

    /// The policy of each layer, from the lowest.
    pub fn by_layer(&self) -> Vec<ActivationPolicy> {
        [
            (ActivationPolicy::Checkpoint, self.checkpoint),
            (ActivationPolicy::RecomputeMlp, self.recompute_mlp),
            (ActivationPolicy::Keep, self.keep),
        ]
        .into_iter()
        .flat_map(|(policy, count)| std::iter::repeat_n(policy, count))
        .collect()
    }

    /// Multiply-adds per token row that the backward pass repeats. What the forward pass computed last is still there.
    pub fn repeated(&self, shape: &ModelShape, lowest_layer: usize, mean_keys: f64) -> f64 {
        let product = |target| {
            let (n, k) = shape.linear(target);
            (n * k) as f64
        };
        let mlp: f64 = [Target::Gate, Target::Up].map(product).iter().sum();
        let attention: f64 = [Target::Q, Target::K, Target::V, Target::O]
            .map(product)
            .iter()
            .sum::<f64>()
            + 2.0 * shape.query_width() as f64 * mean_keys;
        let again = |layers: usize| layers.saturating_sub(lowest_layer).saturating_sub(1) as f64;
        again(self.checkpoint) * attention + again(self.checkpoint + self.recompute_mlp) * mlp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tiny_shape;

    #[test]
    fn a_setting_allows_its_policy_and_auto_every_mixture() {
        for (setting, policy) in [
            (GradientCheckpointing::None, ActivationPolicy::Keep),
            (GradientCheckpointing::Mlp, ActivationPolicy::RecomputeMlp),
            (GradientCheckpointing::Full, ActivationPolicy::Checkpoint),
        ] {
            let allowed = LayerPolicies::allowed(setting, 3);
            assert_eq!(allowed.len(), 1);
            assert_eq!(allowed[0].by_layer(), [policy; 3]);
        }
        let all = LayerPolicies::allowed(GradientCheckpointing::Auto, 3);
        assert_eq!(all.len(), 10);
        assert!(all.iter().all(|p| p.by_layer().len() == 3));
    }

    #[test]
    fn nothing_is_repeated_for_the_last_layer_and_for_those_below_the_adapters() {
        let shape = tiny_shape();
        let repeated = |checkpoint, recompute_mlp, lowest| {
            let keep = 9 - checkpoint - recompute_mlp;
            LayerPolicies {
                keep,
                recompute_mlp,
                checkpoint,
            }
            .repeated(&shape, lowest, 10.0)
        };
        let mlp = (2 * shape.hidden * shape.intermediate) as f64;
        let attention = (shape.hidden * (2 * shape.query_width() + 2 * shape.kv_width())
            + 20 * shape.query_width()) as f64;
        assert_eq!(repeated(1, 0, 0), 0.0);
        assert_eq!(repeated(0, 4, 0), 3.0 * mlp);
        assert_eq!(repeated(3, 2, 0), 2.0 * attention + 4.0 * mlp);
        assert_eq!(repeated(3, 2, 3), mlp);
    }
}
