// SPDX-License-Identifier: MIT
//! Arrays that mdadm makes and fills in the guest are read here, whole and with as many members missing as they bear.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_linux_tests::{disks, orion, pattern, run, skip};
use std::fs;

/// Members, how mdadm is to make the array of them, and how many it can spare.
const ARRAYS: [(usize, &str, usize); 6] = [
    (3, "--level=0 --chunk=64", 0),
    (2, "--level=1", 1),
    (3, "--level=5 --chunk=64 --consistency-policy=ppl", 1),
    (3, "--level=5 --chunk=4 --layout=right-asymmetric", 1),
    (5, "--level=6 --chunk=16 --bitmap=internal", 2),
    (4, "--level=10 --layout=f2 --chunk=32", 1),
];
const MIB: u64 = 1 << 20;

/// Makes all of them, and writes the first disk to each.
fn job() -> String {
    let mut job = String::from("set -e\n");
    let mut letters = 'c'..;
    for (number, (members, how, _)) in ARRAYS.iter().enumerate() {
        let members: Vec<String> = letters.by_ref().take(*members).map(|letter| format!("/dev/vd{letter}")).collect();
        let (count, members, md) = (members.len(), members.join(" "), format!("/dev/md{number}"));
        job += &format!(
            "mdadm --create {md} --run --quiet --assume-clean --name=a{number} {how} --raid-devices={count} {members}
             size=$(blockdev --getsize64 {md})
             head -c $size /dev/vdb | dd of={md} bs=64k iflag=fullblock conv=fsync 2>/dev/null
             echo array {number} has $size
             mdadm --stop --quiet {md}\n"
        );
    }
    job
}

#[test]
fn arrays_of_linux_are_read_whole_and_degraded() {
    if skip() {
        return;
    }
    let count = ARRAYS.iter().map(|(members, ..)| members).sum::<usize>();
    let all = disks("arrays", 1 + count, 12 * MIB);
    let written = pattern(40 * MIB);
    fs::write(&all[0], &written).expect("a pattern");
    let said = run(&job(), &all);
    let mut rest = &all[1..];
    for (number, (members, how, spare)) in ARRAYS.iter().enumerate() {
        let (own, others) = rest.split_at(*members);
        rest = others;
        let size = said.lines().find_map(|line| line.strip_prefix(&format!("array {number} has ")));
        let size: usize = size.and_then(|size| size.parse().ok()).expect("its size");
        assert!(size >= 8 << 20 && size <= written.len(), "{how}: {size}");
        for missing in 0..=*spare {
            // Beside strangers, and without its first members.
            let images = [&own[missing..], others].concat();
            let found = orion(&["cat", "--volume", &format!("a{number}")], &images);
            assert!(found == written[..size], "{how}: without {missing} members it reads otherwise");
        }
    }
}
