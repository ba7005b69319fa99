// SPDX-License-Identifier: MIT
//! Drives behind a port multiplier, told apart by their FISes and not. The model panics where commands meet that must not.
use super::*;
use crate::model::Multiplier;
use std::boxed::Box;

/// The port with the multiplier.
const PORT: u32 = 3;
const DRIVES: u32 = 3;

/// The unit that is `device` behind the multiplier.
const fn behind(device: u32) -> u32 {
    PORT | (device + 1) << 16
}

fn shape(by_fis: bool) -> Shape {
    let multipliers = Shape { multipliers: true, overrides: true, notifies: true, ..Shape::default() };
    Shape { ports: 0b1010, by_fis, ..multipliers }
}

/// A drive whose blocks are all `fill`.
fn filled(fill: u8) -> Drive {
    let mut drive = drive();
    drive.content.fill(fill);
    drive.durable.fill(fill);
    drive
}

/// Three drives behind a multiplier of five ports, in an order of their own.
fn rig(by_fis: bool, options: Options) -> Rig {
    let drives = vec![(0, filled(10)), (1, filled(11)), (4, filled(14))];
    let units = [behind(4), behind(0), behind(1)];
    with(shape(by_fis), &units, options, Multiplier::new(5, drives)).unwrap()
}

fn with(shape: Shape, units: &[u32], options: Options, multiplier: Box<Multiplier>) -> Result<Rig, Fault> {
    let mut rig = Rig::on(
        shape,
        vec![],
        units,
        options,
        256 << 10,
        |_| {},
        |hba| hba.plug_multiplier(PORT as usize, multiplier),
    )?;
    rig.wait(5);
    Ok(rig)
}

/// A drive that is the only disk behind a multiplier.
pub(super) fn alone(by_fis: bool, options: Options, drive: Drive) -> Rig {
    with(shape(by_fis), &[behind(0)], options, Multiplier::new(1, vec![(0, drive)])).unwrap()
}

impl Rig {
    fn ask(&mut self, unit: u8, tag: u32, req: Request) {
        assert!(self.ahci.has_room(Unit(unit)), "unit {unit}");
        self.ahci.start(Unit(unit), tag, &req);
    }

    /// Reads a block of each unit: what its first byte is.
    fn first_bytes(&mut self) -> [Result<u8, Error>; DRIVES as usize] {
        let mut done = Vec::new();
        for unit in 0..DRIVES {
            self.ask(unit as u8, unit, request(Op::Read, 7, 1, u64::from(unit) * 512));
            // Those that nobody serves are answered at once.
            done.extend(self.drain());
        }
        done.extend(self.wait(60));
        done.sort_by_key(|(tag, _)| *tag);
        assert_eq!(done.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), [0, 1, 2]);
        core::array::from_fn(|unit| done[unit].1.status.map(|()| self.payload(unit * 512, 1)[0]))
    }

    fn behind(&self, device: u8, look: impl FnOnce(&mut Drive)) {
        look(self.hba.borrow_mut().multiplier(PORT as usize).drive(device).unwrap());
    }
}

const ALL: [Result<u8, Error>; 3] = [Ok(14), Ok(10), Ok(11)];

#[test]
fn each_drive_behind_a_multiplier_is_a_disk_in_every_way() {
    for by_fis in [false, true] {
        for (options, read, _) in ways() {
            let mut rig = rig(by_fis, options);
            assert_eq!(rig.ahci.take_fault(), None);
            assert_eq!(rig.first_bytes(), ALL, "{options:?}, by FIS: {by_fis}");
            assert_eq!(rig.done(read), 3);
            // 32 slots: one is the multiplier's own, and of each part one the driver's own.
            assert_eq!(rig.ahci.limits(Unit(0)).unwrap().queue_depth, 9);
            let line = Describe::<_, u32>::new(&rig.ahci, Unit(0)).to_string();
            assert!(line.starts_with("SATA port 3.4, ORION MODEL DISK, 2048 blocks"), "{line}");
            assert_eq!(rig.ahci.deadline(), None);
        }
    }
}

