//! Picking the next token from logits with temperature and top-p; the draw is a function of (seed, row, position).

use crate::rng;

/// How tokens are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// Above 0; greedy decoding does not come here.
    pub temperature: f64,
    /// Smallest set of likeliest tokens with at least this probability is drawn from.
    pub top_p: f64,
    pub seed: u64,
}

impl Sampling {
    /// A token for the row named `row_key` at new-token number `position`.
    pub fn draw(&self, logits: &[f32], row_key: u64, position: usize) -> u32 {
        let max = logits.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x));
        let weight = |&x: &f32| (f64::from(x - max) / self.temperature).exp();
        let mut candidates: Vec<(u32, f64)> = logits
            .iter()
            .map(weight)
            .enumerate()
            .map(|(i, w)| (i as u32, w))
            .collect();
        let total: f64 = candidates.iter().map(|(_, w)| w).sum();
        let words = rng::philox(self.seed, position as u64, row_key);
        let unit = rng::unit_f64(words[0], words[1]);
        if self.top_p >= 1.0 {
            return pick(&candidates, unit * total);
        }
        // Only tokens that could belong to the set are sorted: the rest is a long tail of the vocabulary.
        let floor = (1.0 - self.top_p) * total / candidates.len() as f64;
        candidates.retain(|(_, w)| *w >= floor);
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let (mut kept, mut sum) = (0, 0.0);
        while kept < candidates.len() && (kept == 0 || sum < self.top_p * total) {
            sum += candidates[kept].1;
            kept += 1;
        }
        pick(&candidates[..kept], unit * sum)
    }
}

fn pick(candidates: &[(u32, f64)], mut at: f64) -> u32 {
    for (id, weight) in candidates {
        at -= weight;
        if at < 0.0 {
            return *id;
        }
    }
    // Rounding may leave a crumb behind the last one: the last token with any weight is meant.
    candidates
        .iter()
        .rev()
        .find(|(_, w)| *w > 0.0)
        .map_or(0, |(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(sampling: Sampling, logits: &[f32]) -> Vec<f64> {
        let mut counts = vec![0usize; logits.len()];
        (0..20_000).for_each(|i| counts[sampling.draw(logits, 3, i) as usize] += 1);
        counts.iter().map(|&c| c as f64 / 20_000.0).collect()
    }

    #[test]
    fn draws_follow_the_distribution() {
        let logits: Vec<f32> = [0.5f32, 0.3, 0.15, 0.05].iter().map(|p| p.ln()).collect();
        let all = shares(
            Sampling {
                temperature: 1.0,
                top_p: 1.0,
                seed: 9,
            },
            &logits,
        );
        for (share, p) in all.iter().zip([0.5, 0.3, 0.15, 0.05]) {
            assert!((share - p).abs() < 0.015, "{all:?}");
        }
        let cut = shares(
            Sampling {
                temperature: 1.0,
                top_p: 0.79,
                seed: 9,
            },
            &logits,
        );
        for (share, p) in cut.iter().zip([0.625, 0.375, 0.0, 0.0]) {
            assert!((share - p).abs() < 0.015, "{cut:?}");
        }
    }
}
