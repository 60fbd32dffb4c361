//! Elementary functions that give the same bits on every platform: made of additions, multiplications and divisions, which
//! IEEE 754 rounds correctly everywhere. A system's mathematical library rounds as it likes.

/// Two numbers whose sum is meant; the second is small against the first.
#[derive(Clone, Copy)]
struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    const fn new(high: f64, low: f64) -> Self {
        Self { high, low }
    }

    /// `a + b` exactly.
    fn of(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Self::new(high, (a - (high - part)) + (b - part))
    }

    /// `a * b` exactly, for factors below 2^900 (Dekker).
    fn product(a: f64, b: f64) -> Self {
        let halves = |x: f64| {
            let shifted = x * 134_217_729.0;
            let high = shifted - (shifted - x);
            (high, x - high)
        };
        let ((a1, a2), (b1, b2)) = (halves(a), halves(b));
        let high = a * b;
        Self::new(high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2)
    }

    fn plus(self, other: Self) -> Self {
        let sum = Self::of(self.high, other.high);
        Self::of(sum.high, sum.low + self.low + other.low)
    }

    fn times(self, other: Self) -> Self {
        let product = Self::product(self.high, other.high);
        Self::of(
            product.high,
            product.low + (self.high * other.low + self.low * other.high),
        )
    }

    fn over(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self.plus(other.times(Self::new(-first, 0.0)));
        Self::of(first, rest.high / other.high)
    }
}

/// π/2 in three parts, each what is left of the ones before.
const HALF_PI: [f64; 3] = [
    std::f64::consts::FRAC_PI_2,
    6.123_233_995_736_766e-17,
    -1.497_384_904_859_169_8e-33,
];

/// The quarter that an angle is in, and what is left of it, within `[-π/4, π/4]`.
fn reduced(x: f64) -> (i64, Sum) {
    let quarters = (x * std::f64::consts::FRAC_2_PI).round();
    let parts = HALF_PI.map(|part| Sum::product(-quarters, part));
    let rest = Sum::new(x, 0.0).plus(parts[0]).plus(parts[1]).plus(parts[2]);
    (quarters as i64, rest)
}

/// Sine of what is left of a reduced angle (polynomial of Sun's fdlibm).
fn sin_near_zero(x: Sum) -> f64 {
    let (x, rest) = (x.high, x.low);
    let z = x * x;
    let r = 8.333_333_333_322_49e-3
        + z * (-1.984_126_982_985_795e-4 + z * 2.755_731_370_707_006_8e-6)
        + z * (z * z) * (-2.505_076_025_340_686_3e-8 + z * 1.589_690_995_211_55e-10);
    let v = z * x;
    x - ((z * (0.5 * rest - v * r) - rest) - v * -1.666_666_666_666_663_2e-1)
}

/// Cosine of what is left of a reduced angle (polynomial of Sun's fdlibm).
fn cos_near_zero(x: Sum) -> f64 {
    let (x, rest) = (x.high, x.low);
    let z = x * x;
    let r = z * (4.166_666_666_666_66e-2 + z * (-1.388_888_888_887_411e-3 + z * 2.480_158_728_947_673e-5))
        + (z * z)
            * (z * z)
            * (-2.755_731_435_139_066_3e-7
                + z * (2.087_572_321_298_175e-9 + z * -1.135_964_755_778_819_5e-11));
    let half = 0.5 * z;
    let w = 1.0 - half;
    w + (((1.0 - w) - half) + (z * r - x * rest))
}

/// Sine, at most 1 ulp off up to angles of 2^40; NaN for what is not finite.
pub fn sin(x: f64) -> f64 {
    let (quarter, rest) = reduced(x);
    match quarter.rem_euclid(4) {
        0 => sin_near_zero(rest),
        1 => cos_near_zero(rest),
        2 => -sin_near_zero(rest),
        _ => -cos_near_zero(rest),
    }
}

/// Cosine, at most 1 ulp off up to angles of 2^40; NaN for what is not finite.
pub fn cos(x: f64) -> f64 {
    let (quarter, rest) = reduced(x);
    match quarter.rem_euclid(4) {
        0 => cos_near_zero(rest),
        1 => -sin_near_zero(rest),
        2 => -cos_near_zero(rest),
        _ => sin_near_zero(rest),
    }
}

/// ln 2 in two parts; the product of the first with a whole number below 2^20 is exact.
const LN2: Sum = Sum::new(6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);

/// `e^x`, at most 1 ulp off for normal results; 0 and infinity beyond them, NaN for NaN.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() || x > 710.0 {
        return x * f64::INFINITY;
    }
    if x < -746.0 {
        return 0.0;
    }
    let whole = (x * std::f64::consts::LOG2_E).round();
    let (high, low) = (x - whole * LN2.high, whole * LN2.low);
    let r = high - low;
    let z = r * r;
    // Remez polynomial of Sun's fdlibm for r (e^r + 1) / (e^r - 1).
    let c = r - z
        * (1.666_666_666_666_660_2e-1
            + z * (-2.777_777_777_701_559_3e-3
                + z * (6.613_756_321_437_934e-5
                    + z * (-1.653_390_220_546_525_2e-6 + z * 4.138_136_797_057_238_5e-8))));
    let y = 1.0 + (r * c / (2.0 - c) - low + high);
    // In two steps: the power itself may be beyond what is normal.
    let half = (whole as i32).div_euclid(2);
    y * power_of_two(half) * power_of_two(whole as i32 - half)
}

/// `2^n` for `|n| < 1023`.
fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}

/// ln x of a positive normal number, with about 100 bits.
fn ln_sum(x: f64) -> Sum {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh((m-1)/(m+1)); |s| <= 0.172, so that the series ends below 1e-30 after s^41.
    let s = Sum::of(mantissa, -1.0).over(Sum::of(mantissa, 1.0));
    let square = s.times(s);
    let series = (0..21).rev().fold(Sum::new(0.0, 0.0), |sum, i| {
        let term = Sum::new(1.0, 0.0).over(Sum::new(f64::from(2 * i + 1), 0.0));
        sum.times(square).plus(term)
    });
    let twice = Sum::new(2.0 * s.high, 2.0 * s.low);
    const LN2_WHOLE: Sum = Sum::new(std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);
    let powers = LN2_WHOLE.times(Sum::new(f64::from(exponent), 0.0));
    powers.plus(twice.times(series))
}

/// `x^y` for `x >= 0`, at most 2 ulp off for normal `x` and results; NaN for other `x`.
pub fn pow(x: f64, y: f64) -> f64 {
    if y == 0.0 {
        return 1.0;
    }
    if x == 0.0 && !y.is_nan() {
        return if y > 0.0 { 0.0 } else { f64::INFINITY };
    }
    if !(f64::MIN_POSITIVE..f64::INFINITY).contains(&x) || !y.is_finite() {
        return f64::NAN;
    }
    let exponent = ln_sum(x).times(Sum::new(y, 0.0));
    if !(-746.0..=710.0).contains(&exponent.high) {
        return exp(exponent.high);
    }
    let power = exp(exponent.high);
    power + power * exponent.low
}
