// SPDX-License-Identifier: MIT
//! Arrays in use: spread, mirrored, degraded, rebuilt, after a loss of power.
use super::life::Life;
use super::rig::{Rig, create, new};
use crate::engine::Mend;
use crate::{Standing, Super, wire};
use orion_block::{Error, Op};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const RAID0: (i32, u32, u32) = (0, 2, 8);
const ORIGINAL: (i32, u32, u32) = (0, 1, 8);
const LINEAR: (i32, u32, u32) = (-1, 0, 0);
const RAID1: (i32, u32, u32) = (1, 0, 0);
const NEAR2: (i32, u32, u32) = (10, 0x102, 8);
const NEAR3: (i32, u32, u32) = (10, 0x103, 8);
const FAR2: (i32, u32, u32) = (10, 0x201, 8);
const OFFSET2: (i32, u32, u32) = (10, 0x1_0201, 8);

/// P and Q of every sector are what the data say, where no member is missing.
fn parity_fits(rig: &Rig) {
    let array = rig.array();
    if array.is_degraded() {
        return;
    }
    let sector = |role: u32, at: u64| {
        let slot = array.slots[role as usize].unwrap();
        let alive: Vec<_> = rig.disks.disks.iter().filter(|disk| !disk.dead).collect();
        alive[slot.device].sector((slot.offset + at) as usize)
    };
    for at in 0..array.geometry.used(0) {
        let stripe = array.geometry.stripe(at).unwrap();
        let (mut p, mut q) = ([0; 512], [0; 512]);
        for role in stripe.members() {
            crate::parity::add(&mut p, &sector(role, at));
            crate::parity::add_product(&mut q, &sector(role, at), crate::parity::power(stripe.power(role)));
        }
        assert!(p == sector(stripe.p, at), "P of sector {at}");
        assert!(stripe.q.is_none_or(|role| q == sector(role, at)), "Q of sector {at}");
    }
}

/// All copies of each sector are the same.
pub fn alike(rig: &Rig) {
    let array = rig.array();
    if matches!(array.newest.level, 4..=6) {
        parity_fits(rig);
    }
    assert!(!array.newest.is_dirty() || array.newest.level < 1);
    let alive: Vec<_> = rig.disks.disks.iter().filter(|disk| !disk.dead).collect();
    for sector in 0..array.sectors() {
        let places = (0..).map_while(|copy| array.geometry.place(sector, copy));
        let held = places.filter_map(|place| {
            let slot = array.slots[place.member as usize]?;
            Some(alive[slot.device].sector((slot.offset + place.sector) as usize))
        });
        let held: Vec<_> = held.collect();
        assert!(held.windows(2).all(|pair| pair[0] == pair[1]), "the copies of sector {sector} differ");
    }
}

/// A level, its members' sectors, and how many members may go.
pub type Case = ((i32, u32, u32), Vec<u64>, usize);

pub fn cases() -> Vec<Case> {
    vec![
        (RAID0, vec![64 + 160, 64 + 96, 64 + 200], 0),
        (ORIGINAL, vec![64 + 160, 64 + 96, 64 + 160], 0),
        (LINEAR, vec![64 + 40, 64 + 96, 64 + 16], 0),
        (RAID1, vec![64 + 320; 2], 1),
        (RAID1, vec![64 + 320; 3], 2),
        (NEAR2, vec![64 + 96; 4], 1),
        (NEAR2, vec![64 + 96; 3], 1),
        (NEAR3, vec![64 + 96; 5], 2),
        (FAR2, vec![64 + 96; 3], 1),
        (OFFSET2, vec![64 + 96; 4], 1),
        ((4, 0, 8), vec![64 + 96; 4], 1),
        ((5, 2, 8), vec![64 + 96; 3], 1),
        ((5, 0, 64), vec![64 + 192; 5], 1),
        ((5, 3, 16), vec![64 + 96; 12], 1),
        ((6, 2, 8), vec![64 + 96; 4], 2),
        ((6, 8, 8), vec![64 + 96; 5], 2),
        ((6, 10, 8), vec![64 + 96; 6], 2),
        ((6, 18, 8), vec![64 + 96; 11], 2),
    ]
}

pub fn has_parity(case: &Case) -> bool {
    (4..=6).contains(&case.0.0)
}

pub fn rig(case: &Case, spares: usize, seed: u64) -> Rig {
    let ((level, layout, chunk), sizes, _) = case;
    let sizes: Vec<u64> = sizes.iter().copied().chain(vec![sizes[0]; spares]).collect();
    Rig::new(&new(*level, *layout, *chunk), &sizes, spares, !seed.is_multiple_of(4), seed)
}

/// Seeds that each test of this file lives through, per case.
const SEEDS: u64 = 8;

