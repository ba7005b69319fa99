// SPDX-License-Identifier: MIT
//! What goes wrong: each answered by the right status to the right request, and the driver goes on.
use super::*;

/// Runs a read with this mischief ahead, and then another without; the first one's answer.
fn read_with(mischief: Mischief, manners: Manners) -> (Completion, Rig) {
    let mut rig = Rig::new(manners);
    rig.device.borrow_mut().mischief = Some(mischief);
    let done = rig.one(request(Op::Read, 16, 32, 0));
    if done == Completion::ok(32) {
        assert_eq!(rig.payload(0, 32 * 512), rig.content(16 * 512, 32 * 512), "{mischief:?}");
    }
    rig.device.borrow_mut().mischief = None;
    (done, rig)
}

fn serves(rig: &mut Rig, mischief: Mischief) {
    assert!(rig.data.copy_in(0, &[0x77; 4096]));
    assert_eq!(rig.one(request(Op::Write, 100, 8, 0)), Completion::ok(8), "{mischief:?}");
    assert_eq!(rig.content(100 * 512, 4096), [0x77; 4096], "{mischief:?}");
}

#[test]
fn what_breaks_the_rules_is_met_with_a_reset_and_the_command_is_sent_again() {
    for mischief in [
        Mischief::WrongWay,
        Mischief::BadPhase,
        Mischief::NoStatus,
        Mischief::Stranger,
        Mischief::Nobody,
        Mischief::Selected,
        Mischief::Illegal,
        Mischief::Gross,
        Mischief::Miscount,
        Mischief::DmaError,
    ] {
        for manners in [Manners::PLAIN, Manners::lively(21)] {
            let (done, mut rig) = read_with(mischief, manners);
            // Payload the wrong way is more than the command is for: the answer to that is final.
            let expected =
                if mischief == Mischief::WrongWay { Completion::error(Error::Io) } else { Completion::ok(32) };
            assert_eq!(done, expected, "{mischief:?}");
            assert_eq!(rig.driver.counters().misused, 1, "{mischief:?}");
            assert_eq!(rig.device.borrow().resets, 2, "{mischief:?}");
            serves(&mut rig, mischief);
        }
    }
}

#[test]
fn a_target_that_wants_more_than_the_command_is_for_gets_nothing() {
    let (done, mut rig) = read_with(Mischief::Overrun, Manners::PLAIN);
    assert_eq!(done, Completion::error(Error::Io));
    assert_eq!(rig.payload(32 * 512, 4096), [0; 4096]);
    serves(&mut rig, Mischief::Overrun);
}

#[test]
fn a_target_that_leaves_is_asked_again_without_a_reset() {
    for manners in [Manners::PLAIN, Manners::lively(22)] {
        let (done, mut rig) = read_with(Mischief::Vanish, manners);
        assert_eq!(done, Completion::ok(32));
        assert_eq!((rig.driver.counters().misused, rig.device.borrow().resets), (0, 1));
        serves(&mut rig, Mischief::Vanish);
    }
}

#[test]
fn bytes_with_wrong_parity_are_sent_again_or_the_command_is() {
    for mischief in [Mischief::Parity, Mischief::ParityIgnored] {
        for manners in [Manners::PLAIN, Manners::lively(23)] {
            let (done, mut rig) = read_with(mischief, manners);
            assert_eq!(done, Completion::ok(32), "{mischief:?}");
            assert_eq!((rig.driver.counters().misused, rig.device.borrow().resets), (0, 1), "{mischief:?}");
            serves(&mut rig, mischief);
        }
    }
}

#[test]
fn a_reset_by_somebody_else_is_survived() {
    for manners in [Manners::PLAIN, Manners::lively(24)] {
        let (done, mut rig) = read_with(Mischief::BusReset, manners);
        assert_eq!(done, Completion::ok(32));
        assert_eq!(rig.driver.counters().misused, 0);
        serves(&mut rig, Mischief::BusReset);
    }
}

#[test]
fn a_rejected_tag_is_done_without() {
    let (done, mut rig) = read_with(Mischief::RejectTag, Manners::lively(25));
    assert_eq!(done, Completion::ok(32));
    assert_eq!((rig.driver.counters().misused, rig.device.borrow().resets), (0, 1));
    serves(&mut rig, Mischief::RejectTag);
}

#[test]
fn a_command_that_a_target_forgets_is_aborted_by_a_message() {
    for (flags, told) in [(0x12, 0x0d), (0, 6)] {
        let (done, mut rig) = read_with(Mischief::Forget, Manners { flags, ..Manners::lively(26) });
        assert_eq!(done, Completion::error(Error::TimedOut));
        assert_eq!(rig.device.borrow().told, [told]);
        assert_eq!((rig.driver.counters().timeouts, rig.device.borrow().resets), (0, 1), "no reset was needed");
        serves(&mut rig, Mischief::Forget);
    }
}

