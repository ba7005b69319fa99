// SPDX-License-Identifier: MIT
//! Checks of arrays in which something rotted: whose it is, what is mended, what is left.
use super::engine::{alike, cases, rig};
use super::rig::{Rig, create, new};
use crate::engine::{Finding, Mend};
use std::vec;
use std::vec::Vec;

/// Where members' data begin.
const DATA: usize = 64;

fn rot(rig: &mut Rig, disk: usize, sector: usize) {
    rig.disks.disks[disk].durable[(DATA + sector) * 512 + 7] ^= 1 + (sector % 200) as u8;
}

fn images(rig: &Rig) -> Vec<Vec<u8>> {
    rig.disks.disks.iter().map(|disk| disk.durable[DATA * 512..].to_vec()).collect()
}

fn findings(rig: &Rig) -> Vec<Finding> {
    rig.node.layer().findings().collect()
}

#[test]
fn a_check_finds_what_rotted_and_a_repair_makes_it_alike() {
    for case in cases().iter().filter(|case| case.2 > 0) {
        let mut rig = rig(case, 0, 4);
        rig.start();
        rig.write(5, 0, 32);
        rig.settle();
        let last = rig.disks.disks.len() - 1;
        for at in [0, 1, 26] {
            rot(&mut rig, last, at);
            rig.disks.disks[last].cached = None;
        }
        let steps = [(Mend::Nothing, 3), (Mend::Nothing, 3), (Mend::Everything, 3), (Mend::Nothing, 0)];
        for (mend, found) in steps {
            rig.check(mend);
            assert_eq!(rig.node.layer().mismatches(), found, "{case:?} {mend:?}");
        }
        alike(&rig);
    }
}

/// An array of so many members that holds something; of RAID 10 with as many copies.
fn filled(level: i32, layout: u32, members: usize) -> Rig {
    let mut rig = Rig::over(create(&new(level, layout, 16), &vec![512; members], 0), 0, false, 7);
    rig.start();
    let sectors = rig.sectors();
    for at in (0..sectors).step_by(16) {
        assert!(rig.write(at as u32 + 1, at, 16.min(sectors - at)).status.is_ok());
    }
    rig.settle();
    rig
}

/// Whoever is told that a repair is done may rely on that, also when power is lost at once.
#[test]
fn what_was_repaired_is_durable_when_the_repair_is_done() {
    for (level, layout, members) in [(6, 2, 5), (1, 0, 3)] {
        let mut rig = Rig::over(create(&new(level, layout, 16), &vec![512; members], 0), 0, true, 7);
        rig.start();
        assert!(rig.write(1, 0, 96).status.is_ok());
        rig.settle();
        let before = images(&rig);
        [0, 1, 26].into_iter().for_each(|at| rot(&mut rig, 1, at));
        rig.order(|raid, io| raid.check(Mend::Certain, io));
        while rig.node.layer().checks() {
            rig.step();
        }
        rig.disks.disks.iter_mut().for_each(|disk| disk.cached = Some(std::collections::BTreeMap::new()));
        assert!(images(&rig) == before, "{level}");
    }
}

#[test]
fn who_is_wrong_is_found_out_and_mended_where_more_than_one_other_says_so() {
    let arrays = [(6, 2, 4), (6, 2, 7), (6, 8, 5), (1, 0, 3), (1, 0, 5), (10, 3 | 1 << 8, 4), (10, 1 | 3 << 8, 3)];
    for (level, layout, members) in arrays {
        for disk in 0..members {
            let mut rig = filled(level, layout, members);
            let good = images(&rig);
            let bad = [3, 4, 40, 77];
            bad.iter().for_each(|sector| rot(&mut rig, disk, *sector));
            rig.check(Mend::Nothing);
            let found = findings(&rig);
            let count: u64 = found.iter().map(|finding| finding.sectors).sum();
            assert!(
                found.iter().all(|finding| finding.wrong == Some(disk as u32)),
                "{level} {members} {disk}: {found:?}"
            );
            let named = |finding: &Finding| bad.contains(&(finding.sector as usize));
            assert!(count == 4 && found.iter().all(named), "{level} {members} {disk}: {found:?}");
            assert_eq!(rig.node.layer().judged(), (4, 0));
            assert_ne!(images(&rig), good, "a check writes nothing");
            rig.check(Mend::Certain);
            assert!(images(&rig) == good, "{level} {layout} {members} {disk}: what it held comes back");
            rig.check(Mend::Nothing);
            assert_eq!((rig.node.layer().mismatches(), findings(&rig)), (0, vec![]));
        }
    }
}

#[test]
fn what_nobody_can_know_is_reported_and_left_unless_everything_is_to_be_mended() {
    // Two copies, one parity, and two that are wrong in one stripe of RAID 6, or in two of three copies.
    let arrays = [(1, 0, 2, vec![1]), (10, 0x102, 4, vec![1]), (5, 2, 4, vec![1]), (4, 0, 3, vec![0])];
    let arrays = arrays.into_iter().chain([(6, 2, 5, vec![0, 2]), (1, 0, 3, vec![0, 2])]);
    for (level, layout, members, disks) in arrays {
        let mut rig = filled(level, layout, members);
        for (nth, disk) in disks.iter().enumerate() {
            rot(&mut rig, *disk, 5);
            rig.disks.disks[*disk].durable[(DATA + 5) * 512 + 100 + nth] ^= 0x55;
        }
        let before = images(&rig);
        for mend in [Mend::Nothing, Mend::Certain] {
            rig.check(mend);
            let left = Finding { wrong: None, sector: 5, sectors: 1 };
            assert_eq!((findings(&rig), rig.node.layer().judged()), (vec![left], (0, 1)), "{level} {members}");
            assert!(images(&rig) == before, "{level} {members}: it is left");
        }
        rig.check(Mend::Everything);
        rig.check(Mend::Nothing);
        assert_eq!(rig.node.layer().mismatches(), 0, "{level} {members}");
        alike(&rig);
    }
}

/// More that is wrong than can be kept in mind at a time.
#[test]
fn a_copy_that_is_wrong_all_over_is_mended_too() {
    let mut rig = filled(1, 0, 3);
    let good = images(&rig);
    (0..300).filter(|sector| sector % 5 < 3).for_each(|sector| rot(&mut rig, 1, sector));
    (0..300).filter(|sector| sector % 5 == 4).for_each(|sector| rot(&mut rig, 2, sector));
    rig.check(Mend::Certain);
    assert!(images(&rig) == good);
    assert_eq!(rig.node.layer().judged(), (240, 0));
}
