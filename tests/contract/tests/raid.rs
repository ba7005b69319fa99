// SPDX-License-Identifier: MIT
//! Arrays, over disks in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use orion_block::BlockSize;
use orion_contract::{OWN, Ram, Several, Stack};
use orion_raid::create::{Device, New};
use orion_raid::engine::{FANOUT, Raid};
use orion_raid::{Uuid, Version};

/// Disks of so many sectors, with the superblocks of a new array on them.
fn members(level: i32, layout: u32, chunk: u32, sizes: &[u64]) -> Vec<Vec<u8>> {
    made(level, layout, chunk, sizes, None)
}

/// The same, with a write journal of so many sectors as the last.
fn made(level: i32, layout: u32, chunk: u32, sizes: &[u64], journal: Option<u64>) -> Vec<Vec<u8>> {
    let new = New {
        version: Version::V12,
        set: Uuid([3; 16]),
        name: "contract",
        created: 1,
        level,
        layout,
        chunk,
        data_offset: 64,
        ppl: false,
        clean: true,
    };
    let device = |sectors: &u64| Device { sectors: *sectors, uuid: Uuid([1; 16]), spare: false, missing: false };
    let devices: Vec<Device> = sizes.iter().map(device).collect();
    let mut images: Vec<Vec<u8>> =
        sizes.iter().map(|sectors| vec![0; usize::try_from(*sectors).unwrap() * 512]).collect();
    let mut supers: Vec<_> = new.supers(&devices).unwrap().collect();
    if let Some(sectors) = journal {
        let made = new.journal(&mut supers, &device(&sectors)).unwrap();
        let mut image = vec![0; usize::try_from(sectors).unwrap() * 512];
        image[64 * 512..72 * 512].copy_from_slice(&made.block);
        supers.push(made.made);
        images.push(image);
    }
    for (image, made) in images.iter_mut().zip(supers) {
        made.emit(&mut image[4096..8192]).unwrap();
    }
    images
}

fn array(images: Vec<Vec<u8>>, block: BlockSize) -> Stack<Several> {
    Stack::new(Several::new(images, block), Ram::new().0).wide::<_, FANOUT>(Raid::new(None, OWN))
}

fn holds(images: Vec<Vec<u8>>, block: BlockSize) {
    let report = array(images, block).report();
    assert!(report.failures().is_empty() && report.passed("restart"), "{report:#?}");
}

#[test]
fn raid_0_and_linear() {
    for (layout, block) in [(1, BlockSize::B512), (2, BlockSize::B512), (2, BlockSize::B4096)] {
        holds(members(0, layout, 16, &[64 + 320, 64 + 640, 64 + 480]), block);
    }
    holds(members(-1, 0, 0, &[64 + 320, 64 + 160, 64 + 480]), BlockSize::B512);
}

#[test]
fn raid_1() {
    for block in [BlockSize::B512, BlockSize::B4096] {
        holds(members(1, 0, 0, &[64 + 800; 2]), block);
    }
    holds(members(1, 0, 0, &[64 + 400; 4]), BlockSize::B512);
}

#[test]
fn raid_10() {
    for (layout, count) in [(0x102, 4), (0x103, 5), (0x201, 3), (0x1_0201, 3)] {
        holds(members(10, layout, 8, &vec![64 + 400; count]), BlockSize::B512);
        holds(members(10, layout, 8, &vec![64 + 400; count]), BlockSize::B4096);
    }
}

#[test]
fn raid_4_5_and_6() {
    for (level, layout, count) in [(4, 0, 3), (5, 2, 3), (5, 0, 5), (6, 2, 4), (6, 10, 5), (6, 18, 9)] {
        holds(members(level, layout, 16, &vec![64 + 400; count]), BlockSize::B512);
    }
    holds(members(5, 2, 64, &[64 + 640; 4]), BlockSize::B4096);
}

#[test]
fn a_write_journal() {
    for (level, layout, block) in [(4, 0, BlockSize::B512), (5, 2, BlockSize::B4096), (6, 2, BlockSize::B512)] {
        holds(made(level, layout, 16, &[64 + 400; 4], Some(64 + 400)), block);
        let mut images = made(level, layout, 16, &[64 + 400; 5], Some(64 + 704));
        images.remove(1);
        holds(images, block);
    }
}

#[test]
fn degraded_parity() {
    for (level, layout, gone) in [(5, 2, 1), (6, 2, 1), (6, 8, 2)] {
        let mut images = members(level, layout, 16, &[64 + 400; 5]);
        images.drain(1..=gone);
        holds(images, BlockSize::B512);
    }
}

#[test]
fn degraded_arrays() {
    let mut images = members(1, 0, 0, &[64 + 800; 3]);
    images.remove(1);
    holds(images, BlockSize::B512);
    let mut images = members(10, 0x102, 8, &[64 + 400; 4]);
    images.remove(2);
    holds(images, BlockSize::B512);
}
