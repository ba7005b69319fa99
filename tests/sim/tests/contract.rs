// SPDX-License-Identifier: MIT
//! The contract suite through rings, PDs and drivers, under many schedules.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
use disks::{SECTORS, members, table};
use orion_pd::Verdict;
use orion_sim::Machine;

mod disks;

const ALL: &str = "read write flush discard zero";
const WHOLE: &str = "<orion:on disk=\"d0\"/>";

/// A system whose client is the suite: disks on these buses, whose volume `v` is this, of which it is granted so much.
struct System<'a> {
    buses: &'a [&'a str],
    volume: &'a str,
    grant: &'a str,
    rights: &'a str,
}

impl<'a> System<'a> {
    fn whole(buses: &'a [&'a str]) -> Self {
        Self { buses, volume: WHOLE, grant: "8..264", rights: ALL }
    }

    fn xml(&self) -> String {
        let Self { buses, volume, grant, rights } = self;
        let disks = buses.iter().enumerate().map(|(n, bus)| format!("<orion:disk name=\"d{n}\" bus=\"{bus}\"/>"));
        let disks: String = disks.collect();
        format!(
            "<system xmlns:orion=\"urn:orion-storage:1\">{disks}
             <protection_domain name=\"suite\" priority=\"90\" orion:queue=\"16\" orion:data=\"256K\">
             <program_image path=\"contract.elf\"/></protection_domain><orion:volume name=\"v\">{volume}</orion:volume>
             <orion:grant client=\"suite\" volume=\"v\" blocks=\"{grant}\" rights=\"{rights}\"/></system>"
        )
    }

    fn machine(&self, seed: u64, settings: &[(&str, u64)], media: &[Vec<u8>]) -> Machine {
        let names: Vec<String> = (0..media.len()).map(|n| format!("d{n}")).collect();
        let media: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(media.iter().map(|m| &m[..])).collect();
        Machine::with_media(&self.xml(), seed, settings, &media)
    }

    /// At least so many checks hold under each of so many schedules.
    #[track_caller]
    fn holds(&self, seeds: u64, media: &[Vec<u8>], least: usize) {
        for seed in 0..seeds {
            let outcome = self.machine(seed, &[("denies", 1)], media).run();
            assert_eq!(outcome.verdicts.get("suite"), Some(&Verdict::Passed), "seed {seed}: {:#?}", outcome.lines);
            let held = outcome.lines.iter().filter(|line| line.starts_with("suite: held")).count();
            assert!(held >= least, "seed {seed}: {held} checks {:#?}", outcome.lines);
        }
    }

    /// Where the suite asks for it, one of `count` programs dies with requests in flight and begins again.
    #[track_caller]
    fn outlives(&self, seed: u64, media: &[Vec<u8>], count: usize) {
        let mut machine = self.machine(seed, &[("denies", 1), ("restarts", 1)], media);
        let mortals: Vec<usize> = machine.mortals().map(|(pd, _)| pd).collect();
        assert_eq!(mortals.len(), count);
        let asked = |machine: &Machine| machine.common.borrow().lines.iter().any(|line| line == "suite: restart");
        while !asked(&machine) {
            assert!(machine.step());
        }
        (0..seed / 6).for_each(|_| assert!(machine.step()));
        let pd = mortals[seed as usize % count];
        machine.kill(pd);
        (0..seed / 3 % 4).for_each(|_| _ = machine.step());
        machine.restart(pd).unwrap();
        let outcome = machine.run();
        assert_eq!(outcome.verdicts.get("suite"), Some(&Verdict::Passed), "seed {seed}: {:#?}", outcome.lines);
        assert!(outcome.lines.iter().any(|line| line == "suite: held: restart"), "seed {seed}: {:#?}", outcome.lines);
    }
}

#[test]
fn a_disk_behind_a_gatekeeper() {
    let all = System::whole(&["virtio-blk"]);
    all.holds(6, &[], 18);
    System { rights: "read flush", ..all }.holds(6, &[], 5);
}

#[test]
fn a_disk_on_every_bus() {
    // SATA has no command that writes zeroes.
    for (bus, least) in [("nvme", 18), ("ahci", 17), ("virtio-scsi", 18), ("am53c974", 18)] {
        System::whole(&[bus]).holds(6, &[], least);
    }
}

#[test]
fn a_disk_that_is_given_few_requests_at_once() {
    System::whole(&["virtio-blk\" queue=\"2"]).holds(6, &[], 18);
}

#[test]
fn partitions_in_a_pd_of_their_own_and_in_the_drivers() {
    for fuse in ["no", "yes"] {
        let volume = format!("<orion:partition number=\"1\" fuse=\"{fuse}\">{WHOLE}</orion:partition>");
        let system = System { volume: &volume, grant: "all", ..System::whole(&["virtio-blk"]) };
        system.holds(6, &[table()], 18);
    }
}

/// The layers that join disks: what they are, and over how many.
fn joined(what: &str, count: usize) -> String {
    let on: String = (0..count).map(|n| format!("<orion:on disk=\"d{n}\"/>")).collect();
    format!("<orion:{what}>{on}</orion:{what}>")
}

const FOUR: [&str; 4] = ["virtio-blk", "nvme", "virtio-scsi", "virtio-blk"];

/// Members on several buses; whole, and without one, which is blank.
#[test]
fn an_array_of_every_level() {
    for (level, count) in [(0, 2), (1, 2), (10, 4), (5, 3), (6, 4)] {
        let volume = joined("raid", count);
        let system = System { volume: &volume, ..System::whole(&FOUR[..count]) };
        let mut media = members(level, 1, count, SECTORS);
        system.holds(2, &media, 17);
        if level != 0 {
            media[1].clear();
            system.holds(2, &media, 17);
        }
    }
}

#[test]
fn two_ways_to_a_disk() {
    let volume = joined("multipath", 2);
    System { volume: &volume, ..System::whole(&["nvme"; 2]) }.holds(6, &[], 18);
}

/// A driver, a layer or the gatekeeper.
#[test]
fn a_restart_below_is_a_delay() {
    let volume = format!("<orion:partition number=\"1\">{WHOLE}</orion:partition>");
    for seed in 0..50 {
        let bus = ["virtio-blk", "nvme", "ahci", "virtio-scsi", "am53c974"][seed as usize % 5];
        System { volume: &volume, grant: "all", ..System::whole(&[bus]) }.outlives(seed, &[table()], 3);
    }
}

#[test]
fn a_restart_in_an_array_is_a_delay() {
    for seed in 0..30 {
        let (level, count) = [(1, 2), (5, 3), (6, 4), (10, 4)][seed as usize % 4];
        let volume = joined("raid", count);
        let system = System { volume: &volume, ..System::whole(&FOUR[..count]) };
        system.outlives(seed, &members(level, 1, count, SECTORS), count + 2);
    }
}

#[test]
fn a_restart_of_a_way_is_a_delay() {
    let volume = joined("multipath", 2);
    for seed in 0..20 {
        System { volume: &volume, ..System::whole(&["nvme"; 2]) }.outlives(seed, &[], 4);
    }
}
