// SPDX-License-Identifier: MIT
//! The contract suite as a client in the host world: gatekeeper, partitions and driver as processes, QEMU's own model of
//! a device of each kind as the disk.
#![allow(clippy::indexing_slicing, reason = "a test's means fail by panicking")]
use orion_host_tests::Place;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");

/// Runs the suite against `volume`, of which it is granted `blocks`, on disks that begin with `start`; how many checks held.
fn holds_on(disks: &[&str], volume: &str, (blocks, rights): (&str, &str), start: &[u8]) -> usize {
    let disk = |(n, disk): (usize, &&str)| format!("<orion:disk name=\"d{n}\" bus=\"{disk}\"/>");
    let xml = format!(
        "<system xmlns:orion=\"urn:orion-storage:1\">{}
         <protection_domain name=\"suite\" priority=\"90\" orion:queue=\"16\"><program_image path=\"contract.elf\"/>
         </protection_domain><orion:volume name=\"v\">{volume}</orion:volume>
         <orion:grant client=\"suite\" volume=\"v\" blocks=\"{blocks}\" rights=\"{rights}\"/></system>",
        disks.iter().enumerate().map(disk).collect::<String>()
    );
    let place = Place::new();
    let mut image = vec![0; 8 << 20];
    image[..start.len()].copy_from_slice(start);
    place.write("image", image);
    let mut settings = vec!["--set", "denies=1"];
    // Disks of a joined volume are new files.
    if disks.len() == 1 {
        settings.extend(["--disk", "d0=image"]);
    }
    let mut run = place.run(PROGRAM, &xml, &settings);
    assert!(run.end().success(), "{} {:#?}", run.error(), run.events);
    run.said("suite").iter().filter(|line| line.starts_with("held: ")).count()
}

/// The same on one disk.
fn holds(bus: &str, volume: &str, blocks: &str, rights: &str, start: &[u8]) -> usize {
    holds_on(&[bus], volume, (blocks, rights), start)
}

const WHOLE: &str = "<orion:on disk=\"d0\"/>";
const ALL: &str = "read write flush discard zero";

#[test]
fn a_disk_behind_a_gatekeeper() {
    assert!(holds("virtio-blk", WHOLE, "8..264", ALL, &[]) >= 18);
    assert!(holds("virtio-blk", WHOLE, "8..264", "read flush", &[]) >= 5);
}

#[test]
fn four_packed_rings_behind_a_gatekeeper() {
    assert!(holds("virtio-blk\" queues=\"4\" ring=\"packed", WHOLE, "8..264", ALL, &[]) >= 18);
}

#[test]
fn a_namespace_behind_a_gatekeeper() {
    assert!(holds("nvme", WHOLE, "8..264", ALL, &[]) >= 18);
}

#[test]
fn a_drive_behind_a_gatekeeper() {
    // SATA has no command that writes zeroes.
    assert!(holds("ahci", WHOLE, "8..264", ALL, &[]) >= 17);
}

#[test]
fn a_logical_unit_behind_a_gatekeeper() {
    assert!(holds("virtio-scsi", WHOLE, "8..264", ALL, &[]) >= 18);
}

#[test]
fn a_target_on_a_parallel_bus_behind_a_gatekeeper() {
    assert!(holds("am53c974", WHOLE, "8..264", ALL, &[]) >= 18);
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
        assert!(holds("virtio-blk", &volume, "all", ALL, &table) >= 18);
    }
}

#[test]
fn an_array_behind_a_gatekeeper() {
    let on = ["d0", "d1", "d2"].map(|disk| format!("<orion:on disk=\"{disk}\"/>")).concat();
    let volume = format!("<orion:raid name=\"data\" level=\"5\">{on}</orion:raid>");
    assert!(holds_on(&["virtio-blk", "nvme", "virtio-blk"], &volume, ("8..264", ALL), &[]) >= 17);
}

#[test]
fn two_ways_to_a_disk_behind_a_gatekeeper() {
    let volume = format!("<orion:multipath>{WHOLE}<orion:on disk=\"d1\"/></orion:multipath>");
    assert!(holds_on(&["nvme", "nvme"], &volume, ("8..264", ALL), &[]) >= 18);
}
