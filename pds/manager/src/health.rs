// SPDX-License-Identifier: MIT
//! What disks say of themselves, as lines of text for the console.
use crate::core::{Core, PDS_MAX};
use core::fmt;
use orion_driver::{Health, Text};
use orion_metrics::{ArrayDevice, ArrayState, DiskText, Row};
use orion_pd::World;

/// A disk, as far as it was read.
struct Disk {
    pd: &'static str,
    unit: u8,
    name: Text,
    health: Health,
}

/// Every disk of every driver. A driver's rows of a disk stand together; what one mixes up is shown as it is.
pub fn print<W: World>(core: &Core, world: &mut W) {
    let mut disk: Option<Disk> = None;
    let mut any = false;
    for pd in 0..PDS_MAX {
        let Some(rows) = core.rows_of(pd) else { break };
        for (pd, row) in (0..rows).filter_map(|row| core.disk_row(pd, row)) {
            let Some(unit) = row.unit() else { continue };
            any = true;
            match row {
                Row::Array(array) => {
                    let name = disk.take().map_or(Text::default(), |disk: Disk| disk.name);
                    print_array(name, pd, &array, world);
                    continue;
                }
                Row::ArrayDevice(device) => {
                    let name = Text::new(&device.name);
                    world.print(format_args!("  device {name}: {} {}", device.standing(), Maybe(role(&device), "")));
                    continue;
                }
                Row::DiskWork(_) if disk.is_none() => continue,
                _ => {}
            }
            if disk.as_ref().is_none_or(|disk| (disk.pd, disk.unit) != (pd, unit)) {
                let next = Disk { pd, unit, name: Text::default(), health: Health::default() };
                disk.replace(next).iter().for_each(|disk| show(disk, world));
            }
            if let Some(disk) = &mut disk {
                match row {
                    Row::DiskText(DiskText { what: 0, text, .. }) => disk.name = Text::new(&text),
                    row => disk.health.take(&row),
                }
            }
        }
    }
    disk.iter().for_each(|disk| show(disk, world));
    if !any {
        world.print(format_args!("no disk has said anything of itself yet; ask again"));
    }
}

/// The member that a device is.
fn role(device: &ArrayDevice) -> Option<u8> {
    Some(device.role).filter(|role| *role != u8::MAX)
}

fn print_array<W: World>(name: Text, pd: &str, array: &ArrayState, world: &mut W) {
    let (level, members, missing) = (array.level, array.members, array.missing);
    if array.served == 0 {
        return world.print(format_args!("{name} ({pd}): not served"));
    }
    let (permille, left) = (array.permille(), Maybe(array.seconds_left(), " s"));
    match array.work() {
        None => world.print(format_args!("{name} ({pd}): RAID {level} of {members}, {missing} missing")),
        Some(work) => world.print(format_args!(
            "{name} ({pd}): RAID {level} of {members}, {missing} missing; {work} {}.{} %, left {left}",
            permille / 10,
            permille % 10
        )),
    }
}

/// A number that may be unknown.
struct Maybe<T>(Option<T>, &'static str);

impl<T: fmt::Display> fmt::Display for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(number) => write!(f, "{number}{}", self.1),
            None => f.write_str("-"),
        }
    }
}

fn show<W: World>(disk: &Disk, world: &mut W) {
    let Disk { pd, name, health, .. } = disk;
    let state = match health.failing {
        None => "-",
        Some(false) => "ok",
        Some(true) => "failing",
    };
    let (model, serial, firmware) = (health.model, health.serial, health.firmware);
    world.print(format_args!("{name} ({pd}): {model}, serial number {serial}, firmware {firmware}; health {state}"));
    if !health.identity.as_str().is_empty() {
        world.print(format_args!("  identity {}", health.identity));
    }
    world.print(format_args!(
        "  temperature {}, used {}, spare {}, power {}, cycles {}, unsafe shutdowns {}",
        Maybe(health.temperature, " C"),
        Maybe(health.used_percent, " %"),
        Maybe(health.spare_percent, " %"),
        Maybe(health.power_on_hours, " h"),
        Maybe(health.power_cycles, ""),
        Maybe(health.unsafe_shutdowns, ""),
    ));
    if !health.size.as_str().is_empty() {
        world.print(format_args!("  size {}", health.size));
    }
    if !health.power.as_str().is_empty() {
        world.print(format_args!("  power {}", health.power));
    }
    world.print(format_args!(
        "  media errors {}, errors logged {}, read {}, written {}",
        Maybe(health.media_errors, ""),
        Maybe(health.errors_logged, ""),
        Maybe(health.read_kblocks, " x 512 kB"),
        Maybe(health.written_kblocks, " x 512 kB"),
    ));
    for one in health.attributes.iter().filter(|one| one.id != 0) {
        let (id, value, worst, threshold, raw) = (one.id, one.value, one.worst, one.threshold, one.raw);
        world.print(format_args!("  attribute {id}: {value}, worst {worst}, threshold {threshold}, raw {raw}"));
    }
}
