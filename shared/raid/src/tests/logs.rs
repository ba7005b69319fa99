// SPDX-License-Identifier: MIT
//! RAID 5 with a partial parity log: whatever the power does to it, with a member missing or not.
use super::life::Life;
use super::rig::{Rig, in_turn, logged};
use crate::ppl;
use crate::wire::feature;

const CASES: [(u32, u32, usize); 4] = [(2, 8, 3), (0, 16, 4), (5, 32, 5), (3, 8, 9)];

fn life(case: (u32, u32, usize), seed: u64) -> Life {
    Life::new(rig(case, 0, seed), seed * 31)
}

/// An array with so many spares; each third has room for several logs in turn.
fn rig((layout, chunk, members): (u32, u32, usize), spares: usize, seed: u64) -> Rig {
    let cache = !seed.is_multiple_of(4);
    if seed % 3 == 1 {
        return Rig::over(in_turn(layout, chunk, members, spares), 0, cache, seed);
    }
    let sizes = std::vec![64 + 96; members + spares];
    Rig::new(&logged(layout, chunk), &sizes, spares, cache, seed)
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
                assert!(life.rig.array().newest.has(feature::PPL | feature::PPLS));
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
            let members = case.2;
            let mut life = Life::new(rig(case, 3, seed), seed * 37);
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

/// The header at a sector of a member's log, if there is one.
fn header(rig: &Rig, member: usize, sector: u64) -> Option<(u64, std::vec::Vec<ppl::Entry>)> {
    let own = rig.supers()[member].clone();
    let at = (own.ppl.unwrap().at + sector) as usize * 512;
    let bytes = rig.disks.disks[member].durable[at..][..ppl::HEADER_BYTES].try_into().unwrap();
    ppl::parse(&bytes, ppl::signature(own.set)).map(|(generation, entries)| (generation, entries.to_vec()))
}

/// The entries of the log that Linux replays of a member: of the last header whose number is not lower than the one's before. And
/// where that is.
fn last_log(rig: &Rig, member: usize) -> Option<(u64, std::vec::Vec<ppl::Entry>)> {
    let (mut at, mut number, mut last) = (0, 0, None);
    while let Some((generation, entries)) = header(rig, member, at).filter(|(found, _)| *found >= number) {
        let behind = at + 8 + entries.iter().map(|entry| u64::from(entry.parity_bytes / 512)).sum::<u64>();
        (number, last, at) = (generation, Some((at, entries)), behind);
        if at + 8 >= 528 {
            break;
        }
    }
    last
}

#[test]
fn logs_are_written_in_turn_where_there_is_room_for_several() {
    let mut rig = Rig::over(in_turn(2, 8, 3, 0), 0, false, 1);
    rig.start();
    let geometry = rig.array().geometry;
    let mut places: [std::collections::BTreeSet<u64>; 3] = std::default::Default::default();
    for version in 1..400u32 {
        let first = (u64::from(version) * 7 % rig.sectors()) & !3;
        assert!(rig.write(version, first, 4).status.is_ok());
        let parity = geometry.stripe(geometry.place(first, 0).unwrap().sector).unwrap().p;
        let (at, entries) = last_log(&rig, parity as usize).unwrap();
        let [entry] = entries[..] else { panic!("{entries:?}") };
        assert_eq!((entry.block, entry.data_bytes, entry.role), (first, 2048, parity));
        places[parity as usize].insert(at);
        if at == 16 {
            // Whatever of it is lost: what is behind is from before.
            let (number, _) = header(&rig, parity as usize, 8).unwrap();
            let behind = (17..520).filter_map(|at| header(&rig, parity as usize, at));
            assert!(behind.into_iter().all(|(found, _)| found < number), "{version}");
        }
    }
    // One behind the other, from the second header on to the end, more than once.
    for places in places {
        assert_eq!((places.first().copied(), places.last().map(|last| last + 24 > 528)), (Some(16), Some(true)));
        assert_eq!(places.len(), (528 - 16) / 12);
    }
}

#[test]
fn of_several_logs_the_last_is_replayed_whose_number_is_not_lower() {
    for (numbers, last) in [([5, 6, 3], 1), ([5, 6, 6], 2), ([5, 4, 9], 0), ([1, 2, 3], 2)] {
        let mut rig = Rig::over(in_turn(2, 8, 3, 0), 0, false, 1);
        rig.start();
        assert!(rig.write(7, 0, 32).status.is_ok());
        rig.settle();
        let array = rig.array();
        let stripe = array.geometry.stripe(0).unwrap();
        let member = stripe.p as usize;
        for (nth, number) in (0..3u8).zip(numbers) {
            let partial = [nth + 1; 512];
            let sum = ppl::crc32c(0, &partial);
            let entry = ppl::Entry { block: 0, parity_bytes: 512, data_bytes: 512, role: stripe.p, sum };
            let mut header = [0; ppl::HEADER_BYTES];
            ppl::emit(&mut header, ppl::signature(array.newest.set), number, &[entry]);
            let at = (16 + 9 * usize::from(nth)) * 512;
            rig.disks.disks[member].durable[at..][..4608].copy_from_slice(&[&header[..], &partial].concat());
        }
        for disk in &mut rig.disks.disks {
            let mut made = super::rig::found(disk).unwrap();
            made.resync = Some(0);
            let mut bytes = [0; 1024];
            let used = made.emit(&mut bytes).unwrap();
            disk.durable[4096..][..used].copy_from_slice(&bytes[..used]);
        }
        rig.crash();
        rig.start();
        let data = stripe.members().next().unwrap() as usize;
        let sector = |member: usize| rig.disks.disks[member].durable[(16 + 528) * 512..][..512].to_vec();
        let (parity, data) = (sector(member), sector(data));
        assert!(parity.iter().zip(&data).all(|(p, d)| p ^ d == last + 1), "{numbers:?}");
    }
}

#[test]
fn what_is_left_of_logs_from_before_is_not_replayed() {
    let mut rig = Rig::over(in_turn(2, 8, 3, 0), 0, false, 1);
    rig.start();
    for version in 1..40 {
        assert!(rig.write(version, (u64::from(version) * 5 % rig.sectors()) & !3, 4).status.is_ok());
    }
    rig.settle();
    for loss in 0..2 {
        if loss == 1 {
            assert!(rig.write(77, 0, 4).status.is_ok());
        }
        rig.crash();
        rig.start();
        for member in 0..3 {
            let (at, entries) = last_log(&rig, member).unwrap();
            assert!(at == 8 && entries.is_empty(), "{loss} {member}: {at} {entries:?}");
            let log = rig.supers()[member].ppl.unwrap();
            let behind = &rig.disks.disks[member].durable[(log.at as usize + 16) * 512..][..512 * 512];
            assert!(behind.iter().all(|byte| *byte == 0), "nothing is left");
        }
    }
}
