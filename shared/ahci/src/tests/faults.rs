// SPDX-License-Identifier: MIT
//! A controller and drives that fail like hardware: the right status for the right request, the innocent served, nothing hangs.
use super::*;

/// Requests in flight when something fails.
const MANY: u32 = 8;

/// Sends reads of one block each, all at once.
fn many(rig: &mut Rig) {
    for tag in 0..MANY {
        rig.send(tag, request(Op::Read, u64::from(tag), 1, u64::from(tag) * 512));
    }
    rig.ahci.kick();
}

/// What came of them, in the order of their tags: each was answered once.
fn outcomes(mut done: Vec<(u32, Completion)>) -> Vec<Completion> {
    done.sort_by_key(|(tag, _)| *tag);
    assert_eq!(done.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), (0..MANY).collect::<Vec<_>>());
    done.into_iter().map(|(_, done)| done).collect()
}

/// The first command to end misbehaves.
fn with_mischief(options: Options, mischief: Mischief) -> (Rig, Vec<Completion>) {
    let mut rig = Rig::with(Shape::default(), vec![(0, drive())], &[FIRST], options).unwrap();
    rig.hba.borrow_mut().mischief = Some(mischief);
    many(&mut rig);
    let done = rig.wait(60);
    (rig, outcomes(done))
}

/// A failure that is not repeated is nobody's, where commands are not queued: who was not alone when it came is asked again alone.
fn nobody_or_first(options: Options, done: &[Completion], error: Error) {
    if options == Options::default() {
        return only_first_fails(done, error);
    }
    assert!(done.iter().all(|done| *done == Completion::ok(1)), "{done:?}");
}

fn only_first_fails(done: &[Completion], error: Error) {
    assert_eq!(done[0], Completion::error(error));
    assert!(done[1..].iter().all(|done| *done == Completion::ok(1)), "{done:?}");
}

/// Reads again, all of it right.
fn serves(rig: &mut Rig) {
    many(rig);
    let done = rig.wait(60);
    assert!(outcomes(done).iter().all(|done| *done == Completion::ok(1)));
    assert_eq!(rig.payload(0, 8 * 512), rig.content()[..8 * 512]);
}

#[test]
fn a_command_that_fails_is_answered_and_the_others_are_done() {
    for (options, ..) in ways() {
        for (bits, error) in [(0x40, Error::Medium), (0x10, Error::Medium), (4, Error::Io), (0, Error::Io)] {
            let (mut rig, done) = with_mischief(options, Mischief::Fail(bits));
            nobody_or_first(options, &done, error);
            assert_eq!(rig.hba.borrow().comresets, 0, "no reset is needed");
            rig.hba.borrow_mut().mischief = Some(Mischief::Fail(bits));
            assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::error(error), "alone");
            assert_eq!(rig.ahci.take_fault(), None, "a bad block is no fault of the protocol");
            serves(&mut rig);
        }
    }
}

#[test]
fn data_damaged_on_the_link_are_sent_again() {
    for (options, ..) in ways() {
        let (rig, done) = with_mischief(options, Mischief::Fail(0x84));
        assert!(done.iter().all(|done| *done == Completion::ok(1)), "{done:?}");
        assert_eq!(rig.payload(0, 8 * 512), rig.content()[..8 * 512]);
    }
}

#[test]
fn a_link_that_damages_everything_does_not_keep_a_request_for_ever() {
    for (options, ..) in ways() {
        let mut rig = Rig::with(Shape::default(), vec![(0, drive())], &[FIRST], options).unwrap();
        rig.hba.borrow_mut().drive(0).damages = true;
        many(&mut rig);
        let done = outcomes(rig.wait(60));
        assert!(done.iter().all(|done| *done == Completion::error(Error::Io)), "{done:?}");
    }
}

#[test]
fn the_log_of_queued_errors_is_believed_only_as_far_as_it_can_be() {
    for mischief in [Mischief::BlameOther(20), Mischief::BadLog, Mischief::NoLog] {
        let mut rig = Rig::new(drive());
        // The block is bad each time, so that who fails alone fails again.
        rig.hba.borrow_mut().drive(0).bad = vec![0];
        rig.hba.borrow_mut().mischief = Some(mischief);
        many(&mut rig);
        let done = outcomes(rig.wait(60));
        only_first_fails(&done, Error::Medium);
        rig.hba.borrow_mut().drive(0).bad.clear();
        serves(&mut rig);
    }
}

