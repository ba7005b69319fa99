// SPDX-License-Identifier: MIT
//! Simulates worlds until they made so many requests and lost power so often. A world that fails is shrunk, and its line
//! replays it.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a command line")]
use orion_sim::{Case, Event, Ran, attempt, shrink};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HELP: &str =
    "usage: orion-sim [--requests N] [--losses N] [--first SEED] [--jobs N]   worlds of one seed after another
       orion-sim --replay CASE                                          one world, as a failure prints it
`--requests 1000000` is the default; numbers may have underscores.";

/// What is asked for.
struct Aim {
    requests: u64,
    losses: u64,
    first: u64,
    jobs: usize,
    replay: Option<Case>,
}

fn aim() -> Result<Aim, String> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut aim = Aim { requests: 0, losses: 0, first: 1, jobs, replay: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| HELP.to_string())?;
        let number = || value.replace('_', "").parse().map_err(|_| format!("{word} needs a number\n{HELP}"));
        match word.as_str() {
            "--requests" => aim.requests = number()?,
            "--losses" => aim.losses = number()?,
            "--first" => aim.first = number()?,
            "--jobs" => aim.jobs = usize::try_from(number()?).unwrap_or(1).max(1),
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

fn main() -> ExitCode {
    let aim = match aim() {
        Ok(aim) => aim,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    if aim.replay.is_none() {
        // Worlds that panic are reported like others, once.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let well = match &aim.replay {
        None => simulate(&aim),
        Some(case) => match attempt(case) {
            Ok(ran) => {
                println!("it holds: {} requests, {} steps", ran.events.count(Event::Request), ran.steps);
                true
            }
            Err(why) => {
                println!("FAILED: {why}");
                false
            }
        },
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
