// SPDX-License-Identifier: MIT
//! Devices that break the rules, that are slow, and that never answer.
use super::*;

const READ: Request =
    Request { op: Op::Read, fua: false, lba: Lba(0), blocks: 1, buf: Buf { region: REGION, offset: 0 } };

#[test]
fn a_device_that_breaks_the_rules_is_reset_and_what_it_held_is_done_again() {
    use ScsiMischief::{Advance, UseId, UseTwice};
    for mischief in [UseId(9999), UseId(u32::MAX), UseTwice, Advance(0x4000), UseId(119)] {
        let mut rig = Rig::new(disk());
        rig.device.borrow_mut().mischief = Some(mischief);
        for tag in 0..20 {
            rig.send(tag, 0, Request { buf: Buf { region: REGION, offset: u64::from(tag) * 512 }, ..READ });
        }
        let mut done = rig.finish();
        done.sort_by_key(|(tag, _)| *tag);
        let expected: Vec<_> = (0..20).map(|tag| (tag, Completion::ok(1))).collect();
        assert_eq!(done, expected, "{mischief:?}");
        assert!(rig.scsi.take_fault().is_some(), "{mischief:?}");
        assert_eq!((rig.scsi.counters().misused, rig.device.borrow().resets), (1, 1), "{mischief:?}");
        assert!(rig.limits(0).is_some());
    }
}

#[test]
fn an_answer_that_is_none_or_too_short_is_no_success() {
    for mischief in [ScsiMischief::NoResponse, ScsiMischief::ShortLength] {
        let mut rig = Rig::new(disk());
        rig.device.borrow_mut().mischief = Some(mischief);
        let done = rig.one(READ);
        // One without a response is asked again; a block of which a byte is missing cannot be made whole.
        let expected =
            if mischief == ScsiMischief::NoResponse { Completion::ok(1) } else { Completion::error(Error::Io) };
        assert_eq!(done, expected, "{mischief:?}");
    }
}

#[test]
fn a_device_that_fails_again_after_every_reset_is_left_alone_and_everything_is_answered() {
    let mut rig = Rig::new(disk());
    for round in 0..6 {
        for tag in 0..10 {
            rig.send(tag, 0, READ);
        }
        let mut answered = 0;
        for _ in 0..1000 {
            rig.device.borrow_mut().mischief = Some(ScsiMischief::UseId(9999));
            rig.scsi.set_time(Instant(rig.now));
            answered += core::iter::from_fn(|| rig.scsi.finished()).count();
            rig.scsi.kick();
            rig.scsi.expire();
            rig.device.borrow_mut().serve();
        }
        assert_eq!(answered, 10, "round {round}");
    }
    assert_eq!(rig.limits(0), None);
    assert!(rig.scsi.take_fault().is_some_and(|why| why.contains("left alone")));
    assert_eq!(rig.scsi.deadline(), None);
}

#[test]
fn a_lost_command_is_aborted_in_time() {
    let mut rig = Rig::new(disk());
    rig.device.borrow_mut().tasks = Tasks::Work;
    let began = rig.now;
    rig.send(1, 0, READ);
    rig.scsi.kick();
    // The device takes it, and does nothing.
    rig.device.borrow_mut().take();
    rig.now = began + 6 * SECOND;
    rig.scsi.set_time(Instant(rig.now));
    assert!(rig.scsi.expire());
    rig.scsi.kick();
    rig.device.borrow_mut().take();
    assert_eq!(rig.device.borrow().managed, [(0, 0)], "ABORT TASK of the tag");
    assert_eq!(rig.scsi.finished(), Some((1, Completion::error(Error::TimedOut))));
    assert_eq!(rig.device.borrow().resets, 0, "no reset was needed");
    assert_eq!(rig.one(READ), Completion::ok(1));
}

#[test]
fn many_lost_commands_among_others_time_out_and_the_others_are_answered() {
    let shape = ScsiShape::new(INDIRECT | EVENT | 6).queues(4);
    let mut rig = Rig::with(shape, Disks::of(disk()), &FIRST, |_| {}).unwrap();
    rig.settle();
    rig.device.borrow_mut().tasks = Tasks::Work;
    let (mut lost, mut done, mut tag) = (Vec::new(), Vec::new(), 0);
    for round in 0..200u64 {
        rig.scsi.set_time(Instant(rig.now));
        for _ in 0..4 {
            if rig.scsi.has_room(Unit(0)) {
                rig.send(tag, 0, request(Op::Read, 1, 1, 0));
                tag += 1;
            }
        }
        rig.scsi.kick();
        rig.device.borrow_mut().take();
        // Of each round's commands the device keeps one for ever, ten in all.
        if round % 20 == 0 {
            lost.push(rig.device.borrow_mut().taken.len());
        } else {
            let keep = lost.len();
            while rig.device.borrow().taken.len() > keep {
                rig.device.borrow_mut().finish(keep);
            }
        }
        rig.now += SECOND / 10;
        while rig.device.borrow_mut().take_interrupt() {
            rig.scsi.interrupted();
        }
        done.extend(core::iter::from_fn(|| rig.scsi.finished()));
        rig.scsi.set_time(Instant(rig.now));
        rig.scsi.expire();
        done.extend(core::iter::from_fn(|| rig.scsi.finished()));
    }
    done.extend(rig.finish());
    let (well, late): (Vec<_>, Vec<_>) = done.iter().partition(|(_, done)| done.status.is_ok());
    assert_eq!(done.len(), tag as usize, "each is answered once");
    assert!(late.iter().all(|(_, done)| *done == Completion::error(Error::TimedOut)) && !late.is_empty());
    assert!(well.len() > 400, "{} of {tag}", well.len());
    let device = rig.device.borrow();
    assert!(!device.managed.is_empty());
    assert_eq!(device.resets, 0, "to abort commands and to reset the unit was enough");
}

