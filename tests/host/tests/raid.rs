// SPDX-License-Identifier: MIT
//! Arrays of Linux's RAID on devices of QEMU: the example, whole and without one of its disks.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
use orion_host_tests::{Place, Run};
use orion_raid::create::{Device, New};
use orion_raid::ppl::TURN_SECTORS;
use orion_raid::wire::{SUPER_BYTES, feature};
use orion_raid::{Ppl, Super, Uuid, Version};
use std::fs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");
const EXAMPLE: &str = include_str!("../../../docs/examples/raid.xml");

fn run(place: &Place) -> Run {
    run_of(place, EXAMPLE)
}

fn run_of(place: &Place, xml: &str) -> Run {
    let mut run = place.run(PROGRAM, xml, &[]);
    let status = run.end();
    assert!(status.success(), "{} {:#?}", run.error(), run.events);
    let said = run.said("demo");
    assert!(said.last().is_some_and(|line| line.starts_with("verified: 4 MiB written")), "{said:#?}");
    run
}

/// New files become an array, which serves; it does without any one of them.
#[test]
fn an_array_is_made_verified_and_verified_without_a_disk() {
    let place = Place::new();
    let first = run(&place);
    let said = first.said("raid_data");
    assert!(said.iter().any(|line| line.starts_with("data: RAID 5 of 3, ")), "{said:#?}");
    assert!(said.contains(&"complete: 0 m0, 1 m1, 2 m2"), "{said:#?}");
    // Parity is where it belongs: each of the three holds a part of 4 MiB, spread over stripes of two chunks.
    for disk in ["m0", "m1", "m2"] {
        let image = fs::read(place.path(&format!("build/{disk}.img"))).unwrap();
        let written = image[1 << 20..].chunks(4096).filter(|block| block.iter().any(|byte| *byte != 0)).count();
        assert_eq!(written, 512, "{disk}");
    }
    fs::remove_file(place.path("build/m1.img")).unwrap();
    let second = run(&place);
    let said = second.said("raid_data");
    assert!(said.contains(&"degraded: 0 m0, 1 missing, 2 m2"), "{said:#?}");
    // Nobody said that the new disk is to be a member.
    let image = fs::read(place.path("build/m1.img")).unwrap();
    assert!(image.iter().all(|byte| *byte == 0), "an empty disk was written");
}

/// Sectors of a disk, and those before its data.
const SECTORS: u64 = 32 << 11;
const DATA: u64 = 4096;

/// Writes the files of three disks that are a RAID 5, with a write journal on a fourth, or with the room for partial parity logs that
/// mdadm makes.
fn logged(place: &Place, journal: bool) {
    let new = New {
        version: Version::V12,
        set: Uuid([7; 16]),
        name: "data",
        created: 1,
        level: 5,
        layout: 2,
        chunk: 128,
        data_offset: DATA,
        ppl: !journal,
        clean: true,
    };
    let device = |number| Device { sectors: SECTORS, uuid: Uuid([number; 16]), spare: false, missing: false };
    let mut supers: Vec<Super> = new.supers(&[device(1), device(2), device(3)]).unwrap().collect();
    let mut first = Vec::new();
    if journal {
        let made = new.journal(&mut supers, &device(4)).unwrap();
        first = made.block.to_vec();
        supers.push(made.made);
    }
    fs::create_dir_all(place.path("build")).unwrap();
    for (number, mut own) in supers.into_iter().enumerate() {
        if let Some(ppl) = own.ppl {
            own.features = own.features & !feature::PPL | feature::PPLS;
            own.ppl = Some(Ppl { sectors: 2048, ..ppl });
        }
        let mut image = vec![0; SECTORS as usize * 512];
        own.emit(image[4096..].first_chunk_mut::<SUPER_BYTES>().unwrap()).unwrap();
        if number == 3 {
            image[DATA as usize * 512..][..first.len()].copy_from_slice(&first);
        }
        place.write(&format!("build/m{number}.img"), image);
    }
}

/// An array with a write journal, which is one of its devices as members are, and one with mdadm's partial parity logs.
#[test]
fn arrays_with_logs_are_verified_and_their_parity_is_right() {
    for journal in [true, false] {
        let place = Place::new();
        logged(&place, journal);
        let (disk, on) = ("<orion:disk name=\"m3\" bus=\"virtio-blk\"/>", "<orion:on disk=\"m3\"/>");
        let (disk, on) = if journal { (disk, on) } else { ("", "") };
        let xml = EXAMPLE.replace("<orion:volume", &format!("{disk}<orion:volume"));
        let xml = xml.replace("</orion:raid>", &format!("{on}</orion:raid>"));
        let said = run_of(&place, &xml);
        let said = said.said("raid_data");
        assert!(said.iter().any(|line| line.starts_with("complete: 0 m0, 1 m1, 2 m2")), "{said:#?}");
        let image = |disk: usize| fs::read(place.path(&format!("build/m{disk}.img"))).unwrap();
        let all = [image(0), image(1), image(2)];
        let data = DATA as usize * 512;
        assert!((data..all[0].len()).all(|at| all.iter().fold(0, |sum, image| sum ^ image[at]) == 0), "parity");
        // What was written went to the log first.
        if journal {
            let logged = image(3)[data + 4096..].iter().filter(|byte| **byte != 0).count();
            assert!(logged > 1 << 20, "{logged} bytes are in the journal");
        } else {
            let log = |image: &Vec<u8>| {
                image[8192 + 16 * 512..][..usize::from(TURN_SECTORS) * 512].iter().any(|byte| *byte != 0)
            };
            assert!(all.iter().all(log), "logs are in turn");
        }
    }
}
