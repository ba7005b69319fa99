// SPDX-License-Identifier: MIT
//! Partitions under many schedules: the layer in a PD of its own and in the driver's.
#![allow(clippy::indexing_slicing, reason = "tests")]
use orion_pd::Verdict;
use orion_sim::{Machine, Outcome};

/// A client's name, its program, and its partition's number.
type Client<'a> = (&'a str, &'a str, u32);

fn system(fuse: bool, clients: &[Client<'_>]) -> String {
    let fuse = if fuse { "yes" } else { "no" };
    let mut xml =
        String::from("<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\"/>");
    for (name, program, number) in clients {
        xml += &format!(
            "<protection_domain name=\"{name}\" priority=\"90\"><program_image path=\"{program}.elf\"/></protection_domain>
             <orion:volume name=\"v{name}\"><orion:partition number=\"{number}\" fuse=\"{fuse}\"><orion:on disk=\"d0\"/>
             </orion:partition></orion:volume>
             <orion:grant client=\"{name}\" volume=\"v{name}\" blocks=\"all\" rights=\"read write flush discard zero\"/>"
        );
    }
    xml + "</system>"
}

/// An MBR with primary partitions: first block, blocks.
fn mbr(parts: &[(u32, u32)]) -> Vec<u8> {
    let mut record = vec![0; 512];
    for (number, (first, blocks)) in parts.iter().enumerate() {
        let entry = &mut record[446 + number * 16..462 + number * 16];
        entry[4] = 0x83;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..].copy_from_slice(&blocks.to_le_bytes());
    }
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    record
}

fn run(fuse: bool, seed: u64, clients: &[Client<'_>], parts: &[(u32, u32)]) -> Outcome {
    Machine::with_media(&system(fuse, clients), seed, &[], &[("d0", &mbr(parts))]).run()
}

#[test]
fn neighbours_do_not_disturb_each_other_under_any_schedule() {
    let clients = [("a", "demo", 2), ("b", "demo", 1), ("c", "demo", 3)];
    for seed in 0..20 {
        for fuse in [false, true] {
            // Not one begins at a multiple of 4096 bytes.
            let outcome = run(fuse, seed, &clients, &[(3, 512), (515, 1031), (1546, 257)]);
            for (client, ..) in clients {
                assert_eq!(outcome.verdicts.get(client), Some(&Verdict::Passed), "{fuse} {seed} {:#?}", outcome.lines);
            }
        }
    }
}

#[test]
fn a_client_without_a_partition_is_no_hindrance() {
    for (seed, fuse) in [(0, false), (1, true), (2, false), (3, true)] {
        let outcome = run(fuse, seed, &[("a", "demo", 4), ("b", "demo", 1)], &[(8, 512)]);
        assert_eq!(outcome.verdicts.get("b"), Some(&Verdict::Passed), "{:#?}", outcome.lines);
        assert_ne!(outcome.verdicts.get("a"), Some(&Verdict::Passed), "{:#?}", outcome.lines);
        let line = "volume va: partition number 4: there is no such partition; it has no blocks";
        assert!(outcome.lines.iter().any(|said| said.ends_with(line)), "{:#?}", outcome.lines);
    }
}

#[test]
fn a_disk_without_a_table() {
    for fuse in [false, true] {
        let xml = system(fuse, &[("a", "demo", 1)]);
        let outcome = Machine::new(&xml, 0, &[]).run();
        assert_ne!(outcome.verdicts.get("a"), Some(&Verdict::Passed));
        let line = "no partition can be used: block 0: there is neither a GPT nor an MBR";
        assert!(outcome.lines.iter().any(|said| said.contains(line)), "{:#?}", outcome.lines);
    }
}

#[test]
fn a_client_that_writes_garbage_harms_no_neighbour() {
    for seed in 0..20 {
        let clients = [("a", "demo", 1), ("mad", "garbage", 2)];
        let outcome = run(seed % 2 == 0, seed, &clients, &[(8, 512), (520, 64)]);
        assert_eq!(outcome.verdicts.get("a"), Some(&Verdict::Passed), "{seed} {:#?}", outcome.lines);
    }
}
