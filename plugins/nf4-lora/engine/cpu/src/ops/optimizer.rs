//! AdamW and the gradient norm.

use super::elementwise::{each_vector, get, put};
use crate::simd::Simd;
use crate::simd_entry;
use escada_engine_core::backend::AdamW;

#[inline(always)]
unsafe fn adamw_body<S: Simd>(
    spec: &AdamW,
    parameters: &mut [f32],
    gradients: &[f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    let (p, g) = (parameters.as_mut_ptr(), gradients.as_ptr());
    let (first, second) = (m.as_mut_ptr(), v.as_mut_ptr());
    let n = parameters.len().min(gradients.len()).min(m.len()).min(v.len());
    each_vector!(S, n, |i, n| {
        let gradient = S::mul(get::<S>(g.add(i), n), S::splat(spec.gradient_scale));
        let new_first = S::fma(
            S::splat(spec.beta1),
            get::<S>(first.add(i), n),
            S::mul(S::splat(spec.one_minus_beta1), gradient),
        );
        let square = S::mul(S::mul(S::splat(spec.one_minus_beta2), gradient), gradient);
        let new_second = S::fma(S::splat(spec.beta2), get::<S>(second.add(i), n), square);
        let root = S::div(S::sqrt(new_second), S::splat(spec.bias_correction2_sqrt));
        let denominator = S::add(root, S::splat(spec.epsilon));
        let step = S::div(S::mul(S::splat(spec.step_size), new_first), denominator);
        let kept = S::mul(get::<S>(p.add(i), n), S::splat(spec.decay));
        put::<S>(first.add(i), new_first, n);
        put::<S>(second.add(i), new_second, n);
        put::<S>(p.add(i), S::sub(kept, step), n);
    });
}

/// f64 sums side by side: the same for every class.
const SUMS: usize = 16;

// The class only chooses what this is compiled for.
#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
unsafe fn sum_squares_body<S: Simd>(x: &[f32]) -> f64 {
    let mut sums = [0.0f64; SUMS];
    let (blocks, rest) = x.as_chunks::<SUMS>();
    for block in blocks {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += f64::from(*value) * f64::from(*value);
    }
    sums.iter().sum()
}

simd_entry! {
    /// One AdamW step as `AdamW` describes it.
    pub unsafe fn adamw(
        spec: &AdamW, parameters: &mut [f32], gradients: &[f32], m: &mut [f32], v: &mut [f32],
    ) = adamw_body;
    /// `Σ x²` in f64, in a fixed order.
    pub unsafe fn sum_squares(x: &[f32]) -> f64 = sum_squares_body;
}
