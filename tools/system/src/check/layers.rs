// SPDX-License-Identifier: MIT
//! What layers may lie on.
use crate::model::{Disk, Joined, System, Target};
use crate::problem::Problems;
use crate::stack::Source;

/// Whether the volume `name` lies on `goal`, at whatever depth; `path` then has the volumes between, and `goal` at its end.
pub fn reaches<'a>(name: &str, goal: &str, system: &'a System, path: &mut Vec<&'a str>) -> bool {
    let Some(volume) = system.volume(name) else { return false };
    for below in volume.below() {
        let Target::Volume(next, _) = below else { continue };
        let known = path.contains(&next.as_str());
        path.push(next);
        if next == goal || (!known && reaches(next, goal, system, path)) {
            return true;
        }
        path.pop();
    }
    false
}

/// What partitions lie on, and what lies under what joins it.
pub fn check(system: &System, problems: &mut Problems) {
    for volume in &system.volumes {
        if let (Some(partition), Some(Target::Volume(name, at))) = (&volume.partition, &volume.on)
            && let Some(below) = system.volume(name)
        {
            if below.joined.is_none() {
                let what =
                    format!("a partition lies on the volume {name:?}, which is only another name of what it lies on");
                problems.add(*at, what, "write what that lies on: disk=\"...\"");
            } else if partition.fuse {
                let what = format!("{:?} is to be fused into a driver, and {name:?} has none", volume.name);
                problems.add(partition.at, what, "remove fuse=\"yes\"");
            }
        }
    }
    for disk in &system.disks {
        if let (Some((volume, joined)), Some(_)) = (under(disk, system), disk.queue) {
            let what = format!("a queue, and {:?} is under the {} {volume:?}", disk.name, joined.kind.noun());
            problems.add(disk.at, what, "remove queue=\"...\": only disks below the gatekeeper have one");
        }
    }
}

/// The lowest volume that joins the disk to others.
fn under<'a>(disk: &Disk, system: &'a System) -> Option<(&'a str, &'a Joined)> {
    let mut joined = system.joined_upward().into_iter();
    let found = joined.find(|(volume, joined)| {
        let below = system.way_down(Source::Joined(volume, joined));
        below.iter().any(|source| matches!(source, Source::Disk(found) if found.name == disk.name))
    });
    found.map(|(volume, joined)| (volume.name.as_str(), joined))
}
