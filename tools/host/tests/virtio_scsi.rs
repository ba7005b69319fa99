// SPDX-License-Identifier: MIT
//! The virtio-scsi driver against QEMU's host and disks: what they say of themselves, every operation, errors, and a host that
//! is reset or taken over with requests in flight.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test's certain values")]
mod rig;

use orion_block::{BlockSize, Completion, Error, Instant, Op, Request};
use orion_driver::{Describe, Engine, Unit};
use orion_host::qemu::MESSAGE;
use orion_host::qtest::Registers;
use orion_scsi::{Choice, Place, Wanted};
use orion_system::bus::Bus;
use orion_virtio::{Msi, PciTransport, VirtioScsi};
use rig::{BARS, Rig, SECOND, Shape, request, reset_in_flight, taken_over};
use std::cell::Cell;
use std::time::Duration;

const SECOND_UNIT: u32 = 3 << 16 | 5;
/// Queues for requests: with one the whole systems of `tests/host` are run.
const QUEUES: u16 = 4;

type Disk = VirtioScsi<PciTransport<Registers>>;

/// A host with two disks.
fn host(name: &str, rules: &str) -> Rig {
    let disks = &[(1 << 16, 16 << 20), (SECOND_UNIT, 2 << 20)];
    let options = QUEUES.into();
    Rig::new(&Shape { name, bus: Bus::VirtioScsi, options, disks, rules, ..Shape::default() })
}

/// A driver on the device as it is, the first or one that takes over, once it knows its disks; `now`: the time, which goes on.
fn driver(rig: &Rig, now: &Cell<u64>) -> Disk {
    let [config, bars] = rig.registers();
    let msi = Msi { address: MESSAGE.0, data: MESSAGE.1 };
    let bus = PciTransport::new(config, bars, BARS, Some(msi)).unwrap();
    let second = Choice::At(Place::of_number(SECOND_UNIT).unwrap());
    let wanted = [Choice::First, second].map(|choice| Wanted { choice, read_only: false });
    let mut disk: Disk = orion_virtio::scsi::open_with(bus, &wanted, rig.setup(SECOND), QUEUES).unwrap();
    disk.set_time(Instant(now.get()));
    while disk.limits(Unit(0)).is_none() || disk.limits(Unit(1)).is_none() {
        assert_eq!(disk.finished(), None);
        if disk.expire() {
            disk.kick();
        }
        rig.wait(Duration::from_millis(10));
        now.set(now.get() + 1_000_000);
        assert!(now.get() < 1000 * SECOND, "the disks do not come: {:?}", disk.take_fault());
        disk.set_time(Instant(now.get()));
    }
    disk
}

#[test]
fn the_disks_say_what_they_are_and_do_every_operation() {
    let rig = host("scsi-all", "");
    let mut disk = driver(&rig, &Cell::new(0));
    let limits = [0, 1].map(|unit| disk.limits(Unit(unit)).unwrap());
    assert_eq!(limits.map(|limits| limits.capacity), [32768, 4096]);
    assert!(limits[0].block == BlockSize::B512 && limits[0].volatile_cache && limits[0].discard_granularity > 0);
    let line = Describe::<_, u32>::new(&disk, Unit(0)).to_string();
    assert!(line.starts_with("virtio-scsi, target 1, logical unit 0: QEMU QEMU HARDDISK"), "{line}");
    assert_eq!(disk.health(Unit(1)).unwrap().serial.as_str(), "scsiall1");
    rig.fill(0x5a);
    for (unit, lba) in [(0u8, 32760u64), (1, 4088)] {
        assert_eq!(rig.one(&mut disk, unit, Request { fua: true, ..request(Op::Write, lba, 8, 0) }), Completion::ok(8));
        assert_eq!(rig.content(unit.into(), lba * 512, 4096), [0x5a; 4096]);
    }
    rig.fill(0);
    assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 4088, 8, 8192)), Completion::ok(8));
    assert_eq!(rig.payload(8192, 4096), [0x5a; 4096]);
    assert_eq!(rig.one(&mut disk, 0, request(Op::WriteZeroes, 32764, 4, 0)), Completion::ok(4));
    assert_eq!(rig.content(0, 32764 * 512, 2048), [0; 2048]);
    assert_eq!(rig.content(0, 32760 * 512, 2048), [0x5a; 2048]);
    assert_eq!(rig.one(&mut disk, 0, request(Op::Flush, 0, 0, 0)), Completion::ok(0));
    assert_eq!(rig.one(&mut disk, 0, request(Op::Discard, 0, 16384, 0)), Completion::ok(16384));
    assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 4096, 1, 0)), Completion::error(Error::OutOfRange));
    assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 0, 2048, 0)), Completion::ok(2048));
    disk.refresh();
    disk.expire();
    assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 0, 1, 0)), Completion::ok(1));
}

#[test]
fn a_block_that_cannot_be_read_is_a_medium_error_and_its_neighbours_are_read() {
    let rules = "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"2048\"\n";
    let rig = host("scsi-bad", rules);
    let mut disk = driver(&rig, &Cell::new(0));
    for _ in 0..3 {
        let done = rig.one(&mut disk, 0, request(Op::Read, 2048, 8, 0));
        assert!(matches!(done.status, Err(Error::Medium | Error::Io)), "{done:?}");
        assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 4096, 8, 0)), Completion::ok(8));
        assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 2048, 8, 0)), Completion::ok(8));
    }
    assert_eq!(disk.counters().misused + disk.counters().timeouts, 0);
}

#[test]
fn a_reset_in_flight_answers_everything_once_and_the_device_serves_again() {
    let (rig, now) = (host("scsi-reset", ""), Cell::new(0));
    let mut disk = driver(&rig, &now);
    reset_in_flight(&rig, &mut disk, 0, now.get());
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_device_that_is_at_work() {
    let (rig, now) = (host("scsi-takeover", ""), Cell::new(0));
    taken_over(&rig, |_| driver(&rig, &now), || driver(&rig, &now));
}
