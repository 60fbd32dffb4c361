//! Links the addon and stamps it with the digest of the engine's sources: caches and checkpoints of another build
//! must not be taken for this one's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Crates whose code decides a result. A missing one has no code yet.
const CRATES: [&str; 4] = ["formats", "core", "cpu", "cuda"];
/// Hex digits kept: enough to tell builds apart by eye and by cache.
const DIGITS: usize = 12;

fn main() {
    napi_build::setup();
    match digest() {
        Ok(digest) => println!("cargo::rustc-env=ESCADA_ENGINE_SOURCES={}", &digest[..DIGITS]),
        Err(error) => println!("cargo::error=cannot read the engine's sources: {error}"),
    }
}

fn digest() -> io::Result<String> {
    let mut hash = Sha256::new();
    for name in CRATES {
        let root = Path::new("..").join(name);
        // Naming a missing path would build anew each time.
        if !root.exists() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", root.join("src").display());
        println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());
        let mut files = Vec::new();
        collect(&root.join("src"), &mut files)?;
        files.push(root.join("Cargo.toml"));
        files.sort();
        for file in files {
            hash.update(file.to_string_lossy().replace('\\', "/").as_bytes());
            hash.update([0]);
            hash.update(fs::read(&file)?);
            hash.update([0]);
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
