// SPDX-License-Identifier: MIT
//! A table as it was understood.
use crate::{Fault, Guid, Kind};
use core::fmt;
use heapless::Vec;

/// Most partitions of a table.
pub const PARTITIONS_MAX: usize = 128;

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// As a GPT says it.
    Gpt(Guid),
    /// As an MBR says it.
    Mbr(u8),
}

/// A partition: some consecutive blocks of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1; an MBR's logical partitions have 5 and up.
    pub number: u32,
    /// First block.
    pub first: u64,
    /// Blocks; at least 1.
    pub blocks: u64,
    /// What it is for.
    pub kind: Type,
    /// Its own identifier; of a GPT only.
    pub unique: Option<Guid>,
    /// Its name in UTF-16, padded with zeroes; of a GPT only.
    pub name: [u16; 36],
    /// Attributes of a GPT's entry; of an MBR's, bit 2 where it is active.
    pub attributes: u64,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As a GPT.
    Gpt {
        /// The disk's identifier.
        disk: Guid,
        /// What is wrong with the primary copy; then the backup was used.
        primary: Option<Fault>,
        /// What is wrong with the backup copy.
        backup: Option<Fault>,
        /// Whether the backup is not at the disk's end: the disk has grown.
        grown: bool,
        /// Whether the MBR lists partitions of its own beside.
        hybrid: bool,
    },
    /// As an MBR.
    Mbr {
        /// The disk's signature.
        signature: u32,
    },
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// How it is written.
    pub scheme: Scheme,
    /// The partitions in the order of the table. No two have a block in common, and all lie on the disk.
    pub partitions: Vec<Partition, PARTITIONS_MAX>,
}

impl Partition {
    /// One past the last block.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.blocks)
    }

    /// Its name's characters; what is not UTF-16 becomes U+FFFD.
    pub fn name(&self) -> impl Iterator<Item = char> + Clone + '_ {
        let units = self.name.iter().copied().take_while(|&unit| unit != 0);
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The largest power of two, in bytes, at whose multiple it begins, for blocks of `1 << shift` bytes; 1 GiB at most.
    pub fn alignment(&self, shift: u8) -> u64 {
        1 << (self.first.trailing_zeros() + u32::from(shift)).min(30)
    }
}

impl Table {
    pub(crate) const EMPTY: Self = Self { scheme: Scheme::Mbr { signature: 0 }, partitions: Vec::new() };

    /// Adds a partition that overlaps no other.
    pub(crate) fn add(&mut self, new: Partition) -> Result<(), Kind> {
        let meets = |old: &&Partition| old.first < new.end() && new.first < old.end();
        if let Some(old) = self.partitions.iter().find(meets) {
            return Err(Kind::Overlap(old.number, new.number));
        }
        self.partitions.push(new).map_err(|_| Kind::TooMany)
    }
}

/// Types that people meet, by identifier.
const GPT_TYPES: [(&str, &str); 10] = [
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"),
    ("21686148-6449-6e6f-744e-656564454649", "BIOS boot"),
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux filesystem"),
    ("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"),
    ("e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM"),
    ("a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"),
    ("ca7d7ccb-63ed-4c53-861c-1742536059cc", "LUKS"),
    ("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft basic data"),
    ("e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"),
    ("933ac7e1-2eb4-4f13-b844-0e14e2aef915", "Linux home"),
];
const MBR_TYPES: [(u8, &str); 9] = [
    (0x01, "FAT12"),
    (0x06, "FAT16"),
    (0x07, "NTFS or exFAT"),
    (0x0b, "FAT32"),
    (0x0c, "FAT32"),
    (0x82, "Linux swap"),
    (0x83, "Linux"),
    (0x8e, "Linux LVM"),
    (0xfd, "Linux RAID"),
];

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(guid) => match GPT_TYPES.iter().find(|(text, _)| Guid::parse(text) == Some(*guid)) {
                Some((_, name)) => f.write_str(name),
                None => write!(f, "{guid}"),
            },
            Self::Mbr(kind) => match MBR_TYPES.iter().find(|(number, _)| number == kind) {
                Some((_, name)) => f.write_str(name),
                None => write!(f, "0x{kind:02x}"),
            },
        }
    }
}
