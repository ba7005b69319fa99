// SPDX-License-Identifier: MIT
//! What only the whole system shows: names that nothing has, circles, grants that collide, priorities.
use crate::element::Position;
use crate::microkit::MAX_PDS;
use crate::model::{AUDITOR, Disk, Grant, System, Target, UserPd, Volume, WINDOWS};
use crate::policy::{MAX_NAME, rights_text};
use crate::problem::{Problems, suggest};
use crate::stack::Source;
use orion_caps::CAPABILITIES_MAX;
use std::collections::BTreeMap;

mod controllers;
mod layers;
mod sddf;
mod ways;

/// Priority of the clock.
pub const TICK_PRIORITY: u8 = 254;
/// Priority of the supervisor: above all that it watches over.
pub const SUPERVISOR_PRIORITY: u8 = 253;
/// Priority of a driver.
pub const DRIVER_PRIORITY: u8 = 240;
/// Priority of a layer between a driver and the gatekeeper.
pub const LAYER_PRIORITY: u8 = 220;
/// Priority of the gatekeeper.
pub const GATEKEEPER_PRIORITY: u8 = 200;
/// Priority of the manager: an operator can take rights back from a client that spins.
pub const MANAGER_PRIORITY: u8 = 198;
/// Priority of who keeps the audit: no client may keep it from that.
pub const AUDITOR_PRIORITY: u8 = 198;
/// Priority of the console: below the data path, above every client, so that what clients print is seen.
pub const SERIAL_PRIORITY: u8 = 199;

/// Adds a problem where nothing is declared; to be asked last, since what is not understood is not declared either.
pub fn nothing(system: &System, problems: &mut Problems) {
    if problems.count() == 0 && system.pds.is_empty() && system.disks.is_empty() {
        let what = "the system has neither a protection domain nor a disk";
        problems.add(system.at, what, "add a <protection_domain> or an <orion:disk>");
    }
}

/// PD names that `orion` gives itself.
const RESERVED: &[&str] = &["gatekeeper", AUDITOR, "tick", "serial", "supervisor", "manager", "monitor"];
/// Beginnings of such names.
const RESERVED_PREFIXES: &[&str] = &["blk_", "part_", "raid_", "multipath_", "export_"];
/// Rights that change a disk: write, discard, zero.
pub const MODIFYING: u16 = 2 | 8 | 16;

/// Checks `system` as a whole.
pub fn check(system: &System, problems: &mut Problems) {
    reserved_names(system, problems);
    volumes(system, problems);
    let clients = clients(system, problems);
    for grant in &system.grants {
        target(grant, system, problems);
    }
    for (name, grants) in &clients {
        if let Some(pd) = system.pds.get(*name) {
            client(name, pd, grants, system, problems);
        }
    }
    if let Some(grant) = system.grants.get(CAPABILITIES_MAX) {
        let what = format!("there are more than {CAPABILITIES_MAX} grants, all that the gatekeeper has room for");
        problems.add(grant.at, what, "join extents, or grant less");
    }
    if let (Some(manager), true) = (&system.manager, system.disks.is_empty()) {
        let what = "there is a manager, and no disk that could be managed";
        problems.add(manager.at, what, "add an <orion:disk>, or remove it");
    }
    overlaps(system, problems);
    useless_settings(system, &clients, problems);
    controllers::check(system, problems);
    sddf::check(system, problems);
    if let (Some(at), false) = (system.scheduling_domains, system.disks.is_empty()) {
        let what = "scheduling domains beside disks are not in this version of Orion";
        problems.add(at, what, "remove <domains>: derived protection domains would need one");
    }
    if system.pds.len() > MAX_PDS {
        let what = format!("{} protection domains are more than Microkit's {MAX_PDS}", system.pds.len());
        let at = system.pds.values().map(|pd| pd.at).max().unwrap_or(system.at);
        problems.add(at, what, "join some, or remove some");
    }
}

fn reserved_names(system: &System, problems: &mut Problems) {
    for (name, pd) in &system.pds {
        let kept = RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|p| name.starts_with(p));
        // sDDF calls its own blk_driver and blk_virt.
        let free = (pd.sddf.is_some() || pd.at.base) && !derives(name, system);
        if kept && !free {
            let what = format!("the name {name:?} is kept for a protection domain that Orion derives");
            problems.add(pd.at, what, format!("choose another, as in \"my_{name}\""));
        }
    }
}

/// Whether a PD of this name is derived from what the system has.
fn derives(name: &str, system: &System) -> bool {
    let named = |prefix: &str, of: &str| name.strip_prefix(prefix) == Some(of);
    let disk = |disk: &Disk| named("blk_", disk.device()) || named("part_", &disk.name) || named("export_", &disk.name);
    let layers = |volume: &Volume| {
        let joined = volume.joined.as_ref().map(|joined| format!("{}_", joined.kind.program()));
        joined.is_some_and(|prefix| named(&prefix, &volume.name) || named("part_", &volume.name))
    };
    let volume = |volume: &Volume| named("export_", &volume.name) || layers(volume);
    RESERVED.contains(&name) || system.disks.iter().any(disk) || system.volumes.iter().any(volume)
}

