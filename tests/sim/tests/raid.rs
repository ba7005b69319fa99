// SPDX-License-Identifier: MIT
//! Arrays under many schedules: their layer in a PD of its own, with members that die, alone and one over another.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use disks::{DATA, DATA_BYTES, SECTORS, members};
use orion_pd::Verdict;
use orion_sim::{Machine, Outcome};
use std::fmt::Write as _;

mod disks;

/// A client of the volume `v`, and disks.
fn system(disks: usize, volumes: &str, raid: &str) -> String {
    let mut xml = String::from("<system xmlns:orion=\"urn:orion-storage:1\">");
    for disk in 0..disks {
        write!(xml, "<orion:disk name=\"d{disk}\" bus=\"virtio-blk\"/>").unwrap();
    }
    let on = |name: &str| match name.starts_with('d') {
        true => format!("<orion:on disk=\"{name}\"/>"),
        false => format!("<orion:on volume=\"{name}\"/>"),
    };
    for volume in volumes.split(';') {
        let (name, of) = volume.split_once(':').unwrap();
        let on: String = of.split(' ').map(on).collect();
        write!(xml, "<orion:volume name=\"{name}\"><orion:raid{raid}>{on}</orion:raid></orion:volume>").unwrap();
    }
    xml + "<protection_domain name=\"c\" priority=\"90\"><program_image path=\"demo.elf\"/></protection_domain>
     <orion:grant client=\"c\" volume=\"v\" blocks=\"0..512\" rights=\"read write flush\"/></system>"
}

fn media(images: &[Vec<u8>]) -> Vec<(String, &[u8])> {
    images.iter().enumerate().map(|(n, image)| (format!("d{n}"), &image[..])).collect()
}

/// A machine with these disks.
fn machine(xml: &str, seed: u64, images: &[Vec<u8>]) -> Machine {
    let named = media(images);
    let named: Vec<(&str, &[u8])> = named.iter().map(|(name, image)| (name.as_str(), *image)).collect();
    Machine::with_media(xml, seed, &[], &named)
}

fn passed(outcome: &Outcome) -> bool {
    outcome.verdicts.get("c") == Some(&Verdict::Passed)
}

fn said(outcome: &Outcome, text: &str) -> bool {
    outcome.lines.iter().any(|line| line.contains(text))
}

const FOUR: &str = "v:d0 d1 d2 d3";

#[test]
fn every_level_serves_its_client_under_any_schedule() {
    for (level, count) in [(0, 2), (1, 2), (10, 4), (4, 3), (5, 3), (6, 4)] {
        let disks: Vec<String> = (0..count).map(|n| format!("d{n}")).collect();
        let xml = system(count, &format!("v:{}", disks.join(" ")), "");
        for seed in 0..4 {
            let outcome = machine(&xml, seed, &members(level, 1, count, SECTORS)).run();
            assert!(passed(&outcome), "RAID {level} {seed} {:#?}", outcome.lines);
            assert!(said(&outcome, &format!("raid_v: box:data: RAID {level} of {count}")), "{:#?}", outcome.lines);
            assert!(said(&outcome, "raid_v: complete: 0 d0, 1 d1"), "{:#?}", outcome.lines);
        }
    }
}

/// Whichever disk is blank, or has no driver that lives, the rest of the array serves.
#[test]
fn an_array_begins_without_a_member() {
    for missing in 0..4 {
        let mut images = members(5, 1, 4, SECTORS);
        images[missing] = Vec::new();
        let outcome = machine(&system(4, FOUR, " name=\"data\""), 1, &images).run();
        assert!(passed(&outcome) && said(&outcome, "raid_v: degraded: "), "{missing} {:#?}", outcome.lines);
        let mut machine = machine(&system(4, FOUR, ""), 2, &members(6, 1, 4, SECTORS));
        machine.kill(machine.pd(&format!("blk_d{missing}")).unwrap());
        let outcome = machine.run();
        assert!(passed(&outcome) && said(&outcome, &format!("{missing} missing")), "{missing} {:#?}", outcome.lines);
    }
}

