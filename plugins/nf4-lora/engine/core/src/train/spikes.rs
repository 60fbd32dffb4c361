//! Steps whose loss or gradient is far from those before them.

use super::run::Run;
use crate::backend::Backend;
use crate::checkpoint::LogRow;
use crate::warning::{Warning, WarningKind};

/// Steps that say what is to be expected, and the fewest of them that do.
const WINDOW: usize = 20;
const FEWEST: usize = 10;
/// Standard deviations above the median, estimated by the median absolute deviation.
const DEVIATIONS: f64 = 6.0;
/// Of normally distributed values, their standard deviation over their median absolute deviation.
const SIGMA_PER_MAD: f64 = 1.4826;
/// However steady the steps before, nothing below this is a spike: times the median, and in nats.
const LOSS_EXCESS: (f64, f64) = (0.2, 0.1);
const NORM_EXCESS: (f64, f64) = (2.0, 0.0);

impl<B: Backend> Run<'_, B> {
    /// What is to be said of a step's loss (mean, nats) and gradient norm (before clipping), given the log of those before.
    pub(super) fn spike(&self, loss: f64, norm: f64, micro_batches: &[Vec<u32>]) -> Option<Warning> {
        let found = describe(&self.log, loss, norm)?;
        let step = self.log.len() + 1;
        let (rows, listed) = self.named(&micro_batches.concat());
        Some(Warning {
            kind: WarningKind::Spike,
            step,
            message: format!("step {step}: {found}; {listed}"),
            rows,
        })
    }
}

fn describe(log: &[LogRow], loss: f64, norm: f64) -> Option<String> {
    let losses = log.iter().rev().filter_map(|row| row.loss_nats);
    let norms = log.iter().rev().filter_map(|row| row.gradient_norm);
    let found = [
        outlier(losses, loss, LOSS_EXCESS)
            .map(|expected| format!("loss {loss:.3} nats, {expected:.3} expected")),
        outlier(norms, norm, NORM_EXCESS)
            .map(|expected| format!("gradient norm {norm:.3}, {expected:.3} expected")),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    (!found.is_empty()).then(|| found.join("; "))
}

/// The median of the values before, newest first, if this one is far above it.
fn outlier(before: impl Iterator<Item = f64>, value: f64, (times, plus): (f64, f64)) -> Option<f64> {
    let window: Vec<f64> = before.take(WINDOW).collect();
    if window.len() < FEWEST {
        return None;
    }
    let expected = median(window.clone());
    let deviation = SIGMA_PER_MAD * median(window.iter().map(|v| (v - expected).abs()).collect());
    let excess = (DEVIATIONS * deviation).max(times * expected).max(plus);
    (value > expected + excess).then_some(expected)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn log(losses: &[f64], norm: f64) -> Vec<LogRow> {
        let row = |(i, &loss): (usize, &f64)| LogRow {
            step: i + 1,
            loss_nats: Some(loss),
            learning_rate: 1e-3,
            gradient_norm: Some(norm + 0.1 * (i % 3) as f64),
            labelled_tokens: 8,
            skipped: false,
            warnings: Vec::new(),
            samples: Vec::new(),
        };
        losses.iter().enumerate().map(row).collect()
    }

    /// Losses that fall from 3 to 1 and scatter by a fifth of a nat.
    fn falling(steps: usize) -> Vec<f64> {
        let scatter = |i: usize| 0.2 * (((i * 7) % 11) as f64 / 5.0 - 1.0);
        (0..steps)
            .map(|i| 1.0 + 2.0 * (-(i as f64) / 15.0).exp() + scatter(i))
            .collect()
    }

    #[test]
    fn a_falling_loss_that_scatters_has_no_spike() {
        let losses = falling(100);
        for i in 0..losses.len() {
            assert_eq!(
                describe(&log(&losses[..i], 1.0), losses[i], 1.3),
                None,
                "step {}",
                i + 1
            );
        }
    }

    #[test]
    fn a_spike_is_told_with_what_was_expected() {
        let log = log(&falling(60), 1.0);
        let found = describe(&log, 4.5, 9.0).unwrap();
        assert!(found.starts_with("loss 4.500 nats, 1."), "{found}");
        assert!(
            found.ends_with("expected; gradient norm 9.000, 1.100 expected"),
            "{found}"
        );
        // Each alone, and neither below a limit.
        assert_eq!(
            describe(&log, 1.2, 9.0).unwrap(),
            "gradient norm 9.000, 1.100 expected"
        );
        assert!(!describe(&log, 4.5, 1.0).unwrap().contains("norm"));
        assert_eq!(describe(&log, 1.5, 3.2), None);
    }

    #[test]
    fn steady_losses_leave_room_for_small_changes() {
        let log = log(&[0.01; 30], 1.0);
        assert_eq!(describe(&log, 0.1, 1.0), None);
        assert!(describe(&log, 0.12, 1.0).is_some());
    }

    #[test]
    fn the_first_steps_and_skipped_ones_say_nothing() {
        assert_eq!(describe(&log(&[1.0; 9], 1.0), 50.0, 50.0), None);
        let mut skipped = log(&[1.0; 20], 1.0);
        for row in &mut skipped[9..] {
            (row.loss_nats, row.gradient_norm, row.skipped) = (None, None, true);
        }
        assert_eq!(describe(&skipped, 50.0, 50.0), None);
    }

    #[test]
    fn earlier_spikes_do_not_hide_one() {
        let mut losses = falling(60);
        (losses[50], losses[55]) = (30.0, 40.0);
        assert!(describe(&log(&losses, 1.0), 4.5, 1.0).is_some());
    }
}
