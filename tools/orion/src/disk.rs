// SPDX-License-Identifier: MIT
//! `orion ctl disk`: what a driver is told to do with a disk, and what becomes of it.
use crate::Outcome;
use crate::live::{Drive, Manager};
use orion_driver::Text;
use orion_metrics::{DiskWork, Order, Progress, Verb, Work, ZoneRow};
use std::process::ExitCode;
use std::time::Duration;

/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(200);

/// Has it done, and says how far it is until it is done.
pub fn order(manager: &mut Manager, work: Work, disk: &str) -> Outcome {
    manager.order(Order::Disk(work), disk)?;
    let mut said = String::new();
    loop {
        let state = manager.health()?;
        let drive = state.disks.iter().find(|drive| drive.name.as_str() == disk);
        let drive =
            drive.ok_or_else(|| format!("{disk}: its driver says nothing of it any more; see `orion status`"))?;
        let Some(row) = &drive.work else { return Err(format!("{disk}: its driver has forgotten what it was told")) };
        let now = self::work(row);
        match Progress::of(row.progress) {
            Progress::Done => {
                println!("{disk}: {now}");
                print!("{}", found(drive, work.verb));
                return Ok(ExitCode::SUCCESS);
            }
            Progress::Failed => return Err(format!("{disk}: {now}")),
            Progress::None => return Err(format!("{disk}: its driver was started anew; see `orion health`")),
            Progress::Waits | Progress::Runs => {}
        }
        if now != said {
            println!("{disk}: {now}");
            said = now;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Work and how far it is, for people.
pub fn work(row: &DiskWork) -> String {
    let verb = Verb::of(row.verb).map_or("something unknown", Verb::text);
    let progress = Progress::of(row.progress);
    let mut said = format!("{verb}: {}", progress.text());
    let permille = row.permille.get();
    if progress == Progress::Runs && permille <= 1000 {
        said += &format!(", {}.{} %", permille / 10, permille % 10);
    }
    if progress == Progress::Failed {
        said += &format!(": {} (status {:#x})", Text::new(&row.why), row.status);
    }
    let checked = [Verb::ArrayCheck.number(), Verb::ArrayRepair.number()].contains(&row.verb);
    if progress == Progress::Done && checked {
        said += &format!(", {} sectors differed", row.value);
    }
    if progress == Progress::Done && row.verb == Verb::Create.number() {
        said += &format!(", its number is {}", row.value);
    }
    said
}

/// What was found by it.
fn found(drive: &Drive, verb: Verb) -> String {
    match verb {
        Verb::Namespaces | Verb::Create | Verb::Delete | Verb::Attach | Verb::Detach => {
            let rows = drive.spaces.iter().map(|space| {
                let attached = if space.attached == 0 { "not attached" } else { "attached" };
                let (number, blocks, block) = (space.namespace, space.blocks, space.block);
                format!("  namespace {number}: {blocks} blocks of {block} bytes, {attached}\n")
            });
            rows.collect()
        }
        Verb::Zones => drive.zones.iter().map(zone).collect(),
        _ => String::new(),
    }
}

/// A zone, by the states of TP 4053, figure 37.
fn zone(zone: &ZoneRow) -> String {
    let state = match zone.state() {
        1 => "empty",
        2 => "open, implicitly",
        3 => "open",
        4 => "closed",
        13 => "read-only",
        14 => "full",
        15 => "offline",
        _ => "in a state that is not known",
    };
    let (first, pointer, blocks) = (zone.first.get(), zone.pointer.get(), zone.blocks());
    let written = if matches!(zone.state(), 1..=4) { format!(", written up to {pointer}") } else { String::new() };
    format!("  zone at {first}: {blocks} blocks, {state}{written}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_row_is_shown() {
        let mut row =
            DiskWork { verb: Verb::Sanitize.number(), progress: Progress::Runs.number(), ..DiskWork::none(0) };
        assert_eq!(work(&row), "sanitize: runs");
        row.permille = 425.into();
        assert_eq!(work(&row), "sanitize: runs, 42.5 %");
        (row.progress, row.status, row.why) = (Progress::Failed.number(), 0x1c.into(), [b'!'; 40]);
        assert!(work(&row).starts_with("sanitize: failed: !!!!") && work(&row).ends_with("(status 0x1c)"));
        (row.verb, row.progress) = (255, 255);
        assert_eq!(work(&row), "something unknown: -");
        assert_eq!(zone(&ZoneRow::new(8, 9, 4, 2)), "  zone at 8: 4 blocks, open, implicitly, written up to 9\n");
        assert!(zone(&ZoneRow::new(u64::MAX, 0, u64::MAX, 255)).contains("not known"));
    }
}
