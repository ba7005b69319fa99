// SPDX-License-Identifier: MIT
//! What came of the torture, for people.
use super::victims::Kind;
use super::watch::Seen;
use super::{Held, Outcome};

/// What a kill may have caused before it was noted, in nanoseconds.
const EARLIER: u64 = 1_000_000;
/// Kilobytes by which the launcher may have grown: its allocator's, not a leak's.
const GROWTH: u64 = 2048;

/// A row: a kind, its kills, and the pauses that began with one of them alone.
struct Row {
    name: &'static str,
    kills: usize,
    pauses: Vec<u64>,
}

impl Row {
    fn line(&mut self) -> String {
        self.pauses.sort_unstable();
        let ms =
            |us: Option<&u64>| us.map_or_else(|| "-".to_owned(), |us| format!("{}.{} ms", us / 1000, us % 1000 / 100));
        let median = ms(self.pauses.get(self.pauses.len() / 2));
        let worst = ms(self.pauses.last());
        format!("  {:<12} {:>6}  {median:>12}  {worst:>12}", self.name, self.kills)
    }
}

/// Prints it; whether nothing was seen but pauses.
pub fn print(outcome: &Outcome, seen: &Seen, show: bool) -> bool {
    if show {
        each(outcome, seen);
    }
    let mut rows: Vec<Row> = Kind::ALL.into_iter().map(|kind| row(kind, outcome, seen)).collect();
    rows.retain(|row| row.kills > 0);
    println!("  killed        times  median pause   worst pause");
    rows.iter_mut().for_each(|row| println!("{}", row.line()));
    let caused = seen.pauses.iter().filter(|pause| !causes(outcome, pause).is_empty());
    let us = |(begin, end): &(u64, u64)| end.saturating_sub(*begin) / 1000;
    let mut all = Row { name: "all", kills: outcome.kills.len(), pauses: caused.map(us).collect() };
    println!("{}", all.line());
    let [requests, errors, mismatches, denied] = seen.counts;
    println!(
        "client: {requests} requests, {errors} errors, {mismatches} mismatches; {denied} requests beyond its grant, all denied"
    );
    let Outcome { before, after, left, .. } = outcome;
    let leaks = leaks(before, after, left);
    println!("leaked: {}", if leaks.is_empty() { "nothing".to_owned() } else { leaks.join(", ") });
    let mut well = leaks.is_empty() && errors == 0 && mismatches == 0 && requests > 0 && !outcome.stuck;
    well &= seen.wrong.is_empty();
    seen.wrong.iter().for_each(|line| println!("  {line}"));
    if outcome.stuck {
        println!("the client does not go on; what was said last:");
    }
    if !well {
        seen.told.iter().for_each(|line| println!("  {line}"));
    }
    well
}

/// The kills that a pause may come from.
fn causes<'a>(outcome: &'a Outcome, (begin, end): &(u64, u64)) -> Vec<&'a (u64, Kind)> {
    let from = begin.saturating_sub(EARLIER);
    outcome.kills.iter().filter(|(at, _)| (from..=*end).contains(at)).collect()
}

fn row(kind: Kind, outcome: &Outcome, seen: &Seen) -> Row {
    let alone = |pause: &&(u64, u64)| matches!(causes(outcome, pause)[..], [(_, found)] if *found == kind);
    let pauses = seen.pauses.iter().filter(alone).map(|(begin, end)| end.saturating_sub(*begin) / 1000);
    let kills = outcome.kills.iter().filter(|(_, killed)| *killed == kind).count();
    Row { name: kind.name(), kills, pauses: pauses.collect() }
}

/// Each kill with the pause that came of it.
fn each(outcome: &Outcome, seen: &Seen) {
    for (at, kind) in &outcome.kills {
        let pause = seen.pauses.iter().find(|(begin, end)| (begin.saturating_sub(EARLIER)..=*end).contains(at));
        let us = pause.map_or(0, |(begin, end)| end.saturating_sub(*begin) / 1000);
        match us {
            0 => println!("{} killed and restarted: the client went on without a pause of 2 ms", kind.name()),
            us => println!(
                "{} killed and restarted: the client paused for {}.{} ms",
                kind.name(),
                us / 1000,
                us % 1000 / 100
            ),
        }
    }
}

fn leaks(before: &Held, after: &Held, left: &[String]) -> Vec<String> {
    let mut leaks: Vec<String> = left.iter().map(|name| format!("the process {name}")).collect();
    for (what, before, after) in [
        ("processes", before.processes, after.processes),
        ("descriptors", before.descriptors, after.descriptors),
        ("mappings", before.mappings, after.mappings),
    ] {
        if after > before {
            leaks.push(format!("{} {what}", after - before));
        }
    }
    if after.resident > before.resident + GROWTH {
        leaks.push(format!("{} KiB of memory", after.resident - before.resident));
    }
    leaks
}
