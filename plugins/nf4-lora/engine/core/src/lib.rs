//! Model, training and generation over a `Backend`.
pub mod backend;
pub mod reference;
pub mod rng;
