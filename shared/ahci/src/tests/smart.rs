// SPDX-License-Identifier: MIT
//! What drives say of themselves.
use super::*;

#[test]
fn a_drive_is_asked_how_it_is_without_delaying_requests() {
    let mut rig = Rig::new(drive());
    rig.go_on();
    let health = *rig.ahci.health(Unit(0)).unwrap();
    assert_eq!(
        (health.model.as_str(), health.serial.as_str(), health.firmware.as_str()),
        ("ORION MODEL DISK", "SN-0001", "1.0")
    );
    assert_eq!((health.failing, health.temperature, health.power_on_hours), (Some(false), Some(37), Some(1234)));
    assert_eq!((health.attributes[0].id, health.attributes[0].threshold), (194, 20));
    rig.hba.borrow_mut().drive(0).failing = true;
    for round in 0..5 {
        rig.ahci.refresh();
        for tag in 0..31 {
            rig.send(tag, request(Op::Read, 0, 1, 0));
        }
        assert_eq!(rig.go_on().len(), 31, "round {round}");
    }
    assert_eq!(rig.ahci.health(Unit(0)).unwrap().failing, Some(true));
    assert_eq!(rig.ahci.deadline(), None);
}

#[test]
fn a_drive_that_does_not_say_how_it_is_serves_all_the_same() {
    for mischief in [Mischief::Fail(4), Mischief::Lose, Mischief::LinkFails] {
        let mut rig = Rig::new(drive());
        rig.hba.borrow_mut().mischief = Some(mischief);
        rig.ahci.refresh();
        assert_eq!(rig.wait(60), [], "{mischief:?}");
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
        assert_eq!(rig.ahci.deadline(), None);
    }
    let mut rig = Rig::new(drive().with(82, 1, 0));
    assert_eq!(rig.ahci.health(Unit(0)).unwrap().temperature, None);
    rig.ahci.refresh();
    assert_eq!(rig.wait(60), []);
    assert_eq!((rig.done(0xb0), rig.ahci.deadline()), (0, None));
}
