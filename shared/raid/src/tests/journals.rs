// SPDX-License-Identifier: MIT
//! RAID 4, 5 and 6 with a write journal: whatever the power does to them, with members missing or not.
use super::image::{Images, pattern};
use super::life::Life;
use super::rig::{Rig, create, new};
use crate::create::{Device, New};
use crate::engine::Mend;
use crate::journal::{BLOCK_BYTES, Item, Log};
use crate::wire::feature;
use crate::{Kind, Role, Uuid};
use orion_block::Op;
use std::vec::Vec;

/// Level, layout, chunk, members, and sectors of the journal's data.
type Case = (i32, u32, u32, usize, u64);

const CASES: [Case; 5] =
    [(4, 0, 8, 3, 128), (5, 2, 16, 4, 1024), (5, 0, 32, 5, 700), (6, 2, 8, 4, 168), (6, 10, 32, 6, 4096)];

/// Images of an array with a journal, which is the last, behind the spares.
fn images(new: &New<'_>, sizes: &[u64], spares: usize, journal: u64) -> Vec<Vec<u8>> {
    let mut images = create(new, sizes, spares);
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

fn rig(case: Case, cache: bool, seed: u64) -> Rig {
    rig_with(case, 0, cache, seed)
}

fn rig_with(case: Case, spares: usize, cache: bool, seed: u64) -> Rig {
    let (level, layout, chunk, members, journal) = case;
    let images = images(&new(level, layout, chunk), &std::vec![64 + 96; members + spares], spares, journal);
    let mut rig = Rig::over(images, 0, cache, seed);
    rig.disks.plain = seed.is_multiple_of(3);
    rig
}

fn life(case: Case, seed: u64) -> Life {
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

#[test]
fn a_member_that_comes_back_with_the_power_holds_what_was_logged() {
    for case in CASES {
        for seed in 0..48 {
            let mut life = life(case, seed);
            life.live(20);
            life.drain();
            let (before, after) = (life.numbers.below(40), life.numbers.below(60));
            life.crash_with_return(before, after, seed as usize % case.3);
            life.live(20);
            life.ends();
        }
    }
}

#[test]
fn a_log_begins_no_later_where_a_member_is_lost_before_it_has_flushed() {
    for step in 0..20 {
        for left in 0..16 {
            let mut rig = rig(CASES[1], true, 5);
            rig.start();
            for version in 1..4 {
                assert!(rig.write(version, u64::from(version) * 48, 48).status.is_ok());
            }
            // It comes to rest, and a member is lost meanwhile.
            for _ in 0..2 {
                rig.steps(3);
                rig.now += 300_000_000;
            }
            rig.steps(step);
            rig.disks.left = Some(left);
            rig.kill(1);
            rig.steps(60);
            // Whatever it had cached is lost.
            rig.disks.disks[1].cached = Some(std::collections::BTreeMap::new());
            rig.crash();
            rig.disks.disks[1].dead = false;
            rig.start();
            for version in 1..4 {
                let found = rig.versions(u64::from(version) * 48, 48);
                assert!(found.iter().all(|found| [0, version].contains(found)), "{found:?}");
            }
            rig.settle();
            rig.check(Mend::Nothing);
            assert_eq!(rig.node.layer().mismatches(), 0, "lost after {step} steps and {left} requests");
        }
    }
}

#[test]
fn a_spare_is_filled_while_the_power_goes() {
    for case in CASES {
        for seed in 0..12u64 {
            let rig = rig_with(case, 1, !seed.is_multiple_of(4), seed);
            let mut life = Life::new(rig, seed * 31);
            life.live(20);
            life.rig.kill(seed as usize % case.3);
            for _ in 0..3 {
                life.live(20);
                let after = life.numbers.below(160);
                life.crash(after);
            }
            life.live(20);
            let rig = life.ends();
            assert_eq!(rig.node.layer().missing().count(), 0);
        }
    }
}

/// All sectors of an array in use.
fn content(rig: &mut Rig) -> Vec<u8> {
    let sectors = rig.sectors();
    let mut all = Vec::new();
    for at in (0..sectors).step_by(32) {
        let count = 32.min(sectors - at);
        assert!(rig.ask(Op::Read, at, count, 0).status.is_ok(), "sector {at}");
        all.extend(rig.get(0, count as usize * 512));
    }
    all
}

/// Has every member hold zeroes where it has data; the journal is the last image.
fn forget(images: &mut [Vec<u8>], first: usize) {
    let members = images.len() - 1;
    images[..members].iter_mut().for_each(|image| image[first * 512..].fill(0));
}

#[test]
fn journals_of_linux_are_replayed() {
    for (name, cached) in [("raid5-journal", false), ("raid6-cached", true), ("raid4-cached", true)] {
        let golden = Images::golden(name);
        let expected = pattern(0..golden.sectors);
        for forgets in [false, true] {
            let mut images = golden.members.clone();
            if forgets {
                forget(&mut images, 32);
            }
            let mut rig = Rig::over(images, 0, true, 1);
            assert!(content(rig.start()) == expected, "{name}");
            rig.settle();
            rig.check(Mend::Nothing);
            assert_eq!(rig.node.layer().mismatches(), 0, "{name}");
            rig.crash();
            assert!(content(rig.start()) == expected, "{name}: once more");
        }
        for gone in 0..golden.members.len() - 1 {
            let mut rig = Rig::over(golden.without(&[gone]).members, 0, true, 1);
            if cached {
                rig.steps(1000);
                assert_eq!(rig.node.layer().fault().map(|fault| fault.kind), Some(Kind::JournalCached), "{name}");
            } else {
                assert!(content(rig.start()) == expected, "{name} without {gone}");
            }
        }
        // What is missing is the journal.
        let mut rig = Rig::over(golden.without(&[golden.members.len() - 1]).members, 0, true, 1);
        rig.steps(1000);
        assert_eq!(rig.node.layer().fault().map(|fault| fault.kind), Some(Kind::NoJournal), "{name}");
    }
}

/// The sectors of the journal's data at which its meta blocks are, and those of all that belongs to each.
fn chain(image: &[u8]) -> Vec<(usize, usize)> {
    let own = super::image::found(image).unwrap().unwrap();
    let log = Log::new(own.set, own.data_size, if own.level == 6 { 2 } else { 1 });
    let (mut at, mut seq, mut all) = (own.recovery.unwrap(), None, Vec::new());
    loop {
        let from = (own.data_offset + at) as usize * 512;
        let block: [u8; BLOCK_BYTES] = image[from..from + BLOCK_BYTES].try_into().unwrap();
        let Some(meta) = log.parse(&block, at, seq) else { return all };
        all.push((at as usize, 8 * (1 + meta.blocks() as usize)));
        (at, seq) = (log.behind(at, 8 * (1 + meta.blocks())), Some(meta.seq + 1));
    }
}

#[test]
fn a_log_ends_at_the_first_block_that_is_not_what_was_logged() {
    for name in ["raid5-journal", "raid6-cached"] {
        let mut images = Images::golden(name).members;
        forget(&mut images, 32);
        let journal = images.len() - 1;
        let chain = chain(&images[journal]);
        assert!(chain.len() > 5, "{chain:?}");
        // The first is empty. Some of the rest: each takes a moment.
        for (nth, (at, sectors)) in chain.iter().enumerate().skip(1).step_by(4) {
            let damaged = |byte: usize| {
                let mut images = images.clone();
                images[journal][32 * 512 + byte] ^= 4;
                content(Rig::over(images, 0, true, 1).start())
            };
            let ends = damaged(at * 512);
            let numbers = crate::tests::rig::Numbers(nth as u64).below(*sectors as u64 * 512) as usize;
            for byte in [4, 12, 40, sectors * 512 - 1, numbers] {
                // Behind what a meta block says it is checked too.
                assert!(damaged(at * 512 + byte) == ends, "{name}: byte {byte} of block {nth}");
            }
        }
    }
}

#[test]
fn a_log_without_a_beginning_has_parity_put_in_sync_or_the_array_refused() {
    let golden = Images::golden("raid5-journal");
    let mut images = golden.members.clone();
    let journal = images.len() - 1;
    let tail = super::image::found(&images[journal]).unwrap().unwrap().recovery.unwrap() as usize;
    images[journal][(32 + tail) * 512] ^= 1;
    let mut rig = Rig::over(images.clone(), 0, false, 1);
    rig.start();
    assert!(rig.node.layer().progress().is_some() || rig.node.layer().is_settled() || rig.run(20));
    rig.settle();
    rig.check(Mend::Nothing);
    assert_eq!(rig.node.layer().mismatches(), 0);
    images.remove(0);
    let mut rig = Rig::over(images, 0, false, 1);
    rig.steps(1000);
    assert_eq!(rig.node.layer().fault().map(|fault| fault.kind), Some(Kind::Dirty));
}

#[test]
fn meta_blocks_come_back_as_they_went() {
    let log = Log::new(Uuid([3; 16]), 1001, 2);
    assert_eq!(log.sectors, 1000);
    let items = [Item::Data(8, 1), Item::P(16, 2), Item::Q(16, 3), Item::Written(24), Item::Data(32, 4)];
    let mut maker = crate::journal::Maker::new(&log, 40, 7);
    assert!(items.iter().all(|item| maker.add(*item)));
    let bytes = maker.finish(&log);
    let meta = log.parse(&bytes, 40, Some(7)).unwrap();
    let mut found = Vec::new();
    assert!(meta.walk(|item| found.push(item)) && found == items && meta.blocks() == 4);
    for (at, seq) in [(48, None), (40, Some(8))] {
        assert!(log.parse(&bytes, at, seq).is_none());
    }
    assert!(Log::new(Uuid([4; 16]), 1001, 2).parse(&bytes, 40, None).is_none());
    assert_eq!((log.behind(992, 8), log.between(992, 8), log.first(1000), log.first(9)), (0, 16, 0, 0));
}
