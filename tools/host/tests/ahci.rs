// SPDX-License-Identifier: MIT
//! The AHCI driver against QEMU's ich9-ahci and ide-hd: the case list of QEMU's own test of that device, and more.
#![allow(
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's small numbers and certain values"
)]
mod rig;

use orion_ahci::{Ahci, Options, Place};
use orion_block::{Completion, Error, Instant, Op, Request};
use orion_driver::{Describe, Engine, Unit};
use orion_host::qtest::Registers;
use orion_pci::BarRegisters;
use orion_system::bus::Bus;
use rig::{Rig, SECOND, Shape, request};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant as Clock};

const DATA_LEN: u64 = 8 << 20;
const SECTORS: u64 = (16 << 20) / 512;
const PORT: u32 = 2;

type Disk = Ahci<BarRegisters<Registers>>;

/// A controller with one drive, and the time since it began.
struct Sata {
    rig: Rig,
    start: Clock,
}

impl Sata {
    fn new(name: &str) -> Self {
        Self::with_rules(name, "")
    }

    /// With rules by which QEMU's block layer fails.
    fn with_rules(name: &str, rules: &str) -> Self {
        let (name, disks) = (&*format!("ahci-{name}"), &[(PORT, SECTORS * 512)]);
        let rig = Rig::new(&Shape { name, bus: Bus::Ahci, disks, rules, data: DATA_LEN, ..Shape::default() });
        Self { rig, start: Clock::now() }
    }

    /// A driver on the controller as it is: the first, or one that takes over.
    fn driver(&self, place: Place, options: Options) -> Disk {
        let registers = self.rig.function().registers(5).unwrap();
        let mut disk = Ahci::new(registers, self.rig.setup(5 * SECOND), &[place], options).unwrap();
        assert_eq!(self.ended(&mut disk, 0), []);
        assert!(disk.limits(Unit(0)).is_some(), "{:?}", disk.take_fault());
        disk
    }

    fn now(&self) -> Instant {
        Instant(SECOND + self.start.elapsed().as_nanos() as u64)
    }

    /// Runs the driver as its PD does, until `count` requests have ended and it waits for nothing.
    fn ended(&self, disk: &mut Disk, count: usize) -> Vec<(u32, Completion)> {
        let (mut all, begun) = (Vec::new(), Clock::now());
        loop {
            disk.set_time(self.now());
            loop {
                all.extend(core::iter::from_fn(|| disk.finished()));
                disk.kick();
                if !disk.expire() {
                    break;
                }
            }
            let deadline = disk.deadline();
            if all.len() >= count && deadline.is_none() {
                return all;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{} of {count} requests have ended", all.len());
            let wait = deadline.map_or(SECOND, |at| at.0.saturating_sub(self.now().0).min(SECOND));
            if self.rig.wait(Duration::from_nanos(wait + 1000)) {
                disk.interrupted();
            }
        }
    }

    fn one(&self, disk: &mut Disk, req: &Request) -> Completion {
        disk.set_time(self.now());
        disk.start(Unit(0), 7, req);
        disk.kick();
        let done = self.ended(disk, 1);
        let &[(7, done)] = &done[..] else { panic!("{req:?}: {done:?}") };
        done
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.rig.data.write_all_at(bytes, at).unwrap();
    }

    fn get(&self, at: u64, len: usize) -> Vec<u8> {
        self.rig.payload(at, len as u64)
    }

    fn on_disk(&self, lba: u64, len: usize) -> Vec<u8> {
        self.rig.content(0, lba * 512, len as u64)
    }
}

fn pattern(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| ((i * 31 + i / 512 * 7 + seed) % 251) as u8).collect()
}

/// Those with which QEMU bears a reset with a command pending: of PIO it leaves the drive in the middle of the command, and a
/// second reset ends QEMU. Our model has all of them.
const RESETTABLE: usize = 3;

/// Queued, then {DMA, PIO} x {LBA48, LBA28}.
fn ways() -> [Options; 5] {
    let all = Options::default();
    [
        all,
        Options { ncq: false, ..all },
        Options { lba48: false, ..all },
        Options { dma: false, ..all },
        Options { dma: false, lba48: false, ..all },
    ]
}

