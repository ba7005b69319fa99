// SPDX-License-Identifier: MIT
//! Arrays that are made and filled here, some of them degraded, are assembled, compared and checked by Linux, which then writes
//! to them; what it left is checked here.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_linux_tests::{disks, feed, orion, pattern, run, skip};
use std::fs;

/// Members, how the array is to be made, and members that are away while it is filled for the second time.
const ARRAYS: [(usize, &str, usize); 6] = [
    (2, "--level 0 --chunk 64", 0),
    (2, "--level 1", 0),
    (3, "--level 5 --chunk 16", 0),
    (4, "--level 5 --chunk 64 --layout right-asymmetric", 1),
    (5, "--level 6 --chunk 16 --layout ddf-N-continue", 2),
    (4, "--level 10 --chunk 32 --layout n2", 1),
];
const MIB: u64 = 1 << 20;

/// Compares each with the first disk, checks it, and writes some of it again.
fn job() -> String {
    let mut job = String::from("set -e\n");
    let mut letters = 'c'..;
    for (number, (members, how, away)) in ARRAYS.iter().enumerate() {
        let members: Vec<String> = letters.by_ref().take(*members).map(|letter| format!("/dev/vd{letter}")).collect();
        let (members, md) = (members.join(" "), format!("/dev/md{number}"));
        job += &format!(
            "mdadm --assemble {md} --run --quiet {members}
             size=$(blockdev --getsize64 {md})
             head -c $size /dev/vdb | cmp - {md}
             if [ {number} -gt 0 ]; then
               test $(cat /sys/block/md{number}/md/degraded) = {away}
               echo check > /sys/block/md{number}/md/sync_action
               while [ $(cat /sys/block/md{number}/md/sync_action) != idle ]; do sleep 1; done
               echo 'array {number} ({how}) mismatch_cnt' $(cat /sys/block/md{number}/md/mismatch_cnt)
             fi
             dd if=/dev/vdb of={md} bs=4k count=64 seek=33 conv=fsync 2>/dev/null
             mdadm --stop --quiet {md}\n"
        );
    }
    job
}

#[test]
fn arrays_that_are_written_here_are_good_to_linux() {
    if skip() {
        return;
    }
    let count = ARRAYS.iter().map(|(members, ..)| members).sum::<usize>();
    let all = disks("written", 1 + count, 6 * MIB);
    let written = pattern(24 * MIB);
    fs::write(&all[0], &written).expect("a pattern");
    let mut rest = &all[1..];
    for (members, how, away) in ARRAYS {
        let (own, others) = rest.split_at(members);
        rest = others;
        let (name, count) = (format!("a{}", rest.len()), members.to_string());
        let how = how.split(' ').chain(["--name", &name, "--raid-devices", &count]);
        orion(&[&["raid", "create"], &how.collect::<Vec<_>>()[..]].concat(), own);
        let size = orion(&["cat"], own).len();
        // What is away meanwhile holds something else.
        let first = if away > 0 { vec![0x5a; size] } else { written[..size].to_vec() };
        feed(&["raid", "write"], own, &first);
        if away > 0 {
            feed(&["raid", "write"], &own[away..], &written[..size]);
        }
    }
    let said = run(&job(), &all);
    let clean = said.lines().filter(|line| line.ends_with(") mismatch_cnt 0")).count();
    assert_eq!(clean, ARRAYS.len() - 1, "parity and copies agree");
    let mut rest = &all[1..];
    for (members, how, _) in ARRAYS {
        let (own, others) = rest.split_at(members);
        rest = others;
        assert_eq!(orion(&["raid", "check"], own), b"mismatch_cnt 0\n", "{how}");
        let found = orion(&["cat"], own);
        let again = 33 * 4096..97 * 4096;
        assert!(found[..again.start] == written[..again.start], "{how}");
        assert!(found[again.clone()] == written[..64 * 4096], "{how}: what Linux wrote is read");
        assert!(found[again.end..] == written[again.end..found.len()], "{how}");
    }
}
