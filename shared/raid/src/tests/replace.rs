// SPDX-License-Identifier: MIT
//! Members that are replaced while they are in service, whatever dies meanwhile, and whenever the power goes.
use super::engine::{Case, alike, cases, has_parity, rig};
use super::life::Life;
use super::operate::outcome;
use super::rig::{Rig, create, found, in_turn, logged, marked, new};
use crate::engine::{Refusal, Use};
use crate::wire::feature;
use std::vec;
use std::vec::Vec;

fn all() -> Vec<Case> {
    cases().into_iter().filter(|case| case.2 > 0).collect()
}

fn order(life: &mut Life, port: u8) {
    assert_eq!(life.rig.order(|raid, io| raid.replace(port, None, io)), Ok(()));
    assert_eq!(outcome(life), Ok(()));
}

/// The member of this role is the spare behind all members, and what was is left behind.
fn was_replaced(rig: &Rig, gone: u8, spare: u8) {
    let raid = rig.node.layer();
    assert_eq!((raid.use_of(gone), raid.use_of(spare)), (Use::Faulty, Use::Member(gone.into())));
    assert_eq!(raid.missing().count(), 0);
    assert!(!rig.array().is_degraded());
    let own = found(&rig.disks.disks[usize::from(spare)]).unwrap();
    assert!(!own.has(feature::REPLACEMENT | feature::RECOVERY), "to Linux it is a member like any other");
    alike(rig);
}

#[test]
fn a_member_is_replaced_while_clients_are_served() {
    for (n, case) in all().iter().enumerate() {
        for seed in 0..6 {
            let mut life = Life::new(rig(case, 1, seed), seed * 100 + n as u64);
            let (gone, spare) = (seed as u8 % case.1.len() as u8, case.1.len() as u8);
            life.live(40);
            order(&mut life, gone);
            assert!(matches!(life.rig.node.layer().use_of(spare), Use::Replacing(role, _) if role == gone.into()));
            assert_eq!(life.rig.node.layer().missing().count(), 0, "nothing is missing meanwhile");
            life.live(80);
            was_replaced(&life.ends(), gone, spare);
        }
    }
}

#[test]
fn the_power_goes_while_a_member_is_replaced() {
    let logs = |seed: u64| Rig::new(&logged(2, 8), &[64 + 96; 4], 1, !seed.is_multiple_of(4), seed);
    let marks = |seed: u64| {
        let images = marked(&new(1, 0, 0), &[64 + 320; 3], 1, Some(4096));
        Rig::over(images, 0, !seed.is_multiple_of(4), seed)
    };
    for seed in 0..12 {
        let plain = all().into_iter().map(|case| (rig(&case, 1, seed), case.1.len() as u8));
        let turns = Rig::over(in_turn(2, 8, 3, 1), 0, !seed.is_multiple_of(4), seed);
        for (n, (rig, spare)) in plain.chain([(logs(seed), 3), (marks(seed), 2), (turns, 3)]).enumerate() {
            let mut life = Life::new(rig, seed * 51 + n as u64);
            let gone = seed as u8 % spare;
            life.live(20);
            for _ in 0..3 {
                // What no superblock said when the power went, has not happened.
                if life.rig.node.layer().use_of(spare) == Use::Spare {
                    order(&mut life, gone);
                }
                let after = life.numbers.below(if seed % 2 == 0 { 60 } else { 400 });
                life.crash(after);
                assert_eq!(life.rig.node.layer().missing().count(), 0);
            }
            life.live(20);
            if life.rig.node.layer().use_of(spare) == Use::Spare {
                order(&mut life, gone);
            }
            was_replaced(&life.ends(), gone, spare);
        }
    }
}

/// While nobody else has what a member holds, it is given up only when nothing can be lost by that.
#[test]
fn the_only_copy_is_replaced_whenever_the_power_goes() {
    let case: Case = ((10, 0x102, 8), vec![64 + 96; 4], 1);
    let mut replaced = 0;
    for seed in 0..100 {
        let mut life = Life::new(rig(&case, 1, seed), seed);
        life.live(20);
        order(&mut life, 0);
        life.drain();
        // The other copy is lost.
        life.rig.kill(1);
        for _ in 0..3 {
            let after = life.numbers.below(120);
            life.crash(after);
        }
        life.live(10);
        let rig = life.ends();
        replaced += u32::from(rig.node.layer().use_of(4) == Use::Member(0));
    }
    assert!(replaced > 50, "{replaced}");
}

