//! Files that appear whole or not at all, and SHA-256 helpers.

use crate::error::{EngineError, Result};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to `path` so that a reader or a crash never sees a part of them: temporary name in the same
/// folder, fsync, rename, fsync of the folder. Returns the SHA-256 in lower-case hex.
///
/// Errors: `Io`, naming the file.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<String> {
    write_file_with(path, |out| out.write_all(bytes))
}

/// Like [`write_file`], for content that is produced piece by piece by `produce`.
pub fn write_file_with(
    path: &Path,
    produce: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<String> {
    let temporary = temporary_path(path);
    let written = write_and_hash(&temporary, produce).and_then(|digest| {
        std::fs::rename(&temporary, path)?;
        Ok(digest)
    });
    match written {
        Ok(digest) => sync_folder(parent(path)).map(|()| digest),
        Err(cause) => {
            // The temporary file is of no use to anyone; the first failure is the one worth reporting.
            let _ = std::fs::remove_file(&temporary);
            Err(EngineError::io("write", path, &cause))
        }
    }
}

/// Makes renames and new names inside `folder` durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|cause| EngineError::io("sync", folder, &cause))
}

/// SHA-256 of `bytes`, 64 lower-case hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file's content, 64 lower-case hex digits.
pub fn sha256_file(path: &Path) -> Result<String> {
    let fail = |cause: std::io::Error| EngineError::io("read", path, &cause);
    let mut file = File::open(path).map_err(fail)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(fail)?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
    }
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Passes bytes on and hashes them on the way.
struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn write_and_hash(
    temporary: &Path,
    produce: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<String> {
    let file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    let mut out = HashingWriter {
        inner: BufWriter::with_capacity(1 << 20, file),
        hasher: Sha256::new(),
    };
    produce(&mut out)?;
    out.flush()?;
    out.inner.get_ref().sync_all()?;
    Ok(hex(&out.hasher.finalize()))
}

/// A name no other writer uses: same folder (rename must not cross file systems), process id and a counter.
fn temporary_path(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let serial = NEXT.fetch_add(1, Ordering::Relaxed);
    parent(path).join(format!(".{name}.{}.{serial}.partial", std::process::id()))
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn writes_whole_file_and_reports_its_digest() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.bin");
        let digest = write_file(&path, b"abc")?;
        assert_eq!(
            digest,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest, sha256_file(&path)?);
        assert_eq!(digest, sha256_hex(b"abc"));
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_failed_write_keeps_the_old_content_and_leaves_no_litter() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.bin");
        write_file(&path, b"old")?;
        let failed = write_file_with(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(std::io::Error::other("no space"))
        });
        assert!(matches!(failed, Err(error) if error.code == Code::Io && error.message.contains("a.bin")));
        assert_eq!(std::fs::read(&path)?, b"old");
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }
}
