//! Gated activation `silu(gate) * up`.

use super::elementwise::{each_vector, get, put};
use crate::math::sigmoid;
use crate::simd::Simd;
use crate::simd_entry;

#[inline(always)]
unsafe fn swiglu_body<S: Simd>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let (g, u, o) = (gate.as_ptr(), up.as_ptr(), out.as_mut_ptr());
    each_vector!(S, out.len().min(gate.len()).min(up.len()), |i, n| {
        let x = get::<S>(g.add(i), n);
        let silu = S::mul(x, sigmoid::<S>(x));
        put::<S>(o.add(i), S::mul(silu, get::<S>(u.add(i), n)), n);
    });
}

#[inline(always)]
unsafe fn swiglu_backward_body<S: Simd>(
    gate: &[f32],
    up: &[f32],
    d_out: &[f32],
    d_gate: &mut [f32],
    d_up: &mut [f32],
) {
    let (g, u, d) = (gate.as_ptr(), up.as_ptr(), d_out.as_ptr());
    let (dg, du) = (d_gate.as_mut_ptr(), d_up.as_mut_ptr());
    let one = S::splat(1.0);
    each_vector!(
        S,
        d_up.len().min(gate.len()).min(up.len()).min(d_out.len()),
        |i, n| {
            let (x, y, dy) = (
                get::<S>(g.add(i), n),
                get::<S>(u.add(i), n),
                get::<S>(d.add(i), n),
            );
            let s = sigmoid::<S>(x);
            let slope = S::mul(s, S::fma(x, S::sub(one, s), one));
            put::<S>(dg.add(i), S::mul(S::mul(dy, y), slope), n);
            put::<S>(du.add(i), S::mul(dy, S::mul(x, s)), n);
        }
    );
}

simd_entry! {
    /// `out = silu(gate) * up`.
    pub unsafe fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) = swiglu_body;
    /// Gradients of `swiglu`, written over `d_gate` and `d_up`.
    pub unsafe fn swiglu_backward(
        gate: &[f32], up: &[f32], d_out: &[f32], d_gate: &mut [f32], d_up: &mut [f32],
    ) = swiglu_backward_body;
}