#[test]
fn every_way_moves_every_size_at_the_first_second_and_last_sectors() {
    let rig = Sata::new("matrix");
    let mut seed = 0;
    for (way, options) in ways().into_iter().enumerate() {
        let mut disk = rig.driver(Place::of(PORT, false), options);
        assert_eq!(disk.is_queued(Unit(0)), way == 0);
        for bytes in [512, 4096, 8192, 256 << 10] {
            let blocks = bytes / 512;
            // LBA28 commands end at 256 sectors; clients are told, and the node above splits.
            let most = disk.limits(Unit(0)).unwrap().max_blocks;
            for first in [0, 1, SECTORS - u64::from(blocks)] {
                seed += 1;
                let sent = pattern(seed, bytes as usize);
                rig.put(2, &sent);
                for (op, at) in [(Op::Write, 2), (Op::Read, 4 << 20)] {
                    let mut done = 0;
                    while done < blocks {
                        let part = most.min(blocks - done);
                        let lba = first + u64::from(done);
                        let req = request(op, lba, part, at + u64::from(done) * 512);
                        assert_eq!(rig.one(&mut disk, &req), Completion::ok(part), "{options:?} {req:?}");
                        done += part;
                    }
                    assert!(rig.on_disk(first, bytes as usize) == sent, "{options:?} {bytes} bytes at {first}");
                }
                assert!(rig.get(4 << 20, bytes as usize) == sent, "{options:?} {bytes} bytes at {first}");
            }
        }
        let beyond = request(Op::Read, SECTORS, 1, 0);
        assert_eq!(rig.one(&mut disk, &beyond), Completion::error(Error::OutOfRange));
    }
}

#[test]
fn a_payload_in_several_parts_arrives_whole() {
    let rig = Sata::new("parts");
    let mut disk = rig.driver(Place::FIRST, Options::default());
    let len = 5 << 20;
    let sent = pattern(9, len);
    rig.put(6, &sent);
    assert_eq!(rig.one(&mut disk, &request(Op::Write, 3, len as u32 / 512, 6)), Completion::ok(len as u32 / 512));
    assert!(rig.on_disk(3, len) == sent);
    rig.put(0, &vec![0; DATA_LEN as usize]);
    assert_eq!(rig.one(&mut disk, &request(Op::Read, 3, len as u32 / 512, 2)), Completion::ok(len as u32 / 512));
    assert!(rig.get(2, len) == sent);
}

#[test]
fn many_requests_at_once_with_flushes_among_them_are_all_done() {
    let rig = Sata::new("many");
    for options in ways() {
        let mut disk = rig.driver(Place::FIRST, options);
        assert_eq!(disk.depth(), 31);
        for round in 0..8u32 {
            disk.set_time(rig.now());
            for tag in 0..31 {
                let offset = u64::from(tag) * 8192;
                rig.put(offset, &pattern(u64::from(round * 100 + tag), 8192));
                let req = match tag % 8 {
                    7 => request(Op::Flush, 0, 0, 0),
                    6 => Request { fua: true, ..request(Op::Write, u64::from(tag) * 16, 16, offset) },
                    _ => request(Op::Write, u64::from(tag) * 16, 16, offset),
                };
                disk.start(Unit(0), tag, &req);
            }
            assert!(!disk.has_room(Unit(0)));
            disk.kick();
            let mut done = rig.ended(&mut disk, 31);
            done.sort_by_key(|(tag, _)| *tag);
            assert!(
                done.iter().enumerate().all(|(i, (tag, done))| i as u32 == *tag && done.status.is_ok()),
                "{done:?}"
            );
            for tag in (0..31).filter(|tag| tag % 8 != 7) {
                let expected = pattern(u64::from(round * 100 + tag), 8192);
                assert!(rig.on_disk(u64::from(tag) * 16, 8192) == expected, "{options:?} {round} {tag}");
            }
        }
    }
}

