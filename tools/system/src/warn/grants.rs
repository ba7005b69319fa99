// SPDX-License-Identifier: MIT
//! Rights that nothing can use, grants that add nothing, disks that nobody uses.
use crate::check::MODIFYING;
use crate::model::{Disk, Grant, System};
use crate::policy::rights_text;
use crate::problem::Problems;
use orion_caps::Rights;

pub fn check(system: &System, found: &mut Problems) {
    for grant in &system.grants {
        flush(grant, system, found);
        derive_alone(grant, found);
        lends_to_nobody(grant, system, found);
        oversees_nothing(grant, system, found);
        weight_alone(grant, system, found);
        shared_alone(grant, system, found);
        repeated(grant, system, found);
    }
    for disk in &system.disks {
        unused(disk, system, found);
    }
}

fn end(grant: &Grant) -> u64 {
    grant.end.unwrap_or(u64::MAX)
}

/// Other grants that have blocks of `grant`.
fn overlapping<'a>(grant: &'a Grant, system: &'a System) -> impl Iterator<Item = &'a Grant> {
    let same = |other: &&Grant| !std::ptr::eq(*other, grant) && other.target.name() == grant.target.name();
    let meets = |other: &&Grant| other.first < end(grant) && grant.first < end(other);
    system.grants.iter().filter(same).filter(meets)
}

/// A flush makes writes durable: of its own, or those of others in shared blocks.
fn flush(grant: &Grant, system: &System, found: &mut Problems) {
    // Who may derive may pass the right on to one who writes.
    let others = MODIFYING | Rights::DERIVE.bits();
    if grant.rights & Rights::FLUSH.bits() == 0 || grant.rights & others != 0 {
        return;
    }
    if overlapping(grant, system).any(|other| other.rights & MODIFYING != 0) {
        return;
    }
    let read_only = system.disks_below(&grant.target).iter().any(|disk| disk.read_only);
    let (why, remedy) = if read_only {
        ("on a disk that is read-only", "remove \"flush\"")
    } else {
        ("without write, discard or zero", "remove \"flush\", or add \"write\"")
    };
    let what = format!("the right \"flush\" {why} has nothing to make durable");
    found.add(grant.rights_at, what, remedy);
}

/// What is derived is part of what is held.
fn derive_alone(grant: &Grant, found: &mut Problems) {
    if grant.rights == Rights::DERIVE.bits() {
        let what = "the right \"derive\" alone has no other right to pass on";
        found.add(grant.rights_at, what, "add the rights that may be passed on, or remove the grant");
    }
}

/// What is derived goes to another client, or into a window of one's own.
fn lends_to_nobody(grant: &Grant, system: &System, found: &mut Problems) {
    let others = system.grants.iter().any(|other| other.client.0 != grant.client.0);
    let derive = Rights::DERIVE.bits();
    if grant.rights & derive != 0 && grant.rights != derive && !others {
        let what = format!("the right \"derive\", and {:?}, the only client, has nobody to lend to", grant.client.0);
        found.add(grant.rights_at, what, "remove \"derive\", or grant something to another client");
    }
}

/// `admin` and `observe` are over capabilities of others, or over what was derived.
fn oversees_nothing(grant: &Grant, system: &System, found: &mut Problems) {
    let derive = |grant: &Grant| grant.rights & Rights::DERIVE.bits() != 0;
    let somebody =
        derive(grant) || overlapping(grant, system).any(|other| derive(other) || other.client.0 != grant.client.0);
    for (right, name) in [(Rights::ADMIN, "admin"), (Rights::OBSERVE, "observe")] {
        if grant.rights & right.bits() != 0 && !somebody {
            let what = format!("the right {name:?}, and nobody else holds or may derive anything of these blocks");
            found.add(grant.rights_at, what, format!("remove {name:?}, or widen the grant to what it is to be over"));
        }
    }
}

/// A weight is a part beside other clients'.
fn weight_alone(grant: &Grant, system: &System, found: &mut Problems) {
    if grant.weight.is_some() && system.grants.iter().all(|other| other.client.0 == grant.client.0) {
        let what = format!("a weight, and {:?} is the only client", grant.client.0);
        found.add(grant.at, what, "remove it: weights divide what several clients want at once");
    }
}

fn shared_alone(grant: &Grant, system: &System, found: &mut Problems) {
    if grant.shared && overlapping(grant, system).next().is_none() {
        let what = format!("shared=\"yes\", and no other grant has any of these blocks of {:?}", grant.target.name());
        found.add(grant.at, what, "remove it, so that a later grant of these blocks is noticed");
    }
}

/// A grant that lies in another one of the same client, with no right that the other does not have, and no limits.
fn repeated(grant: &Grant, system: &System, found: &mut Problems) {
    if grant.in_flight.is_some() || grant.iops.is_some() || grant.bandwidth.is_some() {
        return;
    }
    let within = |other: &&Grant| {
        let holds = other.first <= grant.first && end(grant) <= end(other) && grant.rights & !other.rights == 0;
        // Of two that are the same, only the second.
        let same = other.first == grant.first && end(other) == end(grant) && other.rights == grant.rights;
        other.client.0 == grant.client.0 && holds && (!same || other.at < grant.at)
    };
    if let Some(other) = overlapping(grant, system).find(within) {
        let (client, rights) = (&grant.client.0, rights_text(grant.rights));
        let what = format!("{client:?} has {rights:?} on all of these blocks by the grant of line {}", other.at.line);
        found.add(grant.at, what, "remove this grant, or narrow the other");
    }
}

fn unused(disk: &Disk, system: &System, found: &mut Problems) {
    let used = |grant: &Grant| system.comes_down(&grant.target, &disk.name);
    if !system.grants.iter().any(used) {
        let what = format!("no grant comes down to the disk {:?}: its driver serves nobody", disk.name);
        found.add(disk.at, what, "grant it or a volume on it, or remove it; only `orion run --export` needs no grant");
    }
}
