// SPDX-License-Identifier: MIT
//! Tables with something wrong in them: each is refused, or read from its good copy, and it is said why.
use super::build::{Gpt, mbr};
use super::golden::image;
use super::{Disk, check};
use crate::wire::Header;
use crate::{Error, Fault, Kind, PARTITIONS_MAX, Scheme};
use std::string::ToString;
use std::vec::Vec;

fn refused(disk: &Disk) -> Kind {
    match disk.probe() {
        Err(Error::Table(Fault { kind, .. })) => kind,
        Err(Error::Copies { primary, backup }) => {
            assert_eq!(primary.kind, backup.kind);
            primary.kind
        }
        Ok(table) => panic!("read as {table:?}"),
    }
}

/// Every bit of either copy's header and entries that is flipped is noticed, and the other copy is used.
#[test]
fn a_flipped_bit_is_noticed() {
    let good = image("gpt-sfdisk");
    let want = good.probe().unwrap().partitions;
    let last = good.size - 512;
    let header = (0..92).map(|byte| (512 + byte, last + byte));
    let array = (0..16384).step_by(7).map(|byte| (1024 + byte, last - 16384 + byte));
    for (primary, backup) in header.chain(array) {
        for (at, first) in [(primary, true), (backup, false)] {
            let mut disk = good.clone();
            disk.change(at, |byte| *byte ^= 1 << (at % 8));
            let table = disk.probe().unwrap_or_else(|error| panic!("byte {at}: {error}"));
            assert_eq!(table.partitions, want, "byte {at}");
            let Scheme::Gpt { primary, backup, .. } = table.scheme else { panic!("{:?}", table.scheme) };
            assert_eq!((primary.is_some(), backup.is_some()), (first, !first), "byte {at}");
        }
        let mut disk = good.clone();
        disk.change(primary, |byte| *byte ^= 1);
        disk.change(backup, |byte| *byte ^= 0x80);
        assert!(matches!(disk.probe(), Err(Error::Copies { .. })), "bytes {primary} and {backup}");
    }
}

type Change = fn(&mut Header);

#[test]
fn headers_with_impossible_values_and_a_good_crc() {
    let gpt = Gpt::new(&[(1, 40, 50)]);
    let cases: [(Change, fn(Kind) -> bool); 15] = [
        (|h| h.revision = 0x20000.into(), |k| k == Kind::Revision(0x20000)),
        (|h| h.size = 91.into(), |k| k == Kind::HeaderSize(91)),
        (|h| h.size = 513.into(), |k| k == Kind::HeaderSize(513)),
        (|h| h.size = u32::MAX.into(), |k| k == Kind::HeaderSize(u32::MAX)),
        (|h| h.own_lba = 5.into(), |k| k == Kind::OwnLba(5)),
        (|h| h.entry_size = 0.into(), |k| k == Kind::EntrySize(0)),
        (|h| h.entry_size = 64.into(), |k| k == Kind::EntrySize(64)),
        (|h| h.entry_size = 192.into(), |k| k == Kind::EntrySize(192)),
        (|h| h.entry_size = 8192.into(), |k| k == Kind::EntrySize(8192)),
        (|h| h.count = 0.into(), |k| k == Kind::EntryCount(0)),
        (|h| h.count = u32::MAX.into(), |k| k == Kind::EntryCount(u32::MAX)),
        (|h| h.last_usable = 8192.into(), |k| k == Kind::Usable(34, 8192)),
        (|h| h.last_usable = u64::MAX.into(), |k| k == Kind::Usable(34, u64::MAX)),
        (|h| h.array_lba = u64::MAX.into(), |k| k == Kind::ArrayPlace(u64::MAX)),
        (|h| h.array_lba = 40.into(), |k| k == Kind::ArrayPlace(40)),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let kind = refused(&gpt.disk_with(change));
        assert!(expected(kind), "case {number}: {kind}");
    }
    assert!(gpt.disk().probe().is_ok());
}

