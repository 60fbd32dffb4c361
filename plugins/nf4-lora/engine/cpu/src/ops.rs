//! The small operations: element-wise and row-wise kernels on slices. Each takes the part of its operands that one
//! task owns; `backend` cuts them.

pub mod dropout;
pub mod elementwise;
pub mod loss;
pub mod norm;
pub mod optimizer;
pub mod optimizer8;
pub mod rope;
pub mod swiglu;
