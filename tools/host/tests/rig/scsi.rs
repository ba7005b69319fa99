// SPDX-License-Identifier: MIT
//! What holds for QEMU's SCSI disks on any bus: two of them, of 16 and 2 MiB.
use super::{Rig, SECOND, request};
use orion_block::{BlockSize, Completion, Error, Instant, Op, Request};
use orion_driver::{Describe, Engine, Unit};
use orion_scsi::{Choice, Place, Wanted};
use std::cell::Cell;
use std::time::Duration;

/// The disks' sizes in bytes.
pub const SIZES: [u64; 2] = [16 << 20, 2 << 20];

/// What the driver is to serve: the first disk that is there, and the one at `second`.
pub fn wanted(second: u32) -> [Wanted; 2] {
    let second = Choice::At(Place::of_number(second).unwrap());
    [Choice::First, second].map(Wanted::of)
}

/// Runs a driver until it knows its disks. `now`, the time, passes while nothing else happens.
pub fn find(rig: &Rig, disk: &mut impl Engine<u32>, now: &Cell<u64>) {
    let until = now.get() + 1000 * SECOND;
    disk.set_time(Instant(now.get()));
    while disk.limits(Unit(0)).is_none() || disk.limits(Unit(1)).is_none() {
        assert_eq!(disk.finished(), None);
        if disk.expire() {
            disk.kick();
        }
        if !rig.wait(Duration::from_millis(1)) {
            now.set(now.get() + 10_000_000);
        }
        assert!(now.get() < until, "the disks do not come: {:?}", disk.take_fault());
        disk.set_time(Instant(now.get()));
    }
}

/// The disks say what they are, the first in a line that begins like `line`, and do every operation.
pub fn every_operation(rig: &Rig, disk: &mut impl Engine<u32>, line: &str, serial: &str) {
    let limits = [0, 1].map(|unit| disk.limits(Unit(unit)).unwrap());
    assert_eq!(limits.map(|limits| limits.capacity), SIZES.map(|size| size / 512));
    assert!(limits[0].block == BlockSize::B512 && limits[0].volatile_cache && limits[0].discard_granularity > 0);
    let found = Describe::<_, u32>::new(&*disk, Unit(0)).to_string();
    assert!(found.starts_with(line), "{found}");
    assert_eq!(disk.health(Unit(1)).unwrap().serial.as_str(), serial);
    rig.fill(0x5a);
    for (unit, lba) in [(0u8, 32760u64), (1, 4088)] {
        assert_eq!(rig.one(disk, unit, Request { fua: true, ..request(Op::Write, lba, 8, 0) }), Completion::ok(8));
        assert_eq!(rig.content(unit.into(), lba * 512, 4096), [0x5a; 4096]);
    }
    rig.fill(0);
    assert_eq!(rig.one(disk, 1, request(Op::Read, 4088, 8, 8192)), Completion::ok(8));
    assert_eq!(rig.payload(8192, 4096), [0x5a; 4096]);
    assert_eq!(rig.one(disk, 0, request(Op::WriteZeroes, 32764, 4, 0)), Completion::ok(4));
    assert_eq!(rig.content(0, 32764 * 512, 2048), [0; 2048]);
    assert_eq!(rig.content(0, 32760 * 512, 2048), [0x5a; 2048]);
    assert_eq!(rig.one(disk, 0, request(Op::Flush, 0, 0, 0)), Completion::ok(0));
    assert_eq!(rig.one(disk, 0, request(Op::Discard, 0, 16384, 0)), Completion::ok(16384));
    assert_eq!(rig.one(disk, 1, request(Op::Read, 4096, 1, 0)), Completion::error(Error::OutOfRange));
    assert_eq!(rig.one(disk, 0, request(Op::Read, 0, 2048, 0)), Completion::ok(2048));
    disk.refresh();
    disk.expire();
    assert_eq!(rig.one(disk, 0, request(Op::Read, 0, 1, 0)), Completion::ok(1));
    assert_eq!(disk.counters().misused + disk.counters().timeouts, 0);
}

/// Rules for the first disk: a sector that cannot be read.
pub const BAD_SECTOR: &str = "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"2048\"\n";

/// With [`BAD_SECTOR`]: its reads are errors of the medium, and those of its neighbours none.
pub fn bad_sector(rig: &Rig, disk: &mut impl Engine<u32>) {
    for _ in 0..3 {
        let done = rig.one(disk, 0, request(Op::Read, 2048, 8, 0));
        assert!(matches!(done.status, Err(Error::Medium | Error::Io)), "{done:?}");
        assert_eq!(rig.one(disk, 0, request(Op::Read, 4096, 8, 0)), Completion::ok(8));
        assert_eq!(rig.one(disk, 1, request(Op::Read, 2048, 8, 0)), Completion::ok(8));
    }
    assert_eq!(disk.counters().misused + disk.counters().timeouts, 0);
}
