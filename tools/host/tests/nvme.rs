// SPDX-License-Identifier: MIT
//! The NVMe driver against QEMU's controller: payload of all shapes, by message and by pin; reset, and taken over, with requests
//! in flight; a medium that fails.
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
mod rig;

use orion_block::{Completion, Error, Instant, Op, Request};
use orion_driver::{Describe, Engine, Unit};
use orion_host::qtest::Registers;
use orion_metrics::{Progress, Reply, Row, Verb, Work, ZoneRow};
use orion_nvme::{Many, Nvme, One, Place, Queues, Wishes};
use orion_pci::BarRegisters;
use orion_system::bus::Bus;
use rig::{BLOCKS, BYTES, DEPTH, Rig, SECOND, Shape, each_once, request, reset_in_flight, submit, taken_over};
use std::os::unix::fs::FileExt;
use std::time::Duration;

const DATA_LEN: u64 = 4 << 20;
const IMAGE_LEN: u64 = 16 << 20;

type Disk<Q = One> = Nvme<BarRegisters<Registers>, u32, Q>;

/// A controller with namespaces 1 and 7, which interrupts by message or by its pin.
fn controller(name: &str, messages: bool, rules: &str) -> Rig {
    let disks = &[(1, IMAGE_LEN), (7, IMAGE_LEN)];
    Rig::new(&Shape { name, bus: Bus::Nvme, disks, rules, data: DATA_LEN, pin: !messages, ..Shape::default() })
}

/// A driver on the controller as it is: the first, or one that takes over. Its disks are namespaces 7 and 1.
fn wishing<Q: Queues>(rig: &Rig, wishes: Wishes) -> Disk<Q> {
    with(rig, wishes, false)
}

/// The same, whose writes are compared where `verify` says so.
fn with<Q: Queues>(rig: &Rig, wishes: Wishes, verify: bool) -> Disk<Q> {
    let places = [7, 1].map(|namespace| Place { namespace, verify, ..Place::FIRST });
    Nvme::with(rig.function().registers(0).unwrap(), rig.setup(SECOND), &places, wishes).unwrap()
}

fn driver(rig: &Rig) -> Disk {
    wishing(rig, Wishes::default())
}

/// What is in the file of a disk: the first is namespace 7, which comes second.
fn content(rig: &Rig, unit: usize, at: u64, len: u64) -> Vec<u8> {
    rig.content(1 - unit, at, len)
}

#[test]
fn payload_of_all_shapes_is_moved_to_each_namespace() {
    for messages in [true, false] {
        let rig = controller("nvme-shapes", messages, "");
        let mut disk = driver(&rig);
        let limits = disk.limits(Unit(0)).unwrap();
        assert_eq!((limits.capacity, limits.block.bytes()), (IMAGE_LEN / 512, 512));
        assert!(limits.volatile_cache && limits.write_zeroes && limits.discard_granularity > 0);
        let pattern: Vec<u8> = (0..DATA_LEN).map(|i| (i / 512 + i * 7) as u8).collect();
        let mut lba = 0;
        for unit in [0, 1] {
            for blocks in [1, 7, 8, 9, 16, 17, 100, 1000, 1024, 5000] {
                for offset in [0, 4, 512, 4092, 4096] {
                    let bytes = u64::from(blocks) * 512;
                    rig.data.write_all_at(&pattern, 0).unwrap();
                    let write = request(Op::Write, lba, blocks, offset);
                    assert_eq!(rig.one(&mut disk, unit, write), Completion::ok(blocks));
                    assert_eq!(rig.one(&mut disk, unit, request(Op::Flush, 0, 0, 0)), Completion::ok(0));
                    let expected = &pattern[offset as usize..(offset + bytes) as usize];
                    assert!(content(&rig, unit.into(), lba * 512, bytes) == expected, "{blocks} at {offset}");
                    rig.data.write_all_at(&vec![0xee; DATA_LEN as usize], 0).unwrap();
                    let read = request(Op::Read, lba, blocks, offset);
                    assert_eq!(rig.one(&mut disk, unit, read), Completion::ok(blocks));
                    assert!(rig.payload(offset, bytes) == expected, "{blocks} at {offset}");
                    assert!(rig.payload(0, offset).iter().all(|byte| *byte == 0xee));
                    assert!(rig.payload(offset + bytes, 4096).iter().all(|byte| *byte == 0xee));
                    lba += 37;
                }
            }
            for op in [Op::WriteZeroes, Op::Discard] {
                assert_eq!(
                    rig.one(&mut disk, unit, Request { fua: true, ..request(op, 8, 64, 0) }),
                    Completion::ok(64)
                );
                let read = request(Op::Read, 8, 64, 0);
                assert_eq!(rig.one(&mut disk, unit, read), Completion::ok(64));
                assert!(op == Op::Discard || rig.payload(0, 64 * 512).iter().all(|byte| *byte == 0));
            }
            lba = 5;
        }
        assert_eq!(disk.counters().misused + disk.counters().timeouts, 0);
    }
}