/// The header that is read is the one that says where it is read: a copy of the backup in the primary's place is none.
#[test]
fn a_header_in_anothers_place() {
    let gpt = Gpt::new(&[(1, 40, 50)]);
    let mut disk = gpt.disk();
    let backup = disk.read(disk.size - 512, 512);
    disk.write(512, &backup);
    let fault = Fault { kind: Kind::OwnLba(8191), at: 1 };
    assert!(matches!(disk.probe().unwrap().scheme, Scheme::Gpt { primary: Some(found), .. } if found == fault));
}

#[test]
fn two_good_copies_that_differ() {
    let (a, b) = (Gpt::new(&[(1, 40, 50)]), Gpt::new(&[(1, 60, 70)]));
    let (mut disk, other) = (a.disk(), b.disk());
    let start = disk.size - 33 * 512;
    disk.write(start, &other.read(start, 33 * 512));
    let table = disk.probe().unwrap();
    assert_eq!(table.partitions[0].first, 40, "the primary copy is the one that counts");
    let fault = Some(Fault { kind: Kind::Differs, at: 8191 });
    assert!(matches!(table.scheme, Scheme::Gpt { primary: None, backup, .. } if backup == fault));
}

#[test]
fn entries_that_make_no_sense() {
    let (first, last) = Gpt::new(&[]).usable();
    for entries in [&[(1, first, last)][..], &[(128, first, first)], &[(1, 50, 60), (9, 40, 49), (3, 61, 61)]] {
        let disk = Gpt::new(entries).disk();
        check(&disk, &disk.probe().unwrap());
    }
    let range = |n, a, b| Kind::Range(n, a, b);
    for (entries, kind) in [
        (&[(1, first - 1, 50)][..], range(1, first - 1, 50)),
        (&[(2, 50, last + 1)], range(2, 50, last + 1)),
        (&[(1, 51, 50)], range(1, 51, 50)),
        (&[(7, 0, u64::MAX)], range(7, 0, u64::MAX)),
        (&[(1, u64::MAX, u64::MAX)], range(1, u64::MAX, u64::MAX)),
        (&[(1, 40, 50), (2, 50, 60)], Kind::Overlap(1, 2)),
        (&[(1, 45, 46), (2, 40, 60)], Kind::Overlap(1, 2)),
        (&[(3, 40, 60), (5, 40, 60)], Kind::Overlap(3, 5)),
    ] {
        assert_eq!(refused(&Gpt::new(entries).disk()), kind);
    }
}

#[test]
fn more_partitions_than_can_be_held() {
    let many = |count: u32| {
        let entries: Vec<_> = (1..=count).map(|n| (n, 500 + u64::from(n), 500 + u64::from(n))).collect();
        Gpt { count: 256, ..Gpt::new(&entries) }.disk()
    };
    assert_eq!(many(PARTITIONS_MAX as u32).probe().unwrap().partitions.len(), PARTITIONS_MAX);
    assert_eq!(refused(&many(PARTITIONS_MAX as u32 + 1)), Kind::TooMany);
}

#[test]
fn entries_of_every_size() {
    for (entry_size, count) in [(128, 4), (128, 8192), (256, 128), (512, 128), (4096, 4), (4096, 256)] {
        for block in [512, 4096] {
            let gpt = Gpt { size: 16 << 20, entry_size, count, block, ..Gpt::new(&[(1, 3000, 3001), (4, 3002, 3500)]) };
            let table = gpt.disk().probe().unwrap_or_else(|error| panic!("{entry_size} {count} {block}: {error}"));
            assert_eq!(table.partitions.iter().map(|p| p.number).collect::<Vec<_>>(), [1, 4]);
        }
    }
    let large = Gpt { size: 16 << 20, entry_size: 128, count: 8193, ..Gpt::new(&[]) };
    assert_eq!(refused(&large.disk()), Kind::EntryCount(8193));
}

#[test]
fn disks_too_small_for_anything() {
    for size in 0..200 {
        let disk = Disk { size: size * 512, ..image("gpt-sfdisk") };
        let error = disk.probe().unwrap_err();
        assert!(!error.to_string().is_empty());
        assert_eq!(error == Error::Table(Fault { kind: Kind::TooSmall, at: 0 }), size == 0);
    }
}

