//! The thread team: every task once, panics passed on, reuse after a panic.

#![allow(clippy::unwrap_used)]

use escada_engine_cpu::team::Team;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn every_task_runs_once() {
    for threads in 1..=4 {
        let team = Team::new(threads).unwrap();
        for tasks in [0, 1, 2, 7, 100] {
            for _ in 0..200 {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                team.run(tasks, |task| {
                    counts[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }
}

#[test]
fn workers_that_slept_take_part_again() {
    let team = Team::new(3).unwrap();
    for _ in 0..5 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let sum = AtomicUsize::new(0);
        team.run(1000, |task| {
            sum.fetch_add(task, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 499_500);
    }
}

#[test]
fn a_panic_reaches_the_caller_and_the_team_goes_on() {
    let team = Team::new(3).unwrap();
    for _ in 0..20 {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            team.run(50, |task| assert!(task != 31, "task 31"));
        }));
        assert!(result.is_err());
    }
    let sum = AtomicUsize::new(0);
    team.run(10, |task| {
        sum.fetch_add(task, Ordering::Relaxed);
    });
    assert_eq!(sum.into_inner(), 45);
}
