// SPDX-License-Identifier: MIT
//! The write-intent bitmap: what may differ after a loss of power, or was missed by a member that left, is known by it.
use super::engine::{Case, cases, has_parity};
use super::life::Life;
use super::operate::outcome;
use super::rig::{Rig, marked, new};
use crate::engine::{Mend, Refusal, Use};
use crate::{Bitmap, Kind, Uuid};
use orion_block::Op;
use std::vec;
use std::vec::Vec;

/// Bytes of a bit.
const CHUNK: u32 = 4096;
/// Where the bitmap is.
const AT: usize = 16 * 512;

fn all() -> Vec<Case> {
    cases().into_iter().filter(|case| case.2 > 0).collect()
}

fn rig(case: &Case, seed: u64) -> Rig {
    let ((level, layout, chunk), sizes, _) = case;
    let images = marked(&new(*level, *layout, *chunk), sizes, 0, Some(CHUNK));
    Rig::over(images, 0, !seed.is_multiple_of(4), seed)
}

/// The bits as they are on a disk.
fn bits(rig: &Rig, disk: usize) -> Vec<u64> {
    let bytes: Vec<u8> = (16..64).flat_map(|at| rig.disks.disks[disk].sector(at)).collect();
    let head = Bitmap::parse(&bytes).unwrap();
    (0..head.bits()).filter(|n| bytes[256 + *n as usize / 8] >> (n % 8) & 1 != 0).collect()
}

#[test]
fn a_loss_of_power_with_a_bitmap_loses_nothing() {
    for (n, case) in all().iter().enumerate() {
        for seed in 0..12 {
            let mut life = Life::new(rig(case, seed), seed * 100 + n as u64);
            for _ in 0..3 {
                life.live(20);
                let after = life.numbers.below(60);
                life.crash(after);
                assert!(life.rig.node.layer().fault().is_none());
            }
            life.live(30);
            let rig = life.ends();
            let members = rig.disks.disks.len();
            assert!((0..members).all(|disk| bits(&rig, disk).is_empty()), "all bits are cleared when all is quiet");
        }
    }
}

#[test]
fn only_what_the_bitmap_says_is_put_in_sync() {
    for case in all() {
        let mut rig = rig(&case, 1);
        rig.start();
        // A new array's bits are set, until it was used once.
        assert!(rig.write(1, 40, 1).status.is_ok());
        rig.settle();
        assert!(rig.write(1, 40, 1).status.is_ok());
        assert!(!bits(&rig, 0).is_empty() && bits(&rig, 0).len() <= 2, "{:?}", bits(&rig, 0));
        rig.crash();
        rig.start();
        let before: Vec<u64> = rig.disks.disks.iter().map(|disk| disk.reads).collect();
        rig.settle();
        for (disk, before) in rig.disks.disks.iter().zip(before) {
            assert!(disk.reads - before <= 4, "{case:?}: {}", disk.reads - before);
        }
        super::engine::alike(&rig);
        // Where it says nothing, what differs stays, and a check finds it.
        assert!(rig.write(1, 40, 1).status.is_ok());
        rig.crash();
        let last = rig.disks.disks.len() - 1;
        rig.disks.disks[last].durable[(64 + 90) * 512] ^= 1;
        rig.start();
        rig.settle();
        rig.check(Mend::Nothing);
        assert_eq!(rig.node.layer().mismatches(), 1, "{case:?}");
    }
}

#[test]
fn a_bitmap_that_is_out_of_date_says_nothing() {
    for case in all() {
        let mut rig = rig(&case, 2);
        rig.start();
        rig.settle();
        assert!(rig.write(1, 40, 1).status.is_ok());
        rig.crash();
        // Written by something that does not know of it: the superblocks are newer.
        for disk in &mut rig.disks.disks {
            disk.durable[AT + 24..AT + 32].fill(0);
            disk.durable[AT + 256..AT + 300].fill(0);
        }
        rig.disks.disks[0].durable[(64 + 90) * 512] ^= 1;
        rig.start();
        rig.settle();
        rig.check(Mend::Nothing);
        assert_eq!(rig.node.layer().mismatches(), 0, "{case:?}: everything is put in sync");
    }
}

#[test]
fn the_bitmap_of_another_array_or_nonsense_is_refused() {
    let case = ((1, 0, 0), vec![64 + 320; 2], 1);
    let spoil = |f: &dyn Fn(&mut [u8])| {
        let mut rig = rig(&case, 0);
        rig.disks.disks.iter_mut().for_each(|disk| f(&mut disk.durable[AT..AT + 512]));
        let before: Vec<Vec<u8>> = rig.disks.disks.iter().map(|disk| disk.durable.clone()).collect();
        for _ in 0..200 {
            rig.step();
        }
        let after: Vec<Vec<u8>> = rig.disks.disks.iter().map(|disk| disk.durable.clone()).collect();
        assert!(before == after, "nothing is written");
        rig.node.layer().fault().map(|fault| fault.kind)
    };
    assert_eq!(spoil(&|head| head[8..24].fill(7)), Some(Kind::OtherBitmap(Uuid([7; 16]))));
    assert_eq!(spoil(&|head| head[0] = 0), Some(Kind::Bitmap));
    assert_eq!(spoil(&|head| head[52..56].copy_from_slice(&4097u32.to_le_bytes())), Some(Kind::Bitmap));
    // So small a chunk that the bits would lie in the data.
    assert_eq!(spoil(&|head| head[40..48].copy_from_slice(&u64::MAX.to_le_bytes())), Some(Kind::Bitmap));
    assert_eq!(spoil(&|_| {}), None);
}

