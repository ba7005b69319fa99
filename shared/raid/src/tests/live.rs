// SPDX-License-Identifier: MIT
//! Arrays that are reshaped while a client uses them.
use super::life::Life;
use super::rig::{Rig, new};
use crate::create::New;
use crate::reshape::Change;
use orion_block::Op;
use std::vec;
use std::vec::Vec;

type Case = ((i32, u32, u32), usize, usize, Change);

fn cases() -> Vec<Case> {
    let to = |layout, chunk, disks| Change { layout, chunk, disks, ..Change::default() };
    vec![
        ((5, 2, 8), 3, 1, to(None, None, Some(4))),
        ((5, 2, 16), 3, 2, to(None, None, Some(5))),
        ((5, 2, 8), 4, 0, to(Some(1), Some(16), None)),
        ((6, 2, 8), 4, 1, to(None, None, Some(5))),
        ((6, 18, 8), 5, 0, to(Some(8), Some(32), None)),
        ((4, 0, 8), 3, 1, to(None, None, Some(4))),
    ]
}

fn life(&((level, layout, chunk), members, spares, _): &Case, seed: u64) -> Life {
    let new = New { data_offset: 96 + 160, ..new(level, layout, chunk) };
    let sizes = vec![96 + 160 + 192; members + spares];
    Life::new(Rig::new(&new, &sizes, spares, !seed.is_multiple_of(4), seed), seed)
}

/// It is as it was wanted.
fn became(rig: &Rig, case: &Case) {
    let newest = rig.array().newest;
    let wanted = (case.3.layout.unwrap_or(case.0.1), case.3.chunk.unwrap_or(case.0.2));
    assert_eq!((newest.layout, newest.chunk), wanted, "{case:?}");
    assert_eq!(newest.raid_disks, case.3.disks.unwrap_or(case.1 as u32), "{case:?}");
    assert!(newest.reshape.is_none());
}

#[test]
fn an_array_is_reshaped_while_it_is_used() {
    for (n, case) in cases().iter().enumerate() {
        for seed in 0..6 {
            let mut life = life(case, seed * 100 + n as u64);
            life.live(60);
            life.rig.reshape(&case.3);
            life.live(150);
            became(&life.ends(), case);
        }
    }
}

#[test]
fn the_power_goes_while_an_array_is_reshaped_in_use() {
    let mut forgotten = 0;
    for (n, case) in cases().iter().enumerate() {
        for seed in 0..12 {
            let mut life = life(case, seed * 100 + n as u64);
            life.live(40);
            life.rig.reshape(&case.3);
            for _ in 0..3 {
                life.live(15);
                let after = life.numbers.below(150);
                life.crash(after);
            }
            life.live(30);
            let rig = life.ends();
            // What was ordered just before may be forgotten, and nothing is half of it.
            let newest = rig.array().newest;
            if (newest.layout, newest.chunk, newest.raid_disks) == (case.0.1, case.0.2, case.1 as u32) {
                assert!(newest.reshape.is_none());
                forgotten += 1;
            } else {
                became(&rig, case);
            }
        }
    }
    assert!(forgotten < 24, "{forgotten}");
}

#[test]
fn a_member_dies_while_an_array_is_reshaped_in_use() {
    for (n, case) in cases().iter().enumerate() {
        for seed in 0..8 {
            let mut life = life(case, seed * 100 + n as u64);
            life.live(40);
            life.rig.reshape(&case.3);
            life.live(seed as u32 * 5);
            life.rig.kill(seed as usize % case.1);
            life.live(60);
            let rig = life.ends();
            became(&rig, case);
            assert_eq!(rig.node.layer().missing().count(), 1);
        }
    }
}

#[test]
fn what_was_answered_behind_the_position_is_there_when_the_power_is_back() {
    let case = &cases()[2];
    let ((level, layout, chunk), members, spares, change) = case;
    let new = New { data_offset: 96 + 160, ..new(*level, *layout, *chunk) };
    for nth in 1..6 {
        let mut rig = Rig::new(&new, &vec![96 + 160 + 192; members + spares], *spares, true, nth);
        rig.start();
        rig.write(1, 0, 64);
        rig.settle();
        rig.reshape(change);
        // In use, so that no superblock has to be written for what is written next.
        rig.write(1, 570, 1);
        let moved = |rig: &Rig| rig.node.layer().progress().map_or(0, |progress| progress.done);
        while moved(&rig) < nth * 48 {
            rig.step();
        }
        // What was moved just now, which no superblock says yet.
        let at = moved(&rig) - 1;
        let bytes = super::rig::content(at, 2);
        rig.put(0, &bytes);
        rig.send(9, Op::Write, true, at, 1, 0);
        while rig.top.answered.is_empty() {
            rig.step();
        }
        rig.crash();
        rig.start();
        assert_eq!(rig.versions(at, 1), [2], "sector {at}");
    }
}
