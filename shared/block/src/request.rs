// SPDX-License-Identifier: MIT
//! What is asked of a block device, and what it answers.
use crate::{Error, Lba, Status};

/// What to do with the blocks of a [`Request`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Op {
    /// Copy blocks from the device into the payload.
    #[default]
    Read,
    /// Copy the payload onto the device.
    Write,
    /// Make every write that completed before this request was submitted durable. Has no blocks.
    Flush,
    /// The blocks' content is no longer needed. May be ignored.
    Discard,
    /// The blocks read as zeroes afterwards. Never ignored. Has no payload.
    WriteZeroes,
}

impl Op {
    /// Every operation, for tables and tests.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Flush, Self::Discard, Self::WriteZeroes];

    /// Whether the operation moves payload bytes.
    pub const fn has_payload(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }

    /// Whether the operation changes what blocks read as.
    pub const fn modifies(self) -> bool {
        matches!(self, Self::Write | Self::Discard | Self::WriteZeroes)
    }
}

/// Names a data region; the table of regions is part of a PD's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegionId(pub u16);

/// Where payload lies: a byte offset in a data region, never a pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buf {
    /// The region.
    pub region: RegionId,
    /// Bytes from the region's start.
    pub offset: u64,
}

/// One operation on consecutive blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub op: Op,
    /// Force unit access: the blocks written are durable when the request completes.
    pub fua: bool,
    /// First block.
    pub lba: Lba,
    /// Number of blocks; 0 only for [`Op::Flush`].
    pub blocks: u32,
    /// Payload of reads and writes.
    pub buf: Buf,
}

impl Request {
    /// One past the last block; `None` where that overflows.
    pub fn end(&self) -> Option<u64> {
        self.lba.0.checked_add(u64::from(self.blocks))
    }

    /// The same request against the `len` blocks that begin at `base`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] where it does not lie within them or an address overflows.
    pub fn translate(self, base: Lba, len: u64) -> Result<Self, Error> {
        if self.end().is_none_or(|end| end > len) {
            return Err(Error::OutOfRange);
        }
        let lba = base.0.checked_add(self.lba.0).ok_or(Error::OutOfRange)?;
        Ok(Self { lba: Lba(lba), ..self })
    }

    /// The part of `blocks` blocks that begins `skip` blocks into this request, for blocks of `1 << shift` bytes.
    /// The caller guarantees that the part lies within the request.
    pub fn part(self, skip: u32, blocks: u32, shift: u8) -> Self {
        let lba = Lba(self.lba.0.wrapping_add(u64::from(skip)));
        let offset = self.buf.offset.wrapping_add(u64::from(skip) << shift);
        Self { lba, blocks, buf: Buf { offset, ..self.buf }, ..self }
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// How it ended.
    pub status: Status,
    /// Blocks that succeeded, counted from the first block of the request without a gap.
    pub blocks: u32,
}

impl Completion {
    /// All `blocks` blocks succeeded.
    pub const fn ok(blocks: u32) -> Self {
        Self { status: Ok(()), blocks }
    }

    /// Nothing succeeded.
    pub const fn error(error: Error) -> Self {
        Self { status: Err(error), blocks: 0 }
    }
}
