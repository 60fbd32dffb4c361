//! The sizes of a Llama-family decoder and the names of its seven linear layers.

use crate::backend::AttentionShape;
use escada_engine_formats::error::{Code, EngineError, Result};
use escada_engine_formats::math;

/// Everything the computation needs to know about a model besides its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelShape {
    /// `L`
    pub layers: usize,
    /// `C`
    pub hidden: usize,
    /// Width of the gated feed-forward layer.
    pub intermediate: usize,
    /// `NH`
    pub heads: usize,
    /// `NKV`
    pub kv_heads: usize,
    /// `HS`
    pub head_size: usize,
    /// `V`
    pub vocabulary: usize,
    /// Longest sequence in tokens.
    pub context_tokens: usize,
    pub rms_epsilon: f32,
    /// `[HS/2]` radians per position.
    pub inverse_frequencies: Vec<f32>,
    /// The head shares the embedding's weights.
    pub tied_head: bool,
    /// Queries, keys and values have biases (Qwen2).
    pub qkv_bias: bool,
    /// Keys a query sees at most, its own among them (Mistral); `usize::MAX` for all.
    pub window_tokens: usize,
}

impl ModelShape {
    /// `NH * HS`
    pub fn query_width(&self) -> usize {
        self.heads * self.head_size
    }

    /// `NKV * HS`
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_size
    }

    /// Heads, scale and window of its attention.
    pub fn attention(&self) -> AttentionShape {
        AttentionShape {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_size: self.head_size,
            scale: (1.0 / (self.head_size as f64).sqrt()) as f32,
            // A window that no sequence outgrows is none: the common prefix of a batch is then shared.
            window: if self.window_tokens < self.context_tokens {
                self.window_tokens
            } else {
                usize::MAX
            },
        }
    }

    /// Refuses sizes that no kernel can work with.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(EngineError::new(Code::ModelUnsupported, what));
        let sizes = [
            self.layers,
            self.hidden,
            self.intermediate,
            self.heads,
            self.kv_heads,
            self.head_size,
        ];
        if sizes.contains(&0) || self.vocabulary == 0 || self.context_tokens == 0 {
            return refuse(format!("a size of the model is zero: {self:?}"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return refuse(format!(
                "{} query heads do not divide by {} key heads",
                self.heads, self.kv_heads
            ));
        }
        if self.window_tokens == 0 {
            return refuse("a sliding window of no tokens".to_owned());
        }
        if !self.head_size.is_multiple_of(2) || self.inverse_frequencies.len() * 2 != self.head_size {
            return refuse(format!("head size {} does not fit the rotation", self.head_size));
        }
        Ok(())
    }

    /// `(N, K)` of one linear layer.
    pub fn linear(&self, target: Target) -> (usize, usize) {
        match target {
            Target::Q => (self.query_width(), self.hidden),
            Target::K | Target::V => (self.kv_width(), self.hidden),
            Target::O => (self.hidden, self.query_width()),
            Target::Gate | Target::Up => (self.intermediate, self.hidden),
            Target::Down => (self.hidden, self.intermediate),
        }
    }

    /// Weights in all layers, norms, embedding and head.
    pub fn parameters(&self) -> usize {
        let linear: usize = Target::ALL
            .iter()
            .map(|&t| self.linear(t))
            .map(|(n, k)| n * k)
            .sum();
        let tables = if self.tied_head { 1 } else { 2 };
        let biases = if self.qkv_bias {
            self.query_width() + 2 * self.kv_width()
        } else {
            0
        };
        self.layers * (linear + biases + 2 * self.hidden)
            + self.hidden
            + tables * self.vocabulary * self.hidden
    }
}

/// Inverse frequencies `theta^(-2i/HS)` of the plain rotation.
pub fn plain_inverse_frequencies(theta: f64, head_size: usize) -> Vec<f32> {
    (0..head_size / 2)
        .map(|i| math::pow(theta, -((2 * i) as f64) / head_size as f64) as f32)
        .collect()
}

/// The linear layers of one decoder layer, in the order of the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
}

impl Target {
    pub const ALL: [Target; 7] = [
        Target::Q,
        Target::K,
        Target::V,
        Target::O,
        Target::Gate,
        Target::Up,
        Target::Down,
    ];

    /// Those with a bias, in models that have one.
    pub const BIASED: [Target; 3] = [Target::Q, Target::K, Target::V];

    /// Module path within its layer, as transformers names it.
    pub fn path(self) -> &'static str {
        match self {
            Target::Q => "self_attn.q_proj",
            Target::K => "self_attn.k_proj",
            Target::V => "self_attn.v_proj",
            Target::O => "self_attn.o_proj",
            Target::Gate => "mlp.gate_proj",
            Target::Up => "mlp.up_proj",
            Target::Down => "mlp.down_proj",
        }
    }

    /// Last part of the path: what PEFT's `target_modules` usually lists.
    pub fn name(self) -> &'static str {
        self.path().rsplit('.').next().unwrap_or_default()
    }

    /// Full module path in transformers' Llama.
    pub fn module(self, layer: usize) -> String {
        format!("model.layers.{layer}.{}", self.path())
    }
}
