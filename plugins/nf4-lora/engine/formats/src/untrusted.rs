//! What every reader of other people's files needs: sizes bounded before anything is allocated, names that appear
//! once, and libraries whose panics become errors.

use crate::error::{EngineError, Result};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Largest configuration, index header or template that is read; real ones have kilobytes.
pub const MAX_TEXT_BYTES: u64 = 16 << 20;
/// Largest `tokenizer.json` that is read; the largest in use have about 35 MB.
pub const MAX_TOKENIZER_BYTES: u64 = 128 << 20;

/// Opens a regular file. A pipe would be waited for without end, and a device has no size.
///
/// Errors: `Io`; `ModelFileInvalid` for anything that is no regular file.
pub fn open_regular(path: &Path) -> Result<File> {
    let fail = |cause: std::io::Error| EngineError::io("open", path, &cause);
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err(EngineError::invalid_file(path, "it is not a regular file"));
    }
    File::open(path).map_err(fail)
}

/// The content of a file of at most `max_bytes`. Errors: as [`open_regular`]; `ModelFileInvalid` for a larger one.
pub fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?
        .take(max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| EngineError::io("read", path, &cause))?;
    if bytes.len() as u64 > max_bytes {
        let detail = format!("it is larger than {max_bytes} bytes");
        return Err(EngineError::invalid_file(path, detail));
    }
    Ok(bytes)
}

/// As [`read_bounded`], for text. Errors: also `ModelFileInvalid` if it is not UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String> {
    String::from_utf8(read_bounded(path, max_bytes)?)
        .map_err(|_| EngineError::invalid_file(path, "it is not UTF-8"))
}

/// `None` for a file that is not there.
pub(crate) fn optional<T>(path: &Path, read: impl FnOnce(&Path) -> Result<T>) -> Result<Option<T>> {
    match std::fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        _ => read(path).map(Some),
    }
}

/// Runs a library over data it may not be ready for. A panic in it becomes the text of an error.
pub(crate) fn caught<T>(library: &str, work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| format!("{library} gave up: {}", text(&*payload)))
}

fn text(payload: &dyn Any) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}

/// A JSON object in which no name appears twice: of two entries the usual readers silently take the last.
pub(crate) struct UniqueMap<V>(pub BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueVisitor<V> {
    type Value = UniqueMap<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = access.next_entry::<String, V>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format!("the name {name:?} appears twice")));
            }
            map.insert(name, value);
        }
        Ok(UniqueMap(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn bounds_are_checked_before_reading() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a");
        std::fs::write(&path, "12345")?;
        assert_eq!(read_bounded(&path, 5)?, b"12345");
        assert!(matches!(read_bounded(&path, 4), Err(e) if e.code == Code::ModelFileInvalid));
        for other in [folder.path(), Path::new("/dev/zero")] {
            assert!(matches!(read_bounded(other, 4), Err(e) if e.code == Code::ModelFileInvalid));
        }
        assert!(optional(&folder.path().join("none"), |path| read_text(path, 9))?.is_none());
        Ok(())
    }

    #[test]
    fn a_panicking_library_is_an_error() {
        let odd = std::hint::black_box(1);
        let outcome = caught("it", || assert_ne!(odd, 1, "broken"));
        assert!(outcome.is_err_and(|text| text.starts_with("it gave up: ") && text.contains("broken")));
    }
}
