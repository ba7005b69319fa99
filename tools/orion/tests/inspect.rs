// SPDX-License-Identifier: MIT
//! `orion inspect` on the images of tests/golden/gpt.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The golden image `name` as a sparse file; each by one test only, since it is written anew.
fn image(name: &str) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/gpt").join(format!("{name}.image"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("inspect-{name}"));
    let file = File::create(&path).unwrap();
    for line in fs::read_to_string(golden).unwrap().lines() {
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
            "size" => file.set_len(rest.parse().unwrap()).unwrap(),
            "block" => {}
            at => {
                let hex = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
                let bytes: Vec<u8> = rest.as_bytes().chunks(2).map(hex).collect();
                file.write_all_at(&bytes, at.parse().unwrap()).unwrap();
            }
        }
    }
    path
}

fn inspect(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_orion")).arg("inspect").args(arguments).output().unwrap()
}

#[test]
fn images_are_listed_for_people_and_as_json() {
    let names = ["gpt-8t", "gpt-4096", "mbr-sfdisk", "gpt-primary-lost"];
    let paths = names.map(|name| image(name).display().to_string());
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let output = inspect(&paths);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in
        ["7.9 TiB", "blocks of 4096", "rootfs", "Linux swap", "the primary copy is bad: block 1: there is no GPT"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let output = inspect(&[&["--json"], &paths[..]].concat());
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all[0]["table"]["partitions"][2]["blocks"], 17_179_815_936_u64);
    assert_eq!(all[1]["block"], 4096);
    assert_eq!(all[2]["table"]["kind"], "mbr");
    assert_eq!(all[3]["table"]["primary_fault"], "block 1: there is no GPT header");
    assert!(all[0]["table"]["primary_fault"].is_null() && all[0]["error"].is_null());
}

#[test]
fn an_image_is_left_as_it_was() {
    let path = image("gpt-backup-lost");
    let before = fs::read(&path).unwrap();
    assert!(inspect(&[path.to_str().unwrap()]).status.success());
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn what_cannot_be_used_fails_and_says_why() {
    let path = image("gpt-both-lost");
    let output = inspect(&[path.to_str().unwrap()]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("both copies of the GPT are bad"), "{text}");
    let output = inspect(&["no/such/image"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("no/such/image: cannot be read"), "{text}");
}
