// SPDX-License-Identifier: MIT
//! Instructions of the whole machine for one 4 KiB read, and one write, of a RAID 5 of four virtio disks in QEMU, one request after
//! the other: Linux md in the guest of these tests, and Orion on seL4 (x86-64), on the same images.
//!
//!     cargo build --release -p orion -p orion-insns
//!     MICROKIT_SDK=DIR cargo run --release -p orion-linux-tests --example raid_cost
//!
//! Each figure is the difference between so many requests and none, divided by the requests.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program that measures")]
use orion_linux_tests::{counted, disks, program, run, skip};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

const REQUESTS: u64 = 4000;
const MEMBERS: usize = 4;

fn linux(images: &[PathBuf], write: bool) -> u64 {
    let ends = if write { "if=/dev/zero of=/dev/md0 oflag=direct" } else { "if=/dev/md0 of=/dev/null iflag=direct" };
    let count = |requests: u64| {
        let (before, after) = ("mdadm --assemble /dev/md0 --run --quiet /dev/vd[b-e]", "mdadm --stop --quiet /dev/md0");
        counted(before, &format!("dd {ends} bs=4096 count={requests}"), after, images)
    };
    let nothing = count(0);
    count(REQUESTS).saturating_sub(nothing) / REQUESTS
}

/// The system with the array.
fn system(images: &[PathBuf]) -> PathBuf {
    let path = images.first().and_then(|image| image.parent()).expect("a folder").join("system.xml");
    let (mut disks, mut members) = (String::new(), String::new());
    for number in 0..MEMBERS {
        let _ = write!(disks, r#"<orion:disk name="d{number}" bus="virtio-blk"/>"#);
        let _ = write!(members, r#"<orion:on disk="d{number}"/>"#);
    }
    let text = format!(
        r#"<system xmlns:orion="urn:orion-storage:1">
  <protection_domain name="demo" priority="90"><program_image path="demo.elf"/></protection_domain>
  {disks}
  <orion:volume name="data"><orion:raid>{members}</orion:raid></orion:volume>
  <orion:grant client="demo" volume="data" blocks="0..4096" rights="read write flush"/>
</system>"#
    );
    std::fs::write(&path, text).expect("a system");
    path
}

fn sel4(images: &[PathBuf], system: &PathBuf, write: bool) -> u64 {
    let count = |requests: u64| {
        let mut orion = Command::new(program());
        orion.arg("qemu").arg(system).args(["--count", "--demo", "--board", "x86_64_generic"]);
        for (number, image) in images.iter().enumerate() {
            orion.arg("--disk").arg(format!("d{number}={}", image.display()));
        }
        let settings =
            [("op", if write { 2 } else { 1 }), ("count", requests), ("blocks", 8), ("stride", 8), ("span", 32_761)];
        for (key, value) in settings.into_iter().chain([("depth", 1)]) {
            orion.arg("--set").arg(format!("bench_{key}={value}"));
        }
        let ran = orion.output().expect("orion runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let total = said.lines().find_map(|line| line.strip_prefix("instructions: ")?.parse::<u64>().ok());
        assert!(total.is_some(), "{orion:?}: {said}{}", String::from_utf8_lossy(&ran.stderr));
        total.unwrap_or(0)
    };
    let boot = count(0);
    count(REQUESTS).saturating_sub(boot) / REQUESTS
}

fn main() {
    if skip() {
        return;
    }
    let images = disks("raid-cost", MEMBERS, 64 << 20);
    // Zeroes have the parity that they should have.
    run(
        "mdadm --create /dev/md0 --run --quiet --metadata=1.2 --level=5 --raid-devices=4 --chunk=64 --assume-clean --bitmap=none \
         --consistency-policy=resync --name=cost /dev/vd[b-e]\nmdadm --stop --quiet /dev/md0\n",
        &images,
    );
    let system = system(&images);
    println!("| 4 KiB, depth 1, RAID 5 of four | Orion on seL4 | Linux md | ratio |\n|---|---|---|---|");
    for (name, write) in [("read", false), ("write", true)] {
        let linux = linux(&images, write);
        println!("{name}: Linux {linux}");
        let orion = sel4(&images, &system, write);
        println!("| {name} | {orion} | {linux} | {:.2} |", orion as f64 / linux as f64);
    }
}
