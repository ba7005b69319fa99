// SPDX-License-Identifier: MIT
//! `orion raid` on images.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Empty images of so many MiB.
fn images(test: &str, count: usize, mib: u64) -> Vec<String> {
    let path = |n| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("raid-{test}-{n}")).display().to_string();
    let made = (0..count).map(path).inspect(|path| File::create(path).unwrap().set_len(mib << 20).unwrap());
    made.collect()
}

fn orion(words: &[&str], images: &[String], input: &[u8]) -> Output {
    let mut orion = Command::new(env!("CARGO_BIN_EXE_orion"));
    orion.args(words).args(images).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = orion.spawn().unwrap();
    // Who has failed reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn good(words: &[&str], images: &[String], input: &[u8]) -> Vec<u8> {
    let done = orion(words, images, input);
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// What is refused says why, and changes nothing.
fn refused(words: &[&str], images: &[String], why: &str) {
    let held = || images.iter().filter_map(|path| fs::read(path).ok()).collect::<Vec<_>>();
    let before = held();
    let done = orion(words, images, b"");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains(why), "{words:?}: {said}");
    assert!(before == held(), "{words:?} changed what it refused");
}

fn content(bytes: usize, seed: u64) -> Vec<u8> {
    (0..bytes as u64 / 8).flat_map(|n| (n ^ seed << 40).to_le_bytes()).collect()
}

#[test]
fn an_array_is_made_filled_degraded_and_rebuilt_on_a_spare() {
    let all = images("life", 5, 4);
    let create = ["raid", "create", "--level=5", "-n", "4", "-x", "1", "--chunk=16", "--name=life", "--assume-clean"];
    good(&create, &all, b"");
    let size = good(&["cat"], &all, b"").len();
    // The last block is written in part.
    let first = content(size, 1);
    good(&["raid", "write"], &all, &first);
    good(&["raid", "write"], &all, &content(1000, 2));
    let whole = [&content(1000, 2), &first[1000..]].concat();
    assert!(good(&["cat"], &all, b"") == whole);
    // One is lost; the spare takes its place.
    let rest = [&all[..1], &all[2..]].concat();
    assert_eq!(good(&["raid", "check"], &rest, b""), b"mismatch_cnt 0\n");
    assert!(good(&["cat"], &rest[1..], b"") == whole, "what was rebuilt is used");
    // The lost one comes back, and is known to be stale.
    assert!(good(&["cat"], &all, b"") == whole);
    // What rots is found, and made to fit.
    File::options().write(true).open(&all[0]).unwrap().write_all_at(b"rot", (1 << 20) + 5000).unwrap();
    let found = orion(&["raid", "check"], &rest, b"");
    assert_eq!((found.status.code(), &found.stdout[..]), (Some(1), &b"mismatch_cnt 1\n"[..]));
    // One parity does not say who is wrong.
    let left = orion(&["raid", "repair"], &rest, b"");
    let said = String::from_utf8_lossy(&left.stderr);
    assert!(left.status.code() == Some(1) && said.contains("nobody can know") && said.contains("--all"), "{said}");
    assert_eq!(good(&["raid", "repair", "--all"], &rest, b""), b"mismatch_cnt 1\n");
    assert_eq!(good(&["raid", "check"], &rest, b""), b"mismatch_cnt 0\n");
}

