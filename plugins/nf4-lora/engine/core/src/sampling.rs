//! Picking the next token from logits: penalty, temperature, top-k, top-p, min-p; the draw is a function of (seed, row,
//! position).

use crate::rng;
use escada_engine_formats::math;

/// How tokens are picked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0: greedy decoding (after the penalty).
    pub temperature: f64,
    /// Top-k sampling; 0 disables it.
    pub top_k: usize,
    /// Top-p (nucleus) sampling: of these, the smallest set of the most probable tokens with at least this share of their
    /// probability.
    pub top_p: f64,
    /// Min-p sampling: of these, tokens with at least this share of the most probable one's probability.
    pub min_p: f64,
    /// Repetition penalty: logits of tokens that occurred in the row are divided by it where positive, else multiplied; 1
    /// disables it.
    pub repetition_penalty: f64,
    pub seed: u64,
}

impl Sampling {
    /// Every token with its own probability; to be changed field by field.
    pub const PLAIN: Self = Self {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        seed: 0,
    };

    /// True when the result is `arg_max` of the logits as they are.
    pub fn is_plain_greedy(&self) -> bool {
        self.temperature == 0.0 && self.repetition_penalty == 1.0
    }

    /// A token for the row named `row_key` at new-token number `position`; `seen` are the row's tokens so far.
    pub fn draw(
        &self,
        logits: &[f32],
        seen: impl Iterator<Item = u32>,
        row_key: u64,
        position: usize,
    ) -> u32 {
        let penalized: Vec<f32>;
        let logits = if self.repetition_penalty == 1.0 {
            logits
        } else {
            penalized = self.penalized(logits, seen);
            &penalized
        };
        if self.temperature == 0.0 {
            return arg_max(logits);
        }
        let max = logits.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x));
        let weight = |&x: &f32| math::exp(f64::from(x - max) / self.temperature);
        let candidates: Vec<(u32, f64)> = logits
            .iter()
            .map(weight)
            .enumerate()
            .map(|(i, w)| (i as u32, w))
            .collect();
        let words = rng::philox(self.seed, position as u64, row_key);
        let (kept, sum) = self.keep(candidates);
        pick(&kept, rng::unit_f64(words[0], words[1]) * sum)
    }

    fn penalized(&self, logits: &[f32], seen: impl Iterator<Item = u32>) -> Vec<f32> {
        let mut penalized = logits.to_vec();
        let penalty = self.repetition_penalty as f32;
        for id in seen {
            // From the original: a token that occurred twice is punished once.
            let (Some(to), Some(&x)) = (penalized.get_mut(id as usize), logits.get(id as usize)) else {
                continue;
            };
            *to = if x > 0.0 { x / penalty } else { x * penalty };
        }
        penalized
    }

    /// The candidates that are drawn from and the sum of their weights; the most probable one has weight 1.
    fn keep(&self, mut candidates: Vec<(u32, f64)>) -> (Vec<(u32, f64)>, f64) {
        let total = |candidates: &[(u32, f64)]| candidates.iter().map(|(_, w)| w).sum::<f64>();
        if self.top_k > 0 && self.top_k < candidates.len() {
            candidates.select_nth_unstable_by(self.top_k - 1, likelier);
            candidates.truncate(self.top_k);
            candidates.sort_by(likelier);
        }
        let all = total(&candidates);
        if self.top_p >= 1.0 && self.min_p <= 0.0 {
            return (candidates, all);
        }
        // Only tokens that could belong to the set are sorted: the rest is a long tail of the vocabulary.
        let floor = (1.0 - self.top_p) * all / candidates.len() as f64;
        candidates.retain(|(_, w)| *w >= floor.max(self.min_p));
        candidates.sort_by(likelier);
        let (mut kept, mut sum) = (0, 0.0);
        while kept < candidates.len() && (kept == 0 || sum < self.top_p * all) {
            sum += candidates[kept].1;
            kept += 1;
        }
        candidates.truncate(kept);
        (candidates, sum)
    }
}

