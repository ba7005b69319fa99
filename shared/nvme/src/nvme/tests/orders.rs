// SPDX-License-Identifier: MIT
//! What an operator has a disk told: against a model whose formats and sanitizes take as long as the test says.
use super::*;
use orion_metrics::{DiskSpace, DiskWork, Progress, Reply, Row, Verb, Work, erase, sanitize};
use proptest::prelude::*;

/// A namespace of 1 MiB: in blocks of 512 bytes, or of 4096 where it is formatted so.
fn space() -> Space {
    Space::new(2048, 9).with(|identify| {
        identify.formats_count = 1;
        identify.formats[1] = (12 << 16).into();
        identify.nguid = [7; 16];
    })
}

/// A controller that can be managed, with a change to it.
fn managed(change: impl FnOnce(&mut Shape), units: &[Place]) -> Rig {
    let shape = Shape::new().with(|shape| {
        shape.controller.oacs = (1 << 8 | 1 << 3 | 1 << 1).into();
        shape.controller.sanicap = 7.into();
        shape.controller.fuses[2] = 4;
        shape.controller.id = 0x1234.into();
    });
    let mut rig = Rig::with(shape.with(change), vec![(1, space())], units).unwrap();
    rig.device.borrow_mut().manage.room = 8192;
    rig.at(SECOND);
    rig.settle();
    rig
}

fn plain() -> Rig {
    managed(|_| {}, &[Place::FIRST])
}

impl Rig {
    fn order(&mut self, work: Work) -> Reply {
        self.nvme.order(9, &work)
    }

    /// What the driver says of its last order.
    fn work(&self) -> DiskWork {
        match self.nvme.report(0) {
            Some(Row::DiskWork(row)) => row,
            other => panic!("{other:?}"),
        }
    }

    fn progress(&self) -> Progress {
        Progress::of(self.work().progress)
    }

    /// Lets the clock run for `seconds`, as the PD would; what was answered.
    fn pass(&mut self, seconds: u64) -> Vec<(u32, Completion)> {
        let (mut now, mut done) = (self.nvme.now.0, Vec::new());
        let end = now + seconds * SECOND;
        while now < end {
            self.at(now);
            done.extend(self.drain());
            self.nvme.kick();
            self.device.borrow_mut().serve();
            self.settle();
            while self.nvme.expire() {
                done.extend(self.drain());
            }
            self.settle();
            now = self.nvme.deadline().map_or(end, |at| at.0.clamp(now + 1, end));
        }
        self.at(end);
        done.extend(self.drain());
        done
    }

    fn spaces(&self) -> Vec<(u32, bool, u64)> {
        let rows = (1..).map_while(|index| self.nvme.report(index));
        let space = |row| match row {
            Row::DiskSpace(DiskSpace { namespace, attached, blocks, .. }) => {
                (namespace.get(), attached != 0, blocks.get())
            }
            other => panic!("{other:?}"),
        };
        rows.map(space).collect()
    }
}

fn read() -> Request {
    request(Op::Read, 0, 8, 0)
}

fn work(verb: Verb) -> Work {
    Work::new(verb, 0)
}

#[test]
fn a_format_waits_for_requests_keeps_others_away_and_gives_an_empty_disk_back() {
    let mut rig = plain();
    assert!(rig.content(0..4096) != [0; 4096]);
    // One is at the controller, and is not answered yet.
    rig.send(1, read());
    rig.nvme.kick();
    rig.device.borrow_mut().take();
    assert_eq!(rig.order(work(Verb::Format)), Reply::Begun);
    assert_eq!(rig.order(work(Verb::Format)), Reply::Busy);
    assert_eq!((rig.nvme.limits(Unit(0)), rig.nvme.take_change()), (None, true));
    rig.at(SECOND + 1);
    rig.nvme.expire();
    assert_eq!((rig.progress(), rig.device.borrow().manage.formatting.is_none()), (Progress::Waits, true));
    rig.send(2, read());
    let done = rig.pass(2);
    assert_eq!(done, [(2, Completion::error(Error::Offline)), (1, Completion::ok(8))]);
    assert_eq!(rig.progress(), Progress::Runs);
    rig.device.borrow_mut().format_goes_on(25);
    assert!(rig.pass(3600).is_empty(), "a format takes its time");
    assert_eq!((rig.progress(), rig.work().permille.get(), rig.nvme.counters().timeouts), (Progress::Runs, 750, 0));
    // Beside it the controller is asked how it is.
    rig.nvme.refresh();
    rig.pass(2);
    assert!(rig.device.borrow_mut().format_ends());
    rig.pass(1);
    assert_eq!((rig.progress(), rig.work().sequence.get()), (Progress::Done, 9));
    assert!(rig.nvme.take_change() && rig.nvme.limits(Unit(0)).is_some());
    assert!(rig.one(read()).status.is_ok() && rig.payload(0, 4096) == [0; 4096]);
    assert_eq!(rig.nvme.deadline(), None, "nothing more is waited for");
}