#[test]
fn drives_behind_a_multiplier_do_not_starve_each_other() {
    for by_fis in [false, true] {
        let mut rig = rig(by_fis, Options::default());
        let (mut next, mut ended) = (0, [0u32; 3]);
        for _ in 0..300 {
            for unit in 0..3u8 {
                while rig.ahci.has_room(Unit(unit)) {
                    let op = if next % 7 == 0 { Op::Flush } else { Op::Write };
                    rig.ask(unit, u32::from(unit) << 16 | next, request(op, 0, u32::from(op == Op::Write), 0));
                    next += 1;
                }
            }
            let done = rig.woken();
            rig.hba.borrow_mut().take();
            if !rig.hba.borrow().taken.is_empty() {
                rig.hba.borrow_mut().finish(0);
            }
            for (tag, done) in done {
                assert_eq!(done.status, Ok(()));
                ended[(tag >> 16) as usize] += 1;
            }
        }
        assert!(ended.iter().all(|count| *count > 50), "by FIS: {by_fis}, {ended:?}");
    }
}

#[test]
fn how_each_drive_is_is_its_own_answer() {
    for by_fis in [false, true] {
        let mut rig = rig(by_fis, Options::default());
        rig.behind(0, |drive| drive.failing = true);
        rig.ahci.refresh();
        rig.wait(5);
        let failing = [0, 1, 2].map(|unit| rig.ahci.health(Unit(unit)).unwrap().failing);
        assert_eq!(failing, [Some(false), Some(true), Some(false)]);
    }
}

#[test]
fn a_drive_that_fails_a_command_does_not_fail_the_others() {
    for by_fis in [false, true] {
        for (options, ..) in ways() {
            let mut rig = rig(by_fis, options);
            rig.behind(4, |drive| drive.bad = vec![7]);
            assert_eq!(rig.first_bytes(), [Err(Error::Medium), Ok(10), Ok(11)], "{options:?}, by FIS: {by_fis}");
            rig.behind(4, |drive| drive.bad.clear());
            assert_eq!(rig.first_bytes(), ALL);
            assert_eq!(rig.hba.borrow_mut().multiplier(3).comresets, 3, "no further reset is needed");
        }
    }
}

#[test]
fn each_mischief_behind_a_multiplier_is_survived() {
    for by_fis in [false, true] {
        for (options, ..) in ways() {
            for mischief in [
                Mischief::Fail(0x84),
                Mischief::FailBusy(4),
                Mischief::Lose,
                Mischief::BlameOther(20),
                Mischief::BadLog,
                Mischief::NoLog,
                Mischief::LinkFails,
                Mischief::BusFails,
                Mischief::Overflows,
                Mischief::Sticks,
                Mischief::Spurious,
            ] {
                let mut rig = rig(by_fis, options);
                rig.hba.borrow_mut().mischief = Some(mischief);
                let told = rig.first_bytes();
                let well = told.iter().zip(ALL).filter(|(found, all)| *found == all).count();
                // Where devices are not told apart the others wait for one that does not answer, for as long as it may take.
                assert!(
                    well >= 2 || mischief == Mischief::Lose && !by_fis,
                    "{mischief:?} {options:?}, by FIS: {by_fis}: {told:?}"
                );
                assert_eq!(rig.first_bytes(), ALL, "{mischief:?} {options:?}, by FIS: {by_fis}");
                assert_eq!(rig.ahci.deadline(), None);
            }
        }
    }
}

#[test]
fn a_drive_behind_a_multiplier_may_leave_and_come_back() {
    for by_fis in [false, true] {
        let mut rig = rig(by_fis, Options::default());
        rig.ask(2, 5, request(Op::Read, 0, 1, 0));
        rig.ahci.kick();
        rig.hba.borrow_mut().take();
        let pulled = rig.hba.borrow_mut().unplug_behind(3, 1).unwrap();
        assert_eq!(rig.wait(60), [(5, Completion::error(Error::Offline))]);
        assert!(rig.ahci.take_change() && rig.ahci.limits(Unit(2)).is_none());
        assert_eq!(rig.ahci.take_fault(), Some("the drive is gone"));
        assert_eq!(rig.ahci.deadline(), None);
        assert_eq!(rig.first_bytes(), [Ok(14), Ok(10), Err(Error::Offline)]);
        rig.hba.borrow_mut().plug_behind(3, 1, *pulled);
        assert_eq!(rig.wait(60), []);
        assert!(rig.ahci.take_change());
        assert_eq!(rig.first_bytes(), ALL, "by FIS: {by_fis}");
        assert_eq!(rig.ahci.deadline(), None);
    }
}

