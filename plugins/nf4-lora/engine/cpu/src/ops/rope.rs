//! Rotary positions, half-split.

use super::elementwise::{each_vector, get, put};
use crate::simd::Simd;
use crate::simd_entry;

#[inline(always)]
unsafe fn rope_body<S: Simd>(
    x: &mut [f32],
    positions: &[u32],
    cos: &[f32],
    sin: &[f32],
    heads: usize,
    head_size: usize,
    inverse: bool,
) {
    let half = head_size / 2;
    let sign = S::splat(if inverse { -1.0 } else { 1.0 });
    for (t, position) in positions.iter().enumerate() {
        let at = *position as usize * half;
        let (c, s) = (cos[at..at + half].as_ptr(), sin[at..at + half].as_ptr());
        let row = x[t * heads * head_size..(t + 1) * heads * head_size].as_mut_ptr();
        for h in 0..heads {
            let (low, high) = (row.add(h * head_size), row.add(h * head_size + half));
            each_vector!(S, half, |i, n| {
                let (a, b) = (get::<S>(low.add(i), n), get::<S>(high.add(i), n));
                let cosine = get::<S>(c.add(i), n);
                let sine = S::mul(sign, get::<S>(s.add(i), n));
                put::<S>(low.add(i), S::fnma(b, sine, S::mul(a, cosine)), n);
                put::<S>(high.add(i), S::fma(a, sine, S::mul(b, cosine)), n);
            });
        }
    }
}

simd_entry! {
    /// Rotates `x [T, heads*HS]` in place by `positions [T]`; `cos, sin [*, HS/2]`; `inverse` negates the sine.
    pub unsafe fn rope(
        x: &mut [f32], positions: &[u32], cos: &[f32], sin: &[f32], heads: usize, head_size: usize, inverse: bool,
    ) = rope_body;
}
