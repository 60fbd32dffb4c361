//! File formats of the engine: GGUF, safetensors, NF4, tokenizer, chat template, PEFT adapters.
pub mod error;
pub mod nf4;
