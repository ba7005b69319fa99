// SPDX-License-Identifier: MIT
//! Controllers that misbehave: each request is answered once, and the controller is used again if it can be.
use super::*;
use crate::wire::status;
use proptest::prelude::*;

/// Starts `n` reads with the first doing this, and lets time go by until all have ended.
fn reads(rig: &mut Rig, n: u32, mischief: Mischief) -> Vec<(u32, Completion)> {
    rig.at(SECOND);
    rig.nvme.expire();
    rig.settle();
    rig.device.borrow_mut().mischief = Some(mischief);
    (0..n).for_each(|tag| rig.send(tag, request(Op::Read, u64::from(tag), 1, u64::from(tag) * 512)));
    rig.nvme.kick();
    rig.device.borrow_mut().serve();
    let done = rig.wait(SECOND, n as usize);
    each_once(&done, n);
    done
}

fn good(done: &[(u32, Completion)]) -> usize {
    done.iter().filter(|(_, d)| *d == Completion::ok(1)).count()
}

#[test]
fn a_broken_protocol_costs_a_reset_and_no_request() {
    for mischief in [Mischief::Id(0xffff), Mischief::Id(127), Mischief::Twice, Mischief::AdminId] {
        for messages in [true, false] {
            let mut rig = Rig::new(|shape| shape.messages = messages);
            if mischief == Mischief::AdminId {
                rig.at(SECOND);
                rig.nvme.expire();
                rig.settle();
                rig.device.borrow_mut().mischief = Some(mischief);
                rig.nvme.refresh();
            }
            let done = reads(&mut rig, 6, mischief);
            assert_eq!(good(&done), 6, "{mischief:?}");
            assert_eq!(rig.device.borrow().enables, 2, "{mischief:?}");
            assert_eq!(rig.nvme.counters().misused, 1);
            assert!(rig.nvme.take_fault().is_some());
            assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
        }
    }
}

#[test]
fn a_lost_request_is_aborted_and_the_others_go_on() {
    let mut rig = Rig::new(|_| {});
    let done = reads(&mut rig, 6, Mischief::Lose);
    assert_eq!(good(&done), 5);
    assert_eq!(done.iter().find(|(tag, _)| *tag == 0).unwrap().1, Completion::error(Error::TimedOut));
    assert_eq!((rig.device.borrow().enables, rig.device.borrow().done[&(true, 8)]), (1, 1));
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
}

#[test]
fn a_request_that_cannot_be_aborted_ends_with_a_reset() {
    for mischief in [Mischief::Swallow, Mischief::Phase] {
        let mut rig = Rig::new(|_| {});
        let done = reads(&mut rig, 6, mischief);
        assert!(done.iter().any(|(tag, d)| *tag == 0 && *d == Completion::error(Error::TimedOut)), "{done:?}");
        assert_eq!((rig.device.borrow().enables, rig.nvme.counters().timeouts), (2, 1), "{mischief:?}");
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    }
}

#[test]
fn buffers_are_given_back_only_when_the_controller_has_stopped() {
    let mut rig = Rig::new(|_| {});
    reads(&mut rig, 1, Mischief::Status(0));
    rig.device.borrow_mut().shape.slow = 10_000;
    rig.at(SECOND);
    rig.send(0, request(Op::Read, 0, 1, 0));
    rig.nvme.kick();
    rig.device.borrow_mut().mischief = Some(Mischief::Swallow);
    rig.device.borrow_mut().serve();
    for now in [6 * SECOND, 8 * SECOND + 1] {
        rig.at(now);
        rig.nvme.expire();
        assert_eq!(rig.nvme.finished(), None, "it could still be written into");
    }
    assert!(!rig.nvme.has_room(Unit(0)), "it stops");
    let done = rig.wait(8 * SECOND + 2, 1);
    assert_eq!(done, [(0, Completion::error(Error::TimedOut))]);
    rig.device.borrow_mut().shape.slow = 0;
    for now in 0..3 {
        rig.at(30 * SECOND + now * 2_000_000);
        rig.nvme.expire();
        rig.settle();
    }
    assert!(rig.nvme.has_room(Unit(0)), "{:?}", rig.nvme.phase);
    rig.send(3, request(Op::Read, 0, 1, 0));
    assert_eq!(rig.wait(31 * SECOND, 1), [(3, Completion::ok(1))]);
}

