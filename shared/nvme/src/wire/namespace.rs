// SPDX-License-Identifier: MIT
//! Identify Namespace (section 5.15.2.1, figure 245).
use orion_block::{BlockSize, DiscardReads, Limits};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Most blocks of one command: 16 bits, less one.
pub const BLOCKS_MAX: u32 = 1 << 16;
/// Most bytes of a request: more than a ring's entry can ask for.
const REQUEST_BYTES: u32 = 256 << 20;
/// A preferred boundary below so many bytes would cut requests into crumbs, and is not kept to.
const LEAST_BOUNDARY: u64 = 4096;

/// What is known of a namespace.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Namespace {
    /// Blocks.
    pub size: U64,
    /// Blocks that may be allocated, and that are.
    pub capacity: [U64; 2],
    /// Features.
    pub features: u8,
    /// LBA formats, less one.
    pub formats_count: u8,
    /// The LBA format in use, and where its metadata is.
    pub format: u8,
    /// Metadata capabilities.
    pub mc: u8,
    /// Protection capabilities.
    pub dpc: u8,
    /// Protection in use.
    pub dps: u8,
    /// Sharing, and reservations.
    pub nmic: [u8; 2],
    /// Per cent of a format that are left, where the uppermost bit is set.
    pub format_left: u8,
    /// What deallocated blocks read as.
    pub dlfeat: u8,
    /// Blocks that are written atomically, less one: in normal operation, when power fails, for compare and write.
    pub atomic: [U16; 3],
    /// Atomic boundaries: size, offset, size when power fails.
    pub atomic_boundary: [U16; 3],
    /// Blocks between boundaries that requests had better not cross.
    pub boundary: U16,
    /// NVM capacity.
    pub nvm_capacity: [u8; 16],
    /// Preferred write granularity and alignment, less one.
    pub write: [U16; 2],
    /// Preferred deallocate granularity and alignment, less one.
    pub deallocate: [U16; 2],
    /// Optimal write size, less one.
    pub optimal: U16,
    /// Of no interest here.
    pub pad: [u8; 18],
    /// ANA group.
    pub ana_group: U32,
    /// Of no interest here.
    pub pad_2: [u8; 3],
    /// Attributes.
    pub attributes: u8,
    /// NVM set, endurance group.
    pub sets: [U16; 2],
    /// Globally unique identifier.
    pub nguid: [u8; 16],
    /// IEEE extended unique identifier.
    pub eui64: [u8; 8],
    /// LBA formats.
    pub formats: [U32; 16],
}

/// How the blocks' protection information is asked for: bits of dword 12.
pub type Protection = u64;

/// What a namespace promises.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// To those above.
    pub limits: Limits,
    /// How its protection information is asked for.
    pub protection: Protection,
    /// Most blocks of one command.
    pub command_blocks: u32,
    /// Blocks between boundaries that no command crosses; 0: there are none.
    pub boundary: u16,
}

impl Namespace {
    fn has(&self, bit: u8) -> bool {
        self.features & 1 << bit != 0
    }

    /// The LBA format in use: bytes of metadata, block size if it is one that we know.
    fn lba_format(&self) -> (u32, Option<BlockSize>) {
        let format = self.formats.get(usize::from(self.format & 0xf)).map_or(0, |format| format.get());
        let shift = u8::try_from(format >> 16 & 0xff).unwrap_or(0);
        (format & 0xffff, BlockSize::from_shift(shift).filter(|size| size.shift() <= 12))
    }

    /// The LBA format with blocks of `bytes` bytes and no metadata, if there is one.
    pub fn format_of(&self, bytes: u64) -> Option<u8> {
        let formats = (0..).zip(&self.formats).take(usize::from(self.formats_count) + 1);
        let mut sizes = formats.map(|(index, format)| (index, format.get() & 0xffff, format.get() >> 16 & 0xff));
        let found = sizes.find(|(_, metadata, shift)| *metadata == 0 && 1u64.checked_shl(*shift) == Some(bytes));
        found.filter(|_| bytes != 1).map(|(index, ..)| index)
    }