/// Likeliest first, the smaller id on a tie.
fn likelier(a: &(u32, f64), b: &(u32, f64)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// As the back ends': the smallest id on a tie, NaN never wins.
fn arg_max(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, &x) in logits.iter().enumerate() {
        if x > best.1 {
            best = (id as u32, x);
        }
    }
    best.0
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

    fn shares(sampling: Sampling, seen: &[u32]) -> Vec<f64> {
        let logits: Vec<f32> = [0.15f32, 0.5, 0.05, 0.3].iter().map(|p| p.ln()).collect();
        let mut counts = vec![0usize; logits.len()];
        for i in 0..20_000 {
            counts[sampling.draw(&logits, seen.iter().copied(), 3, i) as usize] += 1;
        }
        counts.iter().map(|&c| c as f64 / 20_000.0).collect()
    }

    fn check(sampling: Sampling, seen: &[u32], wanted: [f64; 4]) {
        let found = shares(Sampling { seed: 9, ..sampling }, seen);
        for (share, p) in found.iter().zip(wanted) {
            assert!((share - p).abs() < 0.015, "{sampling:?}: {found:?}");
            assert!(p > 0.0 || *share == 0.0, "{sampling:?}: {found:?}");
        }
    }

    const PLAIN: Sampling = Sampling::PLAIN;

    #[test]
    fn draws_follow_the_distribution() {
        check(PLAIN, &[], [0.15, 0.5, 0.05, 0.3]);
        // Temperature 1/2 squares the probabilities.
        let squares = [0.0225, 0.25, 0.0025, 0.09].map(|x| x / 0.365);
        check(
            Sampling {
                temperature: 0.5,
                ..PLAIN
            },
            &[],
            squares,
        );
    }

    #[test]
    fn sets_of_likely_tokens() {
        check(Sampling { top_p: 0.79, ..PLAIN }, &[], [0.0, 0.625, 0.0, 0.375]);
        check(Sampling { top_k: 2, ..PLAIN }, &[], [0.0, 0.625, 0.0, 0.375]);
        check(Sampling { top_k: 1, ..PLAIN }, &[], [0.0, 1.0, 0.0, 0.0]);
        check(Sampling { top_k: 9, ..PLAIN }, &[], [0.15, 0.5, 0.05, 0.3]);
        // 0.15 is 0.3 of the largest probability.
        let three = [0.15, 0.5, 0.0, 0.3].map(|x| x / 0.95);
        check(Sampling { min_p: 0.29, ..PLAIN }, &[], three);
        check(Sampling { min_p: 0.31, ..PLAIN }, &[], [0.0, 0.625, 0.0, 0.375]);
        check(Sampling { min_p: 1.0, ..PLAIN }, &[], [0.0, 1.0, 0.0, 0.0]);
        // Top-p counts within the top-k tokens: 0.5 of 0.8 is enough for 0.6.
        let both = Sampling {
            top_k: 2,
            top_p: 0.6,
            ..PLAIN
        };
        check(both, &[], [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn tokens_that_occurred_are_punished_once() {
        // Logits are negative here: times 2 squares the probability.
        let penalty = Sampling {
            repetition_penalty: 2.0,
            ..PLAIN
        };
        let wanted = [0.15, 0.25, 0.05, 0.3].map(|x| x / 0.75);
        check(penalty, &[1], wanted);
        check(penalty, &[1, 1, 1], wanted);
        let greedy = Sampling {
            temperature: 0.0,
            ..penalty
        };
        assert!(!greedy.is_plain_greedy());
        check(greedy, &[], [0.0, 1.0, 0.0, 0.0]);
        check(greedy, &[1], [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(greedy.draw(&[4.0, 3.0, f32::NAN], [0].into_iter(), 0, 0), 1);
        assert_eq!(greedy.draw(&[4.0, 2.0, 2.0], [0].into_iter(), 0, 0), 0);
    }
}
