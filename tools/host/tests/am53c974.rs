// SPDX-License-Identifier: MIT
//! The driver of the Am53C974 against QEMU's adapter and disks: what they say of themselves, every operation, errors, and an
//! adapter that is reset or taken over with requests in flight.
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, reason = "a test's small numbers and certain values")]
mod rig;

use orion_am53c974::{Am53c974, Fault};
use orion_block::{Completion, Error, Instant, Op};
use orion_driver::{Engine, Span};
use orion_host::qtest::Registers;
use orion_pci::BarRegisters;
use orion_system::bus::Bus;
use rig::scsi::{self, BAD_SECTOR, SIZES};
use rig::{BLOCKS, DEPTH, Rig, SECOND, Shape, each_once, request, submit, taken_over};
use std::cell::Cell;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Bytes of the payload: those of all requests of [`submit`].
const DATA_LEN: u64 = 1 << 20;
/// QEMU answers REQUEST SENSE of units other than 0 as if there were none, so all of its disks are units 0.
const SECOND_UNIT: u32 = 6 << 16;

type Disk = Am53c974<BarRegisters<Registers>>;

/// An adapter with two disks.
fn adapter(name: &str, rules: &str) -> Rig {
    let disks = &[(1 << 16, SIZES[0]), (SECOND_UNIT, SIZES[1])];
    let shape = Shape { name, bus: Bus::Am53c974, disks, rules, dma: 256 << 10, data: DATA_LEN, ..Shape::default() };
    Rig::new(&Shape { pin: true, ..shape })
}

/// A driver on the adapter as it is, the first or one that takes over, once it knows its disks.
fn driver(rig: &Rig, now: &Cell<u64>) -> Disk {
    let registers = rig.function().registers(0).unwrap();
    let mut disk = orion_am53c974::open(registers, &scsi::wanted(SECOND_UNIT), rig.setup(4 * SECOND)).unwrap();
    scsi::find(rig, &mut disk, now);
    disk
}

#[test]
fn the_disks_say_what_they_are_and_do_every_operation() {
    let rig = adapter("amd-all", "");
    let mut disk = driver(&rig, &Cell::new(0));
    let line = "Am53C974, target 1, logical unit 0: QEMU QEMU HARDDISK";
    scsi::every_operation(&rig, &mut disk, line, "amdall1");
}

/// A transfer of more bytes than 16 bits count, each of them its own.
#[test]
fn a_megabyte_goes_there_and_back_in_one_request() {
    let rig = adapter("amd-large", "");
    let mut disk = driver(&rig, &Cell::new(0));
    let bytes: Vec<u8> = (0..DATA_LEN as u32).map(|i| (i / 512 * 31 + i) as u8).collect();
    rig.data.write_all_at(&bytes, 0).unwrap();
    assert_eq!(rig.one(&mut disk, 0, request(Op::Write, 1000, 2048, 0)), Completion::ok(2048));
    assert_eq!(rig.content(0, 512_000, DATA_LEN), bytes);
    rig.fill(0);
    assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 1000, 2048, 0)), Completion::ok(2048));
    assert!(rig.payload(0, DATA_LEN) == bytes);
}

#[test]
fn memory_above_4_gib_is_refused() {
    let rig = adapter("amd-high", "");
    let regions = &[Span { bus: 0xffff_f000, size: 4097 }];
    let setup = orion_driver::Setup { regions, ..rig.setup(4 * SECOND) };
    let registers = rig.function().registers(0).unwrap();
    let refused = orion_am53c974::open::<_, u32>(registers, &scsi::wanted(SECOND_UNIT), setup).map(|_| ());
    assert_eq!(refused.unwrap_err(), Fault::High);
}

#[test]
fn a_block_that_cannot_be_read_is_a_medium_error_and_its_neighbours_are_read() {
    let rig = adapter("amd-bad", BAD_SECTOR);
    scsi::bad_sector(&rig, &mut driver(&rig, &Cell::new(0)));
}

/// Waits as [`Rig::ended`] does, while time passes, of which the bus needs some after a reset.
fn ended_in_time(rig: &Rig, disk: &mut Disk, now: &Cell<u64>) -> Vec<(u32, Completion)> {
    let (mut all, until) = (Vec::new(), now.get() + 3 * SECOND);
    loop {
        disk.set_time(Instant(now.get()));
        all.extend(core::iter::from_fn(|| disk.finished()));
        disk.kick();
        if disk.expire() {
            continue;
        }
        if all.len() >= DEPTH as usize {
            each_once(&all);
            return all;
        }
        if !rig.wait(Duration::from_millis(1)) {
            now.set(now.get() + 10_000_000);
        }
        assert!(now.get() < until, "no end after {}", all.len());
    }
}

#[test]
fn requests_that_take_too_long_are_answered_once_and_the_bus_serves_again() {
    let (rig, now) = (adapter("amd-late", ""), Cell::new(0));
    let mut disk = driver(&rig, &now);
    let mut timeouts = 0;
    // On a busy machine QEMU may be done before each.
    for round in 0..100 {
        if round >= 6 && timeouts > 0 {
            break;
        }
        rig.fill(round + 1);
        submit(&mut disk, Op::Write);
        now.set(now.get() + 5 * SECOND);
        let done = ended_in_time(&rig, &mut disk, &now);
        let given_up = |d: &Completion| *d == Completion::error(Error::TimedOut);
        assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS) || given_up(d)), "round {round}: {done:?}");
        timeouts += u64::from(done.iter().any(|(_, d)| given_up(d)));
        // The adapter let go of the buffers: what is in them now stays, and what is there in the end was written last.
        rig.fill(0xee);
        submit(&mut disk, Op::Write);
        let done = ended_in_time(&rig, &mut disk, &now);
        assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS)), "round {round}: {done:?}");
        assert!(rig.content(0, 0, DATA_LEN).iter().all(|byte| *byte == 0xee), "round {round}");
    }
    assert!(timeouts > 0, "no request was in flight at any reset");
    assert_eq!(disk.counters().timeouts, timeouts);
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_device_that_is_at_work() {
    let (rig, now) = (adapter("amd-takeover", ""), Cell::new(0));
    taken_over(&rig, |_| driver(&rig, &now), || driver(&rig, &now));
}
