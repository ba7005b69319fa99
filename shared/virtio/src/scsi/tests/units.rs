// SPDX-License-Identifier: MIT
//! Which units there are, what they say of themselves, and what changes.
use super::*;

fn at(target: u16, lun: u16) -> Place {
    Place { target, lun }
}

#[test]
fn units_are_found_by_their_places_and_the_first_by_looking() {
    let mut bus = Disks::default();
    for (place, blocks) in [(at(3, 0), 64), (at(3, 300), 96), (at(9, 2), 128), (at(9, 7), 160)] {
        bus.disks.insert(place, Disk::new(blocks, 512));
    }
    let choices = [Choice::At(at(9, 7)), Choice::At(at(3, 300)), Choice::At(at(3, 1)), Choice::At(at(200, 0))];
    let rig = Rig::over(bus, &choices);
    let found: Vec<Option<u64>> = (0..4).map(|unit| rig.limits(unit).map(|limits| limits.capacity)).collect();
    assert_eq!(found, [Some(160), Some(96), None, None]);
    // Unit 0 of target 9 is none, so that its others are asked for.
    let mut bus = Disks::default();
    bus.disks.insert(at(9, 2), Disk::new(128, 512));
    assert_eq!(Rig::over(bus, &FIRST).limits(0).map(|limits| limits.capacity), Some(128));
    let mut empty = Rig::over(Disks::default(), &FIRST);
    assert_eq!(empty.limits(0), None);
    assert_eq!(empty.scsi.take_fault(), Some("no disk was found on any target"));
    assert_eq!(empty.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
}

#[test]
fn several_units_share_the_slots_and_keep_their_data_apart() {
    let mut bus = Disks::default();
    for target in 0..8u16 {
        let mut disk = Disk::new(64, 512);
        disk.content.fill(target as u8 + 1);
        bus.disks.insert(at(target, 0), disk);
    }
    let choices: Vec<Choice> = (0..8).map(|target| Choice::At(at(target, 0))).collect();
    let mut rig = Rig::over(bus, &choices);
    for tag in 0..64u32 {
        rig.send(tag, (tag % 8) as u8, request(Op::Read, 1, 1, u64::from(tag) * 512));
    }
    assert_eq!(rig.finish().len(), 64);
    for tag in 0..64 {
        assert_eq!(rig.payload(tag * 512, 512), [tag as u8 % 8 + 1; 512]);
    }
}

#[test]
fn a_disk_is_waited_for_started_and_given_up() {
    let rig = Rig::new(Disk { readiness: Readiness::Becoming(5), ..disk() });
    assert!(rig.limits(0).is_some());
    let rig = Rig::new(Disk { readiness: Readiness::Stopped, ..disk() });
    assert!(rig.limits(0).is_some() && rig.disk(|disk| disk.readiness == Readiness::Ready));
    let mut rig = Rig::new(Disk { readiness: Readiness::Becoming(u32::MAX), ..disk() });
    assert_eq!((rig.limits(0), rig.scsi.take_fault()), (None, Some("becoming ready")));
    let mut rig = Rig::new(Disk { readiness: Readiness::NoMedium, ..disk() });
    assert_eq!((rig.limits(0), rig.scsi.take_fault()), (None, Some("no medium")));
    let rig = Rig::new(Disk { attentions: (0..9).map(|n| (0x29, n)).collect(), ..disk() });
    assert!(rig.limits(0).is_some(), "each attention is one more try, and they end");
}

#[test]
fn old_disks_and_disks_with_few_commands_are_driven() {
    let mut rig = Rig::new(Disk { version: 2, unknown: [0x9e, 0x1a, 0x4d, 0x93].into(), ..disk() });
    let limits = rig.limits(0).unwrap();
    assert!(limits.volatile_cache && limits.discard_granularity == 0 && limits.max_blocks == 0xffff);
    assert_eq!(rig.one(request(Op::Read, 0, 8, 0)), Completion::ok(8));
    assert_eq!(rig.one(request(Op::WriteZeroes, 0, 8, 0)), Completion::ok(8));
    // Neither a caching page nor SYNCHRONIZE CACHE: nothing can be flushed, and nothing need be.
    let rig = Rig::new(Disk { unknown: [0x1a, 0x35].into(), write_cache: false, ..disk() });
    assert!(!rig.limits(0).unwrap().volatile_cache);
}

#[test]
fn a_write_cache_is_turned_as_it_is_wanted_and_a_disk_that_does_not_is_used_as_it_is() {
    let wanted = |on| [Wanted { write_cache: on, ..Wanted::of(Choice::First) }];
    let over = |disk, on| {
        let shape = ScsiShape::new(INDIRECT | EVENT | 6);
        let mut rig = Rig::wanting(shape, Disks::of(disk), &wanted(on), |_| {}).unwrap();
        rig.settle();
        rig
    };
    for (is, on, then) in
        [(true, Some(false), false), (false, Some(true), true), (true, Some(true), true), (true, None, true)]
    {
        let mut rig = over(Disk { write_cache: is, ..disk() }, on);
        assert_eq!(rig.limits(0).unwrap().volatile_cache, then, "{is} {on:?}");
        rig.disk(|disk| assert_eq!(disk.write_cache, then));
        assert_eq!(rig.one(request(Op::Write, 0, 8, 0)), Completion::ok(8));
        // A power on makes it as it was made.
        rig.disk(|disk| {
            disk.write_cache = is;
            disk.attentions.push_back((0x29, 1));
        });
        assert_eq!(rig.one(request(Op::Read, 0, 8, 0)), Completion::ok(8));
        rig.settle();
        rig.disk(|disk| assert_eq!(disk.write_cache, then, "after a power on"));
    }
    // It refuses; or says that it did, and did not.
    let refuses = Disk { unknown: [0x15].into(), ..disk() };
    let mut page = vec![23, 0, 0, 0, 8, 0x12, 4];
    page.resize(24, 0);
    let forgets = Disk { lies: [([0x1a, 8, 8], page)].into(), ..disk() };
    for stubborn in [refuses, forgets] {
        let mut rig = over(stubborn, Some(false));
        assert!(rig.limits(0).unwrap().volatile_cache);
        assert_eq!(rig.one(request(Op::Write, 0, 8, 0)), Completion::ok(8));
    }
}

#[test]
fn lies_about_size_are_not_believed() {
    let capacity = |bytes: &[u8]| {
        let lies = [([0x9e, 0x10, 0], bytes.to_vec()), ([0x25, 0, 0], vec![0xff; 8])];
        Rig::new(Disk { lies: lies.into(), ..disk() }).limits(0)
    };
    assert_eq!(capacity(&[0xff; 32]), None);
    assert_eq!(capacity(&[0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0, 2, 1]), None);
    assert_eq!(capacity(&[0, 0, 0, 0, 0, 0, 0x7f, 0xff]), None);
    let tiny = Disk { max_transfer: 3, ..disk() };
    let mut rig = Rig::new(tiny);
    assert_eq!(rig.limits(0).unwrap().max_blocks, 3);
    assert_eq!(rig.one(request(Op::Read, 0, 4, 0)), Completion::error(Error::Invalid));
}

#[test]
fn a_disk_that_grew_is_offered_larger_and_another_disk_is_not_used() {
    let mut rig = Rig::new(disk());
    assert!(rig.scsi.take_change());
    rig.disk(|disk| {
        disk.blocks = 4096;
        disk.content.resize(4096 * 512, 7);
        disk.attentions.push_back((0x2a, 9));
    });
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    assert_eq!(rig.limits(0).unwrap().capacity, 4096);
    assert!(rig.scsi.take_change() && !rig.scsi.take_change());
    assert_eq!(rig.one(request(Op::Read, 4095, 1, 0)), Completion::ok(1));
    rig.disk(|disk| {
        disk.serial = "ANOTHER";
        disk.attentions.push_back((0x28, 0));
    });
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1), "what was asked meanwhile is done by it");
    assert_eq!((rig.limits(0), rig.scsi.take_change()), (None, true));
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
}

