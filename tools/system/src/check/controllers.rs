// SPDX-License-Identifier: MIT
//! Disks that share a controller, and what a bus cannot give.
use crate::bus::Bus;
use crate::model::{Disk, System};
use crate::problem::Problems;

/// Checks every disk, and those that share a controller against the first of them.
pub fn check(system: &System, problems: &mut Problems) {
    for disk in &system.disks {
        of_virtio_blk(disk, system, problems);
        let Some((name, at)) = &disk.controller else { continue };
        if system.disk(name).is_some() || system.volume(name).is_some() {
            let what = format!("the controller {name:?} has the name of a disk or a volume");
            problems.add(*at, what, "choose another: they share one space of names");
        }
        if !disk.bus.is_shared() {
            let what = format!("a device on bus {:?} is one disk", disk.bus.name());
            problems.add(*at, what, "remove the controller");
            continue;
        }
        if let Some(first) = system.behind(name).next().filter(|first| first.name != disk.name) {
            beside(disk, first, problems);
        }
        if disk.unit.is_none() && system.behind(name).count() > 1 {
            let what = format!("{:?} is one of several disks behind {name:?}, and does not say which", disk.name);
            problems.add(disk.at, what, format!("add unit=\"...\": {}", disk.bus.unit_text()));
        }
        same_unit(disk, name, system, problems);
    }
}

/// What only virtio block devices have.
fn of_virtio_blk(disk: &Disk, system: &System, problems: &mut Problems) {
    if disk.bus == Bus::VirtioBlk {
        return;
    }
    if let Some((pd, at)) = &disk.driver {
        let what = format!("{pd:?} is to drive a device on bus {:?}: of sDDF's drivers only virtio's", disk.bus.name());
        problems.add(*at, what, "remove the driver, or write bus=\"virtio-blk\"");
    }
    if let Some((volume, partition)) = system.partitions_of(&disk.name).iter().find(|(_, partition)| partition.fuse) {
        let what = format!("{volume:?} is to be fused into the driver of {:?}", disk.bus.name());
        problems.add(partition.at, what, "remove fuse=\"yes\": only virtio-blk's driver has the layer in it");
    }
}

/// What is of the device must be the same for all of its disks.
fn beside(disk: &Disk, first: &Disk, problems: &mut Problems) {
    let line = first.at.line;
    if disk.bus != first.bus {
        let what =
            format!("{:?} is on another bus than {:?}, on line {line}, of the same controller", disk.name, first.name);
        return problems.add(disk.at, what, "write the same bus, or give it another controller");
    }
    if let (Some((own, at)), Some((other, _))) = (disk.slot, first.slot)
        && own != other
    {
        let what = format!("slot {own}, and line {line} says {other} for the same controller");
        problems.add(at, what, "write the slot once, or the same");
    }
    if (disk.timeout_ms, disk.options()) != (first.timeout_ms, first.options()) {
        let what =
            format!("timeout, queues or switches of {:?} are not those of {:?}, on line {line}", disk.name, first.name);
        problems.add(disk.at, what, "write the same for all disks of a controller");
    }
}

fn same_unit(disk: &Disk, controller: &str, system: &System, problems: &mut Problems) {
    let Some((unit, at)) = disk.unit else { return };
    let mut before = system.behind(controller).take_while(|other| other.name != disk.name);
    if let Some(first) = before.find(|other| other.unit.is_some_and(|(other, _)| other == unit)) {
        let what = format!("line {} has this disk of {controller:?} already", first.at.line);
        problems.add(at, what, "write another unit");
    }
}