#[test]
fn a_member_that_left_for_a_while_gets_what_it_lacks() {
    for (n, case) in all().iter().enumerate() {
        for seed in 0..12 {
            let mut life = Life::new(rig(case, seed), seed * 100 + n as u64);
            life.live(20);
            let gone = seed as u8 % case.1.len() as u8;
            assert_eq!(life.rig.order(|raid, io| raid.set_faulty(gone, io)), Ok(()));
            life.live(20);
            if seed % 2 == 0 {
                assert_eq!(life.rig.order(|raid, io| raid.remove(gone, io)), Ok(()));
            }
            if seed % 3 == 0 && !has_parity(case) {
                let after = life.numbers.below(60);
                life.crash(after);
            }
            // What no superblock said when the power went, has not happened.
            if life.rig.node.layer().use_of(gone) == Use::Member(gone.into()) {
                life.drain();
                life.rig.settle();
                assert_eq!(life.rig.order(|raid, io| raid.set_faulty(gone, io)), Ok(()));
                life.live(5);
            }
            assert_eq!(life.rig.order(|raid, io| raid.re_add(gone, io)), Ok(()));
            assert_eq!(outcome(&mut life), Ok(()), "{case:?} {seed}");
            if seed % 3 == 1 && !has_parity(case) {
                let after = life.numbers.below(60);
                life.crash(after);
                // Unless a superblock said so by then, it is not there.
                if life.rig.node.layer().use_of(gone) == Use::Faulty {
                    assert_eq!(life.rig.order(|raid, io| raid.re_add(gone, io)), Ok(()));
                    assert_eq!(outcome(&mut life), Ok(()));
                }
            }
            life.live(20);
            let rig = life.ends();
            assert_eq!(rig.node.layer().missing().count(), 0, "{case:?} {seed}");
            assert!(!rig.array().is_degraded());
        }
    }
}

#[test]
fn a_member_that_comes_back_is_written_only_where_it_lacks_something() {
    let case = ((1, 0, 0), vec![64 + 8192; 2], 1);
    let mut rig = rig(&case, 0);
    rig.start();
    assert!(rig.write(1, 0, 1).status.is_ok());
    rig.settle();
    assert_eq!(rig.order(|raid, io| raid.set_faulty(1, io)), Ok(()));
    assert!(rig.write(3, 4000, 8).status.is_ok());
    rig.settle();
    let before = rig.disks.disks[1].written;
    assert_eq!(rig.order(|raid, io| raid.re_add(1, io)), Ok(()));
    rig.settle();
    let written = rig.disks.disks[1].written - before;
    assert!(written < 400, "{written} sectors, where 8 changed");
    super::engine::alike(&rig);
    // One that another replaced meanwhile, or that the array knows nothing of, is added anew.
    let mut rig = self::rig(&case, 0);
    rig.disks.disks.push(rig.disks.disks[1].clone());
    rig.disks.disks[2].durable.fill(0);
    rig.start();
    assert_eq!(rig.order(|raid, io| raid.set_faulty(1, io)), Ok(()));
    rig.settle();
    assert_eq!(rig.order(|raid, io| raid.add(2, Uuid([5; 16]), io)), Ok(()));
    rig.settle();
    assert!(rig.write(4, 4000, 8).status.is_ok());
    rig.settle();
    assert_eq!(rig.order(|raid, io| raid.set_faulty(2, io)), Ok(()));
    assert_eq!(rig.order(|raid, io| raid.re_add(1, io)), Ok(()));
    rig.settle();
    assert_eq!(rig.order(|raid, _| raid.outcome()), Some(Err(Refusal::Anew(1))));
    assert_eq!(rig.ask(Op::Read, 4000, 8, 0).status, Ok(()));
}

#[test]
fn the_bitmap_that_mdadm_made_is_read_and_kept() {
    let images = super::image::Images::golden("raid1-bitmap");
    let mut rig = Rig::over(images.members, 0, true, 1);
    rig.start();
    assert!(rig.write(1, 40, 8).status.is_ok());
    rig.settle();
    assert!(bits(&rig, 0).is_empty() && bits(&rig, 1).is_empty());
    assert!(rig.write(2, 40, 8).status.is_ok());
    assert_eq!((bits(&rig, 0), bits(&rig, 1)), (vec![0], vec![0]));
    rig.crash();
    rig.start();
    rig.settle();
    super::engine::alike(&rig);
    assert!(bits(&rig, 0).is_empty());
}
