//! Damage, drawn from a seed: the same seed and the same bytes give the same damaged bytes.

/// SplitMix64: small, and good enough to draw damage.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 for `end` 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            (self.next() % end as u64) as usize
        }
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Sizes that lie.
const WORDS: [u64; 12] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fff0,
    u64::MAX,
];
/// Bits of NaN and infinity as f32, then as f16 and bf16 pairs.
const PAYLOADS: [u32; 6] = [
    0x7fc0_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7e00_7e00,
    0x7c00_7c00,
    0x7fc0_7fc0,
];
/// What takes the place of a number or a text in JSON.
const JSON_VALUES: [&str; 22] = [
    "-1",
    "0",
    "1",
    "0.5",
    "-0.0",
    "1e999",
    "1e308",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"../../etc/passwd\"",
    "\"/dev/zero\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
];

/// Damages `bytes` once to four times; `other` is a second seed to splice with.
pub fn mutate(rng: &mut Rng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..1 + rng.below(4) {
        once(rng, &mut out, other);
    }
    out
}

fn once(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let textual = bytes.first().is_some_and(|first| b"{[ \n".contains(first));
    match rng.below(if textual { 14 } else { 10 }) {
        0 => flip(rng, bytes),
        1 => bytes.truncate(rng.below(bytes.len())),
        2 => put(rng, bytes, 4),
        3 => put(rng, bytes, 8),
        4 => off_by_one(rng, bytes),
        5 => cut(rng, bytes),
        6 => repeat(rng, bytes),
        7 => splice(rng, bytes, other),
        8 => payload(rng, bytes),
        9 => header_text(rng, bytes),
        10 => nest(rng, bytes),
        _ => replace_value(rng, bytes, 0, bytes.len()),
    }
}

fn flip(rng: &mut Rng, bytes: &mut [u8]) {
    for _ in 0..1 + rng.below(8) {
        let at = near_front(rng, bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << rng.below(8);
        }
    }
}

/// Headers are at the front: half of the damage is done there.
fn near_front(rng: &mut Rng, len: usize) -> usize {
    if rng.below(2) == 0 {
        rng.below(len.min(2048))
    } else {
        rng.below(len)
    }
}

fn put(rng: &mut Rng, bytes: &mut [u8], width: usize) {
    let at = near_front(rng, bytes.len());
    let word = rng.pick(&WORDS).to_le_bytes();
    for (target, byte) in bytes.iter_mut().skip(at).zip(&word[..width]) {
        *target = *byte;
    }
}

fn off_by_one(rng: &mut Rng, bytes: &mut [u8]) {
    let at = near_front(rng, bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte = if rng.below(2) == 0 {
            byte.wrapping_add(1)
        } else {
            byte.wrapping_sub(1)
        };
    }
}

fn range(rng: &mut Rng, len: usize) -> std::ops::Range<usize> {
    let start = near_front(rng, len);
    let most = if rng.below(4) == 0 { len } else { 64 };
    start..(start + rng.below(most)).min(len)
}

fn cut(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let range = range(rng, bytes.len());
    bytes.drain(range);
}

fn repeat(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let range = range(rng, bytes.len());
    let piece = bytes[range.clone()].repeat(1 + rng.below(3));
    bytes.splice(range.start..range.start, piece);
}

fn splice(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let (head, tail) = (rng.below(bytes.len()), rng.below(other.len()));
    bytes.truncate(head);
    bytes.extend_from_slice(&other[tail..]);
}

fn payload(rng: &mut Rng, bytes: &mut [u8]) {
    let at = rng.below(bytes.len()) & !3;
    let word = rng.pick(&PAYLOADS).to_le_bytes();
    for (target, byte) in bytes.iter_mut().skip(at).zip(&word) {
        *target = *byte;
    }
}

/// Replaces a value in the JSON header of a binary file and corrects the header's length, so that what is inside is
/// looked at; damages files of other formats at random.
fn header_text(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let length = bytes.first_chunk::<8>().map_or(0, |raw| u64::from_le_bytes(*raw));
    let end = usize::try_from(length).ok().and_then(|n| n.checked_add(8));
    let Some(end) = end.filter(|end| *end <= bytes.len() && *end > 8) else {
        return flip(rng, bytes);
    };
    let before = bytes.len();
    replace_value(rng, bytes, 8, end);
    let header = (end - 8 + bytes.len()).saturating_sub(before) as u64;
    bytes[..8].copy_from_slice(&header.to_le_bytes());
}

/// Replaces one number or text between `from` and `to`.
fn replace_value(rng: &mut Rng, bytes: &mut Vec<u8>, from: usize, to: usize) {
    let start = from + rng.below(to.saturating_sub(from));
    let is_number = |byte: &u8| byte.is_ascii_digit();
    let Some(at) = bytes
        .get(start..to)
        .and_then(|rest| rest.iter().position(|byte| is_number(byte) || *byte == b'"'))
    else {
        return;
    };
    let at = start + at;
    let length = if bytes[at] == b'"' {
        bytes[at + 1..to]
            .iter()
            .position(|byte| *byte == b'"')
            .map_or(1, |end| end + 2)
    } else {
        bytes[at..to].iter().take_while(|byte| is_number(byte)).count()
    };
    let value = rng.pick(&JSON_VALUES).as_bytes().to_vec();
    bytes.splice(at..at + length, value);
}

/// Brackets a few levels, or very many.
fn nest(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let depth = *rng.pick(&[3, 60, 127, 129, 5000, 100_000]);
    let (open, close) = *rng.pick(&[("[", "]"), ("{\"a\":", "}")]);
    let text = format!("{}0{}", open.repeat(depth), close.repeat(depth));
    let at = rng.below(bytes.len());
    let colon = bytes[at..].iter().position(|byte| *byte == b':').unwrap_or(0);
    bytes.splice(at + colon..at + colon, text.into_bytes());
}