#[test]
fn it_says_who_it_is_and_how() {
    let rig = controller("nvme-health", true, "");
    let mut disk = driver(&rig);
    disk.set_time(Instant(SECOND));
    disk.expire();
    disk.refresh();
    for _ in 0..10 {
        if disk.health(Unit(0)).is_some_and(|health| health.temperature.is_some()) {
            break;
        }
        assert!(rig.wait(Duration::from_secs(10)));
        disk.interrupted();
    }
    let health = disk.health(Unit(0)).unwrap();
    assert_eq!((health.model.as_str(), health.failing), ("QEMU NVMe Ctrl", Some(false)));
    assert_eq!((health.temperature, health.used_percent), (Some(50), Some(0)));
    assert!(!health.serial.as_str().is_empty() && !health.firmware.as_str().is_empty());
}

#[test]
fn a_medium_that_fails_is_said_to() {
    let rules = "[inject-error]\nevent = \"none\"\niotype = \"read\"\nerrno = \"5\"\nsector = \"64\"\n";
    let rig = controller("nvme-medium", true, rules);
    let mut disk = driver(&rig);
    assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 60, 8, 0)), Completion::error(Error::Medium));
    assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 0, 8, 0)), Completion::ok(8));
    assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 60, 8, 0)), Completion::ok(8));
}