#[test]
fn what_a_format_cannot_be_is_said_before_anything_happens() {
    let all = |how| managed(move |shape| shape.controller.fuses[2] = how, &[Place::FIRST]);
    for (mut rig, how, first, reply) in [
        (plain(), erase::KEY, 0, Reply::Begun),
        (plain(), 3, 0, Reply::Invalid),
        (plain(), 0, 1024, Reply::Invalid),
        (plain(), 0, 1, Reply::Invalid),
        (plain(), 0, u64::MAX, Reply::Invalid),
        (plain(), 0, 512, Reply::Begun),
        (plain(), 0, 4096, Reply::Begun),
        (all(0), erase::KEY, 0, Reply::Unsupported),
        (all(1), 0, 0, Reply::Unsupported),
        (all(2), erase::DATA, 0, Reply::Unsupported),
        (all(2), erase::NONE, 0, Reply::Begun),
        (managed(|shape| shape.controller.oacs = 0.into(), &[Place::FIRST]), 0, 0, Reply::Unsupported),
    ] {
        assert_eq!(rig.order(Work { how, first, ..work(Verb::Format) }), reply, "{how} {first}");
        assert_eq!(rig.nvme.limits(Unit(0)).is_none(), reply == Reply::Begun);
    }
    assert_eq!(plain().order(Work::new(Verb::Format, 1)), Reply::Absent);
    assert_eq!(plain().order(Work::new(Verb::Format, 255)), Reply::Absent);
}

#[test]
fn a_disk_with_other_blocks_is_not_used_by_who_was_told_of_others() {
    let mut rig = plain();
    rig.order(Work { first: 4096, ..work(Verb::Format) });
    rig.pass(1);
    rig.device.borrow_mut().format_ends();
    rig.pass(1);
    assert_eq!(rig.progress(), Progress::Done);
    assert!(rig.work().why.starts_with(b"other blocks"));
    assert_eq!((rig.nvme.limits(Unit(0)), rig.one(read())), (None, Completion::error(Error::Offline)));
    let mut rig = rig.reborn();
    assert_eq!(rig.nvme.limits(Unit(0)).map(|limits| (limits.block.bytes(), limits.capacity)), Some((4096, 256)));
    assert!(rig.one(request(Op::Read, 255, 1, 0)).status.is_ok());
}

#[test]
fn a_format_that_fails_says_why_and_the_disk_is_as_it_was() {
    let mut rig = plain();
    rig.device.borrow_mut().manage.fails = true;
    let before = rig.content(0..4096);
    rig.order(work(Verb::Format));
    rig.pass(1);
    rig.device.borrow_mut().format_ends();
    rig.pass(1);
    assert_eq!((rig.progress(), rig.work().status.get()), (Progress::Failed, 0x280));
    assert!(rig.work().why.starts_with(b"a failure of the medium"));
    assert!(rig.one(read()).status.is_ok() && rig.payload(0, 4096) == before);
}

#[test]
fn a_reset_cuts_a_format_off_and_it_is_done_again() {
    let mut rig = managed(|_| {}, &[Place::FIRST]);
    rig.order(work(Verb::Format));
    rig.pass(1);
    let enables = rig.device.borrow().enables;
    // The controller answers what it was never given: it is reset.
    rig.device.borrow_mut().mischief = Some(Mischief::AdminId);
    rig.nvme.refresh();
    rig.pass(2);
    assert!(rig.device.borrow().enables > enables && rig.device.borrow().manage.formatting.is_some());
    assert_eq!((rig.progress(), rig.nvme.limits(Unit(0))), (Progress::Runs, None));
    rig.device.borrow_mut().format_ends();
    rig.pass(1);
    assert_eq!((rig.progress(), rig.one(read())), (Progress::Done, Completion::ok(8)));
}

