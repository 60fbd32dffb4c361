//! Model, training and generation over a `Backend`.
pub mod backend;
pub mod batch;
pub mod buffers;
pub mod lora;
mod lora_pass;
pub mod model;
pub mod pass;
pub mod reference;
pub mod rng;
pub mod shape;
pub mod testing;

pub use lora_pass::DropoutPlan;
