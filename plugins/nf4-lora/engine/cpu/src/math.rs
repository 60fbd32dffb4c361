//! Vector functions built from the operations of `Simd`, and the few scalar ones that must not depend on the
//! platform's mathematical library.

use crate::simd::Simd;

/// Below this `exp` returns 0 (the true value would be subnormal).
const EXP_LOWEST: f32 = -87.336_54;
/// Above this `exp` stays at `exp(88)`.
const EXP_HIGHEST: f32 = 88.0;
/// High part of ln 2: its product with a whole number up to 2^8 is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `e^x`, at most 2 ulp off for `-87.3 <= x <= 88`; 0 below, `e^88` above, NaN for NaN; exactly 1 for 0.
///
/// # Safety
/// Needs the machine of `S`.
#[inline(always)]
pub unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // The argument comes second: that is the one the comparisons keep when it is NaN.
    let clamped = S::max(S::splat(EXP_LOWEST), S::min(S::splat(EXP_HIGHEST), x));
    let whole = S::round(S::mul(clamped, S::splat(std::f32::consts::LOG2_E)));
    let r = S::fnma(
        whole,
        S::splat(LN2_LOW),
        S::fnma(whole, S::splat(LN2_HIGH), clamped),
    );
    // Taylor to r^7: |r| <= ln(2)/2 leaves 5e-9 relative.
    let mut p = S::splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = S::fma(p, r, S::splat(c));
    }
    let value = S::mul(p, S::pow2(whole));
    S::select_less(x, S::splat(EXP_LOWEST), S::splat(0.0), value)
}

/// `1 / (1 + e^-x)`.
///
/// # Safety
/// Needs the machine of `S`.
#[inline(always)]
pub unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    let one = S::splat(1.0);
    S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), x))))
}

/// Natural logarithm of a positive normal number, about 1 ulp; the same on every platform. NaN for anything else but
/// infinity.
pub fn ln(x: f64) -> f64 {
    if x == f64::INFINITY {
        return x;
    }
    if x.is_nan() || x < f64::MIN_POSITIVE {
        return f64::NAN;
    }
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh((m-1)/(m+1)); |s| <= 0.172, so that the series ends below 1e-17 after s^21.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = (0..11)
        .rev()
        .fold(0.0, |sum, i| sum * square + 1.0 / f64::from(2 * i + 1));
    2.0 * s * series + exponent as f64 * std::f64::consts::LN_2
}
