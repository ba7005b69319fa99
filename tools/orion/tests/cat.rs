// SPDX-License-Identifier: MIT
//! `orion cat` on the arrays of tests/golden/raid.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The word that fills the sector `number` of the pattern.
fn word(number: u64) -> u64 {
    let mix = ((number * 0x9e37_79b1) >> 3) ^ number.wrapping_mul(0x85eb_ca6b);
    number | (mix & 0xffff_ffff) << 32
}

fn pattern(numbers: impl Iterator<Item = u64>) -> Vec<u8> {
    numbers.flat_map(|number| word(number).to_le_bytes().repeat(64)).collect()
}

/// The members of the golden array `name` as sparse files, for the test `test` alone; and the array's sectors.
fn members(name: &str, test: &str) -> (Vec<String>, u64) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/raid").join(format!("{name}.array"));
    let (mut paths, mut sectors) = (Vec::new(), 0);
    let mut file: Option<File> = None;
    for line in fs::read_to_string(golden).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = || words[1].parse::<u64>().unwrap();
        let bytes = match words[0] {
            "sectors" => {
                sectors = number();
                continue;
            }
            "sha256" => continue,
            "member" => {
                let path: PathBuf =
                    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cat-{test}-{name}-{}", paths.len()));
                file = Some(File::create(&path).unwrap());
                file.as_ref().unwrap().set_len(number() * 512).unwrap();
                paths.push(path.display().to_string());
                continue;
            }
            _ => match words[1] {
                "=" => {
                    let first: u64 = words[2].parse().unwrap();
                    pattern(first..first + words[3].parse::<u64>().unwrap())
                }
                ":" => words[2..]
                    .iter()
                    .flat_map(|w| u64::from_str_radix(w, 16).unwrap().to_le_bytes().repeat(64))
                    .collect(),
                _ => words[2].as_bytes().chunks(2).map(hex).collect(),
            },
        };
        file.as_ref().unwrap().write_all_at(&bytes, words[0].parse::<u64>().unwrap() * 512).unwrap();
    }
    (paths, sectors)
}

fn hex(pair: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
}

fn cat(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_orion")).arg("cat").args(arguments).output().unwrap()
}

