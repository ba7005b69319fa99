// SPDX-License-Identifier: MIT
//! Several ways to one disk: what can be one.
use crate::bus::Bus;
use crate::model::{Disk, Joined, Joining, System, Target};
use crate::problem::Problems;

/// Ways that there are at least, so that there is another.
const LEAST: usize = 2;

/// Ways are disks of NVMe, each the only one behind a controller of its own.
pub fn check(system: &System, problems: &mut Problems) {
    for (volume, joined) in system.joined().filter(|(_, joined)| joined.kind == Joining::Multipath) {
        if !joined.members.is_empty() && joined.members.len() < LEAST {
            let what = format!("there is only one way to {:?}", volume.name);
            problems.add(joined.at, what, "add <orion:on disk=\"...\"/> for another, or leave out <orion:multipath>");
        }
        each(system, joined, problems);
    }
}

fn each(system: &System, joined: &Joined, problems: &mut Problems) {
    let mut first: Option<&Disk> = None;
    for member in &joined.members {
        let Target::Disk(name, at) = member else {
            let what = format!("a way is a disk behind a controller, and {:?} is a volume", member.name());
            problems.add(member.at(), what, "write disk=\"...\"");
            continue;
        };
        let Some(disk) = system.disk(name) else { continue };
        if disk.bus != Bus::Nvme {
            let what = format!("{name:?} is on bus {:?}, whose driver cannot say which disk it is", disk.bus.name());
            problems.add(*at, what, "ways are disks of bus=\"nvme\"");
        }
        if let Some(beside) = system.behind(disk.device()).find(|other| other.name != *name) {
            let what = format!("{name:?} is a way to a disk, and {:?} is behind its controller too", beside.name);
            problems.add(*at, what, "give it a controller of its own");
        }
        let known = first.get_or_insert(disk);
        let unit = |disk: &Disk| disk.unit.map(|(unit, _)| unit);
        if (unit(known), known.read_only, known.zoned) != (unit(disk), disk.read_only, disk.zoned) {
            let what =
                format!("{name:?} has another unit than {:?}, or is read-only or zoned where that is not", known.name);
            problems.add(*at, what, "write the same of both: they are one namespace of one subsystem");
        }
    }
}
