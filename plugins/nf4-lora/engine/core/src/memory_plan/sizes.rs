//! Bytes of each part of a run, equal to what its buffers take.

use super::{MemoryPlan, Planned};
use crate::activation_policy::LayerPolicies;
use crate::batch::Extent;
use crate::pass::{HEAD_ROWS, RowElements};
use crate::prefix_attention::PrefixAttention;
use crate::reference::Reference;

const F32: u64 = size_of::<f32>() as u64;

impl Planned<'_> {
    /// The plan for batches up to `largest`, with the given policies.
    pub(super) fn plan_of(&self, largest: &Extent, layers: LayerPolicies) -> MemoryPlan {
        let bytes = |elements: usize| F32 * elements as u64;
        let per_row = RowElements::of(self.shape, self.layer_ranks);
        MemoryPlan {
            trained_bytes: 2 * bytes(self.moments.parameters()),
            moments_bytes: self.moments.bytes() as u64,
            saved_bytes: bytes(largest.tokens * saved_per_row(&per_row, layers)),
            working_bytes: bytes(largest.tokens * per_row.working + self.lora_elements(largest)),
            head_bytes: bytes(self.head_elements(largest.labelled.min(HEAD_ROWS))),
            shared_prefix_bytes: bytes(self.prefix_elements(largest)),
            transfer_bytes: 2 * bytes(self.moments.largest()),
            layers,
        }
    }

    /// Scratch of the adapters: gradients of their inner products, an input after dropout.
    fn lora_elements(&self, largest: &Extent) -> usize {
        let shape = self.shape;
        let widest = shape.hidden.max(shape.query_width()).max(shape.intermediate);
        let dropped = if self.config.lora_dropout > 0.0 { widest } else { 0 };
        largest.tokens * (self.layer_ranks + dropped)
    }

    fn head_elements(&self, rows: usize) -> usize {
        HEAD_ROWS * (4 * self.shape.hidden + 2) + rows * self.shape.vocabulary
    }

    fn prefix_elements(&self, largest: &Extent) -> usize {
        if largest.prefix_tokens == 0 {
            return 0;
        }
        let (full, prefix) = PrefixAttention::<Reference>::row_elements(self.shape);
        largest.full_tokens * full + largest.prefix_tokens * prefix
    }

    /// Keys that a query sees in the mean over all rows.
    pub(super) fn mean_keys(&self) -> f64 {
        let keys = |n: f64| (n / 2.0).min(self.shape.window_tokens as f64);
        let lengths = self.rows.iter().map(|row| row.inputs() as f64);
        let tokens: f64 = lengths.clone().sum();
        lengths.map(|n| n * keys(n)).sum::<f64>() / tokens.max(1.0)
    }
}

/// Layers that compute something again share one set of it.
fn saved_per_row(per_row: &RowElements, layers: LayerPolicies) -> usize {
    let shared = |users: usize| usize::from(users > 0);
    let attention = layers.keep + layers.recompute_mlp + shared(layers.checkpoint);
    let mlp = layers.keep + shared(layers.recompute_mlp + layers.checkpoint);
    per_row.inputs + attention * per_row.attention + mlp * per_row.mlp
}
