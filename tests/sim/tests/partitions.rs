// SPDX-License-Identifier: MIT
//! Partitions under many schedules: the layer in a PD of its own and in the driver's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
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

/// Two disks, on each a client; the driver of the first dies after some steps, or was never alive.
fn dying(split: bool, seed: u64, steps: u64) -> Outcome {
    let xml = system(!split, &[("a", "demo", 1)]).replace(
        "</system>",
        "<protection_domain name=\"b\" priority=\"90\"><program_image path=\"demo.elf\"/></protection_domain>
         <orion:disk name=\"d1\" bus=\"virtio-blk\"/>
         <orion:grant client=\"b\" disk=\"d1\" blocks=\"0..64\" rights=\"read write flush\"/></system>",
    );
    let mut machine = Machine::with_media(&xml, seed, &[], &[("d0", &mbr(&[(8, 512)]))]);
    for _ in 0..steps {
        machine.step();
    }
    machine.kill(machine.pd("blk_d0").unwrap());
    machine.run()
}

/// Nobody waits for a driver that is dead: its clients are told that their volume has nothing, the others are served.
#[test]
fn a_driver_that_dies_before_the_table_is_read_holds_up_nobody_for_ever() {
    let mut died_early = [0; 2];
    for seed in 0..6 {
        for steps in (0..40).chain([60, 80]) {
            for split in [true, false] {
                let outcome = dying(split, seed, steps);
                if outcome.lines.iter().any(|line| line.contains("MBR with 1 partitions")) {
                    continue;
                }
                died_early[usize::from(split)] += 1;
                let of = |client| outcome.verdicts.get(client);
                assert_eq!(of("b"), Some(&Verdict::Passed), "{split} {seed} {steps} {:#?}", outcome.lines);
                assert_eq!(of("a"), Some(&Verdict::Failed), "{split} {seed} {steps} {:#?}", outcome.lines);
                let line = match split {
                    true => "part_d0: no partition can be used: block 0: the disk does not answer;",
                    false => {
                        "gatekeeper: volume va is closed: its server is not there, or did not become ready in time"
                    }
                };
                assert!(outcome.lines.iter().any(|said| said.starts_with(line)), "{:#?}", outcome.lines);
                // The default timeout of a disk is 30 s, and each of those above waits a little longer.
                assert!(outcome.now <= 110_000_000_000, "{}", outcome.now);
            }
        }
    }
    assert!(died_early.iter().all(|n| *n > 20), "{died_early:?}");
}
