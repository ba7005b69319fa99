// SPDX-License-Identifier: MIT
//! Protected calls that lead round in a circle: each caller waits for the next, and priorities cannot all rise.
use crate::model::{End, System};
use crate::problem::Problems;
use std::collections::BTreeSet;

/// Adds a problem for each PD, in a circle only the first, that waits for itself.
pub fn check(system: &System, problems: &mut Problems) {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for name in system.pds.keys() {
        if let Some((path, at)) = circle(name, system)
            && !path.iter().any(|pd| told.contains(pd))
        {
            let what = format!("protected calls lead round in a circle: {}", path.join(" -> "));
            problems.add(at.at, what, "break it: let one of them be a notification (pp=\"false\")");
            told.extend(path);
        }
    }
}

/// The ends that call, each with the PD that it calls.
fn calls(system: &System) -> impl Iterator<Item = (&End, &str)> {
    let both = system.channels.iter().flat_map(|channel| {
        let [a, b] = &channel.ends;
        [(a, b), (b, a)]
    });
    // A channel on which both ends call is told of already.
    both.filter(|(from, to)| from.calls && !to.calls).map(|(from, to)| (from, to.pd.as_str()))
}

/// The shortest way of calls from `start` back to it, and the end where it begins.
fn circle<'a>(start: &'a str, system: &'a System) -> Option<(Vec<&'a str>, &'a End)> {
    let mut ways: Vec<(Vec<&str>, &End)> = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (from, to) in calls(system).filter(|(from, _)| from.pd == start) {
        ways.push((vec![start, to], from));
    }
    while !ways.is_empty() {
        let mut further = Vec::new();
        for (path, first) in ways {
            let last = path.last().copied()?;
            if last == start {
                return Some((path, first));
            }
            if seen.insert(last) {
                for (_, to) in calls(system).filter(|(from, _)| from.pd == last) {
                    further.push(([path.as_slice(), &[to]].concat(), first));
                }
            }
        }
        ways = further;
    }
    None
}
