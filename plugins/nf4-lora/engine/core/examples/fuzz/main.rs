//! Feeds damaged files to every reader of the engine and counts what happens: a reader must answer with a value or a
//! coded error, within its bound of memory, and soon.
//!
//! `cargo run -p escada-engine-core --example fuzz -- --seconds 60 --seed 1 [--only <reader>] [--from <number>]`
//!
//! One line of JSON per reader, then exit status 1 if any panicked, took too much memory or too long. Input `n` of a
//! reader follows from the seed, the reader's name and `n`; the files of a failure stay in the folder named in it.
#![allow(clippy::print_stdout, reason = "the counts are its output")]

mod alloc;
mod gguf_seed;
mod mutate;
mod readers;
mod seeds;

use escada_engine_core::rng::stream_of;
use escada_engine_formats::{Code, Result};
use mutate::{Rng, mutate};
use readers::{READERS, Reader, TEMPLATE_READER};
use serde_json::json;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// Longest that one damaged set of small files may take: only a hang takes so long, however busy the machine is.
const SLOWEST: Duration = Duration::from_secs(20);
/// Failures described in full; the rest are only counted.
const SHOWN: usize = 5;

static PANIC: Mutex<String> = Mutex::new(String::new());

struct Options {
    seconds: f64,
    seed: u64,
    only: Option<String>,
    from: u64,
}

fn options() -> std::result::Result<Options, String> {
    let mut options = Options {
        seconds: 10.0,
        seed: 1,
        only: None,
        from: 0,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or(format!("{name} needs a value"))?;
        let bad = |_| format!("{name} {value}: not a number");
        match name.as_str() {
            "--seconds" => options.seconds = value.parse().map_err(|_| bad(()))?,
            "--seed" => options.seed = value.parse().map_err(|_| bad(()))?,
            "--from" => options.from = value.parse().map_err(|_| bad(()))?,
            "--only" => options.only = Some(value),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(options)
}

#[derive(Default)]
struct Counts {
    tried: u64,
    accepted: u64,
    rejected: BTreeMap<&'static str, u64>,
    /// Broken invariants, and failures of input and output although the files are there.
    uncoded: u64,
    panics: u64,
    over_allocations: u64,
    too_slow: u64,
    slowest: Duration,
    most_bytes: usize,
    failures: Vec<String>,
}

impl Counts {
    fn bad(&self) -> bool {
        self.uncoded + self.panics + self.over_allocations + self.too_slow > 0 || self.tried == 0
    }

    fn line(&self, reader: &Reader) -> String {
        json!({
            "reader": reader.name, "tried": self.tried, "accepted": self.accepted, "rejected": self.rejected,
            "uncoded": self.uncoded, "panics": self.panics, "overAllocations": self.over_allocations, "tooSlow": self.too_slow,
            "slowestMs": self.slowest.as_millis() as u64, "mostBytes": self.most_bytes, "failures": self.failures,
        })
        .to_string()
    }
}

/// One reader's folder with the good files in memory, so that each round starts from them.
struct Room<'a> {
    reader: &'a Reader,
    folder: PathBuf,
    files: Vec<(&'static str, Vec<u8>)>,
}

impl<'a> Room<'a> {
    fn new(reader: &'a Reader, parent: &Path) -> Result<Self> {
        let folder = parent.join(reader.name);
        std::fs::create_dir_all(&folder)?;
        (reader.seed)(&folder)?;
        let mut files = Vec::new();
        for name in reader.damaged {
            files.push((*name, std::fs::read(folder.join(name))?));
        }
        // Everything whole must be accepted: a broken seed would make every count worthless.
        (reader.read)(&folder)?;
        Ok(Self {
            reader,
            folder,
            files,
        })
    }

    fn bound_bytes(&self) -> usize {
        let sizes = walk(&self.folder);
        self.reader.constant_bytes + self.reader.factor * sizes
    }

    fn round(&self, rng: &mut Rng, counts: &mut Counts, number: u64) -> Result<()> {
        for (name, bytes) in &self.files {
            std::fs::write(self.folder.join(name), bytes)?;
        }
        let (name, bytes) = rng.pick(&self.files);
        let other = &rng.pick(&self.files).1;
        std::fs::write(self.folder.join(name), mutate(rng, bytes, other))?;
        let bound = self.bound_bytes();
        let (start, live) = (Instant::now(), alloc::start());
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.reader.read)(&self.folder)));
        let (took, most) = (start.elapsed(), alloc::peak_since(live));
        counts.tried += 1;
        counts.slowest = counts.slowest.max(took);
        counts.most_bytes = counts.most_bytes.max(most);
        let mut failures = Vec::new();
        match outcome {
            Ok(Ok(())) => counts.accepted += 1,
            Ok(Err(error)) if matches!(error.code, Code::Internal | Code::Io) => {
                counts.uncoded += 1;
                failures.push(error.to_string());
            }
            Ok(Err(error)) => *counts.rejected.entry(error.code.name()).or_default() += 1,
            Err(_) => {
                counts.panics += 1;
                let cause = PANIC.lock().map(|text| text.clone()).unwrap_or_default();
                failures.push(format!("panic: {cause}"));
            }
        }
        if most > bound {
            counts.over_allocations += 1;
            failures.push(format!("{most} bytes on the heap, the bound is {bound}"));
        }
        if took > SLOWEST {
            counts.too_slow += 1;
            failures.push(format!("took {took:.1?}"));
        }
        for what in failures {
            self.keep(counts, number, &what)?;
        }
        Ok(())
    }

    /// Copies the damaged files aside and notes what happened.
    fn keep(&self, counts: &mut Counts, number: u64, what: &str) -> Result<()> {
        if counts.failures.len() >= SHOWN {
            return Ok(());
        }
        let aside = self.folder.with_extension(format!("failure-{number}"));
        for (name, _) in &self.files {
            let target = aside.join(name);
            target.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::copy(self.folder.join(name), target)?;
        }
        counts
            .failures
            .push(format!("input {number} ({}): {what}", aside.display()));
        Ok(())
    }
}

fn walk(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => walk(&entry.path()),
            Ok(meta) => meta.len() as usize,
            Err(_) => 0,
        })
        .sum()
}

fn fuzz(reader: &Reader, options: &Options, parent: &Path, seconds: f64) -> Result<Counts> {
    let room = Room::new(reader, parent)?;
    let mut counts = Counts::default();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut number = options.from;
    while Instant::now() < end {
        let mut rng = Rng::new(options.seed ^ stream_of(&format!("{}/{number}", reader.name)));
        room.round(&mut rng, &mut counts, number)?;
        number += 1;
    }
    Ok(counts)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let options = options()?;
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut text) = PANIC.lock() {
            *text = info.to_string().replace('\n', " ");
        }
    }));
    let parent = std::env::temp_dir().join(format!("escada-fuzz-{}", std::process::id()));
    let chosen: Vec<&Reader> = READERS
        .iter()
        .chain([&TEMPLATE_READER])
        .filter(|reader| options.only.as_ref().is_none_or(|only| reader.name == only))
        .collect();
    let share = options.seconds / chosen.len().max(1) as f64;
    let mut bad = chosen.is_empty();
    for reader in chosen {
        let counts = fuzz(reader, &options, &parent, share)?;
        println!("{}", counts.line(reader));
        bad |= counts.bad();
    }
    if bad {
        std::process::exit(1);
    }
    std::fs::remove_dir_all(&parent)?;
    Ok(())
}