#[test]
fn what_holds_the_bus_is_ended_by_its_reset_at_the_deadline() {
    for mischief in [Mischief::Hold, Mischief::Chatter] {
        for manners in [Manners::PLAIN, Manners::lively(27)] {
            let mut rig = Rig::new(manners);
            let began = rig.now;
            rig.device.borrow_mut().mischief = Some(mischief);
            rig.send(1, 0, request(Op::Read, 16, 32, 0));
            let done = rig.run(began + 9 * SECOND);
            assert_eq!(done, [(1, Completion::error(Error::TimedOut))], "{mischief:?}");
            // What a target says without end ends when it is told to give up.
            let resets = u64::from(mischief != Mischief::Chatter);
            assert_eq!(rig.driver.counters().timeouts, resets, "{mischief:?}");
            rig.device.borrow_mut().mischief = None;
            serves(&mut rig, mischief);
        }
    }
}

#[test]
fn others_wait_for_the_reset_and_are_done() {
    let mut rig = Rig::new(Manners { disconnects: 0, ..Manners::lively(28) });
    rig.device.borrow_mut().mischief = Some(Mischief::Hold);
    rig.send(0, 0, request(Op::Read, 0, 1, 0));
    rig.driver.kick();
    rig.now += 5 * SECOND;
    (1..8).for_each(|tag| rig.send(tag, 0, request(Op::Read, tag.into(), 1, u64::from(tag) * 512)));
    let mut done = rig.finish();
    done.sort_unstable_by_key(|(tag, _)| *tag);
    assert_eq!(done[0], (0, Completion::error(Error::TimedOut)));
    assert!(done.len() == 8 && done[1..].iter().all(|(_, done)| *done == Completion::ok(1)), "{done:?}");
}

#[test]
fn an_adapter_that_is_gone_is_left_alone() {
    for mischief in [Mischief::Gone, Mischief::CommandAgain, Mischief::NoReset] {
        let mut rig = Rig::new(Manners::PLAIN);
        rig.device.borrow_mut().mischief = Some(mischief);
        if mischief == Mischief::NoReset {
            // The reset is that of a target that breaks the rules.
            rig.device.borrow_mut().mischief = Some(Mischief::BadPhase);
            rig.send(1, 0, request(Op::Read, 0, 1, 0));
            rig.driver.kick();
            rig.device.borrow_mut().mischief = Some(mischief);
            rig.device.borrow_mut().serve();
        } else {
            rig.send(1, 0, request(Op::Read, 0, 1, 0));
        }
        let done = rig.finish();
        assert_eq!(done.len(), 1, "{mischief:?}");
        assert!(done[0].1.status.is_err(), "{mischief:?}");
        assert_eq!(rig.driver.limits(Unit(0)), None, "{mischief:?}");
        assert!(!rig.device.borrow().master());
        assert!(rig.driver.take_fault().is_some());
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
    }
}

#[test]
fn sense_data_are_asked_for_and_tell_why() {
    for manners in [Manners::PLAIN, Manners::lively(29)] {
        let mut rig = Rig::new(manners);
        let sense = Sense { information: Some(20), ..Sense::new(3, 0x11, 0) };
        let bad = Failure { opcode: Some(0x28), block: Some(20), times: u32::MAX, bad: Bad::Sense(sense) };
        rig.disk(|disk| disk.faults.push(bad));
        let done = rig.one(request(Op::Read, 16, 8, 0));
        assert_eq!((done.status, done.blocks), (Err(Error::Medium), 4));
        assert_eq!(rig.one(request(Op::Read, 24, 8, 0)), Completion::ok(8));
        assert_eq!(rig.one(request(Op::Read, 2048, 1, 0)), Completion::error(Error::OutOfRange));
    }
}

#[test]
fn a_disk_that_loses_power_loses_its_agreement_and_gets_a_new_one() {
    let mut rig = Rig::new(Manners::lively(30));
    assert_eq!(rig.one(request(Op::Read, 0, 8, 0)), Completion::ok(8));
    rig.device.borrow_mut().lose_power(PLACE);
    // The model holds each transfer to what is agreed now, so an old agreement would be found out.
    for round in 0..4 {
        assert_eq!(rig.one(request(Op::Read, 8 * round, 8, 0)), Completion::ok(8));
    }
    assert_eq!(rig.device.borrow().timing(), (4, 15));
    assert_eq!(
        rig.one(request(Op::Flush, 0, 0, 0)),
        Completion::error(Error::Io),
        "what was cached is gone, said once"
    );
    assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
}
