// SPDX-License-Identifier: MIT
//! Arrays of Linux's RAID on devices of QEMU: the example, whole and without one of its disks.
#![allow(clippy::unwrap_used, reason = "tests")]
use orion_host_tests::{Place, Run};
use std::fs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");
const EXAMPLE: &str = include_str!("../../../docs/examples/raid.xml");

fn run(place: &Place) -> Run {
    let mut run = place.run(PROGRAM, EXAMPLE, &[]);
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
