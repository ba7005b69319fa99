// SPDX-License-Identifier: MIT
//! Fuzzes targets, guided by coverage: `orion-fuzz SECONDS [TARGET]...`, or replays: `orion-fuzz replay TARGET FILE`.
//!
//! Everything of ours is compiled with LLVM's SanitizerCoverage (see `rustc-coverage`), which stable Rust offers too; this
//! program is its runtime. An input that reaches something new is kept and changed further.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a command line for tests"
)]
mod coverage;

use coverage::Seen;
use orion_fuzz::corpus::inputs;
use orion_fuzz::mutate::{Numbers, mutate};
use orion_fuzz::{TARGETS, Target};
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where new inputs and failures go.
const PLACE: &str = "build/fuzz";
/// Seconds after which an input hangs.
const HANG: u64 = 20;

/// What runs now, for the watchdog: target, input, and when it began, in seconds since the start; 0: nothing.
static RUNNING: Mutex<(&str, Vec<u8>)> = Mutex::new(("", Vec::new()));
static SINCE: AtomicU64 = AtomicU64::new(0);

/// Ends the process where one input takes too long.
fn watch(begin: Instant) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let since = SINCE.load(Ordering::Relaxed);
            if since != 0 && begin.elapsed().as_secs() > since + HANG {
                let (target, input) = &*RUNNING.lock().expect("not poisoned");
                println!("HANGS: {}", failure(target, input));
                std::process::exit(1);
            }
        }
    });
}

/// Keeps an input that fails; says how to replay it.
fn failure(target: &str, input: &[u8]) -> String {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let path = Path::new(PLACE).join(format!("fail-{target}-{hash:016x}"));
    let kept = fs::create_dir_all(PLACE).and_then(|()| fs::write(&path, input));
    let file = path.display();
    match kept {
        Ok(()) => {
            format!("replay: make fuzz FUZZ=\"replay {target} {file}\"; then keep it in tests/fuzz/corpus/{target}")
        }
        Err(error) => format!("{file} could not be written ({error}): {input:x?}"),
    }
}

struct Fuzz {
    target: Target,
    corpus: Vec<Vec<u8>>,
    seen: Seen,
    numbers: Numbers,
    compared: Vec<(u64, u64)>,
    runs: u64,
    found: u64,
}

impl Fuzz {
    /// Runs an input, and keeps it if it reached something new; whether it was borne.
    fn run(&mut self, input: &[u8], begin: Instant) -> bool {
        *RUNNING.lock().expect("not poisoned") = (self.target.name, input.to_vec());
        SINCE.store(begin.elapsed().as_secs().max(1), Ordering::Relaxed);
        coverage::reset();
        let result = catch_unwind(|| (self.target.run)(input));
        SINCE.store(0, Ordering::Relaxed);
        self.runs += 1;
        if let Err(panic) = result {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
            println!("FAILED: {}: {text}\n{}", self.target.name, failure(self.target.name, input));
            return false;
        }
        if self.seen.news() {
            self.found += 1;
            self.corpus.push(input.to_vec());
            self.compared.extend(coverage::compared());
            let excess = self.compared.len().saturating_sub(4096);
            self.compared.drain(..excess);
        }
        true
    }

    fn go(&mut self, time: Duration, begin: Instant) -> bool {
        for (name, input) in inputs(self.target.name) {
            if !self.run(&input, begin) {
                println!("that is {name} of the corpus in the tree");
                return false;
            }
        }
        let start = self.corpus.len();
        let end = Instant::now() + time;
        while Instant::now() < end {
            for _ in 0..64 {
                // The newest reach what is least known.
                let newest = self.corpus.len().saturating_sub(16);
                let from = if self.numbers.below(3) == 0 { newest } else { 0 };
                let mut input = self.corpus[from + self.numbers.below(self.corpus.len() - from)].clone();
                let other = &self.corpus[self.numbers.below(self.corpus.len())];
                mutate(&mut input, other, &self.compared, self.target.most, &mut self.numbers);
                if !self.run(&input, begin) {
                    return false;
                }
            }
        }
        self.keep(start);
        let (runs, corpus, found) = (self.runs, start, self.corpus.len() - start);
        println!(
            "{}: {runs} inputs; {found} beside {corpus} of the tree reached something new; {}",
            self.target.name, self.seen
        );
        true
    }

    /// Writes what was found where a person may pick from it.
    fn keep(&self, start: usize) {
        let folder = PathBuf::from(PLACE).join(self.target.name);
        let _ = fs::create_dir_all(&folder);
        for (number, input) in self.corpus[start..].iter().enumerate() {
            let _ = fs::write(folder.join(format!("{number:05}")), input);
        }
    }
}

fn fuzz(seconds: u64, names: &[String]) -> Result<bool, String> {
    let known = |name: &String| TARGETS.iter().find(|t| t.name == *name).copied();
    let chosen: Option<Vec<Target>> = names.iter().map(known).collect();
    let chosen = chosen.ok_or_else(|| format!("the targets are {:?}", TARGETS.map(|t| t.name)))?;
    let chosen = if chosen.is_empty() { TARGETS.to_vec() } else { chosen };
    if !coverage::instrumented() {
        return Err("this build counts no coverage: use `make fuzz`".into());
    }
    let begin = Instant::now();
    watch(begin);
    std::panic::set_hook(Box::new(|_| {}));
    let time = Duration::from_secs(seconds) / chosen.len() as u32;
    let mut well = true;
    for target in chosen {
        let mut fuzz = Fuzz {
            target,
            corpus: vec![vec![0; 16]],
            seen: Seen::new(),
            numbers: Numbers::new(seconds ^ 0x0f22),
            compared: Vec::new(),
            runs: 0,
            found: 0,
        };
        well &= fuzz.go(time, begin);
    }
    Ok(well)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match &words[..] {
        [how, target, file] if how == "replay" => {
            let target = TARGETS.iter().find(|t| t.name == *target);
            match (target, fs::read(file)) {
                (Some(target), Ok(input)) => {
                    (target.run)(&input);
                    println!("it is borne");
                    Ok(true)
                }
                (None, _) => Err(format!("the targets are {:?}", TARGETS.map(|t| t.name))),
                (_, Err(error)) => Err(format!("{file}: {error}")),
            }
        }
        [seconds, targets @ ..] => match seconds.parse() {
            Ok(seconds) => fuzz(seconds, targets),
            Err(_) => Err("usage: orion-fuzz SECONDS [TARGET]... | orion-fuzz replay TARGET FILE".into()),
        },
        [] => fuzz(60, &[]),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