/// Adds a problem where nothing has the name of `target`, which the volume `of` lies on; says whether something has.
fn known(target: &Target, of: &str, system: &System, problems: &mut Problems) -> bool {
    let (kind, other, known, elsewhere) = match target {
        Target::Disk(name, _) => ("disk", "volume", system.disk(name).is_some(), system.volume(name).is_some()),
        Target::Volume(name, _) => ("volume", "disk", system.volume(name).is_some(), system.disk(name).is_some()),
    };
    if known {
        return true;
    }
    let name = target.name();
    let remedy = if elsewhere {
        format!("it is a {other}: write {other}={name:?}")
    } else if kind == "disk" {
        suggest(name, system.disks.iter().map(|d| d.name.as_str()), "add an <orion:disk> of that name")
    } else {
        let volumes = system.volumes.iter().map(|v| v.name.as_str()).filter(|volume| *volume != of);
        suggest(name, volumes, "add an <orion:volume> of that name")
    };
    problems.add(target.at(), format!("there is no {kind} {name:?}"), remedy);
    false
}

fn volumes(system: &System, problems: &mut Problems) {
    let mut users: BTreeMap<(bool, &str), &str> = BTreeMap::new();
    for volume in &system.volumes {
        let mut all_known = true;
        for on in volume.below() {
            if !known(on, &volume.name, system, problems) {
                all_known = false;
                continue;
            }
            let key = (matches!(on, Target::Disk(..)), on.name());
            if let Some(first) = users.insert(key, &volume.name) {
                let both = volume.partition.is_some() && system.volume(first).is_some_and(|v| v.partition.is_some());
                if both {
                    continue;
                }
                let what = format!("{:?} lies under the volume {first:?} already", on.name());
                problems.add(on.at(), what, "put each disk under one volume, and grant parts of that volume");
            }
        }
        if all_known {
            circle(&volume.name, volume.at, system, problems);
        }
    }
    layers::check(system, problems);
    ways::check(system, problems);
    let joined = system.joined().map(|(volume, _)| &volume.name);
    for base in system.disks.iter().map(|disk| &disk.name).chain(joined) {
        partitions(base, system, problems);
    }
}

/// A partition is one volume, and all of a disk's are read in one place.
fn partitions(disk: &str, system: &System, problems: &mut Problems) {
    let mut all = system.partitions_of(disk);
    all.sort_unstable_by_key(|(_, partition)| partition.at);
    for (index, (_, partition)) in all.iter().enumerate() {
        let Some((first, other)) = all.iter().take(index).find(|(_, other)| other.select == partition.select) else {
            continue;
        };
        let what = format!("{first:?}, on line {}, is the same partition of {disk:?}", other.at.line);
        problems.add(partition.at, what, "give each partition one volume, and grant parts of that");
    }
    let Some((first, other)) = all.first() else { return };
    if let Some((name, partition)) = all.iter().find(|(_, partition)| partition.fuse != other.fuse) {
        let what = format!("of {first:?} and {name:?}, partitions of {disk:?}, only one is fused into its driver");
        problems.add(partition.at, what, "write fuse=\"yes\" on all of them, or on none");
    }
}

/// Adds a problem where the volume `name` lies on itself; of a circle only its first volume reports it.
fn circle(name: &str, at: Position, system: &System, problems: &mut Problems) {
    let mut path = vec![name];
    if layers::reaches(name, name, system, &mut path) {
        let first = path.iter().filter_map(|name| system.volume(name)).all(|volume| volume.at >= at);
        if first {
            let what = format!("the volume {name:?} lies on itself: {}", path.join(" -> "));
            problems.add(at, what, "let one of them lie on a disk");
        }
    }
}

/// Grants by client; adds a problem for each client that is no PD.
fn clients<'a>(system: &'a System, problems: &mut Problems) -> BTreeMap<&'a str, Vec<&'a Grant>> {
    let mut clients: BTreeMap<&str, Vec<&Grant>> = BTreeMap::new();
    for grant in &system.grants {
        let (name, at) = &grant.client;
        let audit = name == AUDITOR && system.audit == Some(grant.at);
        if !audit && !system.pds.contains_key(name) {
            let known = system.pds.keys().map(String::as_str);
            let what = format!("there is no protection domain {name:?}");
            problems.add(*at, what, suggest(name, known, "add a <protection_domain> of that name"));
        }
        clients.entry(name).or_default().push(grant);
    }
    clients
}

fn target(grant: &Grant, system: &System, problems: &mut Problems) {
    if !known(&grant.target, "", system, problems) {
        return;
    }
    let name = grant.target.name();
    if let Some(over) = system.volumes.iter().find(|volume| volume.below().any(|on| on.name() == name)) {
        let what = format!("{name:?} lies under the volume {:?}", over.name);
        problems.add(grant.target.at(), what, format!("grant the volume: volume={:?}", over.name));
    }
    // What a partition or an array holds only its disks say.
    let whole = matches!(system.source(&grant.target), Some(Source::Disk(_)));
    let part = Grant { end: None, ..grant.clone() };
    for disk in system.disks_below(&grant.target) {
        within_disk(if whole { grant } else { &part }, disk, problems);
    }
}