#[test]
fn discards_reach_the_image() {
    let rig = Sata::new("discard");
    let mut disk = rig.driver(Place::FIRST, Options::default());
    rig.put(0, &[7; 64 << 10]);
    assert_eq!(rig.one(&mut disk, &request(Op::Write, 0, 128, 0)), Completion::ok(128));
    if disk.limits(Unit(0)).unwrap().discard_granularity > 0 {
        assert_eq!(rig.one(&mut disk, &request(Op::Discard, 0, 64, 0)), Completion::ok(64));
        assert!(rig.on_disk(0, 32 << 10).iter().all(|byte| *byte == 0));
    }
    assert!(rig.on_disk(64, 32 << 10).iter().all(|byte| *byte == 7));
}

#[test]
fn the_drive_says_who_and_how_it_is() {
    let rig = Sata::new("smart");
    let disk = rig.driver(Place::FIRST, Options::default());
    assert_eq!(disk.port_of(Unit(0)), Some(PORT));
    let health = disk.health(Unit(0)).unwrap();
    assert_eq!((health.model.as_str(), health.serial.as_str()), ("QEMU HARDDISK", "ahcismart0"));
    assert_eq!((health.failing, health.temperature), (Some(false), Some(31)));
    let hours = health.attributes.iter().find(|attribute| attribute.id == 9);
    assert!(hours.is_some_and(|hours| hours.value > 0), "{:?}", health.attributes);
    let line = Describe::new(&disk, Unit(0)).to_string();
    let expected = "SATA port 2, QEMU HARDDISK, 32768 blocks of 512 bytes, 31 requests in flight, NCQ, volatile cache";
    assert!(line.starts_with(expected), "{line}");
}

/// A sector that cannot be read, whose neighbours are good.
const BAD: &str = "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"40\"\n";
/// As above, the first time.
const BAD_ONCE: &str = "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"40\"\nonce = \"on\"\n";

#[test]
fn a_write_cache_is_turned_as_it_is_wanted() {
    let rig = Sata::new("cache");
    for on in [false, true] {
        let disk = rig.driver(Place::of(PORT, false), Options { write_cache: Some(on), ..Options::default() });
        assert_eq!(disk.limits(Unit(0)).unwrap().volatile_cache, on);
    }
}

#[test]
fn a_failed_read_is_told_to_whom_it_failed_and_the_others_are_read() {
    for (way, options) in ways().into_iter().enumerate() {
        let rig = Sata::with_rules(&format!("bad{way}"), BAD);
        let mut disk = rig.driver(Place::FIRST, options);
        disk.set_time(rig.now());
        for tag in 0..16u32 {
            disk.start(Unit(0), tag, &request(Op::Read, u64::from(tag) * 8, 8, u64::from(tag) * 4096));
        }
        disk.kick();
        let mut done = rig.ended(&mut disk, 16);
        done.sort_by_key(|(tag, _)| *tag);
        let failed: Vec<u32> = done.iter().filter(|(_, done)| done.status.is_err()).map(|(tag, _)| *tag).collect();
        assert_eq!(failed, [5], "{options:?} {done:?}");
        assert_eq!(rig.one(&mut disk, &request(Op::Read, 32, 8, 0)), Completion::ok(8));
        let rig = Sata::with_rules(&format!("once{way}"), BAD_ONCE);
        let mut disk = rig.driver(Place::FIRST, options);
        assert_eq!(rig.one(&mut disk, &request(Op::Read, 40, 8, 0)), Completion::error(Error::Io));
        assert_eq!(rig.one(&mut disk, &request(Op::Read, 40, 8, 0)), Completion::ok(8));
    }
}

