//! Model, training and generation over a `Backend`.
pub mod backend;