#[test]
fn several_bad_blocks_are_each_answered() {
    for (options, ..) in ways() {
        let mut rig = Rig::with(Shape::default(), vec![(0, drive())], &[FIRST], options).unwrap();
        rig.hba.borrow_mut().drive(0).bad = vec![1, 2, 5, 7];
        many(&mut rig);
        for (block, done) in outcomes(rig.wait(60)).into_iter().enumerate() {
            let bad = [1, 2, 5, 7].contains(&block);
            assert_eq!(done, if bad { Completion::error(Error::Medium) } else { Completion::ok(1) });
        }
    }
}

#[test]
fn a_drive_that_stays_busy_after_an_error_is_reset() {
    for (options, ..) in ways() {
        let (mut rig, done) = with_mischief(options, Mischief::FailBusy(0x40));
        // Nobody could be asked who it was: each is tried alone, and none fails again.
        assert!(done.iter().all(|done| *done == Completion::ok(1)), "{done:?}");
        assert_eq!(rig.hba.borrow().comresets, 1);
        serves(&mut rig);
    }
}

#[test]
fn a_command_that_is_lost_times_out_and_the_others_do_not() {
    for (options, ..) in ways() {
        let mut rig = Rig::with(Shape::default(), vec![(0, drive())], &[FIRST], options).unwrap();
        rig.hba.borrow_mut().mischief = Some(Mischief::Lose);
        rig.send(0, request(Op::Read, 0, 1, 0));
        rig.go_on();
        rig.now += 3 * SECOND;
        // They come later, so their deadlines are later too.
        for tag in 1..MANY {
            rig.ahci.set_time(Instant(rig.now));
            rig.send(tag, request(Op::Read, u64::from(tag), 1, u64::from(tag) * 512));
        }
        let done = outcomes(rig.wait(60));
        only_first_fails(&done, Error::TimedOut);
        assert_eq!((rig.ahci.counters().timeouts, rig.hba.borrow().comresets), (1, 1));
        assert_eq!(rig.ahci.take_fault(), Some("a request took too long"));
        serves(&mut rig);
    }
}

#[test]
fn a_drive_that_never_answers_is_given_up_and_everything_is_answered() {
    let mut rig = Rig::new(drive());
    for round in 0..10u32 {
        rig.hba.borrow_mut().mischief = Some(Mischief::Lose);
        rig.send(round, request(Op::Read, 0, 1, 0));
        let done = rig.wait(30);
        let error = if rig.ahci.limits(Unit(0)).is_some() { Error::TimedOut } else { Error::Offline };
        assert!(done == [(round, Completion::error(error))] || done == [(round, Completion::error(Error::TimedOut))]);
    }
    assert_eq!(rig.ahci.limits(Unit(0)), None);
    assert!(rig.ahci.take_change());
    assert_eq!(rig.hba.borrow().comresets, 3);
    assert_eq!(rig.ahci.deadline(), None, "nothing is waited for");
}

#[test]
fn link_and_bus_errors_reset_the_drive_and_all_is_done_again() {
    for (options, ..) in ways() {
        for mischief in [Mischief::LinkFails, Mischief::BusFails] {
            let (mut rig, done) = with_mischief(options, mischief);
            assert!(done.iter().all(|done| *done == Completion::ok(1)), "{mischief:?} {done:?}");
            assert_eq!(rig.hba.borrow().comresets, 1);
            assert_eq!(rig.ahci.counters().misused, 1);
            serves(&mut rig);
        }
    }
}

#[test]
fn a_drive_that_sends_more_than_was_asked_fails_that_request() {
    for (options, ..) in ways() {
        let (mut rig, done) = with_mischief(options, Mischief::Overflows);
        assert!(done.iter().all(|done| *done == Completion::ok(1)), "nobody overflows when alone: {done:?}");
        rig.hba.borrow_mut().mischief = Some(Mischief::Overflows);
        assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::error(Error::Io));
        serves(&mut rig);
    }
}