#[test]
fn a_journal_is_made_and_replayed() {
    let all = images("journal", 5, 4);
    let journal = format!("--write-journal={}", all[4]);
    let create = ["raid", "create", "--level=6", "-n", "4", "--chunk=16", "--assume-clean"];
    let (members, two) = (&all[..4], ["raid", "create", "--level=1", "-n", "4", &journal]);
    refused(&two, members, "a write journal is for RAID 4, 5 and 6");
    File::create(&all[4]).unwrap().set_len((1 << 20) + 65_536).unwrap();
    refused(&[&create[..], &[&journal]].concat(), members, "a write journal of 128 sectors, and it needs");
    File::create(&all[4]).unwrap().set_len(4 << 20).unwrap();
    let said = orion(&create, members, b"").stderr;
    assert!(String::from_utf8_lossy(&said).contains("this RAID 6 has the write hole"));
    let made = orion(&[&create[..], &["--force", &journal]].concat(), members, b"");
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    let list = String::from_utf8(good(&["inspect"], &all[4..], b"")).unwrap();
    assert!(list.contains("write journal of RAID 6") && list.contains("the log begins at sector 0"), "{list}");
    let size = good(&["cat"], &all, b"").len();
    let first = content(size, 1);
    good(&["raid", "write"], &all, &first);
    assert!(good(&["cat"], &all, b"") == first);
    let mut cut = Vec::new();
    for writes in [1, 30, 77, 150] {
        // Nothing is written after that.
        assert!(
            !orion(&["raid", "write", "--cut", &writes.to_string()], &all, &content(size, writes)).status.success()
        );
        let found = good(&["cat"], &[&all[..1], &all[3..]].concat(), b"");
        assert!(found == good(&["cat"], &all, b""), "after {writes}");
        assert_eq!(good(&["raid", "check"], &all, b""), b"mismatch_cnt 0\n");
        assert!(found == good(&["cat"], &all, b""), "after {writes}, replayed");
        cut.push(found);
    }
    assert!(cut[0] == first && cut[1] != cut[3]);
    refused(&["raid", "write"], members, "its write journal is missing");
    let list = String::from_utf8(good(&["cat", "--list"], &all, b"")).unwrap();
    assert!(list.contains(&format!("{}: write journal", all[4])), "{list}");
}

#[test]
fn images_are_brought_into_an_array_and_taken_out() {
    let all = images("managed", 4, 4);
    let (three, new) = (&all[..3], &all[3]);
    good(&["raid", "create", "--level=1", "-n", "3", "--bitmap=internal", "--assume-clean"], three, b"");
    let size = good(&["cat"], three, b"").len();
    good(&["raid", "write"], three, &content(size, 1));
    good(&["raid", "fail", "--device", &all[1]], three, b"");
    good(&["raid", "write"], three, &content(5000, 2));
    let whole = [&content(5000, 2), &content(size, 1)[5000..]].concat();
    assert!(good(&["cat"], &all[1..3], b"") == whole);
    refused(&["raid", "add", "--device", &all[0]], three, "is in use as member 0; set it faulty first");
    good(&["raid", "re-add", "--device", &all[1]], three, b"");
    assert!(good(&["cat"], &all[1..2], b"") == whole, "it has what it lacked");
    refused(&["raid", "re-add", "--device", new], three, "add it anew");
    good(&["raid", "add", "--device", new], three, b"");
    good(&["raid", "fail", "--device", &all[2]], &all, b"");
    assert_eq!(good(&["raid", "check"], &all, b""), b"mismatch_cnt 0\n");
    assert!(good(&["cat"], &all[3..], b"") == whole, "the spare was rebuilt");
    good(&["raid", "fail", "--device", &all[0]], &[&all[..2], &all[3..]].concat(), b"");
    refused(&["raid", "fail", "--device", new], &all[3..], "cannot be without");
}

#[test]
fn what_cannot_be_made_or_used_is_refused() {
    let all = images("refused", 3, 4);
    refused(&["raid", "create", "--level=5", "-n", "4"], &all, "3 images are given for 4 devices");
    refused(&["raid", "create", "--level=6", "-n", "3", "--layout=n2"], &all, "has no layout n2");
    // What they hold is no superblock, and stays.
    fs::write(&all[1], content(4 << 20, 9)).unwrap();
    refused(&["raid", "create", "--level=6", "-n", "2", "-x", "1"], &all, "too few for the level");
    refused(&["raid", "write"], &all, "no device belongs to the array");
    good(&["raid", "create", "--level=5", "-n", "3", "--assume-clean"], &all, b"");
    refused(&["raid", "create", "--level=1", "-n", "3"], &all, "already");
    refused(&["raid", "write"], &all[..1], "is missing");
    refused(&["raid", "check"], &[&all[..], &all[..1]].concat(), "both claim to be member 0");
}

