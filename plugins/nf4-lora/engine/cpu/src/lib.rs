//! CPU back end: blocked matrix products over f32 and NF4 weights, attention, and the small fused operations of
//! training and generation. See `backend` for the entry point and `../SHAPES.md` for the tensor letters.
//!
//! Arithmetic contract: every output element is computed by one fixed chain of operations that depends on its own
//! inputs and on the instruction-set class only. Tiles, thread counts and the number of rows of a call decide where
//! and when an element is computed, never how.

// Kernels are pointer arithmetic from end to end; each states its requirements in a `Safety` section, and a block
// per line would only hide them.
#![allow(unsafe_op_in_unsafe_fn)]

pub mod attention;
pub mod backend;
pub mod buffer;
pub mod gemm;
pub mod isa;
pub mod math;
pub mod ops;
mod scratch;
pub mod simd;
pub mod team;

pub use backend::CpuBackend;
pub use isa::Isa;
