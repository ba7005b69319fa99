// SPDX-License-Identifier: MIT
//! Plants the bugs in a copy of the tree, runs the tests on each, and prints who catches it first. Fails where nobody does.
//! `orion-bugs --write` asks all the tests, and puts the table into docs/testing.md; `orion-bugs 36 41` tries only the bugs of these numbers.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a command line for tests")]
use orion_bugs::{BUGS, copy, hunt, root};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

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
            let result = hunt::caught(&programs, &place, Some(number), all);
            let mut found = found.lock().expect("no thread panics");
            match (result, &mut *found) {
                (Ok(by), Ok(all)) => {
                    let who = if by.is_empty() { "NOBODY".into() } else { by.join(", ") };
                    println!("{number:>2} {}: {}: {who}", bug.file, bug.what);
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

fn table(found: &[Found]) -> String {
    let mut text =
        String::from("| Bug | In | contract | simulator | fuzz corpus | own tests |\n|---|---|---|---|---|---|\n");
    for (number, by) in found {
        let bug = &BUGS[*number];
        let cell = |group: &str| if by.contains(&group) { "caught" } else { "" };
        let cells = hunt::GROUPS.map(|(group, _)| cell(group));
        text += &format!("| {} | `{}` | {} |\n", bug.what, bug.file, cells.join(" | "));
    }
    text
}

fn write(table: &str) -> Result<(), String> {
    let path = root().join("docs/testing.md");
    let text = fs::read_to_string(&path).map_err(|error| format!("docs/testing.md: {error}"))?;
    let lost = || "docs/testing.md has lost the marks around its table of bugs".to_owned();
    let (before, rest) = text.split_once(MARKS[0]).ok_or_else(lost)?;
    let (_, after) = rest.split_once(MARKS[1]).ok_or_else(lost)?;
    fs::write(&path, format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1])).map_err(|error| error.to_string())
}

fn run() -> Result<bool, String> {
    let found = hunt_all()?;
    if writes() && found.len() == BUGS.len() {
        write(&table(&found))?;
    }
    let missed = found.iter().filter(|(_, by)| by.is_empty()).count();
    println!("{} of {} bugs caught", found.len() - missed, found.len());
    Ok(missed == 0)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
