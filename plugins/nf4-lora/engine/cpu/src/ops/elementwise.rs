//! Sums and factors.

use crate::simd::Simd;
use crate::simd_entry;

/// Runs the body for whole vectors of `0..n`, then for the rest. A macro, because a closure would not be compiled for
/// the instruction set of the function around it.
macro_rules! each_vector {
    ($s:ty, $n:expr, |$i:ident, $lanes:ident| $body:block) => {{
        let count = $n;
        let mut $i = 0usize;
        {
            let $lanes = <$s>::LANES;
            while $i + $lanes <= count {
                $body
                $i += $lanes;
            }
        }
        if $i < count {
            let $lanes = count - $i;
            $body
        }
    }};
}
pub(crate) use each_vector;

/// A whole or a partial vector.
///
/// # Safety
/// `p` is valid for `n` elements.
#[inline(always)]
pub unsafe fn get<S: Simd>(p: *const f32, n: usize) -> S::V {
    if n == S::LANES {
        S::load(p)
    } else {
        S::load_first(p, n)
    }
}

/// Stores a whole or a partial vector.
///
/// # Safety
/// `p` is valid for `n` elements.
#[inline(always)]
pub unsafe fn put<S: Simd>(p: *mut f32, v: S::V, n: usize) {
    if n == S::LANES {
        S::store(p, v)
    } else {
        S::store_first(p, v, n)
    }
}

#[inline(always)]
unsafe fn add_body<S: Simd>(src: &[f32], dst: &mut [f32]) {
    let (s, d) = (src.as_ptr(), dst.as_mut_ptr());
    each_vector!(S, dst.len().min(src.len()), |i, n| {
        put::<S>(d.add(i), S::add(get::<S>(d.add(i), n), get::<S>(s.add(i), n)), n);
    });
}

#[inline(always)]
unsafe fn sum_body<S: Simd>(a: &[f32], b: &[f32], out: &mut [f32]) {
    let (x, y, o) = (a.as_ptr(), b.as_ptr(), out.as_mut_ptr());
    each_vector!(S, out.len().min(a.len()).min(b.len()), |i, n| {
        put::<S>(o.add(i), S::add(get::<S>(x.add(i), n), get::<S>(y.add(i), n)), n);
    });
}

#[inline(always)]
unsafe fn scale_body<S: Simd>(x: &mut [f32], factor: f32) {
    let p = x.as_mut_ptr();
    each_vector!(S, x.len(), |i, n| {
        put::<S>(p.add(i), S::mul(get::<S>(p.add(i), n), S::splat(factor)), n);
    });
}

simd_entry! {
    /// `dst += src`.
    pub unsafe fn add(src: &[f32], dst: &mut [f32]) = add_body;
    /// `out = a + b`.
    pub unsafe fn sum(a: &[f32], b: &[f32], out: &mut [f32]) = sum_body;
    /// `x *= factor`.
    pub unsafe fn scale(x: &mut [f32], factor: f32) = scale_body;
}
