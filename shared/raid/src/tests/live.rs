// SPDX-License-Identifier: MIT
//! Arrays that are reshaped while a client uses them.
use super::life::Life;
use super::rig::{Rig, logged, new};
use crate::Kind;
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

/// Changes of level, each with what the array is in the end: its level, layout and members.
fn levels() -> Vec<(Case, (i32, u32, u32))> {
    let to = |level, disks| Change { level: Some(level), disks, ..Change::default() };
    vec![
        (((4, 0, 8), 3, 0, to(5, None)), (5, 2, 3)),
        (((5, 5, 8), 3, 0, to(4, None)), (4, 0, 3)),
        (((5, 2, 8), 3, 0, to(4, None)), (4, 0, 3)),
        (((0, 2, 8), 3, 1, to(5, None)), (5, 2, 4)),
        (((0, 2, 8), 3, 1, to(4, None)), (4, 5, 4)),
        (((0, 2, 8), 2, 2, to(0, Some(3))), (0, 2, 3)),
        (((1, 0, 0), 2, 0, Change { chunk: Some(8), ..to(5, None) }), (5, 2, 2)),
        (((1, 0, 0), 2, 1, Change { chunk: Some(8), ..to(5, Some(3)) }), (5, 2, 3)),
        (((1, 0, 0), 2, 1, to(1, Some(3))), (1, 0, 3)),
        (((1, 0, 0), 3, 0, to(1, Some(2))), (1, 0, 2)),
        (((5, 2, 8), 4, 1, Change { layout: Some(18), ..to(6, None) }), (6, 18, 5)),
        (((5, 2, 8), 4, 1, to(6, None)), (6, 2, 5)),
        (((6, 18, 8), 5, 0, to(5, None)), (5, 2, 4)),
        (((6, 2, 8), 5, 0, to(5, None)), (5, 2, 4)),
        (((5, 2, 8), 4, 0, to(0, None)), (0, 2, 3)),
        (((5, 2, 8), 2, 0, to(1, None)), (1, 0, 2)),
    ]
}

