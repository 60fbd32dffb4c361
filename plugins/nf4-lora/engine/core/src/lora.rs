//! Low-rank adapters: which layers have one, where its matrices lie in the flat parameter buffer, how they start.

use crate::backend::{At, AtMut, Backend, Layout, Matmul};
use crate::parameters::{Parameter, Role};
use crate::rng;
use crate::shape::{ModelShape, Target};
use escada_engine_formats::error::{Code, EngineError, Result};

/// One adapted linear layer: `y += scale * B(A(x))`, `A [R, K]`, `B [N, R]`, both row-major in the flat buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraModule {
    pub layer: usize,
    pub target: Target,
    /// `R`
    pub rank: usize,
    /// `K`
    pub input: usize,
    /// `N`
    pub output: usize,
    pub scale: f32,
    /// First element of `A` in the flat buffer.
    pub a: usize,
    /// First element of `B` in the flat buffer.
    pub b: usize,
    /// Sum of the ranks of the modules before it in its layer: column block of `A(x)` among the saved activations.
    pub rank_before: usize,
}

/// Where every adapter tensor is.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraLayout {
    pub modules: Vec<LoraModule>,
    slots: Vec<[Option<usize>; 7]>,
    /// Elements of the flat buffer.
    pub len: usize,
    /// Largest sum of ranks of one layer.
    pub layer_ranks: usize,
}

impl LoraLayout {
    /// Lays out the chosen modules; `select` gives rank and scale of a module or leaves it out.
    pub fn new(shape: &ModelShape, select: impl Fn(usize, Target) -> Option<(usize, f32)>) -> Result<Self> {
        let mut layout = Self {
            modules: Vec::new(),
            slots: vec![[None; 7]; shape.layers],
            len: 0,
            layer_ranks: 0,
        };
        for layer in 0..shape.layers {
            let mut ranks = 0;
            for target in Target::ALL {
                let Some((rank, scale)) = select(layer, target) else {
                    continue;
                };
                layout.push(shape, layer, target, (rank, scale), ranks)?;
                ranks += rank;
            }
            layout.layer_ranks = layout.layer_ranks.max(ranks);
        }
        if layout.modules.is_empty() {
            return Err(EngineError::new(
                Code::RequestInvalid,
                "the adapter names no layer of this model",
            ));
        }
        Ok(layout)
    }

    fn push(
        &mut self,
        shape: &ModelShape,
        layer: usize,
        target: Target,
        (rank, scale): (usize, f32),
        rank_before: usize,
    ) -> Result<()> {
        let (output, input) = shape.linear(target);
        if rank == 0 || rank > input.min(output) {
            let message = format!(
                "rank {rank} of {} must be 1..={}",
                target.module(layer),
                input.min(output)
            );
            return Err(EngineError::new(Code::RequestInvalid, message));
        }
        let (a, b) = (self.len, self.len + rank * input);
        self.len = b + output * rank;
        self.slots[layer][target as usize] = Some(self.modules.len());
        self.modules.push(LoraModule {
            layer,
            target,
            rank,
            input,
            output,
            scale,
            a,
            b,
            rank_before,
        });
        Ok(())
    }

    /// The module of a layer, if it has one.
    pub fn get(&self, layer: usize, target: Target) -> Option<&LoraModule> {
        self.slots[layer][target as usize].map(|i| &self.modules[i])
    }

    /// Lowest layer with a module: gradients need not go below it.
    pub fn lowest_layer(&self) -> usize {
        self.modules.iter().map(|m| m.layer).min().unwrap_or(0)
    }

    /// All tensors in the order of the flat buffer: `<module path>.lora_A.weight` and `….lora_B.weight`.
    pub fn parameters(&self) -> Vec<Parameter> {
        let of = |m: &LoraModule| {
            let module = m.target.module(m.layer);
            let a = Parameter {
                name: format!("{module}.lora_A.weight"),
                offset: m.a,
                rows: m.rank,
                cols: m.input,
                role: Role::Matrix,
            };
            let b = Parameter {
                name: format!("{module}.lora_B.weight"),
                offset: m.b,
                rows: m.output,
                cols: m.rank,
                role: Role::Matrix,
            };
            [a, b]
        };
        self.modules.iter().flat_map(of).collect()
    }

    /// Start values: A uniform in ±1/sqrt(K) (Kaiming with a = sqrt(5)), B zero; a function of seed and name only.
    pub fn start_values(&self, seed: u64) -> Vec<f32> {
        let mut values = vec![0.0; self.len];
        for tensor in self
            .parameters()
            .iter()
            .filter(|t| t.name.ends_with("lora_A.weight"))
        {
            let stream = rng::stream_of(&tensor.name);
            let bound = 1.0 / (tensor.cols as f64).sqrt();
            let slots = &mut values[tensor.offset..tensor.offset + tensor.rows * tensor.cols];
            for (i, slot) in slots.iter_mut().enumerate() {
                let unit = f64::from(rng::unit_f32(rng::word(seed, stream, i as u64)));
                *slot = ((2.0 * unit - 1.0) * bound) as f32;
            }
        }
        values
    }
}

/// An adapter on the device.
pub struct Adapter<B: Backend> {
    pub layout: LoraLayout,
    /// `[layout.len] f32`
    pub parameters: B::Buffer,
}

impl<B: Backend> Adapter<B> {
    /// Uploads the flat values of an adapter.
    pub fn new(backend: &B, layout: LoraLayout, values: &[f32]) -> Result<Self> {
        let mut parameters = backend.alloc(layout.len)?;
        backend.upload(values, &mut parameters, 0)?;
        Ok(Self { layout, parameters })
    }
}

/// Neighbouring token rows that use the same adapter.
pub struct AdapterRows<'a, B: Backend> {
    pub adapter: &'a Adapter<B>,
    /// First token row.
    pub from: usize,
    pub count: usize,
}

impl<B: Backend> Clone for AdapterRows<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for AdapterRows<'_, B> {}

/// `ranks = A(x) [T, R]`, `y += scale * B(ranks)` for the token rows `from .. from+count` of `x` and `y`, where the layer
/// has a module.
pub fn lora_forward_rows<B: Backend>(
    backend: &B,
    rows: AdapterRows<'_, B>,
    (layer, target): (usize, Target),
    x: &B::Buffer,
    y: &mut B::Buffer,
    ranks: AtMut<'_, B::Buffer>,
) {
    let Some(m) = rows.adapter.layout.get(layer, target) else {
        return;
    };
    let (offset, to) = (ranks.offset, ranks.buffer);
    lora_ranks(backend, rows, m, x, AtMut::new(to, offset));
    let spec = Matmul {
        layout: Layout::Nt,
        m: rows.count,
        n: m.output,
        k: m.rank,
        alpha: m.scale,
        accumulate: true,
    };
    backend.matmul(
        spec,
        At::new(to, offset),
        At::new(&rows.adapter.parameters, m.b),
        AtMut::new(y, rows.from * m.output),
    );
}

/// `ranks = A(x) [rows.count, R]` of one module.
pub fn lora_ranks<B: Backend>(
    backend: &B,
    rows: AdapterRows<'_, B>,
    m: &LoraModule,
    x: &B::Buffer,
    ranks: AtMut<'_, B::Buffer>,
) {
    let spec = Matmul {
        layout: Layout::Nt,
        m: rows.count,
        n: m.rank,
        k: m.input,
        alpha: 1.0,
        accumulate: false,
    };
    let a = At::new(&rows.adapter.parameters, m.a);
    backend.matmul(spec, At::new(x, rows.from * m.input), a, ranks);
}
