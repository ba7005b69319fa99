// SPDX-License-Identifier: MIT
//! `orion audit` as a user meets it, on files and on extents of disk images that were changed after they were written: exit
//! codes, what is said and where, and that nothing is ever written.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use orion_audit::extent::{BLOCK, header};
use orion_audit::{Bytes, Head, Name, RECORD, Record, What};
use orion_block::Op;
use orion_caps::{Extent, Reason, Rights};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Records of the chain: two blocks and a part of a third.
const COUNT: u64 = 40;
/// Where the extent begins in an image, and its blocks.
const AT: usize = 7 * BLOCK;
const BLOCKS: u64 = 64;

/// What a run came to: its exit code, standard output, standard error.
type Said = (Option<i32>, String, String);

fn orion(arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_orion")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn record(number: u64, who: &str) -> Record {
    Record {
        time: 1_000_000_000 + number * 1_500_000,
        what: if number == 0 { What::Started } else { What::Refused(Op::Read, Reason::Extent) },
        who: Name::new(who),
        volume: Name::new("vault"),
        extent: Extent { first: number, blocks: 1 },
        rights: Rights::READ,
        line: 12,
        count: 3,
        shift: 12,
        ..Record::default()
    }
}

/// A chain of so many records, and its head.
fn chain(count: u64, who: &str) -> (Vec<Bytes>, Head) {
    let mut head = Head::default();
    let records = (0..count).map(|number| {
        let mut bytes = record(number, who).emit();
        head.link(&mut bytes);
        bytes
    });
    (records.collect(), head)
}

/// A file of records, and an image with an extent of them: the path, and where the first record lies.
fn written(folder: &Path, records: &[Bytes]) -> [(PathBuf, usize); 2] {
    let (file, image) = (folder.join("records"), folder.join("d0.img"));
    let bytes = records.concat();
    std::fs::write(&file, &bytes).unwrap();
    let mut disk = vec![0; AT + usize::try_from(BLOCKS).unwrap() * BLOCK + 3 * BLOCK];
    disk[AT..AT + BLOCK].copy_from_slice(&header(BLOCKS));
    disk[AT + BLOCK..][..bytes.len()].copy_from_slice(&bytes);
    std::fs::write(&image, disk).unwrap();
    [(file, 0), (image, AT + BLOCK)]
}

/// What `verify` and `show` say of it, which must be the same, and that they leave it as it is.
fn fault(path: &Path, more: &[&str]) -> String {
    let shown = path.to_str().unwrap();
    let before = std::fs::read(path).unwrap();
    let (code, out, err) = orion(&[&["audit", "verify", shown], more].concat());
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    let (code, _, also) = orion(&[&["audit", "show", shown], more].concat());
    assert_eq!((code, &also), (Some(1), &err));
    let (code, json, _) = orion(&[&["audit", "verify", "--json", shown], more].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(code == Some(1) && err.contains(json["fault"]["what"].as_str().unwrap()), "{json}");
    assert_eq!(std::fs::read(path).unwrap(), before, "it is only read");
    err.strip_prefix(&format!("{shown}: ")).unwrap().trim_end().to_owned()
}

#[test]
fn a_whole_chain_is_whole_and_shown() {
    let folder = folder("audit-whole");
    let (records, head) = chain(COUNT, "demo");
    for (path, first) in written(&folder, &records) {
        let shown = path.to_str().unwrap();
        let (code, out, err) = orion(&["audit", "verify", shown, "--head", &head.to_string()]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert_eq!(out, format!("{shown}: {COUNT} records, whole; head {head}\n"));
        let (code, out, _) = orion(&["audit", "show", shown]);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!((code, lines.len()), (Some(0), 40));
        assert!(lines[2].starts_with("     2      1.003000 s  demo was refused: Read blocks 2..3"), "{}", lines[2]);
        let (_, json, _) = orion(&["audit", "show", "--json", shown]);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["first_byte"], &json["fault"]), (&first.into(), &Value::Null));
        assert_eq!((&json["chain"][39]["who"], &json["chain"][39]["line"]), (&"demo".into(), &12.into()));
    }
}