#[test]
fn escalation_goes_from_abort_to_unit_to_device_and_ends_by_the_deadline() {
    for tasks in [Tasks::Refuse, Tasks::Ignore] {
        let mut rig = Rig::new(disk());
        rig.device.borrow_mut().tasks = tasks;
        let began = rig.now;
        for tag in 0..3 {
            rig.send(tag, 0, READ);
        }
        rig.scsi.kick();
        rig.device.borrow_mut().take();
        let mut done = Vec::new();
        while done.len() < 3 {
            rig.now = rig.scsi.deadline().expect("something is due").0.max(rig.now);
            rig.scsi.set_time(Instant(rig.now));
            rig.scsi.expire();
            rig.scsi.kick();
            rig.device.borrow_mut().take();
            done.extend(core::iter::from_fn(|| rig.scsi.finished()));
            assert!(rig.now <= began + 8 * SECOND, "{tasks:?}: {done:?}");
        }
        assert!(done.iter().all(|(_, done)| *done == Completion::error(Error::TimedOut)), "{done:?}");
        assert_eq!((rig.device.borrow().resets, rig.scsi.counters().timeouts), (1, 1), "{tasks:?}");
        let asked: Vec<u32> = rig.device.borrow().managed.iter().map(|(function, _)| *function).collect();
        assert!(asked.contains(&0) && (tasks == Tasks::Ignore || asked.contains(&5)), "{asked:?}");
        assert_eq!(rig.one(READ), Completion::ok(1));
    }
}

#[test]
fn a_unit_that_does_not_answer_its_questions_keeps_nobody_from_the_others() {
    let mut bus = Disks::default();
    bus.disks.insert(Place { target: 0, lun: 0 }, disk());
    bus.disks.insert(Place { target: 1, lun: 0 }, disk());
    let choices = [0, 1].map(|target| Choice::At(Place { target, lun: 0 }));
    let mut rig = Rig::with(ScsiShape::new(INDIRECT | EVENT), bus, &choices, |_| {}).unwrap();
    rig.device.borrow_mut().mischief = Some(ScsiMischief::Lose);
    rig.device.borrow_mut().tasks = Tasks::Ignore;
    rig.settle();
    assert!(rig.limits(0).is_some() || rig.limits(1).is_some());
    assert!(rig.scsi.deadline().is_some());
}

#[test]
fn a_device_that_came_back_as_another_is_not_used() {
    let mut rig = Rig::new(disk());
    rig.send(1, 0, READ);
    rig.device.borrow_mut().mischief = Some(ScsiMischief::UseId(9999));
    rig.device.borrow_mut().shape.features &= !INDIRECT;
    assert_eq!(rig.finish(), [(1, Completion::error(Error::Io))]);
    assert_eq!(rig.limits(0), None);
    assert_eq!(rig.one(READ), Completion::error(Error::Offline));
}

#[test]
fn garbage_in_every_answer_never_harms() {
    use proptest::prelude::*;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    let keys: Vec<[u8; 3]> = vec![
        [0x12, 0, 0],
        [0x12, 1, 0],
        [0x12, 1, 0x80],
        [0x12, 1, 0x83],
        [0x12, 1, 0xb0],
        [0x12, 1, 0xb1],
        [0x12, 1, 0xb2],
        [0x9e, 0x10, 0],
        [0x25, 0, 0],
        [0x1a, 8, 8],
        [0x4d, 0, 0x40],
        [0x4d, 0, 0x4d],
    ];
    let strategy = proptest::collection::vec((0..keys.len(), proptest::collection::vec(any::<u8>(), 0..64)), 1..6);
    runner
        .run(&strategy, |lies| {
            let lies = lies.into_iter().map(|(key, bytes)| (keys[key], bytes)).collect();
            let mut rig = Rig::new(Disk { lies, ..disk() });
            rig.scsi.refresh();
            assert_eq!(rig.finish(), []);
            if let Some(limits) = rig.limits(0) {
                prop_assert!(limits.capacity > 0 && limits.max_blocks > 0);
                let done = rig.one(Request { lba: Lba(limits.capacity - 1), ..READ });
                prop_assert!(done.status.is_ok() || done.blocks == 0);
            }
            Ok(())
        })
        .unwrap();
}
