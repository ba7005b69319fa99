// SPDX-License-Identifier: MIT
//! Plants the bugs in a copy of the tree, runs the tests on each, and prints who catches it first. Fails where nobody does.
//! See [`USAGE`].
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a command line for tests")]
use orion_bugs::{BUGS, copy, hunt, root};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

const USAGE: &str = "\
usage: orion-bugs [--write] [NUMBER...]
Plants bugs in a copy of the tree, and prints which tests catch them; the bugs of these numbers, or all.
  --write  ask all tests, not only until one catches it, and renew the rows of docs/testing.md";

/// Around the table in docs/testing.md.
const MARKS: [&str; 2] = ["<!-- bugs: made by `make bugs` -->\n", "<!-- end of bugs -->"];

/// Whether the table is to be renewed.
fn writes() -> bool {
    std::env::args().any(|word| word == "--write")
}

type Found = (usize, Vec<&'static str>);

/// The numbers of the bugs to try: those that were named, else all.
fn chosen() -> Vec<usize> {
    let named: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    if named.is_empty() { (0..BUGS.len()).collect() } else { named }
}

fn hunt_all() -> Result<Vec<Found>, String> {
    let place = root().canonicalize().map_err(|error| error.to_string())?.join("build/bugs");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join("bugs");
    fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    copy::tree(&place)?;
    let programs = hunt::build(&place, &target)?;
    println!("built; {} bugs", BUGS.len());
    let healthy = hunt::caught(&programs, &place, None, true)?;
    let all = writes();
    if !healthy.is_empty() {
        return Err(format!("without any bug these fail too, so they prove nothing: {healthy:?}"));
    }
    let chosen = chosen();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Ok(Vec::new())));
    let work = || {
        loop {
            let Some(&number) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            let Some(bug) = BUGS.get(number) else { return };
            let begin = Instant::now();
            let result = hunt::caught(&programs, &place, Some(number), all);
            let seconds = begin.elapsed().as_secs();
            let mut found = found.lock().expect("no thread panics");
            match (result, &mut *found) {
                (Ok(by), Ok(all)) => {
                    let who = if by.is_empty() { "NOBODY".into() } else { by.join(", ") };
                    println!("{number:>3} {seconds:>3} s  {}: {}: {who}", bug.file, bug.what);
                    all.push((number, by));
                }
                (Err(why), _) => *found = Err(why),
                _ => {}
            }
        }
    };
    thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let mut found = found.into_inner().expect("no thread panics")?;
    found.sort_unstable();
    Ok(found)
}

/// The table with what was found; of bugs that were not tried, with the rows that are there.
fn table(found: &[Found], old: &str) -> String {
    let mut text =
        String::from("| Bug | In | contract | simulator | fuzz corpus | own tests |\n|---|---|---|---|---|---|\n");
    for (number, bug) in BUGS.iter().enumerate() {
        let head = format!("| {} | `{}` |", bug.what, bug.file);
        let kept = || old.lines().find(|row| row.starts_with(&head)).unwrap_or_default();
        let tried = found.iter().find(|(of, _)| *of == number);
        let row = tried.map(|(_, by)| {
            let cell = |(group, _)| if by.contains(&group) { "caught" } else { "" };
            format!("{head} {} |", hunt::GROUPS.map(cell).join(" | "))
        });
        text += row.as_deref().unwrap_or_else(kept);
        text += "\n";
    }
    text
}

fn write(found: &[Found]) -> Result<(), String> {
    let path = root().join("docs/testing.md");
    let text = fs::read_to_string(&path).map_err(|error| format!("docs/testing.md: {error}"))?;
    let lost = || "docs/testing.md has lost the marks around its table of bugs".to_owned();
    let (before, rest) = text.split_once(MARKS[0]).ok_or_else(lost)?;
    let (old, after) = rest.split_once(MARKS[1]).ok_or_else(lost)?;
    fs::write(&path, format!("{before}{}{}{}{after}", MARKS[0], table(found, old), MARKS[1]))
        .map_err(|error| error.to_string())
}

fn run() -> Result<bool, String> {
    if std::env::args().skip(1).any(|word| word != "--write" && word.parse::<usize>().is_err()) {
        return Err(USAGE.into());
    }
    let found = hunt_all()?;
    if writes() {
        write(&found)?;
    }
    let missed = found.iter().filter(|(_, by)| by.is_empty()).count();
    println!("{} of {} bugs caught", found.len() - missed, found.len());
    Ok(missed == 0)
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