#[test]
fn a_sanitize_survives_resets_and_lives_of_the_driver() {
    let mut rig = plain();
    assert_eq!(rig.order(Work { how: sanitize::OVERWRITE, ..work(Verb::Sanitize) }), Reply::Begun);
    rig.pass(1);
    rig.device.borrow_mut().sanitize_goes_on(0x8000);
    rig.pass(2);
    assert_eq!((rig.progress(), rig.work().permille.get()), (Progress::Runs, 500));
    assert_eq!(rig.one(read()), Completion::error(Error::Offline));
    rig.device.borrow_mut().mischief = Some(Mischief::AdminId);
    rig.nvme.refresh();
    rig.pass(2);
    assert_eq!((rig.progress(), rig.nvme.limits(Unit(0))), (Progress::Runs, None));
    let mut rig = rig.reborn();
    rig.at(SECOND);
    assert_eq!((rig.progress(), rig.work().sequence.get(), rig.nvme.limits(Unit(0))), (Progress::Runs, 0, None));
    rig.pass(3);
    assert_eq!(rig.work().permille.get(), 500);
    assert_eq!(rig.order(work(Verb::Format)), Reply::Busy);
    rig.device.borrow_mut().sanitize_ends();
    rig.pass(2);
    assert_eq!(rig.progress(), Progress::Done);
    assert!(rig.one(read()).status.is_ok() && rig.payload(0, 4096) == [0; 4096]);
}

#[test]
fn a_sanitize_that_fails_leaves_a_disk_that_nobody_reads() {
    let mut rig = plain();
    rig.device.borrow_mut().manage.fails = true;
    rig.order(Work { how: sanitize::BLOCKS, ..work(Verb::Sanitize) });
    rig.pass(1);
    rig.device.borrow_mut().sanitize_ends();
    rig.pass(2);
    assert_eq!((rig.progress(), rig.work().status.get()), (Progress::Failed, 0x1c));
    assert_eq!(rig.one(read()).status, Err(Error::Offline));
    // Once more, and it goes well.
    rig.order(Work { how: sanitize::KEY, ..work(Verb::Sanitize) });
    rig.pass(1);
    rig.device.borrow_mut().sanitize_ends();
    rig.pass(2);
    assert_eq!((rig.progress(), rig.one(read())), (Progress::Done, Completion::ok(8)));
}

#[test]
fn a_sanitize_that_somebody_else_began_is_noticed_by_what_requests_are_answered() {
    let mut rig = plain();
    rig.device.borrow_mut().manage.sanitizing = Some(1);
    assert_eq!(rig.one(read()).status, Err(Error::Again));
    for how in [0, 1, 5, 8, u32::MAX] {
        assert_eq!(rig.order(Work { how, ..work(Verb::Sanitize) }), Reply::Unsupported);
    }
}

#[test]
fn namespaces_are_made_attached_and_removed_and_their_clients_hear_of_it() {
    let place = |namespace| Place { namespace, ..Place::FIRST };
    let mut rig = managed(|_| {}, &[place(1), place(2)]);
    assert_eq!(rig.nvme.limits(Unit(1)), None);
    assert_eq!(rig.order(Work { first: 4096, count: 64, ..work(Verb::Create) }), Reply::Begun);
    rig.pass(1);
    assert_eq!((rig.progress(), rig.work().value.get()), (Progress::Done, 2));
    assert_eq!(rig.spaces(), [(1, true, 2048), (2, true, 64)]);
    assert!(rig.nvme.take_change());
    assert_eq!(rig.nvme.limits(Unit(1)).map(|limits| (limits.block.bytes(), limits.capacity)), Some((4096, 64)));

    assert_eq!(rig.order(Work { first: 2, ..work(Verb::Detach) }), Reply::Begun);
    rig.pass(1);
    assert_eq!(rig.spaces(), [(1, true, 2048), (2, false, 64)]);
    assert!(rig.nvme.take_change() && rig.nvme.limits(Unit(1)).is_none());
    assert_eq!(rig.order(Work { first: 2, ..work(Verb::Attach) }), Reply::Begun);
    rig.pass(1);
    assert!(rig.nvme.limits(Unit(1)).is_some(), "the same comes back");

    rig.nvme.start(Unit(1), 5, &request(Op::Read, 0, 1, 0));
    rig.nvme.kick();
    rig.device.borrow_mut().take();
    assert_eq!(rig.order(Work { first: 2, ..work(Verb::Delete) }), Reply::Begun);
    rig.nvme.start(Unit(1), 6, &request(Op::Read, 0, 1, 0));
    let done = rig.pass(2);
    assert_eq!(done, [(6, Completion::error(Error::Offline)), (5, Completion::ok(1))]);
    assert_eq!((rig.progress(), rig.spaces()), (Progress::Done, vec![(1, true, 2048)]));
    assert_eq!((rig.nvme.limits(Unit(1)), rig.device.borrow().manage.room), (None, 8192));
    // Another of the same number is not taken for it.
    rig.order(Work { first: 4096, count: 64, ..work(Verb::Create) });
    rig.pass(1);
    assert_eq!((rig.work().value.get(), rig.nvme.limits(Unit(1))), (2, None));
    assert_eq!(rig.one(read()), Completion::ok(8), "the other disk serves all the time");
}