#[test]
fn what_is_written_is_read_whatever_the_level() {
    for (n, case) in cases().iter().enumerate() {
        for seed in 0..SEEDS {
            let mut life = Life::new(rig(case, 0, seed), seed * 100 + n as u64);
            life.live(150);
            life.ends();
        }
    }
}

#[test]
fn members_die_and_nobody_notices() {
    for (n, case) in cases().iter().enumerate().filter(|(_, case)| case.2 > 0) {
        for seed in 0..SEEDS {
            let mut life = Life::new(rig(case, 0, seed), seed * 100 + n as u64);
            for gone in 0..case.2 {
                life.live(60);
                let port = (seed as usize + gone) % case.1.len();
                match seed % 3 {
                    0 => life.rig.kill(port),
                    1 => life.rig.disks.disks[port].dead = true,
                    _ => life.rig.disks.disks[port].worn = true,
                }
            }
            life.live(100);
            let rig = life.ends();
            if seed % 3 != 1 {
                assert_eq!(rig.node.layer().missing().count(), case.2, "{case:?} {seed}");
            }
        }
    }
}

#[test]
fn a_loss_of_power_at_any_step_loses_nothing_that_was_answered() {
    for (n, case) in cases().iter().enumerate() {
        for seed in 0..SEEDS * 3 {
            let mut life = Life::new(rig(case, 0, seed), seed * 100 + n as u64);
            for round in 0..3 {
                life.live(20);
                let after = life.numbers.below(60);
                if case.2 > 0 && round == 1 && seed % 3 == 0 && !has_parity(case) {
                    // Until the copies agree, those that were not read may hold the other outcome of a write.
                    life.drain();
                    life.rig.settle();
                    life.rig.kill(seed as usize % case.1.len());
                }
                life.crash(after);
            }
            life.live(30);
            life.ends();
        }
    }
}

#[test]
fn a_spare_takes_the_place_of_a_member_that_died() {
    for (n, case) in cases().iter().enumerate().filter(|(_, case)| case.2 > 0) {
        for seed in 0..SEEDS {
            let mut life = Life::new(rig(case, 1, seed), seed * 100 + n as u64);
            life.live(60);
            life.rig.kill(seed as usize % case.1.len());
            life.live(60);
            if seed % 2 == 0 && !has_parity(case) {
                let after = life.numbers.below(300);
                life.crash(after);
                life.live(20);
            }
            let rig = life.ends();
            assert_eq!(rig.node.layer().missing().count(), 0, "{case:?} {seed}");
            let array = rig.array();
            assert!(!array.is_degraded(), "{case:?}");
            // What Linux would find: no rebuild, and the spare a member.
            assert!(rig.supers().iter().all(|s| s.recovery.is_none() && !s.has(wire::feature::RECOVERY)));
        }
    }
}

#[test]
fn sectors_that_cannot_be_read_are_read_elsewhere_and_written_again() {
    for case in cases().iter().filter(|case| case.2 > 0) {
        let mut rig = rig(case, 0, 3);
        rig.start();
        let sectors = rig.sectors();
        for at in (0..sectors).step_by(32) {
            assert!(rig.write(5, at, 32.min(sectors - at)).status.is_ok());
        }
        let bad: Vec<usize> = (64..64 + 48).step_by(7).collect();
        rig.disks.disks[0].bad.extend(&bad);
        for _ in 0..4 {
            for at in 0..sectors {
                assert_eq!(rig.versions(at, 1), [5]);
            }
        }
        rig.settle();
        assert_eq!(rig.node.layer().missing().count(), 0, "a sector that is bad is no reason to leave a member behind");
        rig.check(Mend::Nothing);
        assert!(rig.disks.disks[0].bad.is_empty(), "{:?}", rig.disks.disks[0].bad);
        assert_eq!(rig.node.layer().mismatches(), 0);
    }
}

#[test]
fn reads_go_where_the_fewest_are_out_and_to_write_mostly_members_last() {
    let mut images = create(&new(1, 0, 0), &[512; 3], 0);
    let mut seldom = Super::parse(&images[2][4096..], 8, 512).unwrap().unwrap();
    seldom.flags = 1;
    let mut bytes = [0; wire::SUPER_BYTES];
    let used = seldom.emit(&mut bytes).unwrap();
    images[2][4096..4096 + used].copy_from_slice(&bytes[..used]);
    let mut rig = Rig::over(images, 0, false, 1);
    rig.start().run(1000);
    let reads = |rig: &Rig| [0, 1, 2].map(|disk: usize| rig.disks.disks[disk].reads);
    let ask = |rig: &mut Rig| (0..8).for_each(|tag| rig.send(tag, Op::Read, false, u64::from(tag) * 16, 1, 0));
    let before = reads(&rig);
    ask(&mut rig);
    rig.run(1000);
    let after = reads(&rig);
    assert_eq!([0, 1, 2].map(|disk| after[disk] - before[disk]), [4, 4, 0]);
    assert_eq!(rig.top.answered.len(), 8);
    // Where nobody else is left.
    rig.kill(0);
    rig.kill(1);
    ask(&mut rig);
    rig.run(1000);
    assert_eq!((reads(&rig)[2] - after[2], rig.top.answered.len()), (8, 16));
}

