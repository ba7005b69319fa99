// SPDX-License-Identifier: MIT
//! Members that are replaced while they are in service: what was begun here Linux ends, and what Linux began is ended here.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_linux_tests::{disks, feed, orion, pattern, run, skip};
use std::fs;
use std::path::PathBuf;

/// Members, how the array is made, and the member that the disk behind them replaces.
type Case = (usize, &'static str, usize);
const OURS: [Case; 3] = [
    (3, "--level 5 --chunk 16 --consistency-policy resync", 1),
    (2, "--level 1", 0),
    (4, "--level 10 --chunk 16 --layout n2", 3),
];
const LINUX: [Case; 3] =
    [(3, "--level=5 --chunk=16", 0), (2, "--level=1 --bitmap=internal", 1), (4, "--level=6 --chunk=16", 2)];
const MIB: u64 = 1 << 20;

/// The disks of an array, in the guest, and its name there.
fn named(letters: &mut impl Iterator<Item = char>, members: usize, number: usize) -> (Vec<String>, String) {
    (letters.take(members + 1).map(|letter| format!("/dev/vd{letter}")).collect(), format!("md{number}"))
}

const WAITS: &str = "set -e
    waits() { while [ $(cat /sys/block/$1/md/sync_action) != idle ]; do sleep 0.2; done; }
    right() { size=$(blockdev --getsize64 /dev/$1); head -c $size /dev/vdb | cmp - /dev/$1
      test $(cat /sys/block/$1/md/degraded) = 0
      echo check > /sys/block/$1/md/sync_action; waits $1
      echo $1 mismatch_cnt $(cat /sys/block/$1/md/mismatch_cnt)
      mdadm --stop --quiet /dev/$1; }\n";

/// Ends what was begun here, and begins what is to be ended here.
fn first() -> String {
    let (mut job, mut letters) = (WAITS.to_owned(), 'c'..);
    for (number, (members, _, gone)) in OURS.iter().enumerate() {
        let (all, md) = named(&mut letters, *members, number);
        job += &format!(
            "mdadm --assemble /dev/{md} --run --quiet {all}
             sleep 1; waits {md}
             mdadm --detail /dev/{md} | grep -q 'faulty.*{gone}$'
             mdadm --detail /dev/{md} | grep -q 'active.*{new}$'
             mdadm /dev/{md} --quiet --remove {gone}
             right {md}\n",
            gone = all[*gone],
            new = all[*members],
            all = all.join(" ")
        );
    }
    for (number, (members, how, gone)) in LINUX.iter().enumerate() {
        let (all, md) = named(&mut letters, *members, OURS.len() + number);
        let (gone, new, all) = (&all[*gone], &all[*members], all[..*members].join(" "));
        job += &format!(
            "mdadm --create /dev/{md} --run --quiet --assume-clean --name={md} {how} --raid-devices={members} {all}
             size=$(blockdev --getsize64 /dev/{md})
             head -c $size /dev/vdb | dd of=/dev/{md} bs=64k iflag=fullblock conv=fsync 2>/dev/null
             mdadm /dev/{md} --quiet --add {new}
             echo 100 > /sys/block/{md}/md/sync_speed_min; echo 500 > /sys/block/{md}/md/sync_speed_max
             mdadm /dev/{md} --replace {gone} --with {new}
             sleep 3; cat /sys/block/{md}/md/sync_action
             mdadm --stop --quiet /dev/{md}
             mdadm --examine {new} | grep -E 'Feature|Recovery|Device Role'\n"
        );
    }
    job
}

/// Looks at what was ended here.
fn second() -> String {
    let (mut job, mut letters) = (WAITS.to_owned(), 'c'..);
    for (number, (members, ..)) in OURS.iter().chain(&LINUX).enumerate() {
        let (all, md) = named(&mut letters, *members, number);
        if number >= OURS.len() {
            job +=
                &format!("mdadm --assemble /dev/{md} --run --quiet {}; cat /proc/mdstat\nright {md}\n", all.join(" "));
        }
    }
    job
}

/// The disks of each array.
fn split<'a>(all: &'a [PathBuf], cases: &[Case]) -> Vec<&'a [PathBuf]> {
    let mut rest = all;
    let own = |(members, ..): &Case| {
        let (own, others) = rest.split_at(members + 1);
        rest = others;
        own
    };
    cases.iter().map(own).collect()
}

#[test]
fn a_replacement_that_was_begun_here_linux_ends_and_the_other_way_round() {
    if skip() {
        return;
    }
    let cases: Vec<Case> = OURS.into_iter().chain(LINUX).collect();
    let count = cases.iter().map(|(members, ..)| members + 1).sum::<usize>();
    let all = disks("replaced", 1 + count, 6 * MIB);
    let written = pattern(16 * MIB);
    fs::write(&all[0], &written).expect("a pattern");
    let own = split(&all[1..], &cases);
    for ((members, how, gone), own) in OURS.into_iter().zip(&own) {
        let (first, count) = (&own[..members], members.to_string());
        let create = ["raid", "create", "--assume-clean", "--name", "ours", "--raid-devices", &count];
        orion(&create.into_iter().chain(how.split(' ')).collect::<Vec<_>>(), first);
        let size = orion(&["cat"], first).len();
        feed(&["raid", "write"], first, &written[..size]);
        let (gone, new) = (own[gone].to_str().expect("a path"), own[members].to_str().expect("a path"));
        orion(&["raid", "replace", "--device", gone, "--with", new, "--stop-at", "2000"], first);
        // In use meanwhile, it goes on from there; the power is cut again.
        assert!(orion(&["cat"], own) == written[..size], "{how}");
    }
    let said = run(&first(), &all);
    let clean = |said: &str| said.lines().filter(|line| line.ends_with(" mismatch_cnt 0")).count();
    assert_eq!(clean(&said), OURS.len(), "what was begun here Linux ended");
    assert_eq!(said.matches("Recovery Offset").count(), LINUX.len(), "Linux was stopped in the middle: {said}");
    for ((members, how, gone), own) in LINUX.into_iter().zip(&own[OURS.len()..]) {
        assert_eq!(orion(&["raid", "check"], own), b"mismatch_cnt 0\n", "{how}");
        let left: Vec<PathBuf> = (0..=members).filter(|disk| *disk != gone).map(|disk| own[disk].clone()).collect();
        let found = orion(&["cat"], &left);
        assert!(found == written[..found.len()], "{how}: what was copied is read");
    }
    let said = run(&second(), &all);
    assert_eq!(clean(&said), LINUX.len(), "what Linux began was ended here");
}