/// What cannot be put together has no blocks, and says why.
#[test]
fn an_array_that_lacks_too_much_has_no_blocks() {
    let mut images = members(5, 1, 4, SECTORS);
    (images[0], images[2]) = (Vec::new(), Vec::new());
    let cases = [
        (FOUR, "", "the array has no blocks: 2 of its members are here and 3 are needed"),
        ("v:d2 d0", "", "the array has no blocks: no device belongs to the array"),
        (FOUR, " name=\"other\"", "the array has no blocks: no device belongs to the array"),
        (
            FOUR,
            " uuid=\"02020202:02020202:02020202:02020202\"",
            "the array has no blocks: no device belongs to the array",
        ),
    ];
    for (of, raid, line) in cases {
        let outcome = machine(&system(4, of, raid), 1, &images).run();
        assert!(!passed(&outcome) && said(&outcome, line), "{of} {raid} {:#?}", outcome.lines);
    }
}

/// Strangers among the disks do not matter, where it is said which array is meant.
#[test]
fn the_array_that_is_meant_is_found_among_others() {
    let (mut images, others) = (members(5, 1, 4, SECTORS), members(1, 2, 2, SECTORS));
    images.splice(1..1, others);
    let xml = |raid| system(6, "v:d5 d4 d3 d2 d1 d0", raid);
    let outcome = machine(&xml(" uuid=\"01010101:01010101:01010101:01010101\""), 1, &images).run();
    assert!(passed(&outcome) && said(&outcome, "complete: 0 d0, 1 d3, 2 d4, 3 d5"), "{:#?}", outcome.lines);
    let outcome = machine(&xml(""), 1, &images).run();
    assert!(!passed(&outcome) && said(&outcome, "several arrays"), "{:#?}", outcome.lines);
}

/// RAID 50: two RAID 5 below a RAID 0.
#[test]
fn arrays_lie_on_arrays() {
    let mut images = members(5, 1, 3, SECTORS);
    images.extend(members(5, 2, 3, SECTORS));
    // What the arrays below hold at first is what the disks hold: data that are the superblocks of the one above.
    let inner = (SECTORS - DATA) / 16 * 16 * 2;
    for (at, top) in [0, 3].into_iter().zip(members(0, 3, 2, inner)) {
        // Sectors 0..16 of the array are on the first member: the layout is left-symmetric.
        let parity = 2;
        for member in [0, parity] {
            images[at + member].resize(DATA_BYTES, 0);
            let image = &mut images[at + member];
            image.extend_from_slice(&top[..8192]);
        }
    }
    let xml = system(6, "v:left right;left:d0 d1 d2;right:d3 d4 d5", "");
    for seed in 0..4 {
        let outcome = machine(&xml, seed, &images).run();
        assert!(passed(&outcome), "{seed} {:#?}", outcome.lines);
        let mut degraded = images.clone();
        (degraded[0], degraded[4]) = (Vec::new(), Vec::new());
        let outcome = machine(&xml, seed, &degraded).run();
        assert!(passed(&outcome) && said(&outcome, "raid_left: degraded"), "{seed} {:#?}", outcome.lines);
    }
}

/// The array's layer, or a member's driver, dies at any moment and lives again: the client notices nothing, but that it waits.
#[test]
fn deaths_on_the_way_lose_nothing() {
    for (level, count) in [(1, 2), (5, 3), (6, 4)] {
        let disks: Vec<String> = (0..count).map(|n| format!("d{n}")).collect();
        let xml = system(count, &format!("v:{}", disks.join(" ")), "");
        for seed in 0..8u64 {
            let mut machine = machine(&xml, seed, &members(level, 1, count, SECTORS));
            for (step, mortal) in ["raid_v", "blk_d1", "raid_v"].into_iter().enumerate() {
                for _ in 0..40 + 97 * seed + 300 * step as u64 {
                    machine.step();
                }
                let pd = machine.pd(mortal).unwrap();
                machine.kill(pd);
                for _ in 0..seed % 5 * 7 {
                    machine.step();
                }
                machine.restart(pd).unwrap();
            }
            let outcome = machine.run();
            assert!(passed(&outcome), "RAID {level} {seed} {:#?}", outcome.lines);
        }
    }
}
