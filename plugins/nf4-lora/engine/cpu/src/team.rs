//! A team of threads that runs numbered tasks of one job; the caller is one of its members.
//!
//! Kernels of one generated token take tens of microseconds, so that handing a whole job to other threads (and
//! waiting for one that sleeps) would cost more than the work. Here the caller starts at once, workers join while
//! the job is open, and nobody waits for a worker that has not joined. Which thread runs a task never shows in the
//! result: tasks write disjoint data.

use std::any::Any;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};

/// Rounds a worker spins for the next job before it sleeps (some tens of microseconds).
const SPIN_ROUNDS: u32 = 2_000;
/// Bit of the gate that is set while workers may join.
const OPEN: u64 = 1 << 31;
/// Increment of the job number in the gate; the low bits count the workers inside.
const JOB: u64 = 1 << 32;
/// Low bits of the gate: workers inside the job.
const INSIDE: u64 = OPEN - 1;

/// A mutable slice that tasks take disjoint parts of.
#[derive(Clone, Copy)]
pub struct Parts<'a, T> {
    data: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: `part` makes the caller answer for disjointness.
unsafe impl<T: Send> Send for Parts<'_, T> {}
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    /// Borrows the whole slice for the time of a job.
    pub fn new(data: &'a mut [T]) -> Self {
        Self {
            data: data.as_mut_ptr(),
            len: data.len(),
            life: PhantomData,
        }
    }

    /// One part.
    ///
    /// # Safety
    /// No two parts that live at the same time overlap.
    pub unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "part outside of the slice"
        );
        std::slice::from_raw_parts_mut(self.data.add(range.start), range.len())
    }
}

type Work<'a> = &'a (dyn Fn(usize) + Sync);

struct Shared {
    /// Job number, open bit, workers inside.
    gate: AtomicU64,
    /// The job, valid while a worker is counted inside or the caller is in `run`.
    work: UnsafeCell<Option<(Work<'static>, usize)>>,
    next: AtomicUsize,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is written only by the holder of `Team::turn` while no worker is inside, and read only by workers
// counted inside; the gate orders the two.
unsafe impl Sync for Shared {}
unsafe impl Send for Shared {}

struct Worker {
    parked: Arc<AtomicBool>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

/// Threads that share the tasks of one job at a time.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    turn: Mutex<()>,
}

impl Team {
    /// A team of `threads` members, the caller included; at least one.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(threads: usize) -> std::io::Result<Team> {
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(0),
            work: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let mut team = Team {
            shared,
            workers: Vec::new(),
            turn: Mutex::new(()),
        };
        for index in 1..threads {
            let shared = team.shared.clone();
            let parked = Arc::new(AtomicBool::new(false));
            let flag = parked.clone();
            let handle = thread::Builder::new()
                .name(format!("escada-cpu-{index}"))
                .spawn(move || worker_loop(&shared, &flag))?;
            team.workers.push(Worker {
                parked,
                thread: handle.thread().clone(),
                handle: Some(handle),
            });
        }
        Ok(team)
    }

    /// Members, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `work(0) .. work(tasks-1)` in any order and returns when all are done. Must not be called from a task.
    ///
    /// # Panics
    /// With the panic of a task.
    pub fn run(&self, tasks: usize, work: impl Fn(usize) + Sync) {
        if tasks <= 1 || self.workers.is_empty() {
            (0..tasks).for_each(work);
            return;
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.open(tasks, &work);
        let own = catch_unwind(AssertUnwindSafe(|| drain(&self.shared, &work, tasks)));
        self.close();
        let other = self
            .shared
            .panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(payload) = own.err().or(other) {
            resume_unwind(payload);
        }
    }

    fn open(&self, tasks: usize, work: Work<'_>) {
        // SAFETY: the life of the borrow ends after `close`, which waits for every worker inside; nobody is inside
        // now, and nobody can enter before the open bit is set.
        unsafe {
            let work = std::mem::transmute::<Work<'_>, Work<'static>>(work);
            *self.shared.work.get() = Some((work, tasks));
        }
        self.shared.next.store(0, Relaxed);
        self.shared.gate.fetch_add(JOB | OPEN, SeqCst);
        for worker in self.workers.iter().take(tasks - 1) {
            if worker.parked.swap(false, SeqCst) {
                worker.thread.unpark();
            }
        }
    }

    fn close(&self) {
        self.shared.gate.fetch_and(!OPEN, AcqRel);
        let mut rounds = 0u32;
        while self.shared.gate.load(Acquire) & INSIDE != 0 {
            rounds += 1;
            if rounds.is_multiple_of(SPIN_ROUNDS) {
                thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for worker in &mut self.workers {
            worker.thread.unpark();
            if let Some(handle) = worker.handle.take() {
                // A worker catches the panics of its tasks, so that there is nothing to report here.
                let _ = handle.join();
            }
        }
    }
}

fn drain(shared: &Shared, work: Work<'_>, tasks: usize) {
    loop {
        let task = shared.next.fetch_add(1, Relaxed);
        if task >= tasks {
            return;
        }
        work(task);
    }
}

fn worker_loop(shared: &Shared, parked: &AtomicBool) {
    let mut done_job = 0u64;
    let mut rounds = 0u32;
    while !shared.stop.load(Acquire) {
        let gate = shared.gate.load(SeqCst);
        if gate & OPEN != 0 && gate / JOB != done_job {
            if shared
                .gate
                .compare_exchange(gate, gate + 1, AcqRel, Relaxed)
                .is_ok()
            {
                done_job = gate / JOB;
                take_part(shared);
                rounds = 0;
            }
            continue;
        }
        rounds += 1;
        if rounds < SPIN_ROUNDS {
            std::hint::spin_loop();
        } else {
            sleep(shared, parked, done_job);
        }
    }
}

fn take_part(shared: &Shared) {
    // SAFETY: this worker is counted inside, so that the caller keeps the job alive and unchanged.
    if let Some((work, tasks)) = unsafe { *shared.work.get() }
        && let Err(payload) = catch_unwind(AssertUnwindSafe(|| drain(shared, work, tasks)))
    {
        *shared.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
    }
    shared.gate.fetch_sub(1, Release);
}

fn sleep(shared: &Shared, parked: &AtomicBool, done_job: u64) {
    parked.store(true, SeqCst);
    // A job opened between the last look and the flag would not wake anybody: look again before sleeping.
    let gate = shared.gate.load(SeqCst);
    if (gate & OPEN == 0 || gate / JOB == done_job) && !shared.stop.load(SeqCst) {
        thread::park();
    }
    parked.store(false, SeqCst);
}