#[test]
fn a_drive_that_comes_does_not_fail_what_the_others_are_asked() {
    for by_fis in [false, true] {
        let drives = vec![(0, filled(10)), (4, filled(14))];
        let units = [behind(4), behind(0), behind(1)];
        let mut rig = with(shape(by_fis), &units, Options::default(), Multiplier::new(5, drives)).unwrap();
        assert!(rig.ahci.limits(Unit(2)).is_none());
        // The controller holds a command that is never answered while the multiplier is to be asked.
        rig.hba.borrow_mut().mischief = Some(Mischief::Lose);
        for tag in 0..4 {
            rig.ask(0, tag, request(Op::Read, 0, 1, 0));
        }
        rig.go_on();
        rig.hba.borrow_mut().plug_behind(3, 1, filled(11));
        let done = rig.wait(60);
        assert!(done.iter().all(|(_, done)| *done == Completion::ok(1) || by_fis), "{done:?}");
        assert_eq!(rig.first_bytes(), ALL, "by FIS: {by_fis}");
    }
}

#[test]
fn a_multiplier_may_leave_and_come_back() {
    for by_fis in [false, true] {
        let mut rig = rig(by_fis, Options::default());
        let pulled = rig.hba.borrow_mut().unplug_multiplier(3).unwrap();
        assert_eq!(rig.wait(60), []);
        assert_eq!(rig.first_bytes(), [Err(Error::Offline); 3]);
        assert_eq!(rig.ahci.deadline(), None);
        rig.hba.borrow_mut().plug_multiplier(3, pulled);
        assert_eq!(rig.wait(60), []);
        assert_eq!(rig.first_bytes(), ALL);
    }
}

#[test]
fn a_multiplier_that_answers_nothing_is_left_alone_and_the_driver_says_so() {
    for by_fis in [false, true] {
        let mut rig = rig(by_fis, Options::default());
        for _ in 0..5 {
            rig.hba.borrow_mut().mischief = Some(Mischief::Lose);
            let pulled = rig.hba.borrow_mut().unplug_multiplier(3).unwrap();
            rig.wait(5);
            rig.hba.borrow_mut().plug_multiplier(3, pulled);
            rig.wait(100);
        }
        // A loss now and then is survived; a multiplier that has forgotten all is not.
        assert_eq!(rig.first_bytes(), ALL);
        rig.hba.borrow_mut().unplug_multiplier(3);
        rig.wait(5);
        rig.hba.borrow_mut().plug_multiplier(3, Multiplier::new(0, vec![]));
        rig.wait(100);
        assert_eq!(rig.first_bytes(), [Err(Error::Offline); 3]);
        assert!(rig.ahci.take_fault().is_some());
        assert_eq!(rig.ahci.deadline(), None);
    }
}

#[test]
fn a_disk_at_a_port_without_a_multiplier_is_said_not_to_be_behind_one() {
    let mut rig =
        Rig::with(Shape { ports: 0b1000, ..shape(true) }, vec![(3, drive())], &[behind(0)], Options::default())
            .unwrap();
    rig.wait(60);
    assert!(rig.ahci.limits(Unit(0)).is_none());
    assert!(rig.ahci.take_fault().unwrap().contains("no port multiplier is at the port"));
    assert_eq!(rig.ahci.deadline(), None);
}

#[test]
fn units_that_cannot_be_behind_a_multiplier_are_refused() {
    let new = |shape: Shape, units: &[u32]| {
        with(shape, units, Options::default(), Multiplier::new(5, vec![(0, drive())])).err()
    };
    let good = shape(true);
    assert_eq!(new(good, &[behind(0), behind(0)]), Some(Fault::Port));
    assert_eq!(new(good, &[behind(15)]), Some(Fault::Port));
    assert_eq!(new(good, &[PORT, behind(0)]), Some(Fault::Port));
    assert_eq!(new(good, &[behind(0), PORT]), Some(Fault::Port));
    assert_eq!(new(good, &[2 | 1 << 16]), Some(Fault::Port));
    assert_eq!(new(Shape { multipliers: false, by_fis: false, ..good }, &[behind(0)]), Some(Fault::Multiplier));
    assert_eq!(new(Shape { slots: 4, ..good }, &[behind(0), behind(1)]), Some(Fault::Slots));
    assert_eq!(new(good, &[behind(0), 1, behind(4)]), None);
}

#[test]
fn who_names_the_port_alone_has_the_first_drive_as_before_there_were_multipliers() {
    let mut rig = with(shape(true), &[PORT], Options::default(), Multiplier::new(5, vec![(0, filled(10))])).unwrap();
    assert_eq!(rig.one(request(Op::Read, 7, 1, 0)), Completion::ok(1));
    assert_eq!(rig.payload(0, 1), [10]);
}