#[test]
fn a_failed_write_or_flush_is_told_and_can_be_retried() {
    let failing = |event: &str| format!("[inject-error]\nevent = \"{event}\"\nerrno = \"5\"\nonce = \"on\"\n");
    for (way, options) in ways().into_iter().enumerate() {
        for (event, op, blocks) in [("write_aio", Op::Write, 8), ("flush_to_disk", Op::Flush, 0)] {
            let rig = Sata::with_rules(&format!("{event}{way}"), &failing(event));
            let mut disk = rig.driver(Place::FIRST, options);
            rig.put(0, &[0x5a; 4096]);
            let req = request(op, 0, blocks, 0);
            if op == Op::Flush {
                // QEMU flushes only what was written.
                assert_eq!(rig.one(&mut disk, &request(Op::Write, 0, 8, 0)), Completion::ok(8));
            }
            assert_eq!(rig.one(&mut disk, &req), Completion::error(Error::Io), "{options:?} {event}");
            assert_eq!(rig.one(&mut disk, &req), Completion::ok(blocks), "{options:?} {event}");
            assert_eq!(rig.one(&mut disk, &request(Op::Read, 0, 8, 8192)), Completion::ok(8));
            assert!(op == Op::Flush || rig.get(8192, 4096) == [0x5a; 4096]);
        }
    }
}

#[test]
fn a_medium_that_fails_always_fails_each_request_and_not_the_driver() {
    let rig = Sata::with_rules("always", "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"8\"\n");
    let mut disk = rig.driver(Place::FIRST, Options::default());
    for round in 0..10 {
        disk.set_time(rig.now());
        for tag in 0..8u32 {
            disk.start(Unit(0), tag, &request(Op::Read, u64::from(tag) * 8, 8, u64::from(tag) * 4096));
        }
        disk.kick();
        let mut done = rig.ended(&mut disk, 8);
        done.sort_by_key(|(tag, _)| *tag);
        for (tag, done) in done {
            assert_eq!(done.status.is_err(), tag == 1, "round {round} request {tag}: {done:?}");
        }
    }
    assert!(disk.limits(Unit(0)).is_some());
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_controller_that_is_at_work() {
    let rig = Sata::new("takeover");
    for round in 0..20u8 {
        let options = ways()[usize::from(round) % RESETTABLE];
        let mut disk = rig.driver(Place::FIRST, options);
        rig.put(0, &[round; 1 << 20]);
        for tag in 0..16u32 {
            disk.start(Unit(0), tag, &request(Op::Write, u64::from(tag) * 128, 128, u64::from(tag) << 16));
        }
        disk.kick();
        drop(disk);
        // With a command pending the controller is reset, and serves.
        let mut disk = rig.driver(Place::FIRST, options);
        rig.put(0, &[round + 100; 64 << 10]);
        assert_eq!(rig.one(&mut disk, &request(Op::Write, 0, 128, 0)), Completion::ok(128));
        assert_eq!(rig.one(&mut disk, &request(Op::Read, 0, 128, 4 << 20)), Completion::ok(128));
        assert!(rig.get(4 << 20, 64 << 10).iter().all(|byte| *byte == round + 100));
        assert!(rig.on_disk(0, 64 << 10).iter().all(|byte| *byte == round + 100));
    }
}

#[test]
fn requests_that_take_too_long_are_answered_after_a_reset_and_the_drive_serves_again() {
    let rig = Sata::new("late");
    for options in ways().into_iter().take(RESETTABLE) {
        let mut disk = rig.driver(Place::FIRST, options);
        rig.put(0, &[1; 2 << 20]);
        for tag in 0..31u32 {
            disk.start(Unit(0), tag, &request(Op::Write, u64::from(tag) * 128, 128, u64::from(tag) << 16));
        }
        disk.kick();
        // Later than any has patience for: what QEMU has not done by now is late.
        let late = Instant(rig.now().0 + 6 * SECOND);
        disk.set_time(late);
        let mut done = Vec::new();
        while disk.expire() {
            done.extend(core::iter::from_fn(|| disk.finished()));
        }
        let mut step = late;
        while done.len() < 31 {
            step = step.after(2_000_000);
            disk.set_time(step);
            disk.interrupted();
            disk.expire();
            done.extend(core::iter::from_fn(|| disk.finished()));
            disk.kick();
        }
        let allowed = [Completion::ok(128), Completion::error(Error::TimedOut)];
        assert!(done.iter().all(|(_, done)| allowed.contains(done)), "{done:?}");
        let mut tags: Vec<u32> = done.iter().map(|(tag, _)| *tag).collect();
        tags.sort_unstable();
        assert_eq!(tags, (0..31).collect::<Vec<_>>());
    }
}
