// SPDX-License-Identifier: MIT
//! Builds tables, also ones that no tool would make.
use super::Disk;
use crate::wire::{Entry, GPT_MAGIC, HEADER_BYTES, Header, MBR_MAGIC, Mbr, MbrEntry, PROTECTIVE, Sum};
use crate::{Guid, Kind};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};
use zerocopy::IntoBytes;

/// A GPT to be built. Entries: number, first and last block, name.
#[derive(Clone, Debug)]
pub(super) struct Gpt {
    pub size: u64,
    pub block: u32,
    pub entry_size: u32,
    pub count: u32,
    pub entries: Vec<(u32, u64, u64, String)>,
}

impl Gpt {
    pub fn new(entries: &[(u32, u64, u64)]) -> Self {
        let entries = entries.iter().map(|&(n, first, last)| (n, first, last, format!("p{n}"))).collect();
        Self { size: 4 << 20, block: 512, entry_size: 128, count: 128, entries }
    }

    pub fn array_blocks(&self) -> u64 {
        (u64::from(self.count) * u64::from(self.entry_size)).div_ceil(u64::from(self.block))
    }

    pub fn usable(&self) -> (u64, u64) {
        let capacity = self.size / u64::from(self.block);
        (2 + self.array_blocks(), capacity - 2 - self.array_blocks())
    }

    fn array(&self) -> Vec<u8> {
        let mut array = vec![0; (self.count * self.entry_size) as usize];
        for (number, first, last, name) in &self.entries {
            let mut units = [0; 36];
            units.iter_mut().zip(name.encode_utf16()).for_each(|(to, from)| *to = from);
            let entry = Entry {
                kind: Guid::parse("0fc63daf-8483-4772-8e79-3d69d8477de4").unwrap(),
                unique: unique(*number),
                first: (*first).into(),
                last: (*last).into(),
                attributes: 0.into(),
                name: units.map(Into::into),
            };
            let at = ((number - 1) * self.entry_size) as usize;
            array[at..at + 128].copy_from_slice(entry.as_bytes());
        }
        array
    }

    /// The disk, after `change` did something to each header.
    pub fn disk_with(&self, change: impl Fn(&mut Header)) -> Disk {
        let mut disk = Disk::new(self.size, self.block);
        let mut mbr = Mbr {
            code: [0; 440],
            signature: 0.into(),
            unknown: 0.into(),
            entries: [MbrEntry::default(); 4],
            magic: MBR_MAGIC,
        };
        mbr.entries[0] = MbrEntry { kind: PROTECTIVE, first: 1.into(), blocks: u32::MAX.into(), ..MbrEntry::default() };
        disk.write(0, mbr.as_bytes());
        let array = self.array();
        let last = self.size / u64::from(self.block) - 1;
        for (own, other, at) in [(1, last, 2), (last, 1, last - self.array_blocks())] {
            let mut header = Header {
                magic: GPT_MAGIC,
                revision: 0x10000.into(),
                size: (HEADER_BYTES as u32).into(),
                crc: 0.into(),
                reserved: 0.into(),
                own_lba: own.into(),
                other_lba: other.into(),
                first_usable: self.usable().0.into(),
                last_usable: self.usable().1.into(),
                disk: unique(0),
                array_lba: at.into(),
                count: self.count.into(),
                entry_size: self.entry_size.into(),
                array_crc: sum(&array).into(),
            };
            change(&mut header);
            header.crc = sum(header.as_bytes()).into();
            disk.write(own * u64::from(self.block), header.as_bytes());
            disk.write(at * u64::from(self.block), &array);
        }
        disk
    }

    pub fn disk(&self) -> Disk {
        self.disk_with(|_| {})
    }
}

pub(super) fn unique(number: u32) -> Guid {
    Guid::parse(&format!("aaaaaaaa-0000-0000-0000-{number:012}")).unwrap()
}

pub(super) fn sum(bytes: &[u8]) -> u32 {
    let mut sum = Sum::new();
    sum.update(bytes);
    sum.finish()
}

/// A boot record with these entries: type, first block, blocks.
pub(super) fn record(entries: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut record = vec![0; 512];
    record[510..].copy_from_slice(&MBR_MAGIC);
    for (number, &(kind, first, blocks)) in entries.iter().enumerate() {
        let entry = MbrEntry { kind, first: first.into(), blocks: blocks.into(), ..MbrEntry::default() };
        record[446 + number * 16..462 + number * 16].copy_from_slice(entry.as_bytes());
    }
    record
}

/// A disk of 8192 blocks with these boot records.
pub(super) fn mbr(records: &[(u64, &[(u8, u32, u32)])]) -> Disk {
    let mut disk = Disk::new(8192 * 512, 512);
    records.iter().for_each(|(at, entries)| disk.write(at * 512, &record(entries)));
    disk
}

#[test]
fn the_check_value_of_the_crc() {
    assert_eq!(sum(b"123456789"), 0xcbf4_3926);
}

#[test]
fn guids_come_back_as_they_went() {
    let text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
    let guid = Guid::parse(text).unwrap();
    assert_eq!(guid.to_string(), text);
    assert_eq!(guid.0[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
    assert_eq!(Guid::parse(&text.to_uppercase()), Some(guid));
    for bad in ["", "c12a7328", "c12a7328-f81f-11d2-ba4b-00a0c93ec93", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b0"] {
        assert_eq!(Guid::parse(bad), None, "{bad}");
    }
    assert_eq!(Guid::parse(&text.replace('-', "_")), None);
    assert_eq!(Guid::parse(&text.replace('c', "+")), None);
}

#[test]
fn every_fault_has_a_remedy() {
    for kind in [Kind::NoTable, Kind::TooSmall, Kind::Usable(1, 2), Kind::Overlap(1, 2), Kind::Chain, Kind::Differs] {
        assert!(!kind.remedy().is_empty() && !kind.to_string().is_empty());
    }
}
