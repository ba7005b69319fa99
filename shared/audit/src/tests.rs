// SPDX-License-Identifier: MIT
//! Every way to tamper with a chain, at every record, and what is said of it.
use crate::extent::{self, BLOCK, Scan};
use crate::{Bytes, Fault, Head, Name, RECORD, Record, What};
use orion_block::Op;
use orion_caps::{Extent, Reason, Rights};
use proptest::prelude::*;
use std::format;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

fn record(n: u64) -> Record {
    Record {
        time: 1000 * n,
        what: if n == 0 { What::Started } else { What::Refused(Op::Read, Reason::Extent) },
        client: 3,
        who: Name::new("demo"),
        extent: Extent { first: n, blocks: 8 },
        line: 37,
        ..Record::default()
    }
}

/// A chain of `records`, each about `n + salt`.
fn chain(records: u64, salt: u64) -> Vec<Bytes> {
    let mut head = Head::default();
    let each = (0..records).map(|n| {
        let mut bytes = record(n + salt).emit();
        head.link(&mut bytes);
        bytes
    });
    each.collect()
}

fn scan(records: &[Bytes], kept: Option<Head>) -> (Head, Option<(u64, Fault)>) {
    let mut scan = Scan::anchored(kept);
    records.iter().for_each(|record| {
        scan.place(record);
    });
    (scan.head(), scan.fault())
}

fn fault(records: &[Bytes]) -> Option<(u64, Fault)> {
    scan(records, None).1
}

/// Gives a record the hash that its content asks for, as who tampers with it would.
fn rehash(record: &mut Bytes) {
    let mut head = Head { records: u64::from_le_bytes(record[8..16].try_into().unwrap()), hash: [0; 32] };
    head.hash.copy_from_slice(&record[192..224]);
    head.link(record);
}

#[test]
fn an_edited_byte_is_found_at_every_place() {
    let good = chain(5, 0);
    assert_eq!(fault(&good), None);
    for at in 0..good.len() {
        for byte in 0..RECORD {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at][byte] ^= 1 << bit;
                let kind = if byte < 4 { Fault::NoRecord } else { Fault::Edited };
                assert_eq!(fault(&bad), Some((at as u64, kind)), "record {at} byte {byte}");
            }
        }
    }
}

/// Whoever edits a record can give it the right hash; the next one tells, or, of the last one, the head that was kept.
#[test]
fn an_edit_with_the_right_hash_is_found_by_what_follows() {
    let good = chain(5, 0);
    let (head, _) = scan(&good, None);
    for at in 0..good.len() {
        for byte in 16..192 {
            let mut bad = good.clone();
            bad[at][byte] ^= 0x10;
            rehash(&mut bad[at]);
            let found =
                if at + 1 < good.len() { (at as u64 + 1, Fault::Spliced) } else { (at as u64, Fault::OtherHead) };
            assert_eq!(scan(&bad, Some(head)).1, Some(found), "record {at} byte {byte}");
        }
        let mut bad = good.clone();
        bad[at][192] ^= 1;
        rehash(&mut bad[at]);
        assert_eq!(fault(&bad), Some((at as u64, Fault::Spliced)));
    }
}

#[test]
fn reordered_removed_and_repeated_records_are_found() {
    let good = chain(7, 0);
    let n = good.len();
    for a in 0..n {
        for b in a + 1..n {
            let mut bad = good.clone();
            bad.swap(a, b);
            assert_eq!(fault(&bad), Some((a as u64, Fault::Moved(b as u64))), "{a} and {b} exchanged");
            let mut bad = good.clone();
            bad[a..=b].rotate_left(1);
            assert_eq!(fault(&bad), Some((a as u64, Fault::Moved(a as u64 + 1))), "{a} moved to {b}");
            let bad = [&good[..a], &good[b..]].concat();
            assert_eq!(fault(&bad), Some((a as u64, Fault::Moved(b as u64))), "{a}..{b} removed");
        }
        let bad = [&good[..=a], &good[a..]].concat();
        assert_eq!(fault(&bad), Some((a as u64 + 1, Fault::Moved(a as u64))), "{a} repeated");
        let mut bad = good.clone();
        bad[a] = [0; RECORD];
        let expected = (a + 1 < n).then_some((a as u64, Fault::AfterEnd));
        assert_eq!(fault(&bad), expected, "{a} cleared");
    }
}

