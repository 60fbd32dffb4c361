//! Dropout with counter-based random words (Philox4x32-10, as in the core's `rng`), sixteen counters at a time.

use crate::simd::Simd;
use crate::simd_entry;
use escada_engine_core::backend::Dropout;

const LANES: usize = 16;
type Words = [u32; LANES];
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

#[inline(always)]
fn multiply(x: &Words, factor: u32) -> (Words, Words) {
    let (mut high, mut low) = ([0; LANES], [0; LANES]);
    for i in 0..LANES {
        let product = u64::from(x[i]) * u64::from(factor);
        high[i] = (product >> 32) as u32;
        low[i] = product as u32;
    }
    (high, low)
}

/// Words of counters `first .. first+16`, word by word.
#[inline(always)]
fn philox16(site: &Dropout, first: u64) -> [Words; 4] {
    let counter = |i: usize| first.wrapping_add(i as u64);
    let mut c = [
        std::array::from_fn(|i| counter(i) as u32),
        std::array::from_fn(|i| (counter(i) >> 32) as u32),
        [site.stream as u32; LANES],
        [(site.stream >> 32) as u32; LANES],
    ];
    let mut k = [site.key as u32, (site.key >> 32) as u32];
    for _ in 0..10 {
        let (high0, low0) = multiply(&c[0], MULTIPLIERS[0]);
        let (high1, low1) = multiply(&c[2], MULTIPLIERS[1]);
        let (mut a, mut b) = ([0; LANES], [0; LANES]);
        for i in 0..LANES {
            a[i] = high1[i] ^ c[1][i] ^ k[0];
            b[i] = high0[i] ^ c[3][i] ^ k[1];
        }
        c = [a, low1, b, low0];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

// The class only chooses what this is compiled for: plain loops over sixteen words become vectors.
#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
unsafe fn dropout_body<S: Simd>(x: &[f32], out: &mut [f32], first: u64, site: &Dropout, accumulate: bool) {
    // word / 2^32 >= p, exactly: the smallest word kept.
    let limit = (f64::from(site.probability) * 4_294_967_296.0).ceil() as u64;
    let factor = (1.0 / (1.0 - f64::from(site.probability))) as f32;
    for (block, (from, to)) in x.chunks(4 * LANES).zip(out.chunks_mut(4 * LANES)).enumerate() {
        let words = philox16(site, first / 4 + (block * LANES) as u64);
        for (i, (value, slot)) in from.iter().zip(to).enumerate() {
            let kept = u64::from(words[i % 4][i / 4]) >= limit;
            let dropped = if kept { *value * factor } else { 0.0 };
            *slot = if accumulate { *slot + dropped } else { dropped };
        }
    }
}

simd_entry! {
    /// `out (+)= mask * x / (1-p)`; `x` and `out` start at element `first` of the site, a multiple of 4.
    pub unsafe fn dropout(x: &[f32], out: &mut [f32], first: u64, site: &Dropout, accumulate: bool) = dropout_body;
}
