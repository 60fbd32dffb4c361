//! Tiny random models for tests of this crate and of the back ends.

use crate::backend::{Backend, LinearSource};
use crate::lora::{Adapter, LoraLayout};
use crate::model::{Model, WeightSource};
use crate::rng;
use crate::shape::{ModelShape, plain_inverse_frequencies};
use escada_engine_formats::error::Result;

/// Weights drawn uniformly in ±`scale/sqrt(cols)` from (seed, tensor name).
pub struct RandomWeights {
    pub seed: u64,
    pub scale: f32,
}

/// `count` uniform values in ±1, a function of (seed, name).
pub fn uniform(seed: u64, name: &str, count: usize) -> Vec<f32> {
    let stream = rng::stream_of(name);
    (0..count)
        .map(|i| rng::unit_f32(rng::word(seed, stream, i as u64)) * 2.0 - 1.0)
        .collect()
}

impl WeightSource for RandomWeights {
    fn linear<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T> {
        let factor = self.scale / (cols as f32).sqrt();
        let data: Vec<f32> = uniform(self.seed, name, rows * cols)
            .iter()
            .map(|x| x * factor)
            .collect();
        take(LinearSource::F32 {
            rows,
            cols,
            data: &data,
        })
    }

    fn table<T>(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        take: impl FnOnce(LinearSource<'_>) -> Result<T>,
    ) -> Result<T> {
        self.linear(name, rows, cols, take)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        Ok(uniform(self.seed, name, len)
            .iter()
            .map(|x| 1.0 + 0.2 * x)
            .collect())
    }
}

/// Two layers with sizes that are no multiples of a vector width.
pub fn tiny_shape() -> ModelShape {
    ModelShape {
        layers: 2,
        hidden: 20,
        intermediate: 28,
        heads: 4,
        kv_heads: 2,
        head_size: 6,
        vocabulary: 37,
        context_tokens: 64,
        rms_epsilon: 1e-5,
        inverse_frequencies: plain_inverse_frequencies(10_000.0, 6),
        qkv_bias: false,
        window_tokens: usize::MAX,
        tied_head: true,
    }
}

/// A random model of `shape`.
pub fn random_model<B: Backend>(backend: &B, shape: ModelShape, seed: u64) -> Result<Model<B>> {
    Model::load(backend, shape, &mut RandomWeights { seed, scale: 2.0 })
}

/// An adapter on all linear layers with both matrices random.
pub fn random_adapter<B: Backend>(
    backend: &B,
    shape: &ModelShape,
    rank: usize,
    seed: u64,
) -> Result<Adapter<B>> {
    let layout = LoraLayout::new(shape, |_, _| Some((rank, 1.5)))?;
    let values: Vec<f32> = uniform(seed, "adapter", layout.len)
        .iter()
        .map(|x| 0.3 * x)
        .collect();
    Adapter::new(backend, layout, &values)
}
