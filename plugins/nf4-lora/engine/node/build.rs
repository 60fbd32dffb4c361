//! Links the addon and stamps it with the digest of what it is made from: the engine's sources, the locked libraries, the
//! compiler and its flags. Caches and checkpoints of another build must not be taken for this one's.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Crates whose code decides a result. A missing one has no code yet.
const CRATES: [&str; 4] = ["formats", "core", "cpu", "cuda"];
/// Of the workspace: versions of all libraries, profiles.
const WORKSPACE: [&str; 2] = ["Cargo.lock", "Cargo.toml"];
/// What cargo tells of how it compiles.
const FLAGS: [&str; 6] = [
    "TARGET",
    "PROFILE",
    "OPT_LEVEL",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_CFG_TARGET_FEATURE",
    "CARGO_CFG_PANIC",
];
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
        // Naming a missing path would build again each time.
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
            let content = fs::read(&file)?;
            part(&mut hash, &file.to_string_lossy().replace('\\', "/"), &content);
        }
    }
    for name in WORKSPACE {
        let path = Path::new("../../../..").join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        part(&mut hash, name, &fs::read(&path)?);
    }
    for name in FLAGS {
        println!("cargo::rerun-if-env-changed={name}");
        let value = env::var_os(name).unwrap_or_default();
        part(&mut hash, name, value.to_string_lossy().as_bytes());
    }
    part(&mut hash, "rustc", &compiler()?);
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn part(hash: &mut Sha256, name: &str, content: &[u8]) {
    for bytes in [name.as_bytes(), content] {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
}

/// Version, commit and back end of the compiler that cargo uses.
fn compiler() -> io::Result<Vec<u8>> {
    let version = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("-vV")
        .output()?;
    match version.status.success() {
        true => Ok(version.stdout),
        false => Err(io::Error::other("`rustc -vV` failed")),
    }
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