/// The driver acts only when the clock or an interrupt wakes it.
#[test]
fn a_controller_that_interrupts_only_once_it_was_given_back_everything_is_not_waited_for_again() {
    let mut rig = Rig::new(|shape| shape.patient = true);
    let (mut now, mut waited) = (SECOND, Vec::new());
    rig.at(now);
    rig.nvme.expire();
    rig.settle();
    for _ in 0..20 {
        rig.at(now);
        rig.send(7, request(Op::Read, 3, 1, 0));
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        let interrupted = rig.device.borrow_mut().take_interrupt();
        if interrupted {
            rig.nvme.interrupted();
        } else {
            now = rig.nvme.deadline().unwrap().0;
            rig.at(now);
            assert!(rig.nvme.expire(), "it was looked for in vain");
        }
        assert_eq!(rig.drain(), [(7, Completion::ok(1))]);
        waited.push(!interrupted);
    }
    assert!(waited.iter().filter(|waited| **waited).count() <= 3, "{waited:?}");
    assert_eq!(rig.nvme.counters().misused + rig.nvme.counters().timeouts, 0);
}

#[test]
fn a_lost_interrupt_costs_a_second_and_no_request() {
    let mut rig = Rig::new(|_| {});
    rig.at(SECOND);
    rig.nvme.expire();
    rig.settle();
    rig.device.borrow_mut().mischief = Some(Mischief::Mute);
    rig.send(3, request(Op::Read, 3, 1, 0));
    rig.nvme.kick();
    rig.device.borrow_mut().serve();
    assert!(!rig.device.borrow_mut().take_interrupt());
    let due = rig.nvme.deadline().unwrap();
    assert!(due <= Instant(2 * SECOND));
    rig.at(due.0);
    assert!(rig.nvme.expire());
    assert_eq!(rig.drain(), [(3, Completion::ok(1))]);
    assert_eq!((rig.device.borrow().enables, rig.nvme.counters().timeouts), (1, 0), "nothing was reset");
}

#[test]
fn interrupts_for_nothing_do_nothing() {
    for messages in [true, false] {
        let mut rig = Rig::new(|shape| shape.messages = messages);
        rig.settle();
        let before = rig.nvme.counters();
        for round in 0..1000 {
            rig.nvme.interrupted();
            assert_eq!(rig.drain(), []);
            rig.nvme.kick();
            if round % 100 == 0 {
                assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
            }
        }
        let after = rig.nvme.counters();
        assert!(after.kicks - before.kicks <= 20, "doorbells of ten requests: {before:?}, {after:?}");
        assert_eq!((after.misused, rig.device.borrow().enables), (0, 1));
    }
}

/// More answers than the queue has entries, and on over what lies behind it: lists of pages, which only the controller reads.
#[test]
fn a_controller_that_writes_past_its_completion_queue_is_reset() {
    for messages in [true, false] {
        let mut rig = Rig::new(|shape| {
            shape.messages = messages;
            *shape = shape.clone().with(|shape| shape.controller.oacs = 0.into());
        });
        rig.at(SECOND);
        rig.nvme.expire();
        rig.settle();
        (0..20).for_each(|tag| rig.send(tag, request(Op::Read, u64::from(tag), 1, u64::from(tag) * 512)));
        rig.nvme.kick();
        rig.device.borrow_mut().take();
        let ids: Vec<u32> = rig.device.borrow().taken.iter().map(|taken| taken.id().into()).collect();
        for entry in 0..2 * 256 {
            rig.dma.write(10 * 4096 + 16 * entry + 12, ids[entry % ids.len()] | 1 << 16);
        }
        let done = rig.wait(SECOND, 20);
        each_once(&done, 20);
        assert_eq!((good(&done), rig.nvme.counters().misused), (20, 1), "{done:?}");
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    }
}