fn texts(paths: &[String]) -> Vec<&str> {
    paths.iter().map(String::as_str).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_array_that_lacks_what_it_may_is_written_whole() {
    for (name, gone) in [
        ("linear", 0),
        ("raid0-original", 0),
        ("raid0-alternate", 0),
        ("raid1-0.90", 1),
        ("raid5-left-symmetric", 1),
        ("raid5-0.90", 1),
        ("raid6-left-symmetric", 2),
        ("raid6-ddf-N-continue", 2),
        ("raid10-f2", 1),
        ("raid10-o3", 2),
    ] {
        let (paths, sectors) = members(name, "whole");
        let mut given = texts(&paths[gone..]);
        given.reverse();
        let output = cat(&given);
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert!(output.stdout == pattern(0..sectors), "{name}: the content is another");
        assert_eq!(said(&output).contains("degraded"), gone > 0, "{}", said(&output));
    }
}

#[test]
fn write_journals_are_replayed_in_memory() {
    for (name, spare) in [("raid5-journal", 1), ("raid6-cached", 2), ("raid4-cached", 1)] {
        let (paths, sectors) = members(name, "journal");
        let before: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        for gone in 0..=spare {
            for first in 0..paths.len() - 1 - gone {
                let given = [&paths[..first], &paths[first + gone..]].concat();
                let output = cat(&texts(&given));
                assert!(output.status.success(), "{name}: {}", said(&output));
                assert!(output.stdout == pattern(0..sectors), "{name} without {gone} from {first} on");
            }
        }
        assert!(paths.iter().zip(&before).all(|(path, before)| fs::read(path).unwrap() == *before), "only read");
        let output = cat(&texts(&paths[..paths.len() - 1]));
        assert!(said(&output).contains("its write journal is missing"), "{}", said(&output));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        let output = cat(&[&["--force"], &texts(&paths[..paths.len() - 1])[..]].concat());
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn a_stale_member_is_named_and_not_read() {
    let (paths, sectors) = members("raid5-stale", "stale");
    let output = cat(&texts(&paths));
    let again = |n| if (64..128).contains(&n) { n + 0x10_0000 } else { n };
    assert!(output.stdout == pattern((0..sectors).map(again)));
    let name = format!("{}: was member 1; the array went on without it (events 1 of 5): not used", paths[1]);
    assert!(said(&output).contains(&name), "{}", said(&output));
}

#[test]
fn one_of_several_volumes_is_chosen_among_strangers() {
    let (first, sectors) = members("raid1-1.1", "several");
    let (second, _) = members("raid6-parity-last", "several");
    let stranger = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cat-several-stranger");
    fs::write(&stranger, pattern(7..2007)).unwrap();
    let stranger = stranger.display().to_string();
    let all: Vec<&str> = texts(&second).into_iter().chain([stranger.as_str()]).chain(texts(&first)).collect();
    let output = cat(&all);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--volume: ref:raid6-parity-last, ref:raid1-1.1"), "{}", said(&output));
    let output = cat(&[&["--volume", "raid1-1.1"], &all[..]].concat());
    assert!(output.status.success() && output.stdout == pattern(0..sectors), "{}", said(&output));
    let output = cat(&[&["--json"], &all[..]].concat());
    assert!(output.status.success());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["strangers"][0], stranger.as_str());
    assert_eq!(json["volumes"][0]["level"], "RAID 6");
    assert_eq!(json["volumes"][1]["bytes"], sectors * 512);
    assert_eq!(json["volumes"][1]["devices"][2]["standing"], "member 2");
}

#[test]
fn what_cannot_be_read_is_refused_and_left_as_it_was() {
    let (paths, _) = members("raid5-parity-first", "refused");
    let before: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let refused = |given: &[&str], words: &str| {
        let output = cat(given);
        let text = said(&output) + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(words), "no {words:?} in {text}");
    };
    let [a, b, c, d] = texts(&paths)[..] else { panic!("{paths:?}") };
    refused(&[a, d], "2 of its members are here and 3 are needed; member 1 is missing; give the images");
    refused(&["--list", b, c], "2 of its members are here");
    refused(&[a, b, b, c], &format!("{b} and {b} both claim to be member 1; one is a copy of the other"));
    refused(&["--volume", "x", a, b, c, d], "no volume is called x");
    // A byte of member 2's superblock is changed: it is not taken, and the others are enough.
    let file = File::options().write(true).open(c).unwrap();
    file.write_all_at(&[0x77], 4096 + 200).unwrap();
    refused(&[a, c], "the checksum is");
    let output = cat(&[a, b, c, d]);
    assert!(output.status.success(), "{}", said(&output));
    file.write_all_at(&before[2][4096 + 200..=4096 + 200], 4096 + 200).unwrap();
    let after: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(before == after);
}

/// A disk whose one partition, of an MBR, is the image `path`.
fn partitioned(path: &str) -> String {
    let member = fs::read(path).unwrap();
    let mut disk = vec![0; 64 * 512];
    let sectors = u32::try_from(member.len() / 512).unwrap();
    disk[446 + 4] = 0xfd;
    disk[446 + 8..446 + 12].copy_from_slice(&64u32.to_le_bytes());
    disk[446 + 12..446 + 16].copy_from_slice(&sectors.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk.extend(member);
    disk.extend([0; 5 * 512]);
    fs::write(format!("{path}-disk"), disk).unwrap();
    format!("{path}-disk")
}

#[test]
fn members_in_partitions_are_found() {
    for name in ["raid5-1.1", "raid1-1.0", "raid5-rebuilding"] {
        let (paths, sectors) = members(name, "partitions");
        // The first as a partition, the second as it is, the third missing.
        let disk = partitioned(&paths[0]);
        let rest = if name == "raid5-1.1" { 2..5 } else { 1..2 };
        let given: Vec<&str> = texts(&paths[rest]).into_iter().chain([disk.as_str()]).collect();
        let output = cat(&given);
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert!(output.stdout == pattern(0..sectors), "{name}");
        assert!(said(&output).contains(&format!("{disk} partition 1: member 0")), "{}", said(&output));
    }
}

#[test]
fn inspect_shows_a_member() {
    let (paths, _) = members("raid5-right-symmetric", "inspect");
    let inspect = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_orion")).arg("inspect").args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = inspect(&[&paths[2]]);
    let expected = "md 1.2 superblock at sector 8: member 2 of RAID 5, 4 members, layout 3, chunks of 4 KiB";
    assert!(text.contains(expected) && !text.contains("neither a GPT"), "{text}");
    let json: Value = serde_json::from_str(&inspect(&["--json", &paths[0]])).unwrap();
    assert_eq!(json[0]["raid"][0]["name"], "ref:raid5-right-symmetric");
    assert_eq!(json[0]["raid"][0]["role"], "member 0");
}
