// SPDX-License-Identifier: MIT
//! Write-intent bitmaps that are made and kept here are good to Linux: it takes a member back by what they say, and keeps them; what it
//! kept is read here.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_linux_tests::{disks, feed, orion, pattern, run, skip};
use std::fs;

/// Members, how the array is to be made, and where in it is written while the last member is away, in blocks of 4 KiB.
const ARRAYS: [(usize, &str); 2] =
    [(2, "--level 1 --bitmap-chunk 64"), (4, "--level 10 --chunk 32 --layout n2 --bitmap-chunk 64")];
const MIB: u64 = 1 << 20;
/// Bytes that are written while a member is away.
const AGAIN: usize = 200 << 10;

/// Takes the last member back, compares, checks, and has a member leave and come back for its own part.
fn job() -> String {
    let mut job =
        String::from("set -e\nwaits() { while [ $(cat /sys/block/$1/md/sync_action) != idle ]; do sleep 1; done; }\n");
    let mut letters = 'c'..;
    for (number, (members, how)) in ARRAYS.iter().enumerate() {
        let all: Vec<String> = letters.by_ref().take(*members).map(|letter| format!("/dev/vd{letter}")).collect();
        let (last, first, md) = (&all[members - 1], &all[0], format!("md{number}"));
        job += &format!(
            "for d in {all}; do mdadm --examine-bitmap $d | grep -q 'Chunksize : 64 KB'; done
             mdadm --examine-bitmap {first} | grep Bitmap
             mdadm --assemble /dev/{md} --run --quiet {all}
             test $(cat /sys/block/{md}/md/degraded) = 1
             mdadm /dev/{md} --re-add {last} 2>&1 | grep re-added
             sleep 1; waits {md}
             test $(cat /sys/block/{md}/md/degraded) = 0
             size=$(blockdev --getsize64 /dev/{md})
             head -c $size /dev/vdb | cmp - /dev/{md}
             echo check > /sys/block/{md}/md/sync_action; waits {md}
             echo 'array {number} ({how}) mismatch_cnt' $(cat /sys/block/{md}/md/mismatch_cnt)
             mdadm /dev/{md} --quiet --fail {first}; mdadm /dev/{md} --quiet --remove {first}
             dd if=/dev/vdb of=/dev/{md} bs=4k count=8 seek=40 conv=fsync 2>/dev/null
             mdadm --stop --quiet /dev/{md}\n",
            all = all.join(" ")
        );
    }
    job
}

#[test]
fn a_member_that_was_away_is_taken_back_by_what_the_bitmap_says() {
    if skip() {
        return;
    }
    let count = ARRAYS.iter().map(|(members, _)| members).sum::<usize>();
    let all = disks("bitmaps", 1 + count, 6 * MIB);
    let mut written = pattern(16 * MIB);
    // The array is filled, then its first blocks are written while a member is away.
    let first = written.clone();
    written[..AGAIN].copy_from_slice(&pattern(32 * MIB)[16 << 20..(16 << 20) + AGAIN]);
    fs::write(&all[0], &written).expect("a pattern");
    let mut rest = &all[1..];
    for (members, how) in ARRAYS {
        let (own, others) = rest.split_at(members);
        rest = others;
        let count = members.to_string();
        let how = how.split(' ').chain(["--bitmap", "internal", "--name", "bits", "--raid-devices", &count]);
        orion(&[&["raid", "create"], &how.collect::<Vec<_>>()[..]].concat(), own);
        let size = orion(&["cat"], own).len();
        feed(&["raid", "write"], own, &first[..size]);
        feed(&["raid", "write"], &own[..members - 1], &written[..AGAIN]);
    }
    let said = run(&job(), &all);
    let clean = said.lines().filter(|line| line.ends_with(") mismatch_cnt 0")).count();
    assert_eq!(clean, ARRAYS.len(), "what came back is like the others: {said}");
    let mut rest = &all[1..];
    for (members, how) in ARRAYS {
        let (own, others) = rest.split_at(members);
        rest = others;
        // The first member is stale for Linux too.
        assert_eq!(orion(&["raid", "check"], &own[1..]), b"mismatch_cnt 0\n", "{how}");
        let found = orion(&["cat"], own);
        assert!(found[40 * 4096..48 * 4096] == written[..8 * 4096], "{how}: what Linux wrote is read");
        assert!(found[48 * 4096..] == written[48 * 4096..found.len()], "{how}");
    }
}