/// It has the level, layout and members that were wanted.
fn has_level(rig: &Rig, (level, layout, disks): (i32, u32, u32), case: &Case) {
    let newest = rig.array().newest;
    assert_eq!((newest.level, newest.layout, newest.raid_disks), (level, layout, disks), "{case:?}");
    assert!(newest.reshape.is_none() && !rig.array().is_degraded(), "{case:?}");
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
fn levels_change_while_an_array_is_used() {
    for (n, (case, becomes)) in levels().iter().enumerate() {
        for seed in 0..3 {
            let mut life = life(case, seed * 100 + n as u64);
            let was = life.rig.sectors();
            life.live(40);
            life.rig.grow(&case.3).unwrap();
            life.live(150);
            let mut rig = life.ends();
            assert_eq!(rig.node.layer_mut().reshaped(), Some(Ok(())), "{case:?}");
            has_level(&rig, *becomes, case);
            assert_eq!(rig.sectors(), rig.array().sectors(), "what it has more of is there at once: {case:?}");
            assert!(rig.sectors() >= was, "{case:?}");
        }
    }
}

#[test]
fn the_power_goes_while_levels_change_in_use() {
    for (n, (case, becomes)) in levels().iter().enumerate() {
        for seed in 0..3 {
            let mut life = life(case, seed * 100 + n as u64);
            life.live(30);
            let change = case.3.of(&life.rig.array().newest);
            life.rig.reshape(&change);
            for _ in 0..3 {
                life.live(10);
                let after = life.numbers.below(120);
                life.crash(after);
            }
            life.rig.settle();
            // The steps that were not begun are forgotten: the same order again does them.
            life.rig.reshape(&change);
            life.rig.settle();
            assert_eq!(life.rig.node.layer_mut().reshaped(), Some(Ok(())), "{case:?}");
            has_level(&life.ends(), *becomes, case);
        }
    }
}

#[test]
fn an_array_with_a_log_has_it_again_when_it_has_grown() {
    for seed in 0..4 {
        let new = New { data_offset: 96 + 160, ..logged(2, 8) };
        let mut life = Life::new(Rig::new(&new, &[96 + 160 + 192; 4], 1, seed % 2 == 0, seed), seed);
        life.live(40);
        life.rig.reshape(&Change { disks: Some(4), ..Change::default() });
        life.live(120);
        life.rig.settle();
        let newest = life.rig.array().newest;
        assert_eq!((newest.raid_disks, newest.has(crate::wire::feature::PPL)), (4, true));
        assert!(newest.ppl.is_some_and(|ppl| ppl.at + u64::from(ppl.sectors) <= newest.data_offset));
        // It protects what is written now: after a loss of power with a member nothing is lost.
        life.live(20);
        let after = life.numbers.below(60);
        life.crash_without(after, seed as usize % 4);
        life.ends();
    }
}

#[test]
fn the_power_goes_while_an_array_with_a_log_grows_in_use() {
    for seed in 0..12 {
        let new = New { data_offset: 96 + 160, ..logged(2, 8) };
        let mut life = Life::new(Rig::new(&new, &[96 + 160 + 64; 4], 1, seed % 2 == 0, seed), seed);
        life.live(20);
        life.rig.reshape(&Change { disks: Some(4), ..Change::default() });
        // Also while the log is taken off, and while it comes back.
        for _ in 0..3 {
            let steps = life.numbers.below(20 + seed * 20);
            life.live(steps as u32);
            let after = life.numbers.below(40);
            life.crash(after);
        }
        life.live(20);
        let rig = life.ends();
        let array = rig.array();
        assert!(array.before.is_none() && !array.is_degraded(), "{seed}");
        assert!([3, 4].contains(&array.newest.raid_disks));
        // All members agree whether there is a log.
        let logs: Vec<bool> = rig.supers().iter().map(|own| own.has(crate::wire::feature::PPL)).collect();
        assert!(logs[..3].iter().all(|log| *log == logs[0]), "{logs:?}");
    }
}

#[test]
fn what_an_array_in_use_cannot_become_is_refused_and_nothing_is_written() {
    let to = |level, disks| Change { level, disks, ..Change::default() };
    for (kind, members, spares, change, why) in [
        ((5, 2, 8), 3, 0, to(None, Some(4)), "1 more members are needed"),
        ((0, 2, 8), 3, 0, to(Some(5), None), "1 more members are needed"),
        ((5, 2, 8), 4, 0, to(None, Some(3)), "sectors"),
        ((10, 0x102, 8), 4, 1, to(None, Some(5)), "orion raid grow"),
        ((1, 0, 0), 3, 0, to(Some(5), None), "one of two first"),
    ] {
        let mut life = life(&(kind, members, spares, change), 1);
        life.rig.settle();
        let before = life.rig.supers();
        let said = std::string::ToString::to_string(&life.rig.grow(&change).unwrap_err());
        assert!(said.contains(why), "{said}");
        life.rig.settle();
        assert_eq!(life.rig.supers(), before);
        life.live(20);
        life.ends();
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
    let mut early = 0;
    for (n, case) in cases().iter().enumerate() {
        for seed in 0..8 {
            let mut life = life(case, seed * 100 + n as u64);
            life.live(40);
            life.rig.reshape(&case.3);
            life.live(seed as u32 * 5);
            life.rig.kill(seed as usize % case.1);
            life.live(60);
            let mut rig = life.ends();
            match rig.node.layer_mut().reshaped() {
                // It died before anything began, and the spare has its place.
                Some(Err(Kind::FewSpares(1))) => {
                    assert!(rig.array().newest.raid_disks == case.1 as u32 && !rig.array().is_degraded());
                    early += 1;
                }
                ended => {
                    assert_eq!(ended, Some(Ok(())), "{case:?} {seed}");
                    became(&rig, case);
                    assert_eq!(rig.node.layer().missing().count(), 1);
                }
            }
        }
    }
    assert!(early < 24, "{early}");
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
