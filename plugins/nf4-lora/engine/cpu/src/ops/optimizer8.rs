//! AdamW on 8-bit moments.
//!
//! Scalar code: the codes are looked up and searched for, which vectors do not help, and fused multiply-adds are
//! written as such, so that every instruction-set class gives the same bits.

use crate::simd::Simd;
use crate::simd_entry;
use escada_engine_core::backend::{AdamW8, MOMENT_BLOCK};
use escada_engine_formats::nf4::nearest_in;
use escada_engine_formats::nf4_tables::{DYNAMIC_MAP, UNSIGNED_MAP};

static SIGNED: [f32; 256] = DYNAMIC_MAP;
static UNSIGNED: [f32; 256] = UNSIGNED_MAP;

/// Moments of whole blocks; the last block may be short.
pub struct BlockMoments<'a> {
    pub m: &'a mut [u8],
    pub v: &'a mut [u8],
    pub m_scales: &'a mut [f32],
    pub v_scales: &'a mut [f32],
}

// The class only chooses what this is compiled for.
#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
unsafe fn adamw_8bit_body<S: Simd>(
    spec: &AdamW8,
    parameters: &mut [f32],
    gradients: &[f32],
    moments: BlockMoments<'_>,
) {
    let blocks = parameters
        .chunks_mut(MOMENT_BLOCK)
        .zip(gradients.chunks(MOMENT_BLOCK))
        .zip(moments.m.chunks_mut(MOMENT_BLOCK))
        .zip(moments.v.chunks_mut(MOMENT_BLOCK))
        .zip(moments.m_scales.iter_mut().zip(moments.v_scales));
    for ((((p, g), m), v), (m_scale, v_scale)) in blocks {
        let (mut first, mut second) = ([0.0f32; MOMENT_BLOCK], [0.0f32; MOMENT_BLOCK]);
        for i in 0..p.len() {
            if !g[i].is_finite() {
                continue;
            }
            let gradient = g[i] * spec.gradient_scale;
            let old_m = SIGNED[usize::from(m[i])] * *m_scale;
            let old_v = UNSIGNED[usize::from(v[i])] * *v_scale;
            first[i] = gradient.mul_add(spec.one_minus_beta1, old_m * spec.beta1);
            second[i] = gradient.mul_add(spec.one_minus_beta2 * gradient, old_v * spec.beta2);
            let denominator = second[i].sqrt() + spec.epsilon;
            p[i] = (-spec.step_size).mul_add(first[i] / denominator, p[i]) * spec.decay;
        }
        *m_scale = encode(&SIGNED, &first[..p.len()], m, repair_sign);
        *v_scale = encode(&UNSIGNED, &second[..p.len()], v, |code, _| code);
    }
}

/// Codes of one block; returns its scale.
#[inline(always)]
fn encode(map: &[f32; 256], values: &[f32], codes: &mut [u8], repair: impl Fn(u8, f32) -> u8) -> f32 {
    let scale = values
        .iter()
        .fold(0.0f32, |largest, value| largest.max(value.abs()));
    let reciprocal = 1.0 / scale;
    for (code, value) in codes.iter_mut().zip(values) {
        *code = repair(nearest_in(map, value * reciprocal), *value);
    }
    scale
}

/// A small value can round to a code of the other sign: one step back. A block of zeroes thereby gets code 255, whose
/// value times the scale 0 is 0.
#[inline(always)]
fn repair_sign(code: u8, value: f32) -> u8 {
    if SIGNED[usize::from(code)].is_sign_negative() == value.is_sign_negative() {
        code
    } else if value > 0.0 {
        code.wrapping_add(1)
    } else {
        code.wrapping_sub(1)
    }
}

simd_entry! {
    /// One step over whole blocks as `Backend::adamw_8bit` describes it.
    pub unsafe fn adamw_8bit(
        spec: &AdamW8, parameters: &mut [f32], gradients: &[f32], moments: BlockMoments<'_>,
    ) = adamw_8bit_body;
}
