//! What the machine can do at most, measured between the phases: a shared machine changes by the minute.

use escada_engine_cpu::isa::Isa;
use escada_engine_cpu::simd::Simd;
use escada_engine_cpu::simd_entry;
use std::hint::black_box;
use std::time::Instant;

/// f32 copied by each thread: far more than the caches of one core.
const COPY: usize = 1 << 24;
/// Turns of the loop of multiply-adds: some milliseconds, long against the start of a thread.
const TURNS: usize = 4_000_000;
/// Independent chains: enough for the latency of two units.
const CHAINS: usize = 12;

/// Best figures so far, over all threads together.
pub struct Limits {
    threads: usize,
    gflops: Vec<f64>,
    copy_bytes: Vec<f64>,
}

impl Limits {
    pub fn new(threads: usize) -> Self {
        Self {
            threads,
            gflops: Vec::new(),
            copy_bytes: Vec::new(),
        }
    }

    pub fn measure(&mut self) {
        let isa = Isa::detect();
        self.gflops.push(self.together(|| {
            // SAFETY: the machine has what was detected.
            black_box(unsafe { multiply_adds(isa, black_box(0.999), black_box(1e-3)) });
            (TURNS * CHAINS * isa.lanes() * 2) as f64
        }));
        let threads = self.threads;
        let mut areas: Vec<(Vec<f32>, Vec<f32>)> =
            (0..threads).map(|_| (vec![1.0; COPY], vec![2.0; COPY])).collect();
        let started = Instant::now();
        std::thread::scope(|scope| {
            for (from, to) in &mut areas {
                scope.spawn(|| to.copy_from_slice(black_box(from)));
            }
        });
        // Read once and written once.
        let bytes = (threads * COPY * 8) as f64;
        self.copy_bytes.push(bytes / started.elapsed().as_secs_f64());
    }

    /// Work of all threads at once over the time of the slowest.
    fn together(&self, work: impl Fn() -> f64 + Sync) -> f64 {
        let started = Instant::now();
        let total: f64 = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..self.threads).map(|_| scope.spawn(&work)).collect();
            handles.into_iter().map(|h| h.join().unwrap()).sum()
        });
        total / started.elapsed().as_secs_f64()
    }

    /// Median of what was measured.
    pub fn gflops(&self) -> f64 {
        median(&self.gflops) / 1e9
    }

    pub fn copy_gbytes(&self) -> f64 {
        median(&self.copy_bytes) / 1e9
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

simd_entry! {
    /// Multiply-adds on registers, as wide as the machine has them.
    unsafe fn multiply_adds(factor: f32, term: f32) -> f32 = chains;
}

#[inline(always)]
unsafe fn chains<S: Simd>(factor: f32, term: f32) -> f32 {
    // SAFETY: the caller's machine has the instructions.
    unsafe {
        let (factor, term) = (S::splat(factor), S::splat(term));
        let mut sums = [S::splat(0.0); CHAINS];
        for _ in 0..TURNS {
            for sum in &mut sums {
                *sum = S::fma(*sum, factor, term);
            }
        }
        sums.into_iter().map(|sum| S::reduce_sum(sum)).sum()
    }
}
