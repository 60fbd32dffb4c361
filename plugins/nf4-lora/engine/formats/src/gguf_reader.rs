//! Checked little-endian reading of a GGUF header. Every length is compared with what is left of the file before
//! anything is allocated, so a lying header costs nothing.

use std::borrow::Cow;

/// Metadata of a GGUF file; integers of every width become `Int`, floats `Float`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
}

/// What is wrong, without the file's name (the caller adds it).
pub(crate) type Parsed<T> = Result<T, Cow<'static, str>>;

/// A position in the bytes of the file.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pub(crate) position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub(crate) fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let slice = self.bytes[self.position..]
            .get(..count)
            .ok_or_else(|| self.truncated(count as u64))?;
        self.position += count;
        Ok(slice)
    }

    fn truncated(&self, wanted: u64) -> Cow<'static, str> {
        let (position, left) = (self.position, self.remaining());
        format!("at byte {position} the header asks for {wanted} bytes, but {left} are left").into()
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut raw = [0; N];
        raw.copy_from_slice(self.take(N)?);
        Ok(raw)
    }

    pub(crate) fn u32(&mut self) -> Parsed<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Parsed<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things that take at least `least_bytes` each in the file.
    pub(crate) fn count(&mut self, least_bytes: usize) -> Parsed<usize> {
        let count = self.u64()?;
        let needed = count.saturating_mul(least_bytes as u64);
        if needed > self.remaining() as u64 {
            return Err(self.truncated(needed));
        }
        Ok(count as usize)
    }

    pub(crate) fn text(&mut self) -> Parsed<String> {
        let length = self.count(1)?;
        let start = self.position;
        let raw = self.take(length)?;
        String::from_utf8(raw.to_vec()).map_err(|_| format!("the text at byte {start} is not UTF-8").into())
    }

    pub(crate) fn value(&mut self) -> Parsed<Value> {
        let kind = self.u32()?;
        match kind {
            0..=5 | 10 | 11 => self.int(kind).map(Value::Int),
            6 | 12 => self.float(kind).map(Value::Float),
            7 => self.boolean().map(Value::Bool),
            8 => self.text().map(Value::Text),
            9 => self.values(),
            other => Err(format!("unknown metadata type {other} at byte {}", self.position - 4).into()),
        }
    }

    fn values(&mut self) -> Parsed<Value> {
        let kind = self.u32()?;
        let least_bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            other => {
                return Err(format!("unsupported array type {other} at byte {}", self.position - 4).into());
            }
        };
        let count = self.count(least_bytes)?;
        Ok(match kind {
            6 | 12 => Value::Floats((0..count).map(|_| self.float(kind)).collect::<Parsed<_>>()?),
            7 => Value::Bools((0..count).map(|_| self.boolean()).collect::<Parsed<_>>()?),
            8 => Value::Texts((0..count).map(|_| self.text()).collect::<Parsed<_>>()?),
            _ => Value::Ints((0..count).map(|_| self.int(kind)).collect::<Parsed<_>>()?),
        })
    }

    fn int(&mut self, kind: u32) -> Parsed<i64> {
        Ok(match kind {
            0 => i64::from(u8::from_le_bytes(self.array()?)),
            1 => i64::from(i8::from_le_bytes(self.array()?)),
            2 => i64::from(u16::from_le_bytes(self.array()?)),
            3 => i64::from(i16::from_le_bytes(self.array()?)),
            4 => i64::from(self.u32()?),
            5 => i64::from(i32::from_le_bytes(self.array()?)),
            10 => i64::try_from(self.u64()?).map_err(|_| Cow::Borrowed("a metadata integer exceeds 2^63"))?,
            _ => i64::from_le_bytes(self.array()?),
        })
    }

    fn float(&mut self, kind: u32) -> Parsed<f64> {
        Ok(if kind == 6 {
            f64::from(f32::from_le_bytes(self.array()?))
        } else {
            f64::from_le_bytes(self.array()?)
        })
    }

    fn boolean(&mut self) -> Parsed<bool> {
        Ok(self.array::<1>()?[0] != 0)
    }
}
