// SPDX-License-Identifier: MIT
//! Power states: what the controller is told, and what that costs requests.
use super::*;
use orion_metrics::{Progress, Reply, Row, Verb, Work};

/// Four states: two that work, one that rests and comes back within 5 ms, one that takes half a second.
fn resting(power_us: u32, apsta: u8) -> Rig {
    let shape = Shape::new().with(|shape| {
        shape.controller.npss = 3;
        shape.controller.apsta = apsta;
        shape.power = vec![(false, 0, 0), (true, 1_000, 4_000), (true, 100_000, 400_000)];
    });
    let mut rig = Rig::with(shape, vec![(1, Space::new(2048, 9))], &[Place { power_us, ..Place::FIRST }]).unwrap();
    rig.at(SECOND);
    rig.settle();
    rig
}

fn read(rig: &mut Rig) {
    assert_eq!(rig.one(request(Op::Read, 0, 8, 0)), Completion::ok(8));
}

fn order(rig: &mut Rig, verb: Verb, first: u64) -> Reply {
    let reply = rig.nvme.order(1, &Work { first, ..Work::new(verb, 0) });
    rig.nvme.expire();
    rig.settle();
    if reply == Reply::Begun {
        let Some(Row::DiskWork(row)) = rig.nvme.report(0) else { panic!("no row") };
        assert_eq!(Progress::of(row.progress), Progress::Done);
    }
    reply
}

#[test]
fn it_rests_as_deep_as_the_bound_allows_and_no_request_waits_longer() {
    for (bound, state, waited) in [
        (0, 0, 0),
        (4_999, 0, 0),
        (5_000, 2, 5_000),
        (100_000, 2, 5_000),
        (500_000, 3, 500_000),
        (1_000_000, 3, 500_000),
    ] {
        let mut rig = resting(bound, 1);
        read(&mut rig);
        rig.device.borrow_mut().idle(3_600_000);
        assert_eq!(rig.device.borrow().power.state, state, "{bound}");
        read(&mut rig);
        assert_eq!(rig.device.borrow().power.waited, waited, "{bound}");
        assert_eq!(rig.device.borrow().power.table.is_some(), bound != 0, "what is not asked for is left alone");
    }
}

#[test]
fn a_controller_that_does_not_rest_by_itself_is_not_asked_to() {
    let mut rig = resting(500_000, 0);
    assert_eq!(rig.device.borrow().power.table, None);
    assert_eq!(order(&mut rig, Verb::IdlePower, 5_000), Reply::Unsupported);
    assert_eq!(order(&mut rig, Verb::Power, 1), Reply::Begun);
}

#[test]
fn a_reset_takes_the_table_and_the_driver_gives_it_again() {
    let mut rig = resting(5_000, 1);
    rig.device.borrow_mut().mischief = Some(Mischief::AdminId);
    rig.nvme.refresh();
    rig.settle();
    for ms in 0..100 {
        rig.at(2 * SECOND + ms * 1_000_000);
        rig.nvme.expire();
        rig.settle();
    }
    assert_eq!((rig.device.borrow().enables, rig.nvme.counters().misused), (2, 1));
    assert!(rig.device.borrow().power.table.is_some());
}

#[test]
fn an_operator_chooses_a_state_and_what_rest_may_cost_and_health_shows_it() {
    let mut rig = resting(0, 1);
    let shown = |rig: &mut Rig| {
        rig.nvme.refresh();
        rig.settle();
        rig.nvme.health(Unit(0)).unwrap().power
    };
    assert_eq!(shown(&mut rig).as_str(), "state 0 of 0..3, at most 9000 mW");
    assert_eq!(order(&mut rig, Verb::Power, 1), Reply::Begun);
    assert_eq!(shown(&mut rig).as_str(), "state 1 of 0..3, at most 1000 mW");
    assert_eq!(order(&mut rig, Verb::IdlePower, 5_000), Reply::Begun);
    rig.device.borrow_mut().idle(10_000);
    assert_eq!(shown(&mut rig).as_str(), "state 2 of 0..3, at most 500 mW, rests");
    read(&mut rig);
    assert_eq!(order(&mut rig, Verb::IdlePower, 0), Reply::Begun);
    rig.device.borrow_mut().idle(10_000);
    assert_eq!(shown(&mut rig).as_str(), "state 0 of 0..3, at most 9000 mW");
    for (verb, first, reply) in [
        (Verb::Power, 4, Reply::Invalid),
        (Verb::Power, u64::MAX, Reply::Invalid),
        (Verb::IdlePower, 1 << 32, Reply::Invalid),
    ] {
        assert_eq!(order(&mut rig, verb, first), reply);
    }
    // One with a single state has nothing to choose.
    let mut rig = Rig::new(|_| {});
    assert_eq!(order(&mut rig, Verb::Power, 0), Reply::Unsupported);
}