#[test]
fn events_tell_of_units_that_leave_come_and_change() {
    let mut rig = Rig::over(Disks::of(disk()), &[Choice::At(at(0, 0))]);
    assert!(rig.scsi.take_change());
    let gone = rig.device.borrow_mut().bus.disks.remove(&at(0, 0)).unwrap();
    rig.device.borrow_mut().report(1, at(0, 0), 2);
    assert_eq!(rig.finish(), []);
    assert_eq!((rig.limits(0), rig.scsi.take_change()), (None, true));
    rig.device.borrow_mut().bus.disks.insert(at(0, 0), gone);
    rig.device.borrow_mut().report(1, at(0, 0), 1);
    assert_eq!(rig.finish(), []);
    assert!(rig.limits(0).is_some() && rig.scsi.take_change());
    rig.disk(|disk| (disk.blocks, disk.content) = (100, vec![0; 51200]));
    rig.device.borrow_mut().report(3, at(0, 0), 0x092a);
    assert_eq!(rig.finish(), []);
    assert_eq!(rig.limits(0).unwrap().capacity, 100);
    // More events than there are buffers, and one that says that some were missed.
    for _ in 0..40 {
        rig.device.borrow_mut().report(0, at(0, 0), 0);
    }
    rig.disk(|disk| disk.blocks = 90);
    rig.device.borrow_mut().report(0x8000_0000, at(0, 0), 0);
    assert_eq!(rig.finish(), []);
    assert_eq!(rig.limits(0).unwrap().capacity, 90);
}