#[test]
fn a_fatal_status_is_noticed_within_a_second() {
    let mut rig = Rig::new(|_| {});
    reads(&mut rig, 1, Mischief::Status(0));
    rig.at(10 * SECOND);
    (0..4).for_each(|tag| rig.send(tag, request(Op::Read, u64::from(tag), 1, 0)));
    rig.nvme.kick();
    rig.device.borrow_mut().mischief = Some(Mischief::Fail);
    rig.device.borrow_mut().serve();
    assert!(rig.nvme.deadline().unwrap() <= Instant(11 * SECOND));
    rig.at(11 * SECOND);
    rig.nvme.expire();
    rig.nvme.kick();
    rig.device.borrow_mut().serve();
    let done = rig.drain();
    each_once(&done, 4);
    assert_eq!((good(&done), rig.device.borrow().enables), (4, 2));
}

#[test]
fn a_controller_that_is_unplugged_is_offline_at_once() {
    let mut rig = Rig::new(|_| {});
    let done = reads(&mut rig, 6, Mischief::Unplug);
    assert!(done.iter().all(|(_, d)| *d == Completion::error(Error::Offline)), "{done:?}");
    assert_eq!(rig.nvme.take_fault(), Some(Fault::Gone.text()));
    assert!(rig.nvme.limits(Unit(0)).is_none() && rig.nvme.take_change());
    assert_eq!(rig.nvme.deadline(), None);
    assert_eq!(rig.one(request(Op::Write, 0, 1, 0)), Completion::error(Error::Offline));
    assert!(!rig.device.borrow().master);
}

#[test]
fn statuses_are_the_errors_that_they_mean() {
    let dnr = 1 << 14;
    for (found, error) in [
        (status::INVALID_OPCODE, Error::Unsupported),
        (status::INVALID_FIELD, Error::Io),
        (status::WRITE_PROTECTED, Error::ReadOnly),
        (status::OUT_OF_RANGE | dnr, Error::OutOfRange),
        (status::CAPACITY_EXCEEDED, Error::NoSpace),
        (status::NOT_READY | dnr, Error::Again),
        (status::RESERVATION_CONFLICT, Error::Denied),
        (status::UNRECOVERED_READ | dnr, Error::Medium),
        (status::WRITE_FAULT, Error::Medium),
        (status::COMPARE_FAILURE, Error::Io),
        (status::INVALID_NAMESPACE, Error::Offline),
        (status::ABORTED, Error::Io),
        (0x7ff, Error::Io),
        (0x371 | dnr, Error::Io),
    ] {
        let mut rig = Rig::new(|_| {});
        rig.device.borrow_mut().mischief = Some(Mischief::Status(found));
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(error), "{found:#x}");
        assert_eq!(rig.device.borrow().enables, 1);
    }
    // What may be tried again is.
    let mut rig = Rig::new(|_| {});
    rig.device.borrow_mut().mischief = Some(Mischief::Status(status::NOT_READY));
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
}

#[test]
fn administrative_commands_have_a_deadline_too() {
    let mut rig = Rig::new(|_| {});
    rig.at(SECOND);
    rig.nvme.expire();
    rig.settle();
    rig.device.borrow_mut().mischief = Some(Mischief::LoseAdmin);
    rig.nvme.refresh();
    rig.send(0, request(Op::Read, 0, 1, 0));
    assert_eq!(rig.wait(SECOND, 1), [(0, Completion::ok(1))]);
    rig.at(11 * SECOND);
    rig.nvme.expire();
    assert_eq!((rig.device.borrow().enables, rig.nvme.counters().timeouts), (2, 1));
    // One that never answers is given up.
    let mut rig = Rig::new(|shape| shape.slow = 120_000);
    for now in 0..200u64 {
        rig.device.borrow_mut().mischief = Some(Mischief::LoseAdmin);
        rig.at(now * SECOND);
        rig.nvme.expire();
        rig.device.borrow_mut().shape.slow = 0;
    }
    assert_eq!(rig.nvme.take_fault(), Some(Fault::Admin.text()));
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
}

#[test]
fn a_controller_that_fails_after_each_reset_is_left_alone() {
    let mut rig = Rig::new(|_| {});
    reads(&mut rig, 1, Mischief::Status(0));
    rig.at(SECOND);
    (0..3).for_each(|tag| rig.send(tag, request(Op::Read, 0, 1, 0)));
    rig.nvme.kick();
    let mut done = Vec::new();
    for round in 0..4 {
        let mut device = rig.device.borrow_mut();
        device.mischief = Some(Mischief::Id(0x500));
        device.take();
        assert_eq!(device.taken.len(), 3, "they were sent again in round {round}");
        device.finish(0);
        drop(device);
        done.extend(rig.drain());
    }
    each_once(&done, 3);
    assert!(done.iter().all(|(_, d)| *d == Completion::error(Error::Offline)));
    assert_eq!(rig.nvme.take_fault(), Some(Fault::Misbehaves.text()));
    assert_eq!(rig.nvme.limits(Unit(0)), None);
}

