//! Files that appear whole or not at all, and SHA-256 helpers.

use crate::error::{EngineError, Result};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    sweep(parent(path));
    let (temporary, file) = create(path).map_err(|cause| EngineError::io("write", path, &cause))?;
    // Open, and so locked, until it has its name: nobody takes it for left behind.
    let written = write_and_hash(&file, produce).and_then(|digest| {
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
    file: &File,
    produce: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<String> {
    let mut out = HashingWriter {
        inner: BufWriter::with_capacity(1 << 20, file),
        hasher: Sha256::new(),
    };
    produce(&mut out)?;
    out.flush()?;
    file.sync_all()?;
    Ok(hex(&out.hasher.finalize()))
}

/// A new temporary file beside `path`, locked as long as it is open.
fn create(path: &Path) -> std::io::Result<(PathBuf, File)> {
    loop {
        let temporary = temporary_path(path);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => {
                // Where a file system has no locks, nothing is swept either.
                let _ = file.try_lock();
                return Ok((temporary, file));
            }
            // Left by a process that had the same number.
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// A process is between creating its file and locking it no longer than this.
const SETTLED: Duration = Duration::from_secs(60);

/// Removes the temporary files of writers that were killed. What cannot be read or removed stays.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let writer = entry.file_name().to_str().and_then(writer_of);
        if writer.is_some_and(|process| left_behind(&entry.path(), process)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether nobody writes the file any more: its lock is free, and its process is gone or long done with taking the lock.
fn left_behind(path: &Path, process: u32) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(path) else {
        return false;
    };
    let gone = Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{process}")).exists();
    let age = file.metadata().and_then(|found| found.modified());
    let settled = age.is_ok_and(|age| age.elapsed().is_ok_and(|age| age > SETTLED));
    (gone || settled) && file.try_lock().is_ok()
}

/// Process id in the name of a temporary file.
fn writer_of(name: &str) -> Option<u32> {
    let rest = name.strip_prefix('.')?.strip_suffix(".partial")?;
    let (rest, serial) = rest.rsplit_once('.')?;
    let (name, process) = rest.rsplit_once('.')?;
    serial.parse::<u64>().ok().filter(|_| !name.is_empty())?;
    process.parse().ok()
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
    fn files_of_killed_writers_are_swept_and_those_of_running_ones_are_not() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let (own, none) = (std::process::id(), u32::MAX);
        let dead = at(&format!(".model.safetensors.{none}.7.partial"));
        let again = at(&format!(".a.bin.{own}.3.partial"));
        let (fresh, others) = (at(&format!(".b.bin.{own}.4.partial")), at("notes.partial"));
        for path in [&dead, &again, &fresh, &others] {
            std::fs::write(path, b"part")?;
        }
        // A process that was killed had the number that this one has.
        let old = std::time::SystemTime::now() - 2 * SETTLED;
        OpenOptions::new().write(true).open(&again)?.set_modified(old)?;
        let running = at(&format!(".c.bin.{none}.5.partial"));
        let writer = File::create(&running)?;
        writer.try_lock().map_err(std::io::Error::from)?;
        write_file(&at("a.bin"), b"abc")?;
        let left = [&dead, &again, &fresh, &others, &running].map(|path| path.exists());
        assert_eq!(left, [false, false, true, true, true]);
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
