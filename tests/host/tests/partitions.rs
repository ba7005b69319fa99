// SPDX-License-Identifier: MIT
//! One disk that sfdisk partitioned, two clients, each with a partition of its own: the layer in a PD of its own and in
//! the driver's, with the same outcome.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]
use orion_host_tests::{Place, Run};
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");
const MIB: u64 = 1 << 20;

/// Three partitions: 1 to 5 MiB, 5 to 8, 8 to 13.
const TABLE: &str = "label: gpt\nsize=4M, name=boot\nsize=3M, name=spare\nsize=5M, name=root\n";

fn sfdisk(image: &Path, script: &str) {
    let paths = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sfdisk");
    command.arg("-q").arg(image).env("PATH", paths).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("sfdisk (Debian: fdisk)");
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn system(fuse: bool, first: &str) -> String {
    let fuse = if fuse { " fuse=\"yes\"" } else { "" };
    format!(
        r#"<system xmlns:orion="urn:orion-storage:1">
  <protection_domain name="one" priority="90"><program_image path="demo.elf"/></protection_domain>
  <protection_domain name="two" priority="90"><program_image path="demo.elf"/></protection_domain>
  <orion:disk name="d0" bus="virtio-blk"/>
  <orion:volume name="a"><orion:partition {first}{fuse}><orion:on disk="d0"/></orion:partition></orion:volume>
  <orion:volume name="b"><orion:partition name="root"{fuse}><orion:on disk="d0"/></orion:partition></orion:volume>
  <orion:grant client="one" volume="a" blocks="all" rights="read write flush"/>
  <orion:grant client="two" volume="b" blocks="0..1024" rights="read write flush"/>
</system>"#
    )
}

fn run(place: &Place, xml: &str) -> Run {
    place.run(PROGRAM, xml, &["--demo", "--disk", "d0=disk.img"])
}

/// Whether every block of these bytes was written, or, if not `written`, none.
fn all(image: &[u8], bytes: Range<u64>, written: bool) -> bool {
    let part = &image[bytes.start as usize..bytes.end as usize];
    part.chunks(4096).all(|block| block.iter().any(|&byte| byte != 0) == written)
}

#[test]
fn two_clients_each_on_its_own_partition() {
    for fuse in [false, true] {
        let place = Place::new();
        let path = place.sparse("disk.img", 16 * MIB);
        sfdisk(&path, TABLE);
        let before = fs::read(&path).unwrap();
        let mut run = run(&place, &system(fuse, "number=\"1\""));
        let status = run.end();
        assert!(status.success(), "{} {:#?}", run.error(), run.events);
        for client in ["one", "two"] {
            let said = run.said(client);
            assert!(said.last().is_some_and(|line| line.starts_with("verified: ")), "{said:#?}");
        }
        let layer = if fuse { "blk_d0" } else { "part_d0" };
        let said = run.said(layer);
        for line in [
            "GPT with 3 partitions",
            "volume a: partition 1 \"boot\", blocks 2048..10240",
            "volume b: partition 3 \"root\", blocks 16384..26624",
        ] {
            assert!(said.contains(&line), "no {line} in {said:#?}");
        }
        let image = fs::read(&path).unwrap();
        // All of the first partition and 4 MiB of the third; nothing of the second; the table is as it was.
        assert!(all(&image, MIB..5 * MIB, true) && all(&image, 8 * MIB..12 * MIB, true));
        assert!(all(&image, 5 * MIB..8 * MIB, false) && all(&image, 12 * MIB..15 * MIB, false));
        assert!(image[..MIB as usize] == before[..MIB as usize]);
        assert!(image[15 * MIB as usize..] == before[15 * MIB as usize..]);
    }
}

/// A client whose partition is not there gets nothing, and is no hindrance to the other.
#[test]
fn a_partition_that_is_not_there() {
    for fuse in [false, true] {
        let place = Place::new();
        sfdisk(&place.sparse("disk.img", 16 * MIB), TABLE);
        let mut run = run(&place, &system(fuse, "name=\"home\""));
        assert!(!run.end().success());
        let layer = if fuse { "blk_d0" } else { "part_d0" };
        let line = "volume a: partition name \"home\": there is no such partition; it has no blocks";
        assert!(run.said(layer).contains(&line), "{:#?}", run.events);
        assert!(run.said("two").last().is_some_and(|line| line.starts_with("verified: ")), "{:#?}", run.events);
        assert!(run.said("one").last().is_some_and(|line| line.starts_with("failed: ")), "{:#?}", run.events);
    }
}

/// The primary table is lost: the backup serves, and that is said. Then both are.
#[test]
fn a_table_that_is_lost() {
    let place = Place::new();
    let path = place.sparse("disk.img", 16 * MIB);
    sfdisk(&path, TABLE);
    let mut image = fs::read(&path).unwrap();
    image[512..1024].fill(0);
    fs::write(&path, &image).unwrap();
    let mut first = run(&place, &system(false, "number=\"1\""));
    assert!(first.end().success(), "{} {:#?}", first.error(), first.events);
    let said = first.said("part_d0").join("\n");
    assert!(said.contains("the primary copy of the GPT is bad: block 1: there is no GPT header"), "{said}");
    let end = image.len() - 512;
    image[end..].fill(0);
    fs::write(&path, &image).unwrap();
    let mut second = run(&place, &system(false, "number=\"1\""));
    assert!(!second.end().success());
    let said = second.said("part_d0").join("\n");
    assert!(said.contains("no partition can be used: both copies of the GPT are bad"), "{said}");
    assert!(fs::read(&path).unwrap() == image, "nothing was written");
}
