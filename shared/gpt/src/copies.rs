// SPDX-License-Identifier: MIT
//! One copy of a GPT: its header, and how far its array of entries was read.
use crate::wire::{self, HEADER_BYTES, Sum};
use crate::{FEED_MAX, Fault, Guid, Kind, Partition, Type};
use zerocopy::FromBytes;

/// Most bytes of an array of entries.
const ARRAY_MAX: u64 = 1 << 20;
/// Least and most bytes of an entry.
const ENTRY: (u32, u32) = (128, 4096);

/// What both copies of a table must say alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub disk: Guid,
    pub first_usable: u64,
    pub last_usable: u64,
    pub count: u32,
    pub entry_size: u32,
    pub array_crc: u32,
}

/// A checked header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    pub at: u64,
    pub other: u64,
    pub array: u64,
    pub content: Content,
}

impl Head {
    /// The header in the block `at` of a disk of `capacity` blocks.
    pub fn parse(block: &[u8], at: u64, backup: bool, capacity: u64) -> Result<Self, Fault> {
        let head = Self::read(block, at);
        let checked = head.and_then(|head| head.check(block.len(), backup, capacity).map(|()| head));
        checked.map_err(|kind| Fault { kind, at })
    }

    /// UEFI 2.10, 5.3.2: magic, CRC and the header's own place.
    fn read(block: &[u8], at: u64) -> Result<Self, Kind> {
        let header = wire::Header::parse(block).ok_or(Kind::NoHeader)?;
        let size = header.size.get();
        if header.revision.get() >> 16 != 1 {
            return Err(Kind::Revision(header.revision.get()));
        }
        let bytes = usize::try_from(size).unwrap_or(usize::MAX);
        let crc = wire::Header::crc_of(block, bytes).filter(|_| bytes >= HEADER_BYTES);
        if crc.ok_or(Kind::HeaderSize(size))? != header.crc.get() {
            return Err(Kind::HeaderCrc);
        }
        if header.own_lba.get() != at {
            return Err(Kind::OwnLba(header.own_lba.get()));
        }
        let content = Content {
            disk: header.disk,
            first_usable: header.first_usable.get(),
            last_usable: header.last_usable.get(),
            count: header.count.get(),
            entry_size: header.entry_size.get(),
            array_crc: header.array_crc.get(),
        };
        Ok(Self { at, other: header.other_lba.get(), array: header.array_lba.get(), content })
    }

    /// The array lies between the header and the usable blocks, at the side of the header.
    fn check(&self, block: usize, backup: bool, capacity: u64) -> Result<(), Kind> {
        let Content { first_usable, last_usable, count, entry_size, .. } = self.content;
        if !entry_size.is_power_of_two() || entry_size < ENTRY.0 || entry_size > ENTRY.1 {
            return Err(Kind::EntrySize(entry_size));
        }
        if count == 0 || self.array_bytes() > ARRAY_MAX {
            return Err(Kind::EntryCount(count));
        }
        if first_usable > last_usable || last_usable >= capacity {
            return Err(Kind::Usable(first_usable, last_usable));
        }
        let blocks = self.array_bytes().div_ceil(u64::try_from(block).unwrap_or(1).max(1));
        let end = self.array.checked_add(blocks).ok_or(Kind::ArrayPlace(self.array))?;
        let fits = if backup {
            self.array > last_usable && end <= self.at
        } else {
            self.array > self.at && end <= first_usable
        };
        if fits { Ok(()) } else { Err(Kind::ArrayPlace(self.array)) }
    }

    /// Bytes of all entries.
    pub fn array_bytes(&self) -> u64 {
        u64::from(self.content.count) * u64::from(self.content.entry_size)
    }

    fn partition(&self, number: u32, entry: &wire::Entry) -> Result<Partition, Kind> {
        let (first, last) = (entry.first.get(), entry.last.get());
        let usable = self.content.first_usable..=self.content.last_usable;
        if first > last || !usable.contains(&first) || !usable.contains(&last) {
            return Err(Kind::Range(number, first, last));
        }
        Ok(Partition {
            number,
            first,
            // No overflow: `last` is below the capacity.
            blocks: (last - first).saturating_add(1),
            kind: Type::Gpt(entry.kind),
            unique: Some(entry.unique),
            name: entry.name.map(zerocopy::little_endian::U16::get),
            attributes: entry.attributes.get(),
        })
    }
}

/// An array of entries that is being read, [`FEED_MAX`] bytes at a time: no entry stands across two of them.
#[derive(Debug, Default)]
pub struct Array {
    /// Bytes read.
    pub done: u64,
    sum: Sum,
}

impl Array {
    /// The extent of blocks to read next: first, count. `None` at the end.
    pub fn next(&self, head: &Head, shift: u8) -> Option<(u64, u64)> {
        let left = head.array_bytes().checked_sub(self.done).filter(|&left| left > 0)?;
        let bytes = left.min(FEED_MAX as u64);
        Some((head.array.saturating_add(self.done >> shift), bytes.div_ceil(1 << shift)))
    }

    /// Takes the blocks of `next`; the used entries in them, each a partition or what is wrong with it.
    pub fn feed<'a>(
        &mut self,
        head: &'a Head,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Result<Partition, Kind>> + use<'a> {
        let left = usize::try_from(head.array_bytes().saturating_sub(self.done)).unwrap_or(usize::MAX);
        let bytes = bytes.get(..left.min(bytes.len())).unwrap_or(bytes);
        let size = head.content.entry_size;
        let before = u32::try_from(self.done / u64::from(size.max(1))).unwrap_or(u32::MAX);
        self.sum.update(bytes);
        self.done = self.done.saturating_add(bytes.len() as u64);
        let entries = bytes.chunks(usize::try_from(size).unwrap_or(usize::MAX).max(1));
        (before.saturating_add(1)..).zip(entries).filter_map(|(number, bytes)| {
            let (entry, _) = wire::Entry::ref_from_prefix(bytes).ok()?;
            (entry.kind != Guid::ZERO).then(|| head.partition(number, entry))
        })
    }

    /// Whether what was read has the CRC that the header says.
    pub fn matches(&self, head: &Head) -> bool {
        self.sum.clone().finish() == head.content.array_crc
    }
}
