// SPDX-License-Identifier: MIT
//! The contract suite through rings, PDs and drivers, under many schedules.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
use orion_pd::Verdict;
use orion_sim::Machine;

const ALL: &str = "read write flush discard zero";

fn holds(volume: &str, grant: &str, rights: &str, start: &[u8], least: usize) {
    holds_on("bus=\"virtio-blk\"", volume, (grant, rights), start, least);
}

fn holds_on(disk: &str, volume: &str, (grant, rights): (&str, &str), start: &[u8], least: usize) {
    let xml = xml(disk, volume, grant, rights);
    for seed in 0..6 {
        let outcome = Machine::with_media(&xml, seed, &[("denies", 1)], &[("d0", start)]).run();
        assert_eq!(outcome.verdicts.get("suite"), Some(&Verdict::Passed), "seed {seed}: {:#?}", outcome.lines);
        let held = outcome.lines.iter().filter(|line| line.starts_with("suite: held")).count();
        assert!(held >= least, "seed {seed}: {held} checks {:#?}", outcome.lines);
    }
}

fn xml(disk: &str, volume: &str, grant: &str, rights: &str) -> String {
    format!(
        "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" {disk}/>
         <protection_domain name=\"suite\" priority=\"90\" orion:queue=\"16\" orion:data=\"256K\">
         <program_image path=\"contract.elf\"/></protection_domain><orion:volume name=\"v\">{volume}</orion:volume>
         <orion:grant client=\"suite\" volume=\"v\" blocks=\"{grant}\" rights=\"{rights}\"/></system>"
    )
}

const WHOLE: &str = "<orion:on disk=\"d0\"/>";

#[test]
fn a_disk_behind_a_gatekeeper() {
    holds(WHOLE, "8..264", ALL, &[], 18);
    holds(WHOLE, "8..264", "read flush", &[], 5);
}

#[test]
fn a_disk_on_every_bus() {
    // SATA has no command that writes zeroes.
    for (bus, least) in [("nvme", 18), ("ahci", 17), ("virtio-scsi", 18), ("am53c974", 18)] {
        holds_on(&format!("bus=\"{bus}\""), WHOLE, ("8..264", ALL), &[], least);
    }
}

#[test]
fn a_disk_that_is_given_few_requests_at_once() {
    holds_on("bus=\"virtio-blk\" queue=\"2\"", WHOLE, ("8..264", ALL), &[], 18);
}

#[test]
fn partitions_in_a_pd_of_their_own_and_in_the_drivers() {
    let mut table = vec![0; 512];
    table[450] = 0x83;
    table[454..458].copy_from_slice(&7u32.to_le_bytes());
    table[458..462].copy_from_slice(&2048u32.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    for fuse in ["no", "yes"] {
        let volume = format!("<orion:partition number=\"1\" fuse=\"{fuse}\">{WHOLE}</orion:partition>");
        holds(&volume, "all", ALL, &table, 18);
    }
}

/// Where the suite asks for it, a driver, a layer or the gatekeeper dies with requests in flight and begins again.
#[test]
fn a_restart_below_is_a_delay() {
    let mut table = vec![0; 512];
    table[450] = 0x83;
    table[454..458].copy_from_slice(&7u32.to_le_bytes());
    table[458..462].copy_from_slice(&2048u32.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    let volume = format!("<orion:partition number=\"1\">{WHOLE}</orion:partition>");
    for seed in 0..50 {
        let bus = ["virtio-blk", "nvme", "ahci", "virtio-scsi", "am53c974"][seed as usize % 5];
        let xml = xml(&format!("bus=\"{bus}\""), &volume, "all", ALL);
        let settings = [("denies", 1), ("restarts", 1)];
        let mut machine = Machine::with_media(&xml, seed, &settings, &[("d0", &table)]);
        let mortals: Vec<usize> = machine.mortals().map(|(pd, _)| pd).collect();
        assert_eq!(mortals.len(), 3);
        let asked = |machine: &Machine| machine.common.borrow().lines.iter().any(|line| line == "suite: restart");
        while !asked(&machine) {
            assert!(machine.step());
        }
        (0..seed / 6).for_each(|_| assert!(machine.step()));
        let pd = mortals[seed as usize % 3];
        machine.kill(pd);
        (0..seed / 3 % 4).for_each(|_| _ = machine.step());
        machine.restart(pd).unwrap();
        let outcome = machine.run();
        assert_eq!(outcome.verdicts.get("suite"), Some(&Verdict::Passed), "seed {seed}: {:#?}", outcome.lines);
        assert!(outcome.lines.iter().any(|line| line == "suite: held: restart"), "seed {seed}: {:#?}", outcome.lines);
    }
}