#[test]
fn what_cannot_be_done_with_namespaces_is_said() {
    for (verb, first, count, status, why) in [
        (Verb::Create, 512, 8193, 0x115, "so much room"),
        (Verb::Delete, 3, 0, 0, ""),
        (Verb::Attach, 1, 0, 0x118, "attached already"),
        (Verb::Attach, 5, 0, 0x00b, "no such namespace"),
        (Verb::Detach, 5, 0, 0x00b, "no such namespace"),
    ] {
        let mut rig = plain();
        assert_eq!(rig.order(Work { first, count, ..work(verb) }), Reply::Begun);
        rig.pass(1);
        let said = rig.work();
        assert_eq!(said.status.get(), status, "{verb:?}");
        assert!(core::str::from_utf8(&said.why).unwrap().contains(why), "{verb:?}");
        assert_eq!(rig.one(read()), Completion::ok(8), "{verb:?}");
    }
    for (verb, first, count) in [
        (Verb::Create, 1024, 8),
        (Verb::Create, 512, 0),
        (Verb::Create, 512, u64::MAX),
        (Verb::Delete, u64::from(u32::MAX), 0),
        (Verb::Delete, 0, 0),
        (Verb::Attach, 1 << 32 | 1, 0),
    ] {
        assert_eq!(plain().order(Work { first, count, ..work(verb) }), Reply::Invalid, "{verb:?} {first}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any orders at any time, on a controller that answers as it likes and is reset in their midst: each ends, every request is
    /// answered once, and the disk is there in the end if the controller has it.
    #[test]
    fn any_orders_end(steps in prop::collection::vec((0u8..12, any::<u32>(), 0u64..6, 0u64..3000), 1..14)) {
        let mut rig = plain();
        let (mut sent, mut done) = (0, Vec::new());
        for (what, how, first, count) in steps {
            match what {
                0..=5 => {
                    let verb = Verb::ALL[how as usize % 7];
                    let first = if matches!(verb, Verb::Format | Verb::Create) { [0, 512, 4096, 1, 77, 0][first as usize] } else { first };
                    let how = if verb == Verb::Sanitize { 2 + how % 3 } else { how % 3 };
                    rig.order(Work { verb, unit: 0, how, first, count });
                }
                6 => {
                    rig.send(sent, read());
                    sent += 1;
                }
                7 => rig.device.borrow_mut().mischief = Some(Mischief::AdminStatus(how as u16 & 0x7fff)),
                8 => rig.device.borrow_mut().mischief = Some(Mischief::AdminId),
                9 => rig.device.borrow_mut().manage.fails = true,
                10 => {
                    rig.device.borrow_mut().format_ends();
                }
                _ => rig.device.borrow_mut().sanitize_ends(),
            }
            done.extend(rig.pass(u64::from(how % 3)));
        }
        rig.device.borrow_mut().mischief = None;
        for _ in 0..3 {
            done.extend(rig.pass(11));
            rig.device.borrow_mut().format_ends();
            rig.device.borrow_mut().sanitize_ends();
        }
        done.extend(rig.pass(70));
        each_once(&done, sent);
        prop_assert!(!rig.nvme.orders.is_active(), "{:?}", rig.nvme.orders);
        prop_assert!(rig.nvme.deadline().is_none() || matches!(rig.nvme.phase, bring::Phase::Dead(_)));
    }
}
