// SPDX-License-Identifier: MIT
//! A chain in an extent of a disk: a block that says what this is, then the records, then zeroes.
//!
//! Records are appended a block at a time, and what is in front of that block is durable before it is written. So a crash can
//! leave other than a whole chain only in the block that holds its end: there, logical blocks may be old or new, each by
//! itself. Whoever goes on with the chain writes that block anew; anything else that is wrong was not done by a crash.
use crate::chain::{Fault, Head};
use crate::wire::{Bytes, HASH, RECORD};
use sha2::{Digest, Sha256};
use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a block.
pub const BLOCK: usize = 4096;
/// Records of a block.
pub const PER_BLOCK: u64 = (BLOCK / RECORD) as u64;
/// First bytes of the first block.
pub const MAGIC: [u8; 8] = *b"ORIONAUD";
const VERSION: u64 = 1;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U64,
    blocks: U64,
    /// Of all before it.
    hash: [u8; HASH],
}

/// The first block of an extent of `blocks` blocks.
pub fn header(blocks: u64) -> [u8; BLOCK] {
    let hash = [0; HASH];
    let mut header = Header { magic: MAGIC, version: VERSION.into(), blocks: blocks.into(), hash };
    header.hash = digest(&header);
    let mut block = [0; BLOCK];
    block.iter_mut().zip(header.as_bytes()).for_each(|(to, from)| *to = *from);
    block
}

/// The blocks of the extent whose first block begins with `bytes`; `None` where it is none, or damaged.
pub fn blocks(bytes: &[u8]) -> Option<u64> {
    let block = bytes.get(..BLOCK)?;
    let (header, rest) = Header::read_from_prefix(block).ok()?;
    let known = header.magic == MAGIC && header.version.get() == VERSION && header.hash == digest(&header);
    (known && rest.iter().all(|byte| *byte == 0)).then_some(header.blocks.get())
}

fn digest(header: &Header) -> [u8; HASH] {
    let bytes = header.as_bytes();
    Sha256::digest(bytes.get(..bytes.len() - HASH).unwrap_or_default()).into()
}

/// Records that an extent of so many blocks holds.
pub const fn capacity(blocks: u64) -> u64 {
    blocks.saturating_sub(1).saturating_mul(PER_BLOCK)
}

/// The block, counted from the extent's first, that holds record `sequence`.
pub const fn block_of(sequence: u64) -> u64 {
    sequence / PER_BLOCK + 1
}

/// Follows a chain record by record, from its first, and finds its end or what is wrong with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    head: Head,
    /// Places looked at.
    places: u64,
    /// The place after the last one that is not empty.
    used: u64,
    ended: bool,
    fault: Option<(u64, Fault)>,
    kept: Option<Head>,
}

impl Scan {
    /// A scan of a chain that at some time ended with `kept`.
    pub fn anchored(kept: Option<Head>) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Looks at the next place; whether the record there belongs to the chain.
    pub fn place(&mut self, record: &Bytes) -> bool {
        let at = self.places;
        self.places = at.saturating_add(1);
        let empty = record.iter().all(|byte| *byte == 0);
        if !empty {
            self.used = self.places;
        }
        if self.fault.is_some() || (self.ended && empty) {
            return false;
        }
        if self.ended {
            self.fault = Some((self.head.records, Fault::AfterEnd));
        } else if empty {
            self.ended = true;
        } else {
            match self.head.follow(record) {
                Ok(head) => self.head = head,
                Err(fault) => self.fault = Some((at, fault)),
            }
        }
        let kept = self.kept.filter(|kept| kept.records == self.head.records && kept.records == self.places);
        if kept.is_some_and(|kept| kept.hash != self.head.hash) {
            self.fault = Some((at, Fault::OtherHead));
        }
        !self.ended && self.fault.is_none()
    }

    /// The end of the chain as far as it is whole.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What is wrong, and with which record, once all places were looked at.
    pub fn fault(&self) -> Option<(u64, Fault)> {
        let kept = self.kept.filter(|kept| kept.records > self.head.records);
        self.fault.or(kept.map(|kept| (self.head.records, Fault::Truncated(kept.records))))
    }

    /// Whether a crash while the last block was written can have left this: nothing stands behind the block that holds the
    /// chain's end.
    pub fn torn(&self) -> bool {
        self.used == 0 || block_of(self.used - 1) <= block_of(self.head.records)
    }
}
