// SPDX-License-Identifier: MIT
//! Priorities by which one protection domain keeps others from running that it depends on, or that depend on it.
//!
//! What Microkit or our own servers could not bear is refused elsewhere: a caller that is not below the PD it calls, a
//! circle of calls, a client that is not below its servers.
use crate::check::GATEKEEPER_PRIORITY;
use crate::element::Element;
use crate::model::{System, UserPd};
use crate::problem::Problems;

pub fn check(system: &System, found: &mut Problems) {
    for (name, pd) in &system.pds {
        above_the_gatekeeper(name, pd, system, found);
    }
    system.own.iter().for_each(|element| children(element, system, found));
}

/// Whether nothing bounds the time that `pd` takes: a passive PD spends its callers'.
fn unbounded(pd: &UserPd) -> bool {
    !pd.passive && pd.budget.is_none_or(|(budget, period)| budget >= period)
}

fn above_the_gatekeeper(name: &str, pd: &UserPd, system: &System, found: &mut Problems) {
    let client = system.grants.iter().any(|grant| grant.client.0 == name);
    if system.disks.is_empty() || client || pd.priority < GATEKEEPER_PRIORITY || !unbounded(pd) {
        return;
    }
    let what = format!(
        "{name:?} has priority {}, not below the gatekeeper's {GATEKEEPER_PRIORITY}, and unbounded time: while it runs no request is served",
        pd.priority
    );
    found.add(pd.at, what, "lower its priority, or give it a budget and a longer period");
}

/// A PD handles the faults of those within it, and can stop them: not while they keep it from running.
fn children(element: &Element, system: &System, found: &mut Problems) {
    let name = |element: &Element| element.value("name").unwrap_or_default().to_owned();
    for child in element.plain("protection_domain") {
        let (above, below) = (system.pds.get(&name(element)), system.pds.get(&name(child)));
        if let (Some(parent), Some(pd)) = (above, below)
            && pd.priority > parent.priority
            && unbounded(pd)
        {
            let (of, priorities) = (name(element), (pd.priority, parent.priority));
            let what = format!(
                "{:?} (priority {}) can keep {of:?} (priority {}), which handles its faults, from running",
                name(child),
                priorities.0,
                priorities.1
            );
            found.add(child.at, what, "give it a lower priority than its parent's, or a budget and a longer period");
        }
        children(child, system, found);
    }
}
