// SPDX-License-Identifier: MIT
//! Arrays that are given another geometry here, whole or in part, are assembled by Linux, which ends what was begun.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_linux_tests::{disks, feed, orion, pattern, run, skip};
use std::fs;
use std::os::unix::fs::FileExt;

/// Members, how the array is made, members that are added, what it becomes, and KiB after which that is stopped.
type Case = (usize, &'static str, usize, &'static str, Option<&'static str>);
const WHOLE: [Case; 6] = [
    (3, "--level 5 --chunk 16", 1, "--raid-devices 4", None),
    (3, "--level 5 --chunk 64", 0, "--chunk 16 --layout right-asymmetric", None),
    (3, "--level 5 --chunk 16", 1, "--level 6 --raid-devices 4", None),
    (4, "--level 6 --chunk 16", 0, "--level 5 --raid-devices 3", None),
    (2, "--level 0 --chunk 16", 1, "--level 5 --raid-devices 3", None),
    (2, "--level 1", 1, "--level 5 --raid-devices 3", None),
];
const STOPPED: [Case; 3] = [
    (3, "--level 5 --chunk 16", 1, "--raid-devices 4", Some("4000")),
    (4, "--level 6 --chunk 16", 1, "--raid-devices 5", Some("2000")),
    (4, "--level 10 --chunk 16", 1, "--raid-devices 5", Some("2000")),
];
const MIB: u64 = 1 << 20;

/// Lets each come to an end, checks it, and compares it with the first disk.
fn job(arrays: &[Case]) -> String {
    let mut job = String::from("set -e\n");
    let mut letters = 'c'..;
    for (number, (members, _, more, how, _)) in arrays.iter().enumerate() {
        let all = members + more;
        let own: Vec<String> = letters.by_ref().take(all).map(|letter| format!("/dev/vd{letter}")).collect();
        let (own, md) = (own.join(" "), format!("/dev/md{number}"));
        job += &format!(
            "mdadm --assemble {md} --run {own}
             cat /proc/mdstat
             while ! grep -q none /sys/block/md{number}/md/reshape_position; do sleep 0.2; done
             while [ $(cat /sys/block/md{number}/md/sync_action) != idle ]; do sleep 0.2; done
             echo check > /sys/block/md{number}/md/sync_action
             while [ $(cat /sys/block/md{number}/md/sync_action) != idle ]; do sleep 0.2; done
             test $(cat /sys/block/md{number}/md/degraded) = 0
             echo 'array {number} ({how}) mismatch_cnt' $(cat /sys/block/md{number}/md/mismatch_cnt)
             dd if=/dev/vdb bs=64k count=64 2>/dev/null > /run/want
             dd if={md} bs=64k count=64 2>/dev/null | cmp - /run/want
             mdadm --stop --quiet {md}\n"
        );
    }
    job
}

/// Makes them, and shows them to Linux.
fn show(name: &str, arrays: &[Case]) {
    if skip() {
        return;
    }
    let count = arrays.iter().map(|(members, _, more, ..)| members + more).sum::<usize>();
    let all = disks(name, 1 + count, 6 * MIB);
    let written = pattern(24 * MIB);
    fs::write(&all[0], &written).expect("a pattern");
    let mut rest = &all[1..];
    for &(members, how, more, becomes, stop) in arrays {
        let (own, others) = rest.split_at(members + more);
        rest = others;
        let (name, count) = (format!("r{}", rest.len()), members.to_string());
        let create = ["raid", "create", "--assume-clean", "--name", &name, "--raid-devices", &count];
        let (first, added) = own.split_at(members);
        orion(&create.into_iter().chain(how.split(' ')).collect::<Vec<_>>(), first);
        let size = orion(&["cat"], first).len();
        feed(&["raid", "write"], first, &written[..size]);
        let added: Vec<String> = added.iter().map(|path| format!("--add={}", path.display())).collect();
        let stop = stop.map(|kib| format!("--stop-at={kib}"));
        let words = ["raid", "grow"].into_iter().chain(becomes.split(' '));
        let words = words.chain(added.iter().map(String::as_str)).chain(stop.as_deref());
        orion(&words.collect::<Vec<_>>(), first);
        let found = orion(&["cat"], own);
        let same = size.min(found.len());
        assert!(found[..same] == written[..same], "{becomes}: it reads otherwise");
    }
    let said = run(&job(arrays), &all);
    let clean = said.lines().filter(|line| line.ends_with(") mismatch_cnt 0")).count();
    assert_eq!(clean, arrays.len(), "parity and copies agree");
}

#[test]
fn arrays_that_were_reshaped_here_are_good_to_linux() {
    show("reshaped", &WHOLE);
}

#[test]
fn linux_ends_what_was_begun_here() {
    show("stopped", &STOPPED);
}

/// Makes arrays in the guest, and stops their reshapes when they have come somewhere.
const BEGUN: [(usize, &str, usize, &str); 2] =
    [(3, "--level=5 --chunk=16", 1, "--raid-devices=4"), (4, "--level=6 --chunk=16", 1, "--raid-devices=5")];

#[test]
fn what_linux_began_is_ended_here() {
    if skip() {
        return;
    }
    let count = BEGUN.iter().map(|(members, _, more, _)| members + more).sum::<usize>();
    let all = disks("begun", 1 + count, 8 * MIB);
    let written = pattern(24 * MIB);
    fs::write(&all[0], &written).expect("a pattern");
    let mut job = String::from("set -e\n");
    let mut letters = 'c'..;
    for (number, (members, how, more, becomes)) in BEGUN.iter().enumerate() {
        let own: Vec<String> = letters.by_ref().take(members + more).map(|letter| format!("/dev/vd{letter}")).collect();
        let (first, added) = (own[..*members].join(" "), own[*members..].join(" "));
        let (md, sys) = (format!("/dev/md{number}"), format!("/sys/block/md{number}/md"));
        job += &format!(
            "mdadm --create {md} --run --quiet --assume-clean --bitmap=none --data-offset=1M {how} --raid-devices={members} {first}
             size=$(blockdev --getsize64 {md})
             head -c $size /dev/vdb | dd of={md} bs=64k iflag=fullblock conv=fsync 2>/dev/null
             mdadm {md} --quiet --add {added}
             echo 200 > {sys}/sync_speed_max; echo 100 > {sys}/sync_speed_min
             mdadm --grow {md} {becomes}
             until [ $(cat {sys}/reshape_position) != none ] && [ $(cat {sys}/reshape_position) -gt 0 ]; do sleep 0.1; done
             mdadm --stop {md}
             mdadm --examine {} | grep -q Reshape
             echo array {number} has $size\n",
            own[0]
        );
    }
    let said = run(&job, &all);
    let mut rest = &all[1..];
    for (number, (members, _, more, becomes)) in BEGUN.iter().enumerate() {
        let (own, others) = rest.split_at(members + more);
        rest = others;
        let size = said.lines().find_map(|line| line.strip_prefix(&format!("array {number} has ")));
        let size: usize = size.and_then(|size| size.parse().ok()).expect("its size");
        // Frozen, and without a member, it is read; then it is ended.
        assert!(orion(&["cat"], &own[1..])[..size] == written[..size], "{becomes}: frozen, it reads otherwise");
        orion(&["raid", "grow"], own);
        assert!(orion(&["cat"], own)[..size] == written[..size], "{becomes}: it reads otherwise");
        assert_eq!(orion(&["raid", "check"], own), b"mismatch_cnt 0\n", "{becomes}");
    }
}

/// What is moved in place is kept as mdadm keeps it: what the members have lost of it, mdadm writes anew from our backup.
#[test]
fn mdadm_restores_what_is_moved_in_place_from_our_backup() {
    if skip() {
        return;
    }
    let all = disks("place", 5, 6 * MIB);
    let written = pattern(24 * MIB);
    let own = &all[2..];
    let create = "raid create --level 5 --chunk 16 --raid-devices 3 --name place --assume-clean --data-offset 64";
    let create = create.split(' ').chain(["--consistency-policy", "resync"]);
    orion(&create.collect::<Vec<_>>(), own);
    let size = orion(&["cat"], own).len();
    feed(&["raid", "write"], own, &written[..size]);
    let kept = all[1].with_extension("backup");
    let kept = kept.to_str().expect("a path");
    orion(&["raid", "grow", "--chunk", "64", "--stop-at", "4000", "--backup-file", kept], own);
    // What was kept last is gone from the members, as where the power went while it was written: chunks of 64 KiB on two of three.
    let backup = fs::read(kept).expect("a backup");
    let word = |at: usize| u64::from_le_bytes(backup[at..at + 8].try_into().expect("eight bytes"));
    let (first, sectors) = (word(48), word(56));
    assert!(sectors > 0 && first + sectors <= 2 * 4200, "{first} {sectors}");
    for member in own {
        let file = fs::OpenOptions::new().write(true).open(member).expect("a member");
        let gone = vec![0x5a; usize::try_from(sectors / 2 * 512).expect("small")];
        file.write_all_at(&gone, (128 + first / 2) * 512).expect("a member that is written");
    }
    let blocks = backup.len().div_ceil(512);
    fs::write(&all[1], backup).expect("a disk that holds it");
    // mdadm alone, without what would then go on in the kernel: there mdadm 4.2 crashes, and keeps nothing any more.
    let said = run(
        &format!(
            "dd if=/dev/vdc of=/run/backup bs=512 count={blocks} 2>/dev/null
             rmmod raid456
             echo 1 > /proc/sys/kernel/modules_disabled
             mdadm --assemble /dev/md0 --verbose --freeze-reshape --backup-file=/run/backup /dev/vdd /dev/vde /dev/vdf
             cat /proc/mdstat
             sync\n"
        ),
        &all,
    );
    assert!(said.contains("mdadm: restoring critical section"), "{said}");
    orion(&["raid", "grow", "--backup-file", kept], own);
    assert!(orion(&["cat"], own) == written[..size], "it reads otherwise");
    assert_eq!(orion(&["raid", "check"], own), b"mismatch_cnt 0\n");
}
