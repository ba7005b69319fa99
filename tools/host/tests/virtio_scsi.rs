// SPDX-License-Identifier: MIT
//! The virtio-scsi driver against QEMU's host and disks: what they say of themselves, every operation, errors, and a host that
//! is reset or taken over with requests in flight.
#![allow(clippy::unwrap_used, reason = "a test's certain values")]
mod rig;

use orion_driver::{Engine, Unit};
use orion_host::qemu::MESSAGE;
use orion_host::qtest::Registers;
use orion_scsi::Wanted;
use orion_system::bus::Bus;
use orion_virtio::{Msi, PciTransport, VirtioScsi};
use rig::scsi::{self, BAD_SECTOR, SIZES};
use rig::{BARS, Rig, SECOND, Shape, reset_in_flight, taken_over};
use std::cell::Cell;

const SECOND_UNIT: u32 = 3 << 16 | 5;
/// Queues for requests: with one the whole systems of `tests/host` are run.
const QUEUES: u16 = 4;

type Disk = VirtioScsi<PciTransport<Registers>>;

/// A host with two disks.
fn host(name: &str, rules: &str) -> Rig {
    let disks = &[(1 << 16, SIZES[0]), (SECOND_UNIT, SIZES[1])];
    let options = QUEUES.into();
    Rig::new(&Shape { name, bus: Bus::VirtioScsi, options, disks, rules, ..Shape::default() })
}

/// A driver on the device as it is, the first or one that takes over, once it knows its disks.
fn driver(rig: &Rig, now: &Cell<u64>) -> Disk {
    driver_of(rig, now, &scsi::wanted(SECOND_UNIT))
}

fn driver_of(rig: &Rig, now: &Cell<u64>, wanted: &[Wanted]) -> Disk {
    let [config, bars] = rig.registers();
    let msi = Msi { address: MESSAGE.0, data: MESSAGE.1 };
    let bus = PciTransport::new(config, bars, BARS, Some(msi)).unwrap();
    let mut disk: Disk = orion_virtio::scsi::open_with(bus, wanted, rig.setup(SECOND), QUEUES).unwrap();
    scsi::find(rig, &mut disk, now);
    disk
}

#[test]
fn the_disks_say_what_they_are_and_do_every_operation() {
    let rig = host("scsi-all", "");
    let mut disk = driver(&rig, &Cell::new(0));
    let line = "virtio-scsi, target 1, logical unit 0: QEMU QEMU HARDDISK";
    scsi::every_operation(&rig, &mut disk, line, "scsiall1");
}

#[test]
fn write_caches_are_turned_as_they_are_wanted() {
    let (rig, now) = (host("scsi-cache", ""), Cell::new(0));
    for on in [false, true] {
        let [first, second] = scsi::wanted(SECOND_UNIT);
        let disk = driver_of(&rig, &now, &[Wanted { write_cache: Some(on), ..first }, second]);
        assert_eq!([0, 1].map(|unit| disk.limits(Unit(unit)).unwrap().volatile_cache), [on, true]);
    }
}

#[test]
fn a_block_that_cannot_be_read_is_a_medium_error_and_its_neighbours_are_read() {
    let rig = host("scsi-bad", BAD_SECTOR);
    scsi::bad_sector(&rig, &mut driver(&rig, &Cell::new(0)));
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