#[test]
fn an_array_gets_other_members_chunks_and_levels_and_keeps_what_it_holds() {
    let all = images("grow", 5, 4);
    let create = ["raid", "create", "--level=5", "-n", "3", "--chunk=16", "--name=grow", "--assume-clean"];
    good(&create, &all[..3], b"");
    let size = good(&["cat"], &all[..3], b"").len();
    let first = content(size, 1);
    good(&["raid", "write"], &all[..3], &first);
    let add = format!("--add={}", all[3]);
    refused(&["raid", "grow", "-n", "4"], &all[..3], "1 more members are needed; add them with --add");
    refused(&["raid", "grow", "-n", "2"], &all[..3], "make what is on it smaller first");
    refused(&["raid", "grow", "--level", "6", "-n", "9"], &all[..3], "more members are needed");
    refused(&["raid", "grow", "--level", "10"], &all[..3], "there is no way from its level to that one");
    // Stopped and gone on with, whatever is asked then.
    good(&["raid", "grow", "-n", "4", &add, "--stop-at", "1000"], &all[..3], b"");
    let list = String::from_utf8(good(&["cat", "--list"], &all[..4], b"")).unwrap();
    assert!(list.contains("being reshaped: has come to sector"), "{list}");
    assert!(good(&["cat"], &all[1..4], b"")[..size] == first, "also without a member");
    good(&["raid", "grow"], &all[..4], b"");
    let add = format!("--add={}", all[4]);
    for (words, count) in [(vec!["--level=6", "-n", "5", &add], 4), (vec!["--chunk=64"], 5), (vec!["--level=5"], 5)] {
        good(&[&["raid", "grow"], &words[..]].concat(), &all[..count], b"");
        assert!(good(&["cat"], &all, b"")[..size] == first, "{words:?}");
        assert_eq!(good(&["raid", "check"], &all, b""), b"mismatch_cnt 0\n");
    }
}

#[test]
fn an_image_takes_the_place_of_a_member_that_is_in_service() {
    let all = images("replaced", 5, 4);
    let (three, new) = (&all[..3], &all[3]);
    good(&["raid", "create", "--level=5", "-n", "3", "--chunk=16", "-k", "resync", "--assume-clean"], three, b"");
    let size = good(&["cat"], three, b"").len();
    good(&["raid", "write"], three, &content(size, 1));
    refused(&["raid", "replace", "--device", &all[1]], three, "no spare is there");
    refused(
        &["raid", "replace", "--device", &all[1], "--with", &all[0]],
        three,
        "raid-replaced-0 is no spare of the array",
    );
    let with = ["raid", "replace", "--device", &all[1], "--with", new];
    good(&[&with[..], &["--stop-at=500"]].concat(), three, b"");
    let list = String::from_utf8(good(&["cat", "--list"], &all[..4], b"")).unwrap();
    assert!(list.contains("is to replace member 1"), "{list}");
    // Begun is begun: it goes on by itself.
    assert_eq!(good(&["raid", "check"], &all[..4], b""), b"mismatch_cnt 0\n");
    let left = [&all[0], &all[2], &all[3]].map(String::clone);
    assert!(good(&["cat"], &left, b"") == content(size, 1));
    let list = String::from_utf8(good(&["cat", "--list"], &left, b"")).unwrap();
    assert!(!list.contains("degraded"), "{list}");
    good(&["raid", "replace", "--device", &left[0], "--with", &all[4]], &left, b"");
    assert!(good(&["cat"], &[&left[1..], &all[4..]].concat(), b"") == content(size, 1));
}