#[test]
fn the_last_copy_is_never_left_behind() {
    let mut rig = rig(&cases()[3], 0, 1);
    rig.start();
    assert!(rig.write(1, 0, 8).status.is_ok());
    rig.kill(0);
    rig.disks.disks[1].worn = true;
    assert_eq!(rig.write(2, 0, 8).status, Err(Error::Io));
    rig.disks.disks[1].worn = false;
    assert_eq!(rig.node.layer().missing().collect::<Vec<_>>(), [0]);
    assert_eq!(rig.versions(8, 8), [0; 8]);
}

#[test]
fn a_member_that_was_missing_while_others_were_written_is_never_taken_for_good() {
    let mut rig = rig(&cases()[3], 0, 2);
    rig.start();
    assert!(rig.write(1, 0, 8).status.is_ok());
    rig.settle();
    // One start without it, and the power goes just after the write is answered.
    rig.disks.disks[0].dead = true;
    rig.crash();
    rig.start();
    assert!(rig.write(2, 0, 8).status.is_ok());
    assert!(rig.ask(Op::Flush, 0, 0, 0).status.is_ok());
    rig.crash();
    rig.disks.disks[0].dead = false;
    rig.start();
    assert_eq!(rig.versions(0, 8), [2; 8]);
    let supers = rig.supers();
    assert!(matches!(rig.array().standing(&supers[0]), Standing::Stale { .. }));
}

#[test]
fn a_write_that_a_member_missed_is_answered_when_all_superblocks_say_so() {
    let logged = super::rig::logged(2, 8);
    let plain = |(level, layout, chunk)| new(level, layout, chunk);
    for (made, members) in [(plain(RAID1), 2), (plain(NEAR2), 4), (logged, 3)] {
        for (seed, refuses) in (0..16u64).flat_map(|seed| [(seed, false), (seed, true)]) {
            for missed in 0..members {
                let mut rig = Rig::new(&made, &vec![64 + 96; members], 0, !seed.is_multiple_of(4), seed);
                rig.start();
                assert!(rig.write(1, 0, 16).status.is_ok());
                rig.settle();
                let disk = &mut rig.disks.disks[missed];
                (disk.worn, disk.refuses) = (!refuses, refuses);
                rig.send(7, Op::Write, true, 0, 16, 0);
                let bytes: Vec<u8> = (0..16).flat_map(|at| super::rig::content(at, 2)).collect();
                rig.put(0, &bytes);
                while rig.top.answered.is_empty() {
                    rig.step();
                }
                assert!(rig.top.answered.pop_front().is_some_and(|(_, done)| done.status.is_ok()));
                // The power goes at once, and then the member is as good as it ever was.
                rig.crash();
                let disk = &mut rig.disks.disks[missed];
                (disk.worn, disk.refuses) = (false, false);
                rig.start();
                assert_eq!(rig.versions(0, 16), [2; 16], "{members} {missed} {refuses} {seed}");
            }
        }
    }
}

#[test]
fn superblocks_say_nothing_that_a_member_has_lost_before_it_flushed() {
    for (case, seed) in
        [&cases()[3], &cases()[5], &cases()[8]].into_iter().flat_map(|case| (0..64).map(move |n| (case, n)))
    {
        let ((level, layout, chunk), sizes, _) = case;
        let mut rig = Rig::new(&new(*level, *layout, *chunk), sizes, 0, true, seed);
        rig.start();
        assert!(rig.write(1, 0, 32).status.is_ok());
        rig.settle();
        assert!(rig.write(2, 0, 32).status.is_ok());
        // Nobody writes for a while: all flush, so that the array can be called clean. One of them dies then.
        while rig.disks.pending.iter().all(|(_, out)| out.req.op != Op::Flush) {
            rig.step();
        }
        let lost = seed as usize % sizes.len();
        rig.kill(lost);
        rig.disks.left = Some(seed % 8);
        rig.run(50);
        rig.crash();
        rig.disks.disks[lost].dead = false;
        rig.start();
        let found = rig.versions(0, 32);
        rig.settle();
        assert_eq!(rig.versions(0, 32), found, "{case:?} {seed}");
        alike(&rig);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn members_with_large_blocks_are_counted_in_theirs(seed in any::<u64>()) {
        let images = super::rig::create(&new(1, 0, 0), &[64 + 320; 2], 0);
        let mut life = Life::new(Rig::over(images, 3, true, seed), seed);
        life.live(60);
        life.crash(seed % 50);
        life.live(30);
        life.ends();
    }
}