fn within_disk(grant: &Grant, disk: &Disk, problems: &mut Problems) {
    let audit = grant.client.0 == AUDITOR;
    if disk.read_only && audit {
        let what = format!("the disk {:?} is read-only, and an audit is written", disk.name);
        problems.add(grant.at, what, "put it on another disk, or remove readonly=\"yes\"");
    } else if disk.read_only && grant.rights & MODIFYING != 0 {
        let rights = rights_text(grant.rights & MODIFYING);
        let what = format!("the disk {:?} is read-only, and the grant allows {rights:?}", disk.name);
        problems.add(grant.rights_at, what, "remove these rights, or readonly=\"yes\" of the disk");
    }
    let blocks = disk.size.map(|bytes| bytes / 4096);
    if let (Some(blocks), Some(end)) = (blocks, grant.end)
        && end > blocks
    {
        let noun = if audit { "audit" } else { "grant" };
        let what = format!("the {noun} ends at block {end}, and {:?} has {blocks} blocks of 4096 bytes", disk.name);
        problems.add(grant.blocks_at, what, format!("end at or below {blocks}, or make the disk larger"));
    }
}

fn client(name: &str, pd: &UserPd, grants: &[&Grant], system: &System, problems: &mut Problems) {
    if name.len() > MAX_NAME {
        let what = format!("the name of the client {name:?} is longer than {MAX_NAME} characters");
        problems.add(pd.at, what, "shorten it: names of regions are made of it");
    }
    // Over a base the derived ones are placed above it.
    if pd.priority >= SERIAL_PRIORITY && !system.over_base {
        let what = format!(
            "the client {name:?} has priority {}, not below the console's {SERIAL_PRIORITY} and the gatekeeper's {GATEKEEPER_PRIORITY}",
            pd.priority
        );
        let remedy = format!("write a priority below {SERIAL_PRIORITY}: a client may not starve its servers");
        problems.add(pd.at, what, remedy);
    }
    if pd.passive {
        let what = format!("the client {name:?} is passive");
        problems.add(pd.at, what, "remove passive=\"true\": completions arrive as notifications");
    }
    for grant in grants {
        if let Some((wanted, at)) = grant.in_flight
            && wanted > u32::from(pd.queue)
        {
            let what =
                format!("{wanted} requests in flight do not fit into the {} entries of {name:?}'s queue", pd.queue);
            problems.add(at, what, format!("write at most {}, or a larger orion:queue on the client", pd.queue));
        }
    }
    windows(name, grants, problems);
}

fn windows(name: &str, grants: &[&Grant], problems: &mut Problems) {
    let mut taken: BTreeMap<u8, Position> = BTreeMap::new();
    for (window, at) in grants.iter().filter_map(|grant| grant.window) {
        if let Some(first) = taken.insert(window, at) {
            let what = format!("window {window} of {name:?} holds a grant already, that of line {}", first.line);
            problems.add(at, what, "choose a free window, or leave the choice to orion");
        }
    }
    if let Some(grant) = grants.get(usize::from(WINDOWS)) {
        let what = format!("{name:?} has more than {WINDOWS} grants");
        problems.add(grant.at, what, "join extents, or split the client");
    }
}

/// Two grants of the same blocks must both say that they share them.
fn overlaps(system: &System, problems: &mut Problems) {
    for (index, b) in system.grants.iter().enumerate() {
        for a in system.grants.iter().take(index) {
            let same = a.target.name() == b.target.name();
            let (a_end, b_end) = (a.end.unwrap_or(u64::MAX), b.end.unwrap_or(u64::MAX));
            let (first, end) = (a.first.max(b.first), a_end.min(b_end));
            if !same || first >= end || (a.shared && b.shared) {
                continue;
            }
            let end = if end == u64::MAX { String::new() } else { end.to_string() };
            let what = format!(
                "blocks {first}..{end} of {:?} are granted to {:?} and, on line {}, to {:?}",
                b.target.name(),
                b.client.0,
                a.at.line,
                a.client.0
            );
            let audit = [a, b].iter().any(|grant| grant.client.0 == AUDITOR);
            let remedy = if audit {
                "give the audit blocks that no grant has"
            } else {
                "grant other blocks, or write shared=\"yes\" on both grants"
            };
            problems.add(b.blocks_at, what, remedy);
        }
    }
}

fn useless_settings(system: &System, clients: &BTreeMap<&str, Vec<&Grant>>, problems: &mut Problems) {
    for (name, pd) in &system.pds {
        if let Some(at) = pd.client_settings
            && !clients.contains_key(name.as_str())
            && !system.named_clients.contains(name)
        {
            let what = format!("{name:?} has settings of a client, and no grant names it");
            problems.add(at, what, format!("add <orion:grant client={name:?} .../>, or remove the attribute"));
        }
    }
}
