//! Rows of logits: cross-entropy with its gradient, log-probabilities, the best column.

use super::elementwise::{each_vector, get, put};
use crate::math::{exp, ln};
use crate::simd::Simd;
use crate::simd_entry;

/// Columns summed in f32 lanes before the sum continues in f64.
const CHUNK: usize = 1024;

#[inline(always)]
unsafe fn largest<S: Simd>(row: &[f32]) -> f32 {
    let mut best = S::splat(f32::NEG_INFINITY);
    let whole = row.len() / S::LANES * S::LANES;
    for i in (0..whole).step_by(S::LANES) {
        // The running value comes second: it stays when the other is NaN.
        best = S::max(S::load(row.as_ptr().add(i)), best);
    }
    let tail = row[whole..]
        .iter()
        .fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m });
    let vectors = S::reduce_max(best);
    if tail > vectors { tail } else { vectors }
}

/// Replaces the row by `exp(x - max)` when `write`; returns the sum.
#[inline(always)]
unsafe fn exponentials<S: Simd>(row: *mut f32, len: usize, max: f32, write: bool) -> f64 {
    let mut total = 0.0f64;
    let mut start = 0;
    while start < len {
        let count = CHUNK.min(len - start);
        let part = row.add(start);
        let mut sum = S::splat(0.0);
        each_vector!(S, count, |i, n| {
            let e = exp::<S>(S::sub(get::<S>(part.add(i), n), S::splat(max)));
            if write {
                put::<S>(part.add(i), e, n);
            }
            if n == S::LANES {
                sum = S::add(sum, e);
            } else {
                // Lanes behind the row hold exp(-max), not zero.
                let mut lanes = [0.0f32; 16];
                S::store_first(lanes.as_mut_ptr(), e, n);
                sum = S::add(sum, S::load(lanes.as_ptr()));
            }
        });
        total += f64::from(S::reduce_sum(sum));
        start += count;
    }
    total
}

#[inline(always)]
unsafe fn cross_entropy_body<S: Simd>(
    logits: &mut [f32],
    targets: &[u32],
    gradient_scale: f32,
    losses: &mut [f32],
) {
    let v = logits.len() / targets.len().max(1);
    for ((row, target), loss) in logits.chunks_exact_mut(v.max(1)).zip(targets).zip(losses) {
        let target = *target as usize;
        let (max, wanted) = (largest::<S>(row), row[target]);
        let sum = exponentials::<S>(row.as_mut_ptr(), v, max, true);
        *loss = (f64::from(max) - f64::from(wanted) + ln(sum)) as f32;
        let own = f64::from(row[target]) / sum;
        let factor = S::splat((f64::from(gradient_scale) / sum) as f32);
        let p = row.as_mut_ptr();
        each_vector!(S, v, |i, n| {
            put::<S>(p.add(i), S::mul(get::<S>(p.add(i), n), factor), n);
        });
        row[target] = ((own - 1.0) * f64::from(gradient_scale)) as f32;
    }
}

#[inline(always)]
unsafe fn log_probs_body<S: Simd>(logits: &[f32], targets: &[u32], out: &mut [f32]) {
    let v = logits.len() / targets.len().max(1);
    for ((row, target), slot) in logits.chunks_exact(v.max(1)).zip(targets).zip(out) {
        let max = largest::<S>(row);
        let sum = exponentials::<S>(row.as_ptr().cast_mut(), v, max, false);
        *slot = (f64::from(row[*target as usize]) - f64::from(max) - ln(sum)) as f32;
    }
}

#[inline(always)]
unsafe fn arg_max_body<S: Simd>(logits: &[f32], out: &mut [u32]) {
    let v = logits.len() / out.len().max(1);
    for (row, slot) in logits.chunks_exact(v.max(1)).zip(out) {
        let mut best = (0usize, f32::NEG_INFINITY);
        for (index, chunk) in row.chunks(CHUNK).enumerate() {
            let max = largest::<S>(chunk);
            // Strictly larger: on a tie the first chunk stays.
            if max > best.1 {
                best = (index, max);
            }
        }
        let start = best.0 * CHUNK;
        let inside = row[start..].iter().position(|x| *x == best.1).unwrap_or(0);
        *slot = (start + inside) as u32;
    }
}

simd_entry! {
    /// `losses[i] = -ln softmax(logits[i])[targets[i]]` in nats, then `logits = (softmax - onehot) * gradient_scale`;
    /// `logits [rows, V]`, `targets, losses [rows]`.
    pub unsafe fn cross_entropy(
        logits: &mut [f32], targets: &[u32], gradient_scale: f32, losses: &mut [f32],
    ) = cross_entropy_body;
    /// `out[i] = ln softmax(logits[i])[targets[i]]` in nats.
    pub unsafe fn log_probs(logits: &[f32], targets: &[u32], out: &mut [f32]) = log_probs_body;
    /// `out[i]` = first column with the largest value of row `i`; NaN never wins.
    pub unsafe fn arg_max(logits: &[f32], out: &mut [u32]) = arg_max_body;
}