#[test]
fn events_for_which_there_was_no_room_are_made_up_for() {
    let both = [Choice::At(at(0, 0)), Choice::At(at(1, 0))];
    let mut disks = Disks::of(disk());
    disks.disks.insert(at(1, 0), disk());
    let mut rig = Rig::over(disks, &both);
    rig.device.borrow_mut().forgets_events = true;
    let capacity = rig.limits(1).unwrap().capacity;
    // The driver does not run while the device tells of more than there is room for, of the other unit last.
    for _ in 0..30 {
        rig.device.borrow_mut().report(3, at(0, 0), 0x092a);
    }
    rig.device.borrow_mut().bus.disks.get_mut(&at(1, 0)).unwrap().blocks = 100;
    rig.device.borrow_mut().report(3, at(1, 0), 0x092a);
    assert_eq!(rig.finish(), []);
    assert_eq!(rig.limits(1).unwrap().capacity, capacity, "that was lost");
    rig.device.borrow_mut().report(3, at(0, 0), 0x092a);
    assert_eq!(rig.finish(), []);
    assert_eq!(rig.limits(1).unwrap().capacity, 100);
}

#[test]
fn a_disk_that_is_plugged_in_later_is_found() {
    for choice in [Choice::At(at(2, 0)), Choice::First] {
        let mut rig = Rig::over(Disks::default(), &[choice]);
        assert!(rig.limits(0).is_none() && rig.scsi.take_change());
        rig.device.borrow_mut().bus.disks.insert(at(2, 0), disk());
        rig.device.borrow_mut().report(1, at(2, 0), 1);
        assert_eq!(rig.finish(), []);
        assert!(rig.limits(0).is_some() && rig.scsi.take_change());
    }
}

#[test]
fn health_is_asked_for_beside_requests() {
    let mut rig = Rig::new(disk());
    let health = *rig.scsi.health(Unit(0)).unwrap();
    assert_eq!(
        (health.model.as_str(), health.serial.as_str(), health.firmware.as_str()),
        ("MODEL DISK", "ORION-1", "0.1")
    );
    assert_eq!(health.temperature, None);
    for tag in 0..120 {
        rig.send(tag, 0, request(Op::Read, 0, 1, 0));
    }
    rig.scsi.refresh();
    assert_eq!(rig.finish().len(), 120);
    let health = *rig.scsi.health(Unit(0)).unwrap();
    assert_eq!((health.failing, health.temperature, health.power_on_hours), (Some(false), Some(31), Some(2)));
    assert_eq!((health.media_errors, health.power_cycles), (Some(2), Some(12)));
    rig.disk(|disk| disk.attentions.push_back((0x5d, 0)));
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    assert_eq!(rig.scsi.health(Unit(0)).unwrap().failing, Some(true));
    let rig = Rig::new(Disk { unknown: [0x4d].into(), ..disk() });
    assert_eq!(rig.scsi.health(Unit(0)).unwrap().temperature, None);
}