#[test]
fn who_comes_back_as_another_is_not_used() {
    type Change = fn(&mut Model);
    let changes: [(Change, bool); 7] = [
        (|m| m.shape.controller.serial[0] = b'x', false),
        (|m| m.shape.controller.mdts = 1, false),
        (|m| m.shape.controller.oncs = 0.into(), false),
        (|m| m.spaces.get_mut(&1).unwrap().identify.size = 100.into(), false),
        (|m| m.spaces.get_mut(&1).unwrap().identify.nguid = [7; 16], false),
        (|m| drop(m.spaces.remove(&1)), false),
        (|m| m.spaces.get_mut(&1).unwrap().identify.size = 4096.into(), true),
    ];
    for (number, (change, serves)) in changes.into_iter().enumerate() {
        let mut rig = Rig::new(|_| {});
        change(&mut rig.device.borrow_mut());
        let done = reads(&mut rig, 6, Mischief::Twice);
        assert_eq!(rig.nvme.limits(Unit(0)).is_some(), serves, "{number}");
        assert_eq!(good(&done) == 6, serves, "{number}: {done:?}");
    }
}

#[test]
fn a_refused_command_while_starting_is_no_hang() {
    // Each administrative command in turn, by how many came before it.
    for lost in 0..14u32 {
        for mischief in [Mischief::AdminStatus(0x006), Mischief::AdminId, Mischief::LoseAdmin] {
            let mut rig = Rig::new(|shape| shape.slow = 120_000);
            let mut count = 0;
            rig.at(0);
            for now in 0..400u64 {
                let before: u64 = rig.device.borrow().done.values().sum();
                if before >= lost.into() && count == 0 {
                    rig.device.borrow_mut().mischief = Some(mischief);
                    count += 1;
                }
                rig.at(now * SECOND / 10);
                rig.nvme.expire();
                rig.device.borrow_mut().shape.slow = 0;
            }
            rig.device.borrow_mut().mischief = None;
            let done = rig.one(request(Op::Read, 0, 1, 0));
            assert!(done == Completion::ok(1) || done == Completion::error(Error::Offline), "{done:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// A controller that scribbles over its queues: no panic, no hang, and each request ends exactly once.
    #[test]
    fn scribbles_end_in_answers(
        noise in prop::collection::vec((0usize..12 << 10, any::<[u8; 4]>()), 1..64),
        entries in prop::collection::vec((0u32..300, 0u16..200, any::<u16>()), 0..32),
        sgl: bool,
    ) {
        let mut rig = Rig::new(|shape| if !sgl { *shape = shape.clone().plain() });
        rig.at(SECOND);
        rig.nvme.expire();
        let n = 20;
        let mut done = Vec::new();
        (0..n).for_each(|tag| rig.send(tag, request(Op::Read, u64::from(tag), 1, 0)));
        rig.nvme.kick();
        for (index, id, status) in entries {
            rig.dma.write(10 * 4096 + 16 * index as usize + 12, u32::from(id) | u32::from(status) << 16);
            done.extend(rig.drain());
        }
        for (at, bytes) in noise {
            // What a driver reads of it: both completion queues, event indices, and the page for its own commands.
            let page = [4096, 40960, 20480, 8192][at >> 10 & 3];
            rig.dma.copy_in(page + at % if page == 4096 { 512 } else { 4090 }, &bytes);
            done.extend(rig.drain());
            rig.nvme.interrupted();
        }
        // The model would panic at what it finds, so it is gone now.
        rig.device.borrow_mut().mischief = Some(Mischief::Unplug);
        rig.device.borrow_mut().taken = vec![model::Taken { queue: 1, dwords: [0; 16] }];
        rig.device.borrow_mut().finish(0);
        for second in 2..20 {
            rig.at(second * SECOND);
            while rig.nvme.expire() {
                done.extend(rig.drain());
            }
            done.extend(rig.drain());
        }
        each_once(&done, n);
    }
}