#[test]
fn a_reset_in_flight_answers_everything_once_and_the_controller_serves_again() {
    for messages in [true, false] {
        let rig = controller("nvme-reset", messages, "");
        reset_in_flight(&rig, &mut driver(&rig), 1, 0);
    }
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_controller_that_is_at_work() {
    for messages in [true, false] {
        let rig = controller("nvme-takeover", messages, "");
        taken_over(&rig, |_| driver(&rig), || driver(&rig));
    }
}

/// QEMU has 64 pairs. Each batch goes to the next of those asked for; a driver that starts anew finds them at work.
#[test]
fn several_queues_move_the_same_and_are_taken_over() {
    for messages in [true, false] {
        for queues in [2, 8] {
            let rig = controller("nvme-queues", messages, "");
            let wishes = Wishes { queues, ..Wishes::default() };
            let mut disk = wishing::<Many>(&rig, wishes);
            let line = Describe::new(&disk, Unit(0)).to_string();
            assert!(line.contains(&format!(", {queues} queues")), "{line}");
            for round in 1..=40u8 {
                rig.fill(round);
                submit(&mut disk, Op::Write);
                each_once(&rig.ended(&mut disk, DEPTH));
                rig.fill(0);
                // Four batches in four queues.
                for quarter in 0..4 {
                    for tag in (0..DEPTH).filter(|tag| tag % 4 == quarter) {
                        let (lba, at) = (u64::from(tag * BLOCKS), u64::from(tag) * BYTES);
                        disk.start(Unit(0), tag, &request(Op::Read, lba, BLOCKS, at));
                    }
                    disk.kick();
                }
                each_once(&rig.ended(&mut disk, DEPTH));
                assert!(rig.payload(0, u64::from(DEPTH) * BYTES).iter().all(|byte| *byte == round));
                if round % 8 == 0 {
                    submit(&mut disk, Op::Read);
                    disk = wishing(&rig, wishes);
                }
            }
        }
    }
}

/// QEMU's controller compares what it wrote with the client's buffer, which here changes in between: so there is something to find.
#[test]
fn writes_are_compared_and_mended_and_what_differs_twice_is_a_medium_error() {
    let rig = controller("nvme-compare", true, "");
    let mut disk = with::<Many>(&rig, Wishes { queues: 2, ..Wishes::default() }, true);
    let pattern: Vec<u8> = (0..DATA_LEN).map(|i| (i / 512 + i * 7) as u8).collect();
    for (blocks, offset) in [(1, 0), (8, 4), (17, 4092), (1024, 512), (5000, 4096)] {
        rig.data.write_all_at(&pattern, 0).unwrap();
        assert_eq!(rig.one(&mut disk, 0, request(Op::Write, 3, blocks, offset)), Completion::ok(blocks));
        let (bytes, offset) = (u64::from(blocks) * 512, offset as usize);
        assert!(content(&rig, 0, 3 * 512, bytes) == pattern[offset..offset + bytes as usize], "{blocks} at {offset}");
    }
    assert_eq!(disk.health(Unit(0)).unwrap().verify.as_str(), "");
    // After so many of its answers the buffer is another.
    let changed_after = |disk: &mut Disk<Many>, answers: &[usize]| {
        rig.fill(0xaa);
        disk.start(Unit(0), 1, &request(Op::Write, 0, 64, 0));
        for answer in 1.. {
            disk.kick();
            assert!(rig.wait(Duration::from_secs(10)), "no interrupt");
            disk.interrupted();
            if let Some((_, done)) = disk.finished() {
                return (done, disk.health(Unit(0)).unwrap().verify);
            }
            if answers.contains(&answer) {
                rig.fill(answer as u8);
            }
        }
        unreachable!()
    };
    let (done, said) = changed_after(&mut disk, &[1]);
    assert_eq!((done, said.as_str()), (Completion::ok(64), "1 writes differed, 1 mended"));
    assert!(content(&rig, 0, 0, 64 * 512).iter().all(|byte| *byte == 1), "it was written once more");
    let (done, said) = changed_after(&mut disk, &[1, 3]);
    assert_eq!((done, said.as_str()), (Completion::error(Error::Medium), "2 writes differed, 1 mended"));
    for verify in [false, true] {
        reset_in_flight(&rig, &mut with::<One>(&rig, Wishes::default(), verify), 1, 0);
    }
}

/// Two namespaces of zones, of 1 MiB each.
fn zones(name: &str) -> Rig {
    let disks = &[(1, IMAGE_LEN), (7, IMAGE_LEN)];
    Rig::new(&Shape { name, bus: Bus::Nvme, options: orion_system::bus::qemu::ZONED, disks, ..Shape::default() })
}

/// As many appends as there is room for, of one zone, in flight at once: each says where it is, and is there.
#[test]
fn appends_are_where_the_controller_says() {
    for verify in [false, true] {
        let rig = zones("nvme-append");
        let mut disk = with::<Many>(&rig, Wishes { queues: 4, ..Wishes::default() }, verify);
        let zone = disk.zones(Unit(0)).unwrap();
        assert!(zone.blocks == 2048 && zone.append_blocks >= BLOCKS, "{zone:?}");
        let payload: Vec<u8> = (0..DEPTH).flat_map(|tag| vec![tag as u8 + 1; BYTES as usize]).collect();
        rig.data.write_all_at(&payload, 0).unwrap();
        for tag in 0..DEPTH {
            disk.append(Unit(0), tag, &request(Op::Write, 2048, BLOCKS, u64::from(tag) * BYTES)).unwrap();
            if tag % 8 == 7 {
                disk.kick();
            }
        }
        let done = rig.ended(&mut disk, DEPTH);
        each_once(&done);
        let mut places: Vec<u32> = done.iter().map(|(_, done)| done.blocks).collect();
        places.sort_unstable();
        assert_eq!(places, (0..DEPTH).map(|nth| nth * BLOCKS).collect::<Vec<_>>(), "{done:?}");
        for (tag, done) in done {
            let at = (2048 + u64::from(done.blocks)) * 512;
            assert!(done.status.is_ok() && content(&rig, 0, at, BYTES).iter().all(|byte| *byte == tag as u8 + 1));
        }
        // 32 times 64 blocks: the zone is full.
        disk.append(Unit(0), 1, &request(Op::Write, 2048, 1, 0)).unwrap();
        disk.kick();
        assert_eq!(rig.ended(&mut disk, 1), [(1, Completion::error(Error::NoSpace))]);
        assert_eq!(disk.health(Unit(0)).unwrap().verify.as_str(), "");
    }
}

/// QEMU's zones, which are 1 MiB each: the driver finds that it has such, and an operator reads, empties and fills them.
#[test]
fn zones_are_written_in_order_reported_and_emptied() {
    let rig = zones("nvme-zones");
    let mut disk = driver(&rig);
    assert!(format!("{}", Describe::<_, u32>::new(&disk, Unit(0))).contains(", zoned"));
    assert!(disk.limits(Unit(1)).is_some());
    rig.fill(0x5a);
    let write = |disk: &mut Disk, lba| rig.one(disk, 0, request(Op::Write, lba, 64, 0)).status;
    assert_eq!([write(&mut disk, 0), write(&mut disk, 64)], [Ok(()); 2]);
    assert_eq!(write(&mut disk, 64), Err(Error::Invalid), "below the write pointer");
    assert_eq!(write(&mut disk, 4096), Ok(()), "another zone");
    assert_eq!(write(&mut disk, 2 * 2048 + 128), Err(Error::Invalid), "above the write pointer");
    let order = |disk: &mut Disk, verb, first| {
        assert_eq!(disk.order(1, &Work { first, ..Work::new(verb, 0) }), Reply::Begun);
        loop {
            disk.set_time(Instant(disk.deadline().map_or(0, |at| at.0)));
            disk.expire();
            disk.kick();
            let Some(Row::DiskWork(row)) = disk.report(0) else { panic!("no row") };
            match Progress::of(row.progress) {
                Progress::Done => break,
                Progress::Failed => panic!("status {:#x}", row.status),
                _ => assert!(rig.wait(Duration::from_secs(10)), "no interrupt"),
            }
            disk.interrupted();
            assert_eq!(disk.finished(), None);
        }
        let rows = (1..).map_while(|index| disk.report(index));
        let zones = rows.filter_map(|row| if let Row::DiskZones(row) = row { Some(row) } else { None });
        zones.flat_map(|row| row.list.into_iter().take(row.count.into())).collect::<Vec<_>>()
    };
    let shown = |zones: Vec<ZoneRow>| {
        let shown = zones.iter().map(|zone| (zone.first.get(), zone.pointer.get(), zone.blocks(), zone.state()));
        shown.collect::<Vec<_>>()
    };
    let found = shown(order(&mut disk, Verb::Zones, 0));
    assert_eq!(
        (found.len(), &found[..3]),
        (16, &[(0, 128, 2048, 2), (2048, 2048, 2048, 1), (4096, 4160, 2048, 2)][..])
    );
    order(&mut disk, Verb::ResetZone, 0);
    order(&mut disk, Verb::FinishZone, 4096);
    order(&mut disk, Verb::OpenZone, 2048);
    let found = shown(order(&mut disk, Verb::Zones, 0));
    assert_eq!([found[0].3, found[1].3, found[2].3], [1, 3, 14]);
    assert_eq!([write(&mut disk, 0), write(&mut disk, 4096 + 64)], [Ok(()), Err(Error::NoSpace)]);
    order(&mut disk, Verb::ResetZones, 0);
    assert!(order(&mut disk, Verb::Zones, 0).iter().all(|zone| zone.state() == 1));
}
