//! Frozen weights: the forms they are kept in, and products with them.

use super::{Buffer, CpuBackend, no_memory, out_of_range};
use crate::gemm::bf16::{self, Bf16Weight};
use crate::gemm::block::Tail;
#[cfg(target_arch = "x86_64")]
use crate::gemm::blocks16;
use crate::gemm::dense::DenseWeight;
use crate::gemm::driver::{Panels, Product, multiply};
use crate::gemm::four_bits::{Nf4Weight, Q4Weight};
use crate::gemm::q8::Q8Weight;
use crate::isa::Isa;
use crate::team::Team;
use escada_engine_core::backend::{Layout, LinearSource, LowRank};
use escada_engine_formats::error::Result;

/// A frozen weight `[N, K]`, rearranged for the instruction-set class.
pub enum CpuLinear {
    F32(DenseWeight),
    /// f32 values that are all bfloat16.
    Bf16(Bf16Weight),
    Nf4(Nf4Weight),
    Q4(Q4Weight),
    Q8(Q8Weight),
}

impl CpuLinear {
    /// `(N, K)`
    pub fn shape(&self) -> (usize, usize) {
        match self {
            CpuLinear::F32(w) => (w.rows, w.cols),
            CpuLinear::Bf16(w) => (w.rows, w.cols),
            CpuLinear::Nf4(w) => (w.rows, w.cols),
            CpuLinear::Q4(w) => (w.rows, w.cols),
            CpuLinear::Q8(w) => (w.rows, w.cols),
        }
    }
    /// Rearranges a weight; f32 values that are all bfloat16 are kept in 16 bits.
    ///
    /// # Errors
    /// `ENGINE_INTERNAL` when the data is shorter than the shape, `ENGINE_OUT_OF_MEMORY` when memory is short.
    pub(super) fn pack(team: &Team, isa: Isa, source: LinearSource<'_>) -> Result<CpuLinear> {
        let (packed, what, elements) = match source {
            LinearSource::F32 { rows, cols, data } => {
                let data = data.get(..rows * cols).ok_or_else(|| out_of_range("a weight"))?;
                let packed = if bf16::fits(data) {
                    Bf16Weight::pack(team, isa, rows, cols, data).map(CpuLinear::Bf16)
                } else {
                    DenseWeight::pack(team, isa, rows, cols, data).map(CpuLinear::F32)
                };
                (packed, "a weight", rows * cols)
            }
            LinearSource::Q4(t) => {
                let packed = Q4Weight::pack(team, isa, t).map(CpuLinear::Q4);
                (packed, "a weight in 4 bits", t.rows * t.cols)
            }
            LinearSource::Q8(t) => {
                let packed = Q8Weight::pack(team, isa, t).map(CpuLinear::Q8);
                (packed, "a weight in 8 bits", t.rows * t.cols)
            }
            LinearSource::Nf4(t) => {
                let packed = Nf4Weight::pack(team, isa, t).map(CpuLinear::Nf4);
                (packed, "an NF4 weight", t.rows * t.cols)
            }
        };
        packed.ok_or_else(|| no_memory(what, elements))
    }

    /// Memory of the rearranged weight, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            CpuLinear::F32(w) => w.bytes(),
            CpuLinear::Bf16(w) => w.bytes(),
            CpuLinear::Nf4(w) => w.bytes(),
            CpuLinear::Q4(w) => w.bytes(),
            CpuLinear::Q8(w) => w.bytes(),
        }
    }

    /// Row `i` in f32, into `to: [K]`.
    pub(super) fn row(&self, isa: Isa, i: usize, to: &mut [f32]) {
        match self {
            CpuLinear::F32(w) => w.row(i, to),
            CpuLinear::Bf16(w) => w.row(i, to),
            CpuLinear::Q4(w) => w.row(isa, i, to),
            CpuLinear::Nf4(w) => w.row(isa, i, to),
            CpuLinear::Q8(w) => w.row(i, to),
        }
    }
}

impl CpuBackend {
    /// A weight's product to `to` and one of low rank, in one pass where it may be; `layout` as `low.outer` is kept.
    pub(super) fn with_low_rank(
        &self,
        base: Product,
        weight: &CpuLinear,
        layout: Layout,
        low: LowRank<'_, Buffer>,
        to: &mut Buffer,
    ) {
        let (rank, turned) = (low.rank, layout == Layout::Nt);
        let tail = Tail {
            rank,
            scale: low.scale,
            a: low.inner.buffer[low.inner.offset..][..base.m * rank].as_ptr(),
            outer: low.outer.buffer[low.outer.offset..][..low.columns * rank].as_ptr(),
            turned,
        };
        let together = rank <= Tail::MOST && base.m > self.isa.direct_rows();
        let tail = together.then_some(tail);
        self.product(&Product { tail, ..base }, weight, !turned);
        if !together {
            low.multiply(self, layout, base.m, to, true);
        }
    }

    pub(super) fn product(&self, product: &Product, weight: &CpuLinear, backward: bool) {
        match (weight, backward) {
            (CpuLinear::F32(w), false) => self.multiply(product, w.forward()),
            (CpuLinear::F32(w), true) => self.multiply(product, w.backward()),
            (CpuLinear::Bf16(w), false) => self.multiply(product, w.forward()),
            (CpuLinear::Bf16(w), true) => self.multiply(product, w.backward()),
            (CpuLinear::Nf4(w), false) => self.multiply(product, w.forward()),
            (CpuLinear::Nf4(w), true) => self.multiply(product, w.backward()),
            (CpuLinear::Q4(w), false) => self.multiply(product, w.forward()),
            (CpuLinear::Q4(w), true) => self.multiply(product, w.backward()),
            (CpuLinear::Q8(w), false) => self.multiply(product, w.forward()),
            (CpuLinear::Q8(w), true) => self.multiply(product, w.backward()),
        }
    }

    fn multiply(&self, product: &Product, weight: impl Panels) {
        // SAFETY: the callers checked the lengths; views of a weight live as long as the weight.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if self.sixteen && blocks16::takes(product) {
                return blocks16::multiply(&self.team, product, weight);
            }
            multiply(&self.team, self.isa, product, weight)
        }
    }
}

/// Whether the class and this machine have the instructions for products in 16 bits.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_sixteen(isa: Isa) -> bool {
    isa == Isa::Avx512 && blocks16::available()
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn has_sixteen(_isa: Isa) -> bool {
    false
}
