//! RMS normalisation of rows.

use super::elementwise::{each_vector, get, put};
use crate::simd::Simd;
use crate::simd_entry;

#[inline(always)]
unsafe fn rms_norm_body<S: Simd>(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32], rstd: &mut [f32]) {
    let c = weight.len();
    for (t, slot) in rstd.iter_mut().enumerate() {
        let (row, to) = (
            x[t * c..(t + 1) * c].as_ptr(),
            out[t * c..(t + 1) * c].as_mut_ptr(),
        );
        let mut squares = S::splat(0.0);
        each_vector!(S, c, |i, n| {
            let v = get::<S>(row.add(i), n);
            squares = S::fma(v, v, squares);
        });
        let r = 1.0 / (S::reduce_sum(squares) / c as f32 + epsilon).sqrt();
        *slot = r;
        each_vector!(S, c, |i, n| {
            let scaled = S::mul(get::<S>(row.add(i), n), S::splat(r));
            put::<S>(to.add(i), S::mul(scaled, get::<S>(weight.as_ptr().add(i), n)), n);
        });
    }
}

#[inline(always)]
unsafe fn rms_norm_backward_body<S: Simd>(
    x: &[f32],
    weight: &[f32],
    rstd: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) {
    let c = weight.len();
    let w = weight.as_ptr();
    for (t, r) in rstd.iter().enumerate() {
        let range = t * c..(t + 1) * c;
        let (row, d) = (x[range.clone()].as_ptr(), dy[range.clone()].as_ptr());
        let to = dx[range].as_mut_ptr();
        let mut dot = S::splat(0.0);
        each_vector!(S, c, |i, n| {
            let dyw = S::mul(get::<S>(d.add(i), n), get::<S>(w.add(i), n));
            dot = S::fma(dyw, get::<S>(row.add(i), n), dot);
        });
        let along = S::splat(r * r * (S::reduce_sum(dot) / c as f32));
        each_vector!(S, c, |i, n| {
            let dyw = S::mul(get::<S>(d.add(i), n), get::<S>(w.add(i), n));
            let inner = S::fnma(get::<S>(row.add(i), n), along, dyw);
            let old = if accumulate {
                get::<S>(to.add(i), n)
            } else {
                S::splat(0.0)
            };
            put::<S>(to.add(i), S::fma(S::splat(*r), inner, old), n);
        });
    }
}

#[inline(always)]
unsafe fn weight_gradient_body<S: Simd>(
    x: &[f32],
    rstd: &[f32],
    dy: &[f32],
    c0: usize,
    c: usize,
    dw: &mut [f32],
) {
    each_vector!(S, dw.len(), |i, n| {
        let mut sum = get::<S>(dw.as_ptr().add(i), n);
        for (t, r) in rstd.iter().enumerate() {
            let at = t * c + c0 + i;
            let scaled = S::mul(get::<S>(x.as_ptr().add(at), n), S::splat(*r));
            sum = S::fma(scaled, get::<S>(dy.as_ptr().add(at), n), sum);
        }
        put::<S>(dw.as_mut_ptr().add(i), sum, n);
    });
}

simd_entry! {
    /// `rstd[t] = 1/sqrt(mean(x[t]²) + epsilon)`, `out = x * rstd * weight`; `x, out [T, C]`, `weight [C]`, `rstd [T]`.
    pub unsafe fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32], rstd: &mut [f32]) = rms_norm_body;
    /// `dx (+)= rstd * (dy*w - x * rstd² * mean(dy*w*x))`; `x, dy, dx [T, C]`, `weight [C]`, `rstd [T]`.
    pub unsafe fn rms_norm_backward(
        x: &[f32], weight: &[f32], rstd: &[f32], dy: &[f32], dx: &mut [f32], accumulate: bool,
    ) = rms_norm_backward_body;
    /// `dw[i] += Σt x[t, c0+i] * rstd[t] * dy[t, c0+i]`; `x, dy [T, c]`, `dw` a part of `[c]` that starts at `c0`.
    pub unsafe fn rms_norm_weight_gradient(
        x: &[f32], rstd: &[f32], dy: &[f32], c0: usize, c: usize, dw: &mut [f32],
    ) = weight_gradient_body;
}
