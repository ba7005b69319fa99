// SPDX-License-Identifier: MIT
//! Linux loses its power while it writes to arrays with logs, and what it was told was written is read here, then replayed; and
//! the other way round.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_linux_tests::{disks, feed, orion, pattern, run, run_until_cut, skip, try_feed};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;
/// Bytes that Linux writes at a time, and of the array that are written.
const PIECE: usize = 20 << 10;
const WRITTEN: usize = 60 * PIECE;

/// Members, how mdadm is to make the array, whether it has a journal and in which mode, and how many members it can spare.
const ARRAYS: [(usize, &str, Option<&str>, usize); 4] = [
    (3, "--level=5 --chunk=16", Some("write-through"), 1),
    (4, "--level=6 --chunk=4", Some("write-back"), 2),
    (4, "--level=4 --chunk=64", Some("write-back"), 1),
    (3, "--level=5 --chunk=16 --consistency-policy=ppl", None, 1),
];

/// Makes an array, and writes to it until the power goes.
fn job(members: usize, how: &str, mode: Option<&str>) -> String {
    let all: Vec<String> = ('c'..).take(members).map(|letter| format!("/dev/vd{letter}")).collect();
    let (all, behind) = (all.join(" "), char::from(b'c' + u8::try_from(members).expect("few")));
    let journal = mode.map_or(String::new(), |_| format!("--write-journal /dev/vd{behind}"));
    let mode = mode.map_or(String::new(), |mode| format!("echo {mode} >/sys/block/md0/md/journal_mode"));
    format!(
        "set -e
         mdadm --create /dev/md0 --run --quiet --assume-clean {how} --raid-devices={members} {all} {journal}
         {mode}
         (n=0; while [ $n -lt 60 ]; do
            dd if=/dev/vdb of=/dev/md0 bs={PIECE} count=1 skip=$n seek=$n oflag=direct 2>/dev/null
            echo written $n
            n=$((n + 1))
          done) &
         dd if=/dev/vdb of=/dev/md0 bs=4k skip=2048 seek=512 oflag=direct 2>/dev/null &
         until [ -e /tmp/never ]; do
           dd if=/dev/vdb of=/dev/md0 bs=4k count=7 skip=1024 seek=1024 conv=fsync 2>/dev/null
           [ -n \"$far\" ] && cut
           sleep 1
           far=1
         done\n"
    )
}

/// What may be there: of what was acknowledged the pattern; of the rest each sector the pattern, or zeroes.
fn legal(found: &[u8], written: &[u8], acknowledged: usize, what: &str) {
    assert!(found[..acknowledged] == written[..acknowledged], "{what}: what was acknowledged is not there");
    for (at, (found, new)) in found[..WRITTEN].chunks(512).zip(written.chunks(512)).enumerate() {
        assert!(found == new || found.iter().all(|byte| *byte == 0), "{what}: sector {at} is neither old nor new");
    }
}

/// All but some of them.
fn without(images: &[PathBuf], gone: &[usize]) -> Vec<PathBuf> {
    images.iter().enumerate().filter(|(n, _)| !gone.contains(n)).map(|(_, image)| image.clone()).collect()
}

#[test]
fn what_linux_was_writing_when_its_power_went_is_read_and_replayed() {
    if skip() {
        return;
    }
    let written = pattern(40 * MIB);
    for (members, how, mode, spare) in ARRAYS {
        let all = disks("cut", 1 + members + usize::from(mode.is_some()), 24 * MIB);
        fs::write(&all[0], &written).expect("a pattern");
        let said = run_until_cut(&job(members, how, mode), &all);
        let acknowledged = PIECE * said.lines().filter(|line| line.starts_with("written ")).count();
        assert!(acknowledged > 0, "{how}: nothing was written");
        let own = &all[1..];
        let whole = orion(&["cat"], own);
        legal(&whole, &written, acknowledged, how);
        for first in 0..members {
            let gone: Vec<usize> = (first..members).take(spare).collect();
            let found = orion(&["cat"], &without(own, &gone));
            // Where a member is missing that was being written, a partial parity log knows neither old nor new.
            if mode.is_some() {
                assert!(found == whole, "{how}: without {gone:?} it reads otherwise");
            }
            assert!(found[..acknowledged] == written[..acknowledged], "{how}: without {gone:?} something is lost");
        }
        assert_eq!(orion(&["raid", "check"], own), b"mismatch_cnt 0\n", "{how}");
        assert!(orion(&["cat"], own) == whole, "{how}: replayed, it reads otherwise");
        feed(&["raid", "write"], own, &written[..PIECE]);
        checked(&all, "mdadm --assemble /dev/md0 --run --quiet /dev/vd[c-z]", how);
        assert!(orion(&["cat"], own) == [&written[..PIECE], &whole[PIECE..]].concat(), "{how}: Linux reads otherwise");
    }
}

/// Has Linux assemble, compare and stop an array.
fn checked(all: &[PathBuf], assemble: &str, what: &str) {
    let said = run(
        &format!(
            "set -e
             {assemble}
             echo state $(cat /sys/block/md0/md/sync_action)
             echo check >/sys/block/md0/md/sync_action
             while [ $(cat /sys/block/md0/md/sync_action) != idle ]; do sleep 1; done
             echo mismatch_cnt $(cat /sys/block/md0/md/mismatch_cnt)
             mdadm --stop --quiet /dev/md0\n"
        ),
        all,
    );
    assert!(said.contains("state idle\n"), "{what}: nothing is put in sync");
    assert!(said.contains("mismatch_cnt 0\n"), "{what}: parity is right");
}

/// Zeroes the data of a member, which begin at 1 MiB.
fn forget(image: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(image).expect("an image");
    file.write_all_at(&vec![0; usize::try_from(bytes - MIB).expect("small")], MIB).expect("zeroes");
}

/// Whether the data of all images, from this byte on, add up to zero.
fn adds_up(images: &[PathBuf], data: usize) -> bool {
    let mut sum: Vec<u8> = Vec::new();
    for image in images {
        let bytes = fs::read(image).expect("an image");
        sum.resize(bytes.len(), 0);
        sum.iter_mut().zip(&bytes).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum[data..].iter().all(|byte| *byte == 0)
}

#[test]
fn linux_replays_journals_that_were_written_here() {
    if skip() {
        return;
    }
    let written = pattern(24 * MIB);
    for (level, members, writes) in [("4", 3, 60), ("5", 3, 90), ("6", 5, 131)] {
        let size = 16 * MIB;
        let all = disks("replayed", 2 + members, size);
        let (own, journal) = (&all[1..], &all[1 + members]);
        let (count, journal) = (members.to_string(), journal.display().to_string());
        let how = ["--level", level, "--raid-devices", &count, "--chunk", "16", "--assume-clean"];
        let create = [&["raid", "create", "--write-journal", &journal], &how[..]].concat();
        orion(&create, &own[..members]);
        let ended = try_feed(&["raid", "write", "--cut", &writes.to_string()], own, &written[..WRITTEN]);
        assert!(!ended, "{writes} writes are not all");
        // Whatever the members got: the journal knows.
        own[..members].iter().for_each(|image| forget(image, size));
        let whole = orion(&["cat"], own);
        let there = whole.chunks(512).zip(written.chunks(512)).filter(|(found, new)| found == new).count();
        assert!(there > 16, "RAID {level}: {there} sectors were logged");
        checked(&all, "mdadm --assemble /dev/md0 --run --quiet /dev/vd[c-z]", level);
        assert!(orion(&["cat"], own) == whole, "RAID {level}: Linux replayed something else");
        legal(&whole, &written, 0, level);
    }
}

/// An array with partial parity logs that mdadm makes, on the disks but the first: its data's first byte.
fn made_by_linux(all: &[PathBuf]) -> usize {
    let said = run(
        "set -e
         mdadm --create /dev/md0 --run --quiet --assume-clean --level=5 --chunk=16 --consistency-policy=ppl --raid-devices=3 \
             /dev/vdc /dev/vdd /dev/vde
         mdadm --stop --quiet /dev/md0
         mdadm --examine /dev/vdc\n",
        all,
    );
    assert!(said.contains("PPL : 2048 sectors"), "mdadm made room for several partial parity logs");
    let data = said.lines().find_map(|line| line.trim().strip_prefix("Data Offset : ")?.strip_suffix(" sectors"));
    data.and_then(|sectors| sectors.parse::<usize>().ok()).expect("where its data begin") * 512
}

#[test]
fn linux_replays_partial_parity_logs_that_were_written_here() {
    if skip() {
        return;
    }
    let written = pattern(24 * MIB);
    for by_linux in [false, true] {
        let all = disks(if by_linux { "ppls" } else { "ppl" }, 4, 8 * MIB);
        let own = &all[1..];
        let data = if by_linux {
            made_by_linux(&all)
        } else {
            orion(&["raid", "create", "--level", "5", "--raid-devices", "3", "--chunk", "16", "--assume-clean"], own);
            1 << 20
        };
        feed(&["raid", "write"], own, &pattern(MIB).iter().map(|byte| !byte).collect::<Vec<_>>());
        let before: Vec<Vec<u8>> = own.iter().map(|image| fs::read(image).expect("an image")).collect();
        let mut torn = 0;
        // Where a write of a stripe is cut in its middle depends on the order in which the layer writes: such places are looked for.
        for writes in 40..200 {
            own.iter().zip(&before).for_each(|(image, bytes)| fs::write(image, bytes).expect("as it was"));
            let ended = try_feed(&["raid", "write", "--cut", &writes.to_string()], own, &written[..WRITTEN]);
            if ended || adds_up(own, data) {
                continue;
            }
            checked(&all, "mdadm --assemble /dev/md0 --run --quiet /dev/vd[c-e]", "a partial parity log");
            assert!(adds_up(own, data), "cut after {writes} writes: parity is not what the data say");
            torn += 1;
            if torn == 2 {
                break;
            }
        }
        assert_eq!(torn, 2, "parity was wrong twice before Linux replayed the log");
    }
}
