// SPDX-License-Identifier: MIT
//! Every row of the table of rules, as a request meets it.
use super::*;
use orion_scsi::Trouble;
use orion_scsi::rules::{ANY, BACKOFF_NS, On, Rule, TABLE, Then};

fn fails(times: u32, bad: Bad) -> Failure {
    Failure { opcode: Some(0x28), block: None, times, bad }
}

/// What makes a disk fail as a row says.
fn bad(rule: &Rule) -> Option<Bad> {
    let code = |code| if code == ANY { 0x7e } else { code };
    match rule.on {
        On::Sense(ANY, ..) => Some(Bad::Sense(Sense::new(9, 1, 1))),
        On::Sense(key, asc, ascq) => Some(Bad::Sense(Sense::new(key, code(asc), code(ascq)))),
        On::Deferred => Some(Bad::Sense(Sense { deferred: true, ..Sense::new(3, 0x0c, 0) })),
        On::Status(status) => Some(Bad::Status(status)),
        On::Senseless => Some(Bad::Status(2)),
        On::Port(_) => None,
    }
}

fn response(rule: &Rule) -> Option<u8> {
    let On::Port(trouble) = rule.on else { return None };
    Some(match trouble {
        Trouble::Overrun => 1,
        Trouble::Aborted => 2,
        Trouble::Absent => 3,
        Trouble::Reset => 4,
        Trouble::Busy => 5,
        Trouble::Transport => 6,
        Trouble::Other => 9,
    })
}

#[test]
fn once_is_mended_where_the_rule_says_so_and_else_answered_with_its_error() {
    for rule in TABLE {
        let mut rig = Rig::new(disk());
        match (bad(rule), response(rule)) {
            (Some(bad), _) => rig.disk(|disk| disk.faults.push(fails(1, bad))),
            (_, Some(response)) => rig.device.borrow_mut().mischief = Some(ScsiMischief::Response(response)),
            _ => unreachable!(),
        }
        let before = rig.now;
        let done = rig.one(request(Op::Read, 4, 4, 0));
        let expected = match rule.then {
            // Of a read that is said to be done, all must be there.
            Then::Accept => Completion::error(Error::Io),
            Then::Again | Then::Later | Then::Start => Completion::ok(4),
            Then::Fail => Completion::error(rule.error),
        };
        let _ = before;
        assert_eq!(done, expected, "{rule:?}");
    }
}

#[test]
fn what_never_passes_ends_by_the_deadline_with_the_rules_error() {
    for rule in TABLE.iter().filter(|rule| !matches!(rule.then, Then::Accept | Then::Fail)) {
        let Some(bad) = bad(rule) else { continue };
        let mut rig = Rig::new(disk());
        rig.disk(|disk| disk.faults.push(fails(u32::MAX, bad)));
        let began = rig.now;
        let done = rig.one(request(Op::Read, 4, 4, 0));
        assert!(matches!(done.status, Err(error) if error == rule.error), "{rule:?}: {done:?}");
        assert!(rig.now <= began + 28 * SECOND, "{rule:?}");
        rig.disk(|disk| disk.faults.clear());
        assert_eq!(rig.one(request(Op::Read, 4, 4, 0)), Completion::ok(4), "{rule:?}");
    }
}

#[test]
fn a_busy_disk_is_asked_again_after_waits_that_grow() {
    let mut rig = Rig::new(disk());
    rig.disk(|disk| disk.faults.push(fails(4, Bad::Status(8))));
    rig.send(1, 0, request(Op::Read, 0, 1, 0));
    let began = rig.now;
    let mut at = Vec::new();
    for _ in 0..4 {
        let next = rig.scsi.deadline();
        let _ = next;
        assert_eq!(rig.run(rig.now), []);
        rig.now = rig.scsi.deadline().unwrap().0;
        at.push(rig.now - began);
    }
    assert_eq!(at, [1, 3, 7, 15].map(|n| n * BACKOFF_NS));
    assert_eq!(rig.finish(), [(1, Completion::ok(1))]);
}

#[test]
fn of_a_medium_error_the_blocks_before_it_are_said_to_be_good() {
    let sense = Sense { information: Some(13), ..Sense::new(3, 0x11, 0) };
    for bad in [Bad::Sense(sense), Bad::Descriptors(sense)] {
        let mut rig = Rig::new(disk());
        rig.disk(|disk| disk.faults.push(Failure { block: Some(13), ..fails(u32::MAX, bad) }));
        let done = rig.one(request(Op::Read, 10, 8, 0));
        assert_eq!(done, Completion { status: Err(Error::Medium), blocks: 3 });
        assert_eq!(rig.one(request(Op::Read, 14, 8, 0)), Completion::ok(8));
        assert_eq!(rig.one(request(Op::Read, 13, 1, 0)), Completion::error(Error::Medium));
    }
    // A block that the command is not about says nothing.
    let mut rig = Rig::new(disk());
    let beyond = Sense { information: Some(99), ..sense };
    rig.disk(|disk| disk.faults.push(fails(u32::MAX, Bad::Sense(beyond))));
    assert_eq!(rig.one(request(Op::Read, 10, 8, 0)), Completion::error(Error::Medium));
}

#[test]
fn what_was_cut_short_is_asked_for_again_from_where_it_ended() {
    let mut rig = Rig::new(disk());
    rig.disk(|disk| disk.faults.push(fails(1, Bad::Short(1500))));
    assert_eq!(rig.one(request(Op::Read, 10, 8, 0)), Completion::ok(8));
    assert_eq!(rig.payload(0, 4096), rig.disk(|disk| disk.content[10 * 512..18 * 512].to_vec()));
    assert_eq!(rig.count(0x28), 2);
    rig.disk(|disk| disk.faults.push(fails(u32::MAX, Bad::Short(4096))));
    assert_eq!(rig.one(request(Op::Read, 10, 8, 0)), Completion::error(Error::Io));
}

#[test]
fn a_loss_of_power_makes_the_next_flush_fail_once() {
    let mut rig = Rig::new(disk());
    assert_eq!(rig.one(request(Op::Write, 0, 1, 0)), Completion::ok(1));
    rig.disk(Disk::lose_power);
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::error(Error::Io));
    assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
    // Also where the flush itself is the first to learn of it.
    rig.disk(Disk::lose_power);
    assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::error(Error::Io));
    assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
}

#[test]
fn another_initiators_reservation_denies() {
    let mut rig = Rig::new(disk());
    let list = |key: u64, action: u64| orion_scsi::wire::reserve::out(key, action, false);
    rig.disk(|disk| {
        disk.attentions.clear();
        let register = orion_scsi::Cdb::reserve_out(0, 0, 24);
        assert_eq!(disk.perform(2, register.padded(), &list(0, 0xab)).status, 0);
        let reserve = orion_scsi::Cdb::reserve_out(1, 1, 24);
        assert_eq!(disk.perform(2, reserve.padded(), &list(0xab, 0)).status, 0);
        let held = disk.perform(1, orion_scsi::Cdb::reserve_in(1, 64).padded(), &[]);
        let held = orion_scsi::wire::reserve::reservation(&held.data).unwrap();
        assert_eq!((held.key, held.kind), (0xab, 1));
    });
    assert_eq!(rig.one(request(Op::Write, 0, 1, 0)), Completion::error(Error::Denied));
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
}
