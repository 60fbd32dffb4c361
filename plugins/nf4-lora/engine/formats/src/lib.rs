//! File formats of the engine: GGUF, safetensors, NF4, tokenizer, chat template, PEFT adapters.
pub mod atomic;
pub mod chat;
pub mod checkpoint_source;
pub mod config;
pub mod error;
pub mod gguf;
mod gguf_blocks;
mod gguf_llama;
mod gguf_reader;
mod gguf_tokenizer;
mod hf_folder;
pub mod nf4;
mod nf4_encode;
pub mod nf4_tables;
pub mod peft;
pub mod safetensors_file;
pub mod safetensors_writer;
pub mod tensor;
pub mod tokenizer;

pub use chat::{ChatTemplate, Message};
pub use checkpoint_source::ModelSource;
pub use config::ModelConfig;
pub use error::{Code, EngineError, Result};
pub use nf4::{AbsMax, Nf4Tensor};
pub use peft::{AdapterFile, AdapterTensor};
pub use tensor::Tensor;
pub use tokenizer::Tokenizer;