#[test]
fn boot_records_that_make_no_sense() {
    let good: &[(u64, &[(u8, u32, u32)])] =
        &[(0, &[(0x83, 100, 50), (5, 200, 500)]), (200, &[(0x83, 10, 20), (5, 100, 50)]), (300, &[(0x83, 1, 9)])];
    let table = mbr(good).probe().unwrap();
    let numbers: Vec<_> = table.partitions.iter().map(|p| (p.number, p.first, p.blocks)).collect();
    assert_eq!(numbers, [(1, 100, 50), (5, 210, 20), (6, 301, 9)]);
    let cases: &[(&[(u64, &[(u8, u32, u32)])], Kind)] = &[
        (&[(0, &[(0x83, 0, 5)])], Kind::Range(1, 0, 4)),
        (&[(0, &[(0x83, 8000, 193)])], Kind::Range(1, 8000, 8192)),
        (&[(0, &[(0x83, u32::MAX, u32::MAX)])], Kind::Range(1, 4_294_967_295, 8_589_934_589)),
        (&[(0, &[(0x83, 100, 50), (0x83, 149, 50)])], Kind::Overlap(1, 2)),
        (&[(0, &[(0x83, 100, 50), (5, 149, 50)])], Kind::Overlap(1, 2)),
        (&[(0, &[(5, 100, 50), (0xf, 150, 50)])], Kind::SecondExtended),
        (&[(0, &[(5, 100, 50)])], Kind::NoLink),
        // The chain goes back to its first record, to itself, and out of the extended partition.
        (&[(0, &[(5, 100, 50)]), (100, &[(0x83, 5, 5), (5, 20, 9)]), (120, &[(5, 0, 9)])], Kind::Chain),
        (&[(0, &[(5, 100, 50)]), (100, &[(0x83, 5, 5), (5, 0, 9)])], Kind::Chain),
        (&[(0, &[(5, 100, 50)]), (100, &[(0x83, 5, 5), (5, 50, 9)])], Kind::Chain),
        (&[(0, &[(5, 100, 50)]), (100, &[(0x83, 5, 5), (5, u32::MAX, 9)])], Kind::Chain),
        // A logical partition outside, over its own record, and over the next one.
        (&[(0, &[(5, 100, 50)]), (100, &[(0x83, 45, 6)])], Kind::Range(5, 145, 150)),
        (&[(0, &[(5, 100, 50)]), (100, &[(0x83, 0, 6)])], Kind::Range(5, 100, 105)),
        (&[(0, &[(5, 100, 50)]), (100, &[(0x83, 1, 9), (5, 5, 9)]), (105, &[(0x83, 9, 9)])], Kind::Chain),
        (&[(0, &[(5, 100, 50)]), (100, &[(5, 20, 9)]), (120, &[(5, 10, 9)]), (110, &[(0x83, 5, 9)])], Kind::Chain),
    ];
    for (number, (records, kind)) in cases.iter().enumerate() {
        assert_eq!(refused(&mbr(records)), *kind, "case {number}");
    }
}

/// A chain that is longer than any that can be held ends in a refusal, as does one in a circle.
#[test]
fn a_chain_without_end() {
    let links: Vec<_> = (0..1000_u32).map(|n| [(5, n + 1, 1)]).collect();
    let mut records: Vec<(u64, &[(u8, u32, u32)])> =
        (100..).zip(&links).map(|(at, entries)| (at, &entries[..])).collect();
    let outer = [(5, 100, 8000)];
    records.push((0, &outer));
    assert_eq!(refused(&mbr(&records)), Kind::Chain);
    let circle: &[(u64, &[(u8, u32, u32)])] =
        &[(0, &[(5, 100, 50)]), (100, &[(5, 20, 9)]), (120, &[(5, 30, 9)]), (130, &[(5, 20, 9)])];
    assert_eq!(refused(&mbr(circle)), Kind::Chain);
}
