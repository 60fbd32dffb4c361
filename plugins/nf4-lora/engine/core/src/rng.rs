//! Counter-based random numbers (Philox4x32-10): a value is a pure function of (key, counter), so that resuming,
//! reordering or splitting the work never changes a draw and no generator state has to be saved.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Four random words for a 64-bit key and the 128-bit counter `(counter, stream)`.
pub fn philox(key: u64, counter: u64, stream: u64) -> [u32; 4] {
    let mut k = [key as u32, (key >> 32) as u32];
    let mut c = [
        counter as u32,
        (counter >> 32) as u32,
        stream as u32,
        (stream >> 32) as u32,
    ];
    for _ in 0..10 {
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// Word `index` of the sequence named by (key, stream): what `Backend::dropout` draws for element `index`.
pub fn word(key: u64, stream: u64, index: u64) -> u32 {
    philox(key, index / 4, stream)[(index % 4) as usize]
}

/// A float in `[0, 1)` with 24 random bits.
pub fn unit_f32(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A float in `[0, 1)` with 53 random bits.
pub fn unit_f64(high: u32, low: u32) -> f64 {
    let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
    bits as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Stream number of a name (FNV-1a, 64 bits): tensors draw independently of their order.
pub fn stream_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A permutation of `0..count`, a pure function of its arguments (Fisher-Yates with 64-bit draws).
pub fn permutation(seed: u64, epoch: u64, count: usize) -> Vec<u32> {
    let stream = stream_of("data-order") ^ epoch;
    let mut order: Vec<u32> = (0..count as u32).collect();
    for i in (1..count).rev() {
        let w = philox(seed, i as u64, stream);
        let draw = u64::from(w[0]) << 32 | u64::from(w[1]);
        // Multiply-shift maps 64 random bits to 0..=i; the bias is below 2^-32 for any real row count.
        let j = ((u128::from(draw) * (i as u128 + 1)) >> 64) as usize;
        order.swap(i, j);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_matches_the_published_vectors() {
        // Known-answer vectors of the Random123 distribution.
        assert_eq!(
            philox(0, 0, 0),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox(u64::MAX, u64::MAX, u64::MAX),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                0x299f_31d0_a409_3822,
                0x85a3_08d3_243f_6a88,
                0x0370_7344_1319_8a2e
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn permutations_are_complete_and_differ_by_epoch() {
        let a = permutation(1, 0, 100);
        let b = permutation(1, 1, 100);
        assert_ne!(a, b);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<u32>>());
        assert_eq!(a, permutation(1, 0, 100));
    }
}