/// Each way of changing one record or the order of records, at several places: the record is named, its byte and what was done.
#[test]
fn what_was_done_to_a_chain_is_named_with_its_place() {
    let folder = folder("audit-faults");
    let (records, head) = chain(COUNT, "demo");
    let (others, _) = chain(COUNT, "reader");
    let moved = |found: u64| format!("in its place stands record {found}: records were reordered, removed or repeated");
    for at in [0_usize, 1, 15, 16, 30] {
        let edited = |byte: usize| {
            let mut changed = records.clone();
            changed[at][byte] ^= 1;
            changed
        };
        let with = |f: &dyn Fn(&mut Vec<Bytes>)| {
            let mut changed = records.clone();
            f(&mut changed);
            changed
        };
        let number = at as u64;
        let cases = [
            ("its content", edited(20), "edited: its content does not have its hash".to_owned()),
            ("its hash", edited(RECORD - 1), "edited: its content does not have its hash".to_owned()),
            ("its magic", edited(0), "what stands there is no record: it was overwritten or cut out".to_owned()),
            ("reordered", with(&|c| c.swap(at, at + 1)), moved(number + 1)),
            ("removed", with(&|c| c.retain(|one| *one != records[at])), moved(number + 1)),
            ("repeated", with(&|c| c.insert(at + 1, c[at])), moved(number)),
            ("spliced", with(&|c| c[at] = others[at]), "spliced: it does not follow the record before it".to_owned()),
        ];
        for (done, changed, said) in cases {
            // The first place that is not as it was: what was put behind or before another is found there.
            let place = match done {
                "repeated" => at + 1,
                // A whole record of another chain in the first place is that chain's first; then the next does not follow it.
                "spliced" if at == 0 => 1,
                _ => at,
            };
            for (path, first) in written(&folder, &changed) {
                // A file is known by the first bytes of its first record.
                if place == 0 && changed[0][..4] != records[0][..4] && first == 0 {
                    continue;
                }
                let told = fault(&path, &[]);
                let want = format!("record {place} (byte {}): {said}", first + place * RECORD);
                assert!(told.starts_with(&want), "{done}: {told}, not {want}");
                // What a crash can leave is in the last block only: nothing here is.
                assert!(!told.contains("a crash in the middle"), "{done}: {told}");
            }
        }
    }
    // The end cannot be told from a shorter chain, but by who kept the head.
    for left in [0, 1, 16, 39] {
        for (path, _) in written(&folder, &records[..left]) {
            let shown = path.to_str().unwrap();
            if left > 0 {
                assert_eq!(orion(&["audit", "verify", shown]).0, Some(0));
            } else if path.ends_with("records") {
                continue;
            }
            let told = fault(&path, &["--head", &head.to_string()]);
            assert!(told.ends_with("truncated: the chain had 40 records"), "{told}");
        }
    }
    for (path, _) in written(&folder, &others) {
        let told = fault(&path, &["--head", &head.to_string()]);
        assert!(told.starts_with("record 39 ") && told.ends_with("the chain was written anew"), "{told}");
    }
}

/// What is cut out of the middle leaves something behind the end; what is wrong in the last block may be a crash's.
#[test]
fn a_hole_is_no_end_and_a_torn_block_is_told_apart() {
    let folder = folder("audit-holes");
    let (mut records, _) = chain(COUNT, "demo");
    records[10] = [0; RECORD];
    for (path, _) in written(&folder, &records) {
        let told = fault(&path, &[]);
        assert!(
            told.starts_with("record 10 ") && told.contains("behind the end of the chain stands something"),
            "{told}"
        );
    }
    let (mut records, _) = chain(COUNT, "demo");
    records[38][9] ^= 0x40;
    let [_, (image, _)] = written(&folder, &records);
    let told = fault(&image, &[]);
    assert!(told.starts_with("record 38 ") && told.contains("in the last block, where a crash"), "{told}");
    // A file whose end is cut off within a record.
    let [(file, _), _] = written(&folder, &chain(3, "demo").0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..RECORD * 2 + 100]).unwrap();
    let (code, _, err) = orion(&["audit", "verify", file.to_str().unwrap()]);
    assert!(code == Some(1) && err.contains("its last record is cut off after 100 bytes"), "{err}");
}

/// What there is no audit in, or more than one, and what was typed wrongly.
#[test]
fn mistakes_say_what_to_do() {
    let folder = folder("audit-mistakes");
    let (records, _) = chain(2, "demo");
    let [_, (image, _)] = written(&folder, &records);
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("empty"), b"").unwrap();
    std::fs::write(path("zeroes"), vec![0; 1 << 16]).unwrap();
    let mut two = std::fs::read(&image).unwrap();
    two.extend_from_within(AT..);
    std::fs::write(path("two"), &two).unwrap();
    let mut damaged = std::fs::read(&image).unwrap();
    damaged[AT + 9] ^= 1;
    std::fs::write(path("damaged"), &damaged).unwrap();
    let begin = AT.to_string();
    for (arguments, code, said) in [
        (&["verify", &path("missing")][..], 1, "cannot be read: "),
        (&["verify", &path("empty")], 1, "it is empty"),
        (&["show", &path("zeroes")], 1, "there is no audit in it"),
        (&["verify", &path("damaged")], 1, "the first block of its extent is damaged"),
        (&["verify", &path("two")], 1, "more than one audit begins in it, at bytes 28672, "),
        (&["verify", &path("two"), "--at", &begin], 0, ""),
        (&["verify", &path("two"), "--at", "512"], 1, "no audit begins at byte 512"),
        (
            &["verify", &path("two"), "--head", "2:abc"],
            2,
            "write the number of records, a colon and 64 hexadecimal digits",
        ),
        (&["prove", &path("two")], 2, "unrecognized subcommand"),
        (&["verify"], 2, "required arguments were not provided"),
    ] {
        let (found, out, err) = orion(&[&["audit"], arguments].concat());
        assert_eq!(found, Some(code), "{arguments:?}: {out}{err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
}
