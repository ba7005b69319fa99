// SPDX-License-Identifier: MIT
//! Drives that come and go, and several at once.
use super::*;

#[test]
fn a_drive_that_is_pulled_out_is_offline_and_one_that_is_put_in_serves() {
    let mut rig = Rig::new(drive());
    for tag in 0..4 {
        rig.send(tag, request(Op::Read, 0, 1, 0));
    }
    rig.ahci.kick();
    rig.hba.borrow_mut().take();
    let pulled = rig.hba.borrow_mut().unplug(0).unwrap();
    let done = rig.wait(60);
    assert_eq!(done.len(), 4);
    assert!(done.iter().all(|(_, done)| *done == Completion::error(Error::Offline)), "{done:?}");
    assert!(rig.ahci.take_change() && rig.ahci.limits(Unit(0)).is_none());
    assert_eq!(rig.ahci.take_fault(), Some("the drive is gone"));
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
    assert_eq!(rig.ahci.deadline(), None);
    rig.hba.borrow_mut().plug(0, *pulled);
    assert_eq!(rig.wait(60), []);
    assert!(rig.ahci.take_change() && rig.ahci.limits(Unit(0)).is_some());
    assert_eq!(rig.one(request(Op::Read, 5, 1, 0)), Completion::ok(1));
    assert_eq!(rig.payload(0, 512), rig.content()[5 * 512..6 * 512]);
}

#[test]
fn what_was_asked_of_one_drive_is_not_done_to_another() {
    let mut rig = Rig::new(drive());
    rig.send(1, request(Op::Write, 0, 1, 0));
    rig.ahci.kick();
    rig.hba.borrow_mut().take();
    rig.hba.borrow_mut().unplug(0);
    rig.hba.borrow_mut().plug(0, Drive::new(100, 512).with(10, 0xffff, 0x5858).with(75, 31, 7));
    assert_eq!(rig.wait(60), [(1, Completion::error(Error::Offline))]);
    assert!(rig.ahci.take_change() && rig.ahci.limits(Unit(0)).is_none());
    assert!(rig.ahci.take_fault().unwrap().contains("another drive"));
    assert_eq!(rig.done(0x61), 0);
    // The one that clients know serves again.
    rig.hba.borrow_mut().unplug(0);
    rig.wait(5);
    rig.hba.borrow_mut().plug(0, drive());
    rig.wait(60);
    assert_eq!(rig.one(request(Op::Read, 99, 1, 0)), Completion::ok(1));
}

#[test]
fn the_same_drive_replugged_in_time_goes_on_with_what_it_was_asked() {
    let mut rig = Rig::new(drive());
    rig.send(1, request(Op::Write, 0, 1, 0));
    rig.ahci.kick();
    rig.hba.borrow_mut().take();
    let pulled = rig.hba.borrow_mut().unplug(0).unwrap();
    rig.woken();
    rig.hba.borrow_mut().plug(0, *pulled);
    assert_eq!(rig.wait(60), [(1, Completion::ok(1))]);
    assert!(rig.ahci.limits(Unit(0)).is_some());
}

#[test]
fn an_empty_port_waits_for_a_drive_without_asking_for_time() {
    let mut rig = Rig::with(Shape::default(), vec![], &[0], Options::default()).unwrap();
    assert_eq!(rig.wait(60), []);
    assert_eq!((rig.ahci.limits(Unit(0)), rig.ahci.deadline()), (None, None));
    rig.hba.borrow_mut().plug(0, drive());
    assert_eq!(rig.wait(60), []);
    assert_eq!(rig.one(request(Op::Read, 5, 1, 0)), Completion::ok(1));
}

#[test]
fn the_first_drive_is_looked_for_on_ports_that_nobody_names() {
    let shape = Shape { ports: 0b1011_0110, ..Shape::default() };
    let drives = || vec![(2, Drive::new(10, 512)), (5, Drive::new(20, 512)), (7, Drive::new(30, 512))];
    let rig = Rig::with(shape, drives(), &[FIRST, 2, FIRST], Options::default()).unwrap();
    let found = [0, 1, 2].map(|unit| (rig.ahci.port_of(Unit(unit)), rig.ahci.limits(Unit(unit)).unwrap().capacity));
    assert_eq!(found, [(Some(5), 20), (Some(2), 10), (Some(7), 30)]);
    // One comes later.
    let mut rig = Rig::with(shape, vec![], &[FIRST], Options::default()).unwrap();
    assert_eq!(rig.ahci.port_of(Unit(0)), None);
    rig.hba.borrow_mut().plug(4, Drive::new(40, 512));
    rig.wait(5);
    assert_eq!((rig.ahci.port_of(Unit(0)), rig.ahci.limits(Unit(0)).unwrap().capacity), (Some(4), 40));
}

#[test]
fn drives_behind_one_controller_do_not_wait_for_each_other() {
    let shape = Shape { ports: 0b11, ..Shape::default() };
    let mut rig = Rig::with(shape, vec![(0, drive()), (1, drive())], &[0, 1], Options::default()).unwrap();
    rig.hba.borrow_mut().mischief = Some(Mischief::Lose);
    rig.send(0, request(Op::Read, 0, 1, 0));
    rig.go_on();
    for tag in 1..100 {
        rig.ahci.start(Unit(1), tag, &request(Op::Read, u64::from(tag), 1, 0));
        assert_eq!(rig.go_on(), [(tag, Completion::ok(1))]);
    }
    assert_eq!(rig.wait(60), [(0, Completion::error(Error::TimedOut))]);
}

#[test]
fn drives_spin_up_one_after_the_other_where_they_must() {
    let shape = Shape { ports: 0b111, staggered: true, slow: 50, ..Shape::default() };
    let drives = (0..3).map(|port| (port, drive())).collect();
    let mut rig = Rig::with(shape, drives, &[0, 1, 2], Options::default()).unwrap();
    rig.wait(60);
    assert!((0..3).all(|unit| rig.ahci.limits(Unit(unit)).is_some()));
}

#[test]
fn a_port_with_something_else_is_left_alone_and_says_so() {
    for signature in [0xeb14_0101, 0x9669_0101] {
        let mut odd = drive();
        odd.signature = signature;
        let mut rig = Rig::new(odd);
        assert_eq!(rig.wait(60), []);
        assert!(rig.ahci.limits(Unit(0)).is_none() && rig.ahci.take_fault().unwrap().contains("which"));
        assert_eq!(rig.ahci.deadline(), None);
    }
}
