// SPDX-License-Identifier: MIT
//! Simulates worlds until they made so many requests and lost power so often. A world that fails is shrunk, and its line
//! replays it.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a command line")]
use orion_sim::{ArrayCase, Case, Event, Ran, attempt, attempt_arrays, shorten, shrink};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HELP: &str =
    "usage: orion-sim [--requests N] [--losses N] [--first SEED] [--jobs N]   worlds of one seed after another
       orion-sim --arrays N [--first SEED] [--jobs N]                   so many worlds with arrays
       orion-sim --replay CASE | --array CASE                           one world, as a failure prints it
`--requests 1000000` is the default; numbers may have underscores.";

/// What is asked for.
struct Aim {
    requests: u64,
    losses: u64,
    first: u64,
    jobs: usize,
    replay: Option<Case>,
    /// So many worlds with arrays, or this one.
    arrays: u64,
    array: Option<ArrayCase>,
}

fn aim() -> Result<Aim, String> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut aim = Aim { requests: 0, losses: 0, first: 1, jobs, replay: None, arrays: 0, array: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| HELP.to_string())?;
        let number = || value.replace('_', "").parse().map_err(|_| format!("{word} needs a number\n{HELP}"));
        match word.as_str() {
            "--requests" => aim.requests = number()?,
            "--losses" => aim.losses = number()?,
            "--first" => aim.first = number()?,
            "--jobs" => aim.jobs = usize::try_from(number()?).unwrap_or(1).max(1),
            "--arrays" => aim.arrays = number()?,
            "--array" => aim.array = Some(value.parse()?),
            "--replay" => aim.replay = Some(value.parse()?),
            _ => return Err(HELP.into()),
        }
    }
    if aim.requests == 0 && aim.losses == 0 {
        aim.requests = 1_000_000;
    }
    Ok(aim)
}

/// What all threads share.
struct Total {
    next: AtomicU64,
    over: AtomicBool,
    ran: Mutex<(u64, Ran)>,
    failed: Mutex<Option<(Case, String)>>,
}

fn work(aim: &Aim, total: &Total) {
    while !total.over.load(Ordering::Relaxed) {
        let case = Case::of(total.next.fetch_add(1, Ordering::Relaxed));
        match attempt(&case) {
            Ok(ran) => {
                let (worlds, sum) = &mut *total.ran.lock().expect("no thread panics");
                *worlds += 1;
                sum.events.add(&ran.events);
                sum.steps += ran.steps;
                sum.ns += ran.ns;
                let reached = |event, aim| sum.events.count(event) >= aim;
                if reached(Event::Request, aim.requests) && reached(Event::PowerLoss, aim.losses) {
                    total.over.store(true, Ordering::Relaxed);
                }
            }
            Err(why) => {
                total.failed.lock().expect("no thread panics").get_or_insert((case, why));
                total.over.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn simulate(aim: &Aim) -> bool {
    let total = Total {
        next: AtomicU64::new(aim.first),
        over: AtomicBool::new(false),
        ran: Mutex::default(),
        failed: Mutex::default(),
    };
    let begin = Instant::now();
    thread::scope(|scope| {
        let jobs: Vec<_> = (0..aim.jobs).map(|_| scope.spawn(|| work(aim, &total))).collect();
        let mut told = begin;
        while jobs.iter().any(|job| !job.is_finished()) {
            thread::sleep(Duration::from_millis(50));
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                progress(&total, begin);
            }
        }
    });
    progress(&total, begin);
    let failed = total.failed.into_inner().expect("no thread panics");
    if let Some((case, why)) = failed {
        return report(&case, why);
    }
    let (_, ran) = total.ran.into_inner().expect("no thread panics");
    for event in Event::ALL {
        println!("{:>12} {event:?}", ran.events.count(event));
    }
    println!("{:>12} steps; {} seconds of virtual time", ran.steps, ran.ns / 1_000_000_000);
    let missing = ran.events.missing();
    if !missing.is_empty() {
        println!("never happened: {missing:?}; simulate more worlds, or the simulator has lost something");
    }
    missing.is_empty() || aim.requests.max(aim.losses) < 10_000
}

fn progress(total: &Total, begin: Instant) {
    let (worlds, ran) = &*total.ran.lock().expect("no thread panics");
    let seconds = begin.elapsed().as_secs_f64();
    let (requests, losses) = (ran.events.count(Event::Request), ran.events.count(Event::PowerLoss));
    println!(
        "{worlds} worlds, {requests} requests, {losses} losses of power in {seconds:.1} s: {:.0} worlds and {:.0} requests a second",
        *worlds as f64 / seconds,
        requests as f64 / seconds
    );
}

/// Shrinks a failure and says how to see it again; `false`.
fn report(case: &Case, why: String) -> bool {
    println!("FAILED: {why}\nreplay: make sim SIM=\"--replay {case}\"\nsimplifying ...");
    let (simple, why) = shrink(case, why);
    println!("the simplest that was found: {why}\nreplay: make sim SIM=\"--replay {simple}\"");
    false
}

/// What became of one world.
fn told(ran: Result<Ran, String>) -> bool {
    match &ran {
        Ok(ran) => println!("it holds: {} requests, {} steps", ran.events.count(Event::Request), ran.steps),
        Err(why) => println!("FAILED: {why}"),
    }
    ran.is_ok()
}

/// Worlds with arrays.
fn arrays(aim: &Aim) -> bool {
    let (next, begin) = (AtomicU64::new(aim.first), Instant::now());
    let failed: Mutex<Option<(ArrayCase, String)>> = Mutex::default();
    let sum: Mutex<Ran> = Mutex::default();
    let work = || {
        while failed.lock().expect("no thread panics").is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= aim.first + aim.arrays {
                return;
            }
            let case = ArrayCase::of(seed);
            match attempt_arrays(&case) {
                Ok(ran) => {
                    let sum = &mut *sum.lock().expect("no thread panics");
                    sum.events.add(&ran.events);
                    sum.steps += ran.steps;
                }
                Err(why) => _ = failed.lock().expect("no thread panics").get_or_insert((case, why)),
            }
        }
    };
    thread::scope(|scope| (0..aim.jobs).for_each(|_| _ = scope.spawn(work)));
    if let Some((case, why)) = failed.into_inner().expect("no thread panics") {
        let (case, why) = shorten(&case, why);
        println!("FAILED: {why}\nreplay: make sim SIM=\"--array {case}\"");
        return false;
    }
    let sum = sum.into_inner().expect("no thread panics");
    println!(
        "{} worlds with arrays, {} requests, {} losses of power, {} steps in {:.1} s",
        aim.arrays,
        sum.events.count(Event::Request),
        sum.events.count(Event::PowerLoss),
        sum.steps,
        begin.elapsed().as_secs_f64()
    );
    true
}

fn main() -> ExitCode {
    let aim = match aim() {
        Ok(aim) => aim,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    if aim.replay.is_none() && aim.array.is_none() {
        // Worlds that panic are reported like others, once.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let well = match (&aim.replay, &aim.array) {
        (Some(case), _) => told(attempt(case)),
        (_, Some(case)) => told(attempt_arrays(case)),
        _ if aim.arrays > 0 => arrays(&aim),
        _ => simulate(&aim),
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
