//! Model, training and generation over a `Backend`.
pub mod adapter_file;
pub mod backend;
pub mod batch;
pub mod buffers;
pub mod checkpoint;
pub mod decoder;
pub mod generate;
pub mod json_lines;
pub mod loaded;
pub mod lora;
mod lora_pass;
pub mod model;
pub mod pass;
pub mod process;
pub mod reference;
pub mod requests;
pub mod rng;
pub mod sampling;
pub mod schedule;
pub mod score;
pub mod session;
pub mod shape;
pub mod testing;
pub mod train;
pub mod train_config;

pub use lora_pass::DropoutPlan;
pub use session::Session;