#[test]
fn records_of_another_chain_are_found() {
    let (good, other) = (chain(6, 0), chain(9, 1));
    for from in 0..good.len() {
        for to in from + 1..=good.len() {
            let bad = [&good[..from], &other[from..to], &good[to..]].concat();
            // A chain that is another from its first record on is whole: only a head that was kept tells.
            let expected = match (from, to) {
                (0, to) if to < good.len() => Some((to as u64, Fault::Spliced)),
                (0, _) => None,
                (from, _) => Some((from as u64, Fault::Spliced)),
            };
            assert_eq!(fault(&bad), expected, "{from}..{to}");
        }
    }
    let (head, _) = scan(&good, None);
    assert_eq!(scan(&other[..6], Some(head)).1, Some((5, Fault::OtherHead)));
    assert_eq!(scan(&other, Some(head)).1, Some((5, Fault::OtherHead)));
}

#[test]
fn a_missing_end_is_found_by_the_head_that_was_kept() {
    let good = chain(6, 0);
    for kept in 0..=good.len() {
        let (head, _) = scan(&good[..kept], None);
        assert_eq!(head.records, kept as u64);
        for left in 0..=good.len() {
            let expected = (left < kept).then_some((left as u64, Fault::Truncated(kept as u64)));
            for zeroes in [0, 3] {
                let places = [&good[..left], &vec![[0; RECORD]; zeroes]].concat();
                assert_eq!(scan(&places, Some(head)).1, expected, "{left} of {kept}");
            }
        }
    }
}

#[test]
fn a_damaged_header_is_no_header() {
    let good = extent::header(1024);
    assert_eq!(extent::blocks(&good), Some(1024));
    for byte in 0..BLOCK {
        let mut bad = good;
        bad[byte] ^= 4;
        assert_eq!(extent::blocks(&bad), None, "byte {byte}");
    }
    assert_eq!(extent::blocks(&good[..BLOCK - 1]), None);
}

/// Only damage to the block that holds the chain's end passes as a crash while it was written.
#[test]
fn only_the_last_block_can_be_torn() {
    for records in [0, 1, 15, 16, 17, 40] {
        let good = chain(records, 0);
        let places = 64;
        let block = |place: u64| place / 16;
        for damaged in 0..places {
            let mut bad = good.clone();
            bad.resize(places as usize, [0; RECORD]);
            bad[damaged as usize][7] ^= 0x80;
            let mut scan = Scan::default();
            bad.iter().for_each(|record| {
                scan.place(record);
            });
            let used = records.max(damaged + 1) - 1;
            assert!(scan.fault().is_some());
            assert_eq!(scan.torn(), block(used) <= block(damaged.min(records)), "{records} {damaged}");
        }
    }
}

#[test]
fn records_read_as_they_were_written_and_say_what_happened() {
    let capability = Record {
        who: Name::new("demo"),
        to: Name::new("reader"),
        volume: Name::new("vault"),
        window: 0,
        to_window: 1,
        extent: Extent { first: 8, blocks: 16 },
        rights: Rights::READ.with(Rights::DERIVE),
        line: 37,
        count: 2,
        ..Record::default()
    };
    for (what, text) in [
        (
            What::Delegated,
            "demo gave reader as window 1, from its window 0: blocks 8..24 of vault, read derive (system.xml line 37)",
        ),
        (What::Revoked, "demo took back window 1 of reader: 2 capabilities (system.xml line 37)"),
        (
            What::Refused(Op::Write, Reason::Right),
            "demo was refused: Write blocks 8..24 (of 512 bytes) through window 0 without the right to write (system.xml line 37)",
        ),
        (
            What::Refused(Op::Flush, Reason::Right),
            "demo was refused: Flush through window 0 without the right to flush (system.xml line 37)",
        ),
        (What::Counted, "demo was refused 2 more, malformed or beyond what is told one by one (system.xml line 37)"),
    ] {
        let record = Record { what, shift: 9, ..capability };
        assert_eq!(record.to_string(), text);
        assert_eq!(Record::parse(&record.emit()), record);
    }
    let hostile = Record { who: Name::new("\x1b[2J\nx\u{e9}"), ..capability };
    assert!(hostile.to_string().chars().all(|c| !c.is_control()));
}

proptest! {
    /// Any bytes are looked at without harm, and only what was linked is followed.
    #[test]
    fn any_bytes_are_a_record_or_none(bytes in prop::collection::vec(any::<u8>(), RECORD), linked in any::<bool>()) {
        let mut record: Bytes = bytes.try_into().unwrap();
        if linked {
            record[..4].copy_from_slice(b"OAR1");
            Head::default().link(&mut record);
        }
        prop_assert_eq!(Head::default().follow(&record).is_ok(), linked);
        let _ = format!("{}", Record::parse(&record));
    }
}
