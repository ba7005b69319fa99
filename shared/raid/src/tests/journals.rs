// SPDX-License-Identifier: MIT
//! RAID 4, 5 and 6 with a write journal: whatever the power does to them, with members missing or not.
use super::life::Life;
use super::rig::{Rig, create, new};
use crate::create::{Device, New};
use crate::wire::feature;
use crate::{Kind, Role, Uuid};
use orion_block::Op;
use std::vec::Vec;

/// Level, layout, chunk, members, and sectors of the journal's data.
const CASES: [(i32, u32, u32, usize, u64); 5] =
    [(4, 0, 8, 3, 128), (5, 2, 16, 4, 1024), (5, 0, 32, 5, 700), (6, 2, 8, 4, 168), (6, 10, 32, 6, 4096)];

/// Images of an array with a journal, which is the last.
fn images(new: &New<'_>, sizes: &[u64], journal: u64) -> Vec<Vec<u8>> {
    let mut images = create(new, sizes, 0);
    let mut supers: Vec<_> = images.iter().map(|image| super::image::found(image).unwrap().unwrap()).collect();
    let sectors = 64 + journal;
    let device = Device { sectors, uuid: Uuid([0x77; 16]), spare: false, missing: false };
    let made = new.journal(&mut supers, &device).unwrap();
    images.push(std::vec![0; sectors as usize * 512]);
    supers.push(made.made);
    for (image, own) in images.iter_mut().zip(&supers) {
        let at = own.super_offset as usize * 512;
        let mut bytes = [0; 1024];
        let used = own.emit(&mut bytes).unwrap();
        image[at..at + used].copy_from_slice(&bytes[..used]);
    }
    images.last_mut().unwrap()[64 * 512..72 * 512].copy_from_slice(&made.block);
    images
}

fn rig(case: (i32, u32, u32, usize, u64), cache: bool, seed: u64) -> Rig {
    let (level, layout, chunk, members, journal) = case;
    let images = images(&new(level, layout, chunk), &std::vec![64 + 96; members], journal);
    Rig::over(images, 0, cache, seed)
}

fn life(case: (i32, u32, u32, usize, u64), seed: u64) -> Life {
    Life::new(rig(case, !seed.is_multiple_of(4), seed), seed * 31)
}

#[test]
fn a_journal_leaves_no_hole() {
    for case in CASES {
        for seed in 0..24 {
            let mut life = life(case, seed);
            for _ in 0..4 {
                life.live(20);
                let after = life.numbers.below(160);
                life.crash(after);
                let array = life.rig.array();
                assert!(array.newest.has(feature::JOURNAL) && array.journal.is_some());
                // Nothing is put in sync.
                assert_eq!(array.newest.resync, None);
            }
            life.live(20);
            life.ends();
        }
    }
}

#[test]
fn a_journal_serves_an_array_that_lacks_members() {
    for case in CASES {
        for seed in 0..24 {
            let mut life = life(case, seed);
            life.live(20);
            life.drain();
            life.rig.kill(seed as usize % case.3);
            for round in 0..4 {
                life.live(20);
                if round == 2 && case.0 == 6 {
                    life.drain();
                    life.rig.kill((seed as usize + 1) % case.3);
                }
                let after = life.numbers.below(160);
                life.crash(after);
            }
            life.live(20);
            life.ends();
        }
    }
}

#[test]
fn a_member_that_dies_with_the_power_is_borne_by_a_journal() {
    for case in CASES {
        for seed in 0..48 {
            let mut life = life(case, seed);
            life.live(30);
            let after = life.numbers.below(160);
            let gone = seed as usize % case.3;
            life.crash_without(after, gone);
            life.live(20);
            life.ends();
        }
    }
}

#[test]
fn what_is_written_is_logged_first_and_the_log_is_used_in_turn() {
    let mut rig = rig(CASES[0], false, 1);
    rig.start();
    for version in 1..200 {
        assert!(rig.write(version, u64::from(version) % 60, 5).status.is_ok());
    }
    rig.settle();
    let journal = rig.supers().pop().unwrap();
    assert_eq!(journal.role, Role::Journal);
    let tail = journal.recovery.unwrap();
    assert!(tail < 128 && tail.is_multiple_of(8));
    let log = crate::journal::Log::new(journal.set, 128, 1);
    let at = (64 + tail as usize) * 512;
    let bytes: [u8; 4096] = rig.disks.disks[3].durable[at..at + 4096].try_into().unwrap();
    let meta = log.parse(&bytes, tail, None).unwrap();
    assert!(meta.seq > 100 && meta.blocks() > 1, "{meta:?}");
}

#[test]
fn a_journal_that_fails_ends_all_writing() {
    let mut rig = rig(CASES[1], true, 3);
    rig.start();
    assert!(rig.write(1, 0, 8).status.is_ok());
    assert!(rig.ask(Op::Flush, 0, 0, 0).status.is_ok());
    rig.disks.disks[4].worn = true;
    assert!(rig.write(2, 0, 8).status.is_err());
    let before = rig.disks.disks.iter().map(|disk| disk.writes).sum::<u64>();
    assert!(rig.write(3, 40, 8).status.is_err());
    assert_eq!(rig.versions(0, 8), [1; 8]);
    assert_eq!(rig.disks.disks.iter().map(|disk| disk.writes).sum::<u64>(), before);
}

#[test]
fn a_journal_that_is_gone_is_missed() {
    let mut rig = rig(CASES[1], false, 3);
    rig.start();
    assert!(rig.write(1, 0, 8).status.is_ok());
    rig.settle();
    rig.kill(4);
    assert!(rig.write(2, 0, 8).status.is_err());
    assert_eq!(rig.versions(0, 8), [1; 8]);
    rig.crash();
    for _ in 0..100 {
        rig.step();
    }
    assert_eq!(rig.node.layer().fault().map(|fault| fault.kind), Some(Kind::NoJournal));
}