    /// Bytes of a block; 0 where that makes no sense.
    pub fn block_bytes(&self) -> u32 {
        self.lba_format().1.map_or(0, BlockSize::bytes)
    }

    /// How protection information is asked for; nothing where blocks have metadata that this driver has no room for.
    fn protection(&self) -> Option<Protection> {
        use super::command::nvm::{PRACT, PRCHK_GUARD, PRCHK_REF};
        match (self.lba_format().0, self.dps & 7) {
            (0, 0) => Some(0),
            // 8.3.1.2: with 8 bytes of metadata and PRACT, all of it is made and stripped by the controller.
            (8, 1 | 2) => Some(PRACT | PRCHK_GUARD | PRCHK_REF),
            (8, 3) => Some(PRACT | PRCHK_GUARD),
            _ => None,
        }
    }

    /// What it promises, for a controller that takes `most_bytes` a command. Nothing where it cannot be driven: no blocks, blocks
    /// of another size, metadata.
    pub fn promise(&self, most_bytes: u64) -> Option<Promise> {
        let (_, block) = self.lba_format();
        let (block, protection) = (block?, self.protection()?);
        let (shift, capacity) = (block.shift(), self.size.get());
        let addressable = capacity != 0 && capacity < 1 << (64 - shift);
        // Even the smallest limit, two pages, holds a block.
        let command_blocks = u32::try_from((most_bytes >> shift).min(BLOCKS_MAX.into())).unwrap_or(BLOCKS_MAX);
        let boundary = self.boundary.get();
        let kept = u64::from(boundary) << shift >= LEAST_BOUNDARY;
        let limits = Limits {
            block,
            physical: self.physical(block),
            capacity,
            max_blocks: REQUEST_BYTES >> shift,
            optimal_blocks: if self.has(4) { u32::from(self.optimal.get()) + 1 } else { command_blocks },
            atomic_blocks: self.atomic_blocks(),
            discard_granularity: if self.has(4) { u32::from(self.deallocate[0].get()) + 1 } else { 1 },
            discard_reads: if self.dlfeat & 7 == 1 { DiscardReads::Zeroes } else { DiscardReads::Undefined },
            fua: true,
            read_only: self.attributes & 1 != 0,
            ..Limits::default()
        };
        let boundary = if kept { boundary } else { 0 };
        (addressable && command_blocks != 0).then_some(Promise { limits, protection, command_blocks, boundary })
    }

    /// The preferred write granularity, where it is a block size.
    fn physical(&self, block: BlockSize) -> BlockSize {
        let blocks = if self.has(4) { u32::from(self.write[0].get()) + 1 } else { 1 };
        BlockSize::from_bytes(blocks.saturating_mul(block.bytes())).unwrap_or(block)
    }

    /// 6.4: NAWUPF, where the namespace has a value of its own and no boundary within which it holds only. (What AWUPF
    /// promises for all formats of a controller is at least one block.)
    fn atomic_blocks(&self) -> u32 {
        let [_, power_fail, _] = self.atomic.map(U16::get);
        let [_, _, boundary] = self.atomic_boundary.map(U16::get);
        if self.has(1) && boundary == 0 { u32::from(power_fail) + 1 } else { 1 }
    }

    /// Whether it is the same namespace, as far as it says who it is.
    pub fn same(&self, now: &Self) -> bool {
        (self.nguid, self.eui64) == (now.nguid, now.eui64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        assert_eq!(size_of::<Namespace>(), 192);
        assert_eq!([offset_of!(Namespace, features), offset_of!(Namespace, dps)], [24, 29]);
        assert_eq!([offset_of!(Namespace, dlfeat), offset_of!(Namespace, boundary)], [33, 46]);
        assert_eq!([offset_of!(Namespace, write), offset_of!(Namespace, optimal)], [64, 72]);
        assert_eq!([offset_of!(Namespace, ana_group), offset_of!(Namespace, attributes)], [92, 99]);
        assert_eq!([offset_of!(Namespace, nguid), offset_of!(Namespace, formats)], [104, 128]);
    }
}