#[test]
fn arrays_over_arrays_are_made_filled_degraded_and_checked() {
    for (level, count, spare) in [("50", 6, 1), ("60", 8, 2)] {
        let all = images(&format!("nested{level}"), count, 4);
        let devices = count.to_string();
        let create = ["raid", "create", "--level", level, "--groups", "2", "-n", &devices, "--chunk=16", "--name=n"];
        refused(&[&create[..], &["--spare-devices=1"]].concat(), &[&all[..], &["x".into()]].concat(), "without spares");
        good(&[&create[..], &["--assume-clean"]].concat(), &all, b"");
        let size = good(&["cat"], &all, b"").len();
        assert_eq!(size, 10 << 20, "two members of each group hold data");
        let whole = content(size, 1);
        good(&["raid", "write"], &all, &whole);
        assert!(good(&["cat"], &all, b"") == whole);
        assert_eq!(good(&["raid", "check"], &all, b""), b"mismatch_cnt 0\n");
        let list = String::from_utf8(good(&["cat", "--list"], &all, b"")).unwrap();
        assert!(list.starts_with("n: RAID 0 of 2, "), "{list}");
        let member = format!("\n      {}: member 0\n", all[0]);
        assert!(list.contains("\n  array n-0: member 0\n    n-0: RAID ") && list.contains(&member), "{list}");
        // Of each group as many as it can spare are gone; what is written meanwhile is there when it is looked for.
        let half = count / 2;
        let rest = [&all[spare..half], &all[half..count - spare]].concat();
        assert!(good(&["cat"], &rest, b"") == whole);
        let other = content(777_777, 2);
        good(&["raid", "write"], &rest, &other);
        assert!(good(&["cat"], &rest, b"") == [&other[..], &whole[other.len()..]].concat());
        let gone = &rest[1..];
        refused(&["raid", "write"], gone, "several");
        // Whatever is in the middle when the power goes.
        for writes in [10, 99] {
            let cut = ["raid", "write", "--cut", &writes.to_string()];
            assert!(!orion(&cut, &rest, &content(size, writes)).status.success());
            if level == "50" {
                assert_eq!(good(&["raid", "check"], &rest, b""), b"mismatch_cnt 0\n");
            }
        }
    }
}

#[test]
fn what_is_written_to_an_array_says_nothing_of_that_array() {
    let all = images("within", 2, 4);
    good(&["raid", "create", "--level=1", "-n", "2", "--assume-clean"], &all, b"");
    let size = good(&["cat"], &all, b"").len();
    // The superblock of one of its members, as of one that is much newer.
    let mut forged = std::fs::read(&all[0]).unwrap();
    forged.truncate(64 << 10);
    good(&["raid", "write"], &all, &forged);
    let found = good(&["cat"], &all, b"");
    assert!(found.len() == size && found[..forged.len()] == forged);
}

/// Where there is no room for the data to move, what is moved in place is kept in a file first; without it nothing goes on.
#[test]
fn an_array_is_reshaped_in_place_with_a_backup() {
    let all = images("place", 3, 4);
    let create =
        ["raid", "create", "--level=5", "-n", "3", "--chunk=16", "--name=place", "--assume-clean", "--data-offset=64"];
    good(&[&create[..], &["--consistency-policy=resync"]].concat(), &all, b"");
    let size = good(&["cat"], &all, b"").len();
    let first = content(size, 3);
    good(&["raid", "write"], &all, &first);
    refused(&["raid", "grow", "--chunk=64"], &all, "have --backup-file keep what is moved");
    let kept = format!("{}.backup", all[0]);
    let _ = fs::remove_file(&kept);
    let grow = ["raid", "grow", "--chunk=64", "--backup-file", &kept];
    fs::write(&kept, b"something of somebody's").unwrap();
    refused(&grow, &all, "is no backup of this array");
    fs::remove_file(&kept).unwrap();
    good(&[&grow[..], &["--stop-at", "2000"]].concat(), &all, b"");
    refused(&["raid", "grow"], &all, "being reshaped in place");
    refused(&["raid", "grow", "--backup-file", &all[2]], &all[..2], "is no backup of this array");
    let backup = fs::read(&kept).unwrap();
    assert!(backup.starts_with(b"md_backup_data-1"));
    fs::remove_file(&kept).unwrap();
    refused(&grow, &all, "the backup is none of this array");
    fs::write(&kept, backup).unwrap();
    good(&grow, &all, b"");
    assert!(!Path::new(&kept).exists(), "a backup that nobody needs");
    assert!(good(&["cat"], &all, b"") == first);
    assert_eq!(good(&["raid", "check"], &all, b""), b"mismatch_cnt 0\n");
}