#[test]
fn either_of_the_two_dies() {
    for (n, case) in all().iter().enumerate() {
        for seed in 0..12 {
            let mut life = Life::new(rig(case, 1, seed), seed * 100 + n as u64);
            let (gone, spare) = (seed as u8 % case.1.len() as u8, case.1.len() as u8);
            life.live(30);
            order(&mut life, gone);
            let steps = life.numbers.below(40) as u32;
            life.live(steps);
            let raid = life.rig.node.layer();
            let under_way = matches!(raid.use_of(spare), Use::Replacing(..));
            let dies = if seed % 2 == 0 { gone } else { spare };
            match seed % 3 {
                0 => life.rig.disks.disks[usize::from(dies)].worn = true,
                _ => life.rig.kill(dies.into()),
            }
            life.live(60);
            if seed % 4 == 0 && !has_parity(case) {
                let after = life.numbers.below(100);
                life.crash(after);
                life.live(20);
            }
            let rig = life.ends();
            let raid = rig.node.layer();
            if dies == gone {
                assert_eq!(raid.use_of(spare), Use::Member(gone.into()), "{case:?} {seed}");
                assert_eq!(raid.missing().count(), 0);
            } else if under_way {
                assert_eq!(raid.use_of(gone), Use::Member(gone.into()), "{case:?} {seed}");
                assert_eq!(raid.missing().count(), 0);
            }
        }
    }
}

#[test]
fn what_the_member_cannot_read_comes_from_the_others() {
    for case in all() {
        let mut rig = rig(&case, 1, 3);
        let spare = case.1.len() as u8;
        rig.start();
        let sectors = rig.sectors();
        for at in (0..sectors).step_by(32) {
            assert!(rig.write(5, at, 32.min(sectors - at)).status.is_ok());
        }
        rig.settle();
        rig.disks.disks[0].bad.extend((64..64 + 48).step_by(7));
        assert_eq!(rig.order(|raid, io| raid.replace(0, None, io)), Ok(()));
        rig.settle();
        was_replaced(&rig, 0, spare);
        for at in (0..sectors).step_by(8) {
            assert_eq!(rig.versions(at, 8), [5; 8]);
        }
    }
}

#[test]
fn a_member_is_read_once_and_no_other_is() {
    for case in all().iter().filter(|case| has_parity(case)) {
        let mut rig = rig(case, 1, 0);
        rig.start();
        rig.settle();
        let reads = |rig: &Rig| rig.disks.disks.iter().map(|disk| disk.reads).collect::<Vec<_>>();
        let before = reads(&rig);
        assert_eq!(rig.order(|raid, io| raid.replace(1, None, io)), Ok(()));
        rig.settle();
        let after = reads(&rig);
        for (disk, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(after > before, disk == 1, "{case:?}: disk {disk}");
        }
    }
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let case: Case = ((1, 0, 0), vec![64 + 320; 2], 1);
    let mut images = create(&new(1, 0, 0), &case.1, 0);
    images.push(vec![0; images[0].len()]);
    let mut life = Life::new(Rig::over(images, 0, true, 1), 1);
    let replace = |life: &mut Life, port, with| life.rig.order(|raid, io| raid.replace(port, with, io));
    assert_eq!(replace(&mut life, 0, None), Err(Refusal::NoSpare));
    assert_eq!(replace(&mut life, 0, Some(2)), Err(Refusal::NotSpare(2)));
    assert_eq!(replace(&mut life, 2, None), Err(Refusal::NoMember(2)));
    assert_eq!(life.rig.order(|raid, io| raid.add(2, crate::Uuid([3; 16]), io)), Ok(()));
    assert_eq!(outcome(&mut life), Ok(()));
    assert_eq!(replace(&mut life, 2, None), Err(Refusal::NoMember(2)));
    assert_eq!(replace(&mut life, 0, Some(1)), Err(Refusal::NotSpare(1)));
    assert_eq!(replace(&mut life, 0, Some(2)), Ok(()));
    assert_eq!(replace(&mut life, 0, Some(2)), Err(Refusal::Busy));
    assert_eq!(outcome(&mut life), Ok(()));
    assert_eq!(replace(&mut life, 1, None), Err(Refusal::NoSpare));
    assert_eq!(life.rig.order(|raid, io| raid.remove(2, io)), Err(Refusal::InUse(2, 0)));
    // It is given up, and the member stays.
    assert_eq!(life.rig.order(|raid, io| raid.set_faulty(2, io)), Ok(()));
    life.live(20);
    assert_eq!(life.rig.node.layer().use_of(0), Use::Member(0));
    assert_eq!(life.rig.node.layer().use_of(2), Use::Faulty);
    let rig = life.ends();
    assert!(rig.supers().iter().all(|own| own.number == 2 || !own.has(feature::REPLACEMENT)));
}

#[test]
fn a_member_that_replaced_another_has_its_logs() {
    for seed in 0..48 {
        let mut life = match seed % 2 {
            0 => Life::new(Rig::new(&logged(2, 8), &[64 + 96; 4], 1, true, seed), seed),
            _ => Life::new(Rig::over(in_turn(2, 8, 3, 1), 0, true, seed), seed),
        };
        let gone = seed as u8 / 2 % 3;
        life.live(20);
        order(&mut life, gone);
        life.live(60);
        life.drain();
        life.rig.settle();
        assert_eq!(life.rig.node.layer().use_of(3), Use::Member(gone.into()));
        life.live(10);
        // Parity of what was being written is known from the log only.
        let after = life.numbers.below(120);
        life.crash_and_lose(after, (usize::from(gone) + 1) % 3);
        life.live(20);
        life.ends();
    }
}
