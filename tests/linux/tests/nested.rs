// SPDX-License-Identifier: MIT
//! RAID 50 and 60, arrays of level 0 over arrays with parity: those of mdadm are read here, whole and degraded, and those that are made and
//! written here are right to Linux.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_linux_tests::{disks, feed, orion, pattern, run, skip};
use std::fs;
use std::path::PathBuf;

const MIB: u64 = 1 << 20;
/// The level of the inner arrays, how many members each has, and how many it can spare.
const ARRAYS: [(u32, usize, usize); 2] = [(5, 3, 1), (6, 4, 2)];

/// The names of the disks of two inner arrays.
fn devices(members: usize) -> (String, String) {
    let mut names = ('c'..).map(|letter| format!("/dev/vd{letter}"));
    let mut next = || names.by_ref().take(members).collect::<Vec<_>>().join(" ");
    (next(), next())
}

/// All but the first of the one and the last of the other inner array: as many as they can spare.
fn degraded(own: &[PathBuf], members: usize, spare: usize) -> Vec<PathBuf> {
    [&own[spare..members], &own[members..2 * members - spare]].concat()
}

#[test]
fn arrays_over_arrays_of_linux_are_read_whole_and_degraded() {
    if skip() {
        return;
    }
    let written = pattern(64 * MIB);
    for (level, members, spare) in ARRAYS {
        let all = disks(&format!("nested-{level}"), 1 + 2 * members, 12 * MIB);
        fs::write(&all[0], &written).expect("a pattern");
        let (first, second) = devices(members);
        let said = run(
            &format!(
                "set -e
                 make='mdadm --create --run --quiet --assume-clean --metadata=1.2'
                 $make /dev/md1 --name=one --level={level} --chunk=16 --raid-devices={members} {first}
                 $make /dev/md2 --name=two --level={level} --chunk=64 --raid-devices={members} {second}
                 $make /dev/md0 --name=over --level=0 --chunk=32 --raid-devices=2 /dev/md1 /dev/md2
                 size=$(blockdev --getsize64 /dev/md0)
                 head -c $size /dev/vdb | dd of=/dev/md0 bs=64k iflag=fullblock conv=fsync 2>/dev/null
                 echo it has $size
                 mdadm --stop --quiet /dev/md0 /dev/md1 /dev/md2\n"
            ),
            &all,
        );
        let size = said.lines().find_map(|line| line.strip_prefix("it has ")?.parse::<usize>().ok()).expect("its size");
        assert!(size > 30 << 20 && size <= written.len(), "{size}");
        let own = &all[1..];
        assert!(orion(&["cat"], own) == written[..size], "{level}: it reads otherwise");
        assert!(
            orion(&["cat", "--volume", "over"], &degraded(own, members, spare)) == written[..size],
            "{level}: degraded"
        );
        // Used here, it is right to Linux.
        feed(&["raid", "write"], own, &written[512..3 * PIECE]);
        assert_eq!(orion(&["raid", "check"], own), b"mismatch_cnt 0\n");
        checked(&all, members, 3 * PIECE - 512, 1);
    }
}

/// Bytes of a few stripes.
const PIECE: usize = 400 << 10;

/// Has Linux assemble the arrays, compare what `bytes` bytes are with the pattern from a sector on, and all copies.
fn checked(all: &[PathBuf], members: usize, bytes: usize, from: usize) {
    let (first, second) = devices(members);
    let said = run(
        &format!(
            "set -e
             mdadm --assemble /dev/md1 --run --quiet {first}
             mdadm --assemble /dev/md2 --run --quiet {second}
             mdadm --assemble /dev/md0 --run --quiet /dev/md1 /dev/md2
             dd if=/dev/vdb of=/run/want bs=512 skip={from} count={count} 2>/dev/null
             dd if=/dev/md0 of=/run/have bs=512 count={count} 2>/dev/null
             cmp /run/want /run/have && echo alike
             for md in md1 md2; do
               echo check >/sys/block/$md/md/sync_action
               while [ $(cat /sys/block/$md/md/sync_action) != idle ]; do sleep 1; done
               echo $md mismatch_cnt $(cat /sys/block/$md/md/mismatch_cnt)
             done
             mdadm --stop --quiet /dev/md0 /dev/md1 /dev/md2\n",
            count = bytes / 512,
        ),
        all,
    );
    for line in ["alike\n", "md1 mismatch_cnt 0\n", "md2 mismatch_cnt 0\n"] {
        assert!(said.contains(line), "{line} is missing");
    }
}

#[test]
fn arrays_over_arrays_that_are_made_here_are_good_to_linux() {
    if skip() {
        return;
    }
    let written = pattern(64 * MIB);
    for (level, members, spare) in ARRAYS {
        let all = disks(&format!("nested-here-{level}"), 1 + 2 * members, 12 * MIB);
        fs::write(&all[0], &written).expect("a pattern");
        let (own, level, count) = (&all[1..], format!("{level}0"), (2 * members).to_string());
        let how =
            ["raid", "create", "--level", &level, "--groups", "2", "-n", &count, "--chunk", "16", "--assume-clean"];
        orion(&how, own);
        feed(&["raid", "write"], own, &written[512..2 * PIECE]);
        // Written while members are missing, which come back to be rebuilt by nobody: they are stale.
        let rest = degraded(own, members, spare);
        feed(&["raid", "write"], &rest, &written[..3 * PIECE]);
        assert!(orion(&["cat"], own)[..3 * PIECE] == written[..3 * PIECE]);
        checked(&all, members, 3 * PIECE, 0);
    }
}
