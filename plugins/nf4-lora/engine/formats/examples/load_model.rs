//! Opens a model, decodes every tensor, quantizes the linear layers to NF4 and prints how long each part took:
//! `cargo run --release -p escada-engine-formats --example load_model -- <model.gguf | folder>`.

use escada_engine_formats::{ModelSource, Result, nf4::quantize};
use std::path::Path;
use std::time::{Duration, Instant};

const BLOCKSIZE: usize = 64;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_default();
    let (source, opened) = timed(|| ModelSource::open(Path::new(&path)));
    let source = source?;
    let (digest, hashed) = timed(|| source.digest());
    let (tokenizer, built) = timed(|| source.tokenizer());
    println!("{:?}", source.config());
    println!("digest {} in {hashed:.2?}", digest?);
    println!(
        "opened in {opened:.2?}, tokenizer of {} tokens in {built:.2?}",
        tokenizer?.vocabulary_size()
    );
    load_weights(&source)
}

fn load_weights(source: &ModelSource) -> Result<()> {
    let (mut decoding, mut quantizing) = (Duration::ZERO, Duration::ZERO);
    let (mut quantized, mut bytes) = (0, 0);
    for name in source.config().tensor_names() {
        let (tensor, took) = timed(|| source.tensor(&name));
        let tensor = tensor?;
        decoding += took;
        if let ([rows, cols], true) = (tensor.shape.as_slice(), name.starts_with("model.layers.")) {
            let (nf4, took) = timed(|| quantize(&tensor.values, *rows, *cols, BLOCKSIZE, true));
            quantizing += took;
            quantized += tensor.values.len();
            bytes += nf4?.size_bytes();
        }
    }
    println!("decoded {} weights in {decoding:.2?}", source.parameters());
    println!("quantized {quantized} weights to {bytes} bytes in {quantizing:.2?}");
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
