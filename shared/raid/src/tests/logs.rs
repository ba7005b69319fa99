// SPDX-License-Identifier: MIT
//! RAID 5 with a partial parity log: whatever the power does to it, with a member missing or not.
use super::life::Life;
use super::rig::{Rig, logged};
use crate::ppl;
use crate::wire::feature;

const CASES: [(u32, u32, usize); 4] = [(2, 8, 3), (0, 16, 4), (5, 32, 5), (3, 8, 9)];

fn life(case: (u32, u32, usize), seed: u64) -> Life {
    let (layout, chunk, members) = case;
    let sizes = std::vec![64 + 96; members];
    Life::new(Rig::new(&logged(layout, chunk), &sizes, 0, !seed.is_multiple_of(4), seed), seed * 31)
}

#[test]
fn a_loss_of_power_leaves_no_hole() {
    for case in CASES {
        for seed in 0..24 {
            let mut life = life(case, seed);
            for _ in 0..4 {
                life.live(20);
                let after = life.numbers.below(120);
                life.crash(after);
                // Parity is right at once.
                assert!(life.rig.array().newest.has(feature::PPL));
            }
            life.live(20);
            life.ends();
        }
    }
}

#[test]
fn a_loss_of_power_while_a_member_is_missing_loses_nothing_either() {
    for case in CASES {
        for seed in 0..24 {
            let mut life = life(case, seed);
            life.live(20);
            life.drain();
            life.rig.kill(seed as usize % case.2);
            for _ in 0..4 {
                life.live(20);
                let after = life.numbers.below(120);
                life.crash(after);
            }
            life.live(20);
            life.ends();
        }
    }
}

#[test]
fn a_member_that_dies_in_the_same_moment_is_borne_too() {
    for case in CASES {
        for seed in 0..24 {
            let mut life = life(case, seed);
            life.live(30);
            let after = life.numbers.below(120);
            let gone = seed as usize % case.2;
            life.crash_and_lose(after, gone);
            life.live(20);
            life.ends();
        }
    }
}

#[test]
fn logs_are_where_the_superblock_says_and_of_this_array() {
    let mut rig = Rig::new(&logged(2, 8), &[64 + 96; 3], 0, false, 1);
    rig.start();
    assert!(rig.write(1, 0, 4).status.is_ok());
    let array = rig.array();
    let parity = array.geometry.stripe(0).unwrap().p as usize;
    let made = rig.supers()[parity].ppl.unwrap();
    assert_eq!((made.at, made.sectors), (16, 48));
    let mut header = [0; ppl::HEADER_BYTES];
    header.copy_from_slice(&rig.disks.disks[parity].durable[16 * 512..24 * 512]);
    let (_, entries) = ppl::parse(&header, ppl::signature(array.newest.set)).unwrap();
    let [entry] = entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.block, entry.data_bytes, entry.parity_bytes, entry.role), (0, 2048, 2048, parity as u32));
    // Nothing else is in the stripe: zeroes.
    assert_eq!(entry.sum, ppl::crc32c(0, &[0; 2048]));
}

#[test]
fn a_loss_of_power_while_a_spare_is_filled_loses_nothing_either() {
    for case in CASES {
        for seed in 0..if case.2 == 3 { 64u64 } else { 16 } {
            let (layout, chunk, members) = case;
            let sizes = std::vec![64 + 96; members + 3];
            let rig = Rig::new(&logged(layout, chunk), &sizes, 3, !seed.is_multiple_of(4), seed);
            let mut life = Life::new(rig, seed * 37);
            for round in 0..3 {
                life.live(15);
                life.drain();
                // So that nothing is in doubt that the member holds alone.
                life.rig.settle();
                life.rig.kill((seed as usize + round) % members);
                for _ in 0..3 {
                    life.live(10);
                    let after = life.numbers.below(250);
                    life.crash(after);
                }
            }
            life.live(20);
            let rig = life.ends();
            assert_eq!(rig.node.layer().missing().count(), 0, "{case:?} {seed}");
        }
    }
}
