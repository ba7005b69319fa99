// SPDX-License-Identifier: MIT
//! Images that sfdisk, fdisk, sgdisk, parted and mkfs.fat made (tests/golden/gpt), and what sfdisk says of them.
use super::{Disk, check};
use crate::{Error, Fault, Guid, Kind, Scheme, Table, Type};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/gpt")).join(name)
}

/// The image `name`.
pub(super) fn image(name: &str) -> Disk {
    let text = fs::read_to_string(path(&format!("{name}.image"))).unwrap();
    let mut disk = Disk::default();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
            "size" => disk.size = rest.parse().unwrap(),
            "block" => disk.block = rest.parse().unwrap(),
            at => {
                let digit = |b: &u8| char::from(*b).to_digit(16).unwrap() as u8;
                let bytes: Vec<u8> = rest.as_bytes().chunks(2).map(|p| digit(&p[0]) << 4 | digit(&p[1])).collect();
                disk.write(at.parse().unwrap(), &bytes);
            }
        }
    }
    disk
}

/// Number, first block, blocks, type, identifier, name.
type Row = (u64, u64, u64, String, String, String);

fn rows(table: &Table) -> BTreeSet<Row> {
    let row = |p: &crate::Partition| {
        let kind = match p.kind {
            Type::Gpt(guid) => guid.to_string(),
            Type::Mbr(kind) => format!("{kind:x}"),
        };
        let unique = p.unique.map_or(String::new(), |guid| guid.to_string());
        (u64::from(p.number), p.first, p.blocks, kind, unique, p.name().collect())
    };
    table.partitions.iter().map(row).collect()
}

/// What sfdisk says; it lists the extended partition, which is none to us.
fn sfdisk(name: &str) -> BTreeSet<Row> {
    let value: Value = serde_json::from_str(&fs::read_to_string(path(&format!("{name}.json"))).unwrap()).unwrap();
    let text = |p: &Value, key: &str| p[key].as_str().unwrap_or_default().to_string();
    let row = |p: &Value| {
        let number = |key: &str| p[key].as_u64().unwrap();
        let low = |key: &str| text(p, key).to_lowercase();
        (number("node"), number("start"), number("size"), low("type"), low("uuid"), text(p, "name"))
    };
    let partitions = value["partitions"].as_array().cloned().unwrap_or_default();
    partitions.iter().map(row).filter(|row| !["5", "f", "85"].contains(&row.3.as_str())).collect()
}

#[test]
fn every_image_reads_as_sfdisk_says() {
    for (name, count) in [
        ("gpt-sfdisk", 3),
        ("gpt-8t", 3),
        ("gpt-sgdisk", 3),
        ("gpt-256-entries", 1),
        ("gpt-parted", 2),
        ("gpt-hybrid", 3),
        ("gpt-grown", 3),
        ("gpt-primary-lost", 3),
        ("gpt-backup-lost", 3),
        ("mbr-sfdisk", 7),
        ("mbr-parted", 3),
        ("fat", 0),
    ] {
        let disk = image(name);
        let table = disk.probe().unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&disk, &table);
        assert_eq!(rows(&table), sfdisk(name), "{name}");
        assert_eq!(table.partitions.len(), count, "{name}");
    }
}

#[test]
fn blocks_of_4096_bytes() {
    let table = image("gpt-4096").probe().unwrap();
    let row = |n: u64, first, blocks, name: &str| {
        let unique = format!("aaaaaaaa-0000-0000-0000-00000000000{n}");
        (n, first, blocks, "0fc63daf-8483-4772-8e79-3d69d8477de4".into(), unique, name.into())
    };
    assert_eq!(rows(&table), [row(1, 256, 2048, "boot"), row(2, 2304, 13824, "rootfs")].into());
    assert_eq!(table.partitions[0].alignment(12), 1 << 20);
    // Read in the wrong unit it is no table.
    let wrong = Disk { block: 512, ..image("gpt-4096") };
    assert!(matches!(wrong.probe(), Err(Error::Copies { .. })));
}

#[test]
fn alignment_is_reported() {
    let of = |name: &str| image(name).probe().unwrap().partitions.iter().map(|p| p.alignment(9)).collect::<Vec<_>>();
    assert_eq!(of("gpt-sfdisk"), vec![1 << 20, 1 << 20, 1 << 20]);
    assert_eq!(of("gpt-sgdisk"), vec![1024, 512, 512]);
}

/// What is said of both copies.
fn copies(name: &str) -> (Option<Fault>, Option<Fault>, bool, bool) {
    match image(name).probe().unwrap().scheme {
        Scheme::Gpt { primary, backup, grown, hybrid, disk } => {
            assert_eq!(Some(disk), Guid::parse("11111111-2222-3333-4444-555555555555"));
            (primary, backup, grown, hybrid)
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_copy_is_said() {
    let lost = |at| Some(Fault { kind: Kind::NoHeader, at });
    assert_eq!(copies("gpt-sfdisk"), (None, None, false, false));
    assert_eq!(copies("gpt-hybrid"), (None, None, false, true));
    assert_eq!(copies("gpt-grown"), (None, None, true, false));
    assert_eq!(copies("gpt-primary-lost"), (lost(1), None, false, false));
    assert_eq!(copies("gpt-backup-lost"), (None, lost(131_071), false, false));
}

#[test]
fn what_is_no_table_is_refused() {
    for (name, text) in [
        ("gpt-both-lost", "both copies of the GPT are bad: block 1: there is no GPT header; block 131071: there is no"),
        ("gpt-cut", "both copies of the GPT are bad: block 1: the usable blocks 2048 to 131038 do not lie on the disk"),
        ("gpt-unprotected", "block 0: there is a GPT header behind it, but no protective MBR; let sgdisk write"),
        ("mbr-chain-lost", "an extended boot record is not there; look at it with `sfdisk --verify`"),
    ] {
        let error = image(name).probe().unwrap_err().to_string();
        assert!(error.contains(text), "{name}: {error}");
    }
}

#[test]
fn a_disk_that_cannot_be_read() {
    let disk = image("gpt-sfdisk");
    let whole = disk.probe().unwrap();
    let primary = disk.probe_but(|at| at == 2).unwrap();
    assert_eq!(primary.partitions, whole.partitions);
    let fault = Fault { kind: Kind::Unreadable, at: 2 };
    assert!(matches!(primary.scheme, Scheme::Gpt { primary: Some(found), backup: None, .. } if found == fault));
    assert_eq!(disk.probe_but(|at| at > 100).unwrap().partitions, whole.partitions);
    assert!(matches!(disk.probe_but(|at| at != 0), Err(Error::Copies { .. })));
    let fault = Fault { kind: Kind::Unreadable, at: 0 };
    assert_eq!(disk.probe_but(|_| true).unwrap_err(), Error::Table(fault));
    assert!(image("mbr-sfdisk").probe_but(|at| at > 0).is_err());
}
