// SPDX-License-Identifier: MIT
//! What operators order while clients are served, and the power goes at any step of it.
use super::engine::{Case, cases, has_parity};
use super::life::Life;
use super::rig::{Rig, create, logged, new};
use crate::Uuid;
use crate::engine::{Raid, Refusal, Use};
use std::vec;
use std::vec::Vec;

const UUID: Uuid = Uuid([0x77; 16]);

/// An array, and blank disks behind its members.
fn rig(case: &Case, blank: usize, seed: u64) -> Rig {
    let ((level, layout, chunk), sizes, _) = case;
    let mut images = create(&new(*level, *layout, *chunk), sizes, 0);
    images.extend(vec![vec![0; images[0].len()]; blank]);
    Rig::over(images, 0, !seed.is_multiple_of(4), seed)
}

/// Runs until the order has ended.
pub fn outcome(life: &mut Life) -> Result<(), Refusal> {
    for _ in 0..10_000 {
        if let Some(outcome) = life.rig.order(|raid, _| raid.outcome()) {
            return outcome;
        }
        life.live(1);
    }
    panic!("it never ends");
}

#[test]
fn members_are_taken_out_and_brought_in_while_clients_are_served() {
    for (n, case) in cases().iter().enumerate().filter(|(_, case)| case.2 > 0) {
        for seed in 0..8 {
            let members = case.1.len() as u8;
            let mut life = Life::new(rig(case, 1, seed), seed * 100 + n as u64);
            life.live(30);
            let gone = seed as u8 % members;
            assert_eq!(life.rig.order(|raid, io| raid.remove(gone, io)), Err(Refusal::InUse(gone, gone.into())));
            assert_eq!(life.rig.order(|raid, io| raid.set_faulty(gone, io)), Ok(()));
            life.live(30);
            assert_eq!(life.rig.node.layer().use_of(gone), Use::Faulty);
            assert_eq!(life.rig.order(|raid, io| raid.remove(gone, io)), Ok(()));
            assert_eq!(life.rig.order(|raid, io| raid.remove(gone, io)), Err(Refusal::Stranger(gone)));
            life.live(10);
            assert_eq!(life.rig.order(|raid, io| raid.add(members, UUID, io)), Ok(()));
            assert_eq!(outcome(&mut life), Ok(()));
            life.live(60);
            let rig = life.ends();
            assert_eq!(rig.node.layer().missing().count(), 0, "{case:?} {seed}");
            assert_eq!(rig.node.layer().use_of(members), Use::Member(gone.into()));
            assert!(!rig.array().is_degraded(), "{case:?}");
        }
    }
}

#[test]
fn a_loss_of_power_while_a_device_is_added_loses_nothing() {
    let mirrors = cases().into_iter().filter(|case| case.2 > 0 && !has_parity(case));
    let mirrored = |case: &Case, seed| (rig(case, 1, seed), case.1.len() as u8);
    let logs = |seed: u64| {
        let mut images = create(&logged(2, 8), &[64 + 96; 3], 0);
        images.push(vec![0x5a; images[0].len()]);
        (Rig::over(images, 0, !seed.is_multiple_of(4), seed), 3)
    };
    let all: Vec<Case> = mirrors.collect();
    for seed in 0..16 {
        for (rig, members) in all.iter().map(|case| mirrored(case, seed)).chain([logs(seed)]) {
            let mut life = Life::new(rig, seed * 51);
            life.live(20);
            life.drain();
            life.rig.settle();
            let gone = seed as u8 % members;
            assert_eq!(life.rig.order(|raid, io| raid.set_faulty(gone, io)), Ok(()));
            life.rig.settle();
            assert_eq!(life.rig.order(|raid, io| raid.remove(gone, io)), Ok(()));
            assert_eq!(life.rig.order(|raid, io| raid.add(members, UUID, io)), Ok(()));
            let after = life.numbers.below(80);
            life.crash(after);
            // It is one of the array's, or nothing of it is there yet.
            if life.rig.node.layer().use_of(members) == Use::Nothing {
                assert_eq!(life.rig.order(|raid, io| raid.add(members, UUID, io)), Ok(()));
                assert_eq!(outcome(&mut life), Ok(()));
            }
            life.live(20);
            let rig = life.ends();
            assert_eq!(rig.node.layer().use_of(members), Use::Member(gone.into()));
            assert_eq!(rig.node.layer().missing().count(), 0);
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let case = ((1, 0, 0), vec![64 + 320; 2], 1);
    let mut rig = rig(&case, 1, 1);
    let other = create(&crate::create::New { set: Uuid([4; 16]), ..new(1, 0, 0) }, &[64 + 320; 2], 0);
    // Another array's, and one that is too small.
    let mut more = rig.disks.disks[2].clone();
    more.durable.clone_from(&other[0]);
    rig.disks.disks.push(more.clone());
    more.durable = vec![0; 512 * 128];
    rig.disks.disks.push(more);
    *rig.node = orion_layer::Node::new(Raid::new(Some(Uuid([9; 16])), super::rig::WORK), 1);
    rig.start();
    rig.settle();
    let mut life = Life::new(rig, 3);
    for (port, refusal) in [(3, Refusal::Other(3, Uuid([4; 16]))), (4, Refusal::Small(4, 64, 320))] {
        assert_eq!(life.rig.order(|raid, io| raid.add(port, UUID, io)), Ok(()));
        assert_eq!(life.rig.order(|raid, io| raid.add(2, UUID, io)), Err(Refusal::Busy));
        assert_eq!(outcome(&mut life), Err(refusal));
        assert_eq!(life.rig.disks.disks[usize::from(port)].writes, 0);
    }
    assert_eq!(life.rig.order(|raid, io| raid.add(9, UUID, io)), Err(Refusal::Absent(9)));
    assert_eq!(life.rig.order(|raid, io| raid.add(0, UUID, io)), Err(Refusal::InUse(0, 0)));
    assert_eq!(life.rig.order(|raid, io| raid.set_faulty(2, io)), Err(Refusal::Stranger(2)));
    assert_eq!(life.rig.order(|raid, io| raid.set_faulty(0, io)), Ok(()));
    assert_eq!(life.rig.order(|raid, io| raid.set_faulty(1, io)), Err(Refusal::Needed(1)));
    assert_eq!(life.rig.order(|raid, io| raid.add(0, UUID, io)), Err(Refusal::Known(0)));
    life.live(20);
    life.ends();
}
