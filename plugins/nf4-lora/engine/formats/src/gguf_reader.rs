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
    /// An array that no reader wants: of narrow numbers, and long.
    Skipped,
}

/// Longest array of numbers of one or two bytes that is kept: each takes up to eight times its bytes in memory, and no
/// setting of a model has so many.
const MAX_NARROW: usize = 1 << 16;

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
        if least_bytes <= 2 && count > MAX_NARROW {
            self.take(count * least_bytes)?;
            return Ok(Value::Skipped);
        }
        Ok(match kind {
            6 | 12 => Value::Floats(self.all(count, |reader| reader.float(kind))?),
            7 => Value::Bools(self.all(count, Self::boolean)?),
            8 => Value::Texts(self.all(count, Self::text)?),
            _ => Value::Ints(self.all(count, |reader| reader.int(kind))?),
        })
    }

    /// `count` elements, in memory of that size.
    fn all<T>(&mut self, count: usize, read: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(read(self)?);
        }
        Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An array of `count` zeroes, and a number behind it.
    fn array(kind: u32, bytes: usize, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        for number in [9, kind] {
            all.extend(u32::to_le_bytes(number));
        }
        all.extend((count as u64).to_le_bytes());
        all.extend(vec![0; bytes * count]);
        all.extend([4, 0, 0, 0, 11, 0, 0, 0]);
        all
    }

    #[test]
    fn long_arrays_of_narrow_numbers_are_passed_over_and_all_others_kept() {
        for (kind, bytes) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (7, 1)] {
            for count in [3, MAX_NARROW, MAX_NARROW + 1] {
                let data = array(kind, bytes, count);
                let mut reader = Reader::new(&data);
                let kept = match (reader.value(), kind) {
                    (Ok(Value::Skipped), _) => false,
                    (Ok(Value::Bools(values)), 7) => values.len() == count,
                    (Ok(Value::Ints(values)), _) => values.len() == count,
                    (other, _) => panic!("{other:?}"),
                };
                assert_eq!(kept, bytes == 4 || count <= MAX_NARROW, "type {kind}, {count}");
                assert_eq!(reader.value(), Ok(Value::Int(11)));
            }
        }
    }
}