#[test]
fn less_than_was_asked_is_no_success() {
    for (options, ..) in ways().into_iter().skip(1) {
        let (mut rig, done) = with_mischief(options, Mischief::Short);
        only_first_fails(&done, Error::Io);
        serves(&mut rig);
    }
}

#[test]
fn a_port_that_does_not_stop_has_the_controller_reset() {
    for (options, ..) in ways() {
        let shape = Shape { ports: 0b11, ..Shape::default() };
        let mut rig = Rig::with(shape, vec![(0, drive()), (1, drive())], &[0, 1], options).unwrap();
        rig.hba.borrow_mut().mischief = Some(Mischief::Sticks);
        rig.ahci.start(Unit(1), 99, &request(Op::Read, 3, 1, 65536));
        many(&mut rig);
        let mut done = rig.wait(60);
        let other: Vec<_> = done.extract_if(.., |(tag, _)| *tag == 99).collect();
        assert_eq!(other, [(99, Completion::ok(1))], "another port's request is done");
        let done = outcomes(done);
        assert!(done[1..].iter().all(|done| *done == Completion::ok(1)), "{done:?}");
        assert_eq!(rig.hba.borrow().resets, 1);
        assert_eq!(rig.ahci.take_fault(), Some("a port did not stop: the controller was reset"));
        serves(&mut rig);
    }
}

#[test]
fn a_port_that_never_stops_is_left_alone_and_the_others_serve() {
    let shape = Shape { ports: 0b11, ..Shape::default() };
    let mut rig = Rig::with(shape, vec![(0, drive()), (1, drive())], &[0, 1], Options::default()).unwrap();
    rig.hba.borrow_mut().ports[0].stuck = true;
    rig.hba.borrow_mut().mischief = Some(Mischief::Fail(4));
    assert!(rig.one(request(Op::Read, 0, 1, 0)).status.is_err());
    rig.wait(60);
    assert!(rig.ahci.limits(Unit(0)).is_none() && rig.hba.borrow().resets <= 4);
    assert!(rig.ahci.take_fault().unwrap().contains("controller"));
    rig.ahci.start(Unit(1), 9, &request(Op::Read, 3, 1, 0));
    assert_eq!(rig.wait(60), [(9, Completion::ok(1))]);
    assert_eq!(rig.ahci.deadline(), None);
}

#[test]
fn interrupts_that_mean_nothing_do_nothing() {
    let (mut rig, done) = with_mischief(Options::default(), Mischief::Spurious);
    assert!(done.iter().all(|done| *done == Completion::ok(1)));
    for _ in 0..100 {
        rig.ahci.interrupted();
        assert_eq!(rig.woken(), []);
    }
    serves(&mut rig);
}

#[test]
fn an_interrupt_that_is_lost_delays_a_request_until_its_deadline_at_most() {
    let mut rig = Rig::new(drive());
    many(&mut rig);
    rig.hba.borrow_mut().serve();
    assert!(rig.hba.borrow_mut().take_interrupt());
    let done = outcomes(rig.wait(6));
    assert!(done.iter().all(|done| *done == Completion::ok(1)));
    assert_eq!(rig.ahci.counters().timeouts, 0, "the drive is not blamed");
}

#[test]
fn a_controller_that_vanishes_leaves_no_request_without_an_answer() {
    for noticed in [true, false] {
        let mut rig = Rig::new(drive());
        many(&mut rig);
        rig.hba.borrow_mut().gone = true;
        if noticed {
            rig.ahci.interrupted();
        }
        let done = outcomes(rig.wait(60));
        let allowed = [Completion::error(Error::Offline), Completion::error(Error::TimedOut)];
        assert!(done.iter().all(|done| allowed.contains(done)), "{done:?}");
        assert!(!rig.hba.borrow().reaches_memory());
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
        assert_eq!(rig.ahci.limits(Unit(0)), None);
    }
}

#[test]
fn a_controller_that_does_not_reset_again_is_left_without_memory() {
    let mut rig = Rig::new(drive());
    rig.hba.borrow_mut().mischief = Some(Mischief::Sticks);
    rig.hba.borrow_mut().shape.stuck = true;
    many(&mut rig);
    let done = outcomes(rig.wait(60));
    assert!(done.iter().all(|done| *done == Completion::error(Error::Offline)), "{done:?}");
    assert!(!rig.hba.borrow().reaches_memory());
}
