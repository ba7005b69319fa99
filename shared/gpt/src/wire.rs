// SPDX-License-Identifier: MIT
//! The bytes on the disk: UEFI 2.10, section 5.2 (MBR) and 5.3 (GPT). Views without meaning; nothing here is trusted.
use crate::Guid;
use crc::{CRC_32_ISO_HDLC, Crc, Digest};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The CRC of headers and arrays.
static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Last bytes of the first 512 of a master or extended boot record.
pub const MBR_MAGIC: [u8; 2] = [0x55, 0xaa];
/// MBR type of the entry that protects a GPT.
pub const PROTECTIVE: u8 = 0xee;
/// MBR types of an extended partition.
pub const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// First bytes of a GPT header.
pub const GPT_MAGIC: [u8; 8] = *b"EFI PART";
/// Bytes of the fields of a GPT header: its least size.
pub const HEADER_BYTES: usize = size_of::<Header>();

/// A master boot record, or an extended one.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Mbr {
    /// Boot code.
    pub code: [u8; 440],
    /// The disk's signature.
    pub signature: U32,
    /// Unused.
    pub unknown: U16,
    /// Entries; of an extended boot record only two are used.
    pub entries: [MbrEntry; 4],
    /// [`MBR_MAGIC`].
    pub magic: [u8; 2],
}

/// An entry of a boot record. Addresses in cylinders, heads and sectors are not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct MbrEntry {
    /// 0x80: active; 0: not.
    pub boot: u8,
    /// Not used.
    pub first_chs: [u8; 3],
    /// Type; 0: the entry is empty.
    pub kind: u8,
    /// Not used.
    pub last_chs: [u8; 3],
    /// First block.
    pub first: U32,
    /// Blocks.
    pub blocks: U32,
}

/// A GPT header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`GPT_MAGIC`].
    pub magic: [u8; 8],
    /// 0x10000 for version 1.0.
    pub revision: U32,
    /// Bytes of the header that its CRC covers.
    pub size: U32,
    /// CRC of the header with this field zero.
    pub crc: U32,
    /// Zero.
    pub reserved: U32,
    /// The block that holds this header.
    pub own_lba: U64,
    /// The block that holds the other one.
    pub other_lba: U64,
    /// First block that partitions may use.
    pub first_usable: U64,
    /// Last block that partitions may use.
    pub last_usable: U64,
    /// The disk's identifier.
    pub disk: Guid,
    /// First block of the array of entries.
    pub array_lba: U64,
    /// Entries in the array, used or not.
    pub count: U32,
    /// Bytes of an entry.
    pub entry_size: U32,
    /// CRC of the array.
    pub array_crc: U32,
}

/// A GPT entry: the first 128 bytes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Entry {
    /// Type; zero: the entry is not used.
    pub kind: Guid,
    /// The partition's own identifier.
    pub unique: Guid,
    /// First block.
    pub first: U64,
    /// Last block, included.
    pub last: U64,
    /// Attributes (table 5.8).
    pub attributes: U64,
    /// Name in UTF-16, padded with zeroes.
    pub name: [U16; 36],
}

impl Mbr {
    /// The record in the first 512 bytes, if they have its magic and every entry is one that can be: the first sector of
    /// a FAT or NTFS volume has the magic too.
    pub fn parse(block: &[u8]) -> Option<&Self> {
        let (mbr, _) = Self::ref_from_prefix(block).ok()?;
        let possible = mbr.entries.iter().all(|e| e.boot & 0x7f == 0);
        (mbr.magic == MBR_MAGIC && possible).then_some(mbr)
    }

    /// Whether it protects a GPT. Linux asks for the same: the type, and block 1 as the first.
    pub fn protective(&self) -> bool {
        self.entries.iter().any(|e| e.kind == PROTECTIVE && e.first.get() == 1)
    }
}

impl Header {
    /// The header at the block's start, if it has the magic.
    pub fn parse(block: &[u8]) -> Option<&Self> {
        let (header, _) = Self::ref_from_prefix(block).ok()?;
        (header.magic == GPT_MAGIC).then_some(header)
    }

    /// The CRC that a header of `size` bytes at the block's start must have; `None` where it doesn't fit the block.
    pub fn crc_of(block: &[u8], size: usize) -> Option<u32> {
        let mut crc = Sum::new();
        crc.update(block.get(..16)?);
        crc.update(&[0; 4]);
        crc.update(block.get(20..size)?);
        Some(crc.finish())
    }
}

/// A CRC in the making.
#[derive(Clone)]
pub struct Sum(Digest<'static, u32>);

impl Sum {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Self(CRC.digest())
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The CRC of all bytes so far.
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

impl Default for Sum {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Sum {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sum")
    }
}
