// SPDX-License-Identifier: MIT
//! The bytes of superblocks of version 1 (Linux's `uapi/linux/raid/md_p.h`), of the internal bitmap, of partial parity logs and of
//! write journals. Views without meaning; nothing here is trusted.
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First word of every superblock.
pub const MAGIC: u32 = 0xa92b_4efc;
/// Bytes that a superblock of any version takes at most, roles included.
pub const SUPER_BYTES: usize = 4096;
/// Bytes before the roles.
pub const HEAD_BYTES: usize = size_of::<Head>();
/// `resync_offset` of an array that is in sync, and other ends of everything.
pub const ALL: u64 = u64::MAX;
/// Role of a spare.
pub const SPARE: u16 = 0xffff;
/// Role of a device that failed.
pub const FAULTY: u16 = 0xfffe;
/// Role of a write journal.
pub const JOURNAL: u16 = 0xfffd;

/// Bits of `features`.
pub mod feature {
    /// There is an internal bitmap.
    pub const BITMAP: u32 = 1;
    /// `recovery_offset` counts.
    pub const RECOVERY: u32 = 2;
    /// The array is being reshaped.
    pub const RESHAPE: u32 = 4;
    /// The list of bad blocks is not empty.
    pub const BAD_BLOCKS: u32 = 8;
    /// The device replaces the member of the same role.
    pub const REPLACEMENT: u32 = 16;
    /// The reshape goes from the end to the start.
    pub const BACKWARDS: u32 = 32;
    /// `new_offset` counts.
    pub const NEW_OFFSET: u32 = 64;
    /// A recovery is guided by the bitmap.
    pub const RECOVERY_BITMAP: u32 = 128;
    /// Used by several machines at once.
    pub const CLUSTERED: u32 = 256;
    /// There is a write journal.
    pub const JOURNAL: u32 = 512;
    /// There is a partial parity log.
    pub const PPL: u32 = 1024;
    /// There are several partial parity logs.
    pub const PPLS: u32 = 2048;
    /// `layout` counts for RAID 0.
    pub const RAID0_LAYOUT: u32 = 4096;
    /// All that are known.
    pub const ALL: u32 = 8191;
}

/// A superblock of version 1, without the roles that follow it, each two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Head {
    /// [`MAGIC`].
    pub magic: U32,
    /// 1.
    pub major: U32,
    /// Bits of [`feature`].
    pub features: U32,
    /// Zero.
    pub pad0: U32,
    /// The array's identifier.
    pub set: [u8; 16],
    /// The array's name, often `host:name`.
    pub name: [u8; 32],
    /// Creation: seconds in the low 40 bits, microseconds above.
    pub ctime: U64,
    /// Level; -1 is linear.
    pub level: U32,
    /// Layout; its meaning depends on the level.
    pub layout: U32,
    /// Sectors of each member that are used; levels 1 and up.
    pub size: U64,
    /// Sectors of a chunk.
    pub chunk: U32,
    /// Members of the complete array.
    pub raid_disks: U32,
    /// Sectors from the superblock to the bitmap, signed; or of a PPL, offset and size in 16 bits each.
    pub bitmap_offset: U32,
    /// Level after the reshape.
    pub new_level: U32,
    /// Where the reshape is, in sectors of the array.
    pub reshape_position: U64,
    /// Members more, or less, after the reshape.
    pub delta_disks: U32,
    /// Layout after the reshape.
    pub new_layout: U32,
    /// Sectors of a chunk after the reshape.
    pub new_chunk: U32,
    /// What is added to `data_offset` by the reshape, signed.
    pub new_offset: U32,
    /// First sector of data.
    pub data_offset: U64,
    /// Sectors that may hold data.
    pub data_size: U64,
    /// The sector of this superblock.
    pub super_offset: U64,
    /// Sectors of data before which the device is rebuilt.
    pub recovery_offset: U64,
    /// The device's number, an index into the roles.
    pub number: U32,
    /// Read errors that were corrected.
    pub corrected: U32,
    /// The device's identifier.
    pub device: [u8; 16],
    /// 1: write-mostly; 2: fail fast.
    pub flags: u8,
    /// Binary logarithm of the sectors that the list of bad blocks counts in.
    pub log_shift: u8,
    /// Sectors of the list of bad blocks.
    pub log_size: U16,
    /// Sectors from the superblock to that list, signed.
    pub log_offset: U32,
    /// Last change, as `ctime`.
    pub utime: U64,
    /// Counts changes of the superblocks.
    pub events: U64,
    /// Sectors of members before which the array is in sync; [`ALL`] where it is.
    pub resync_offset: U64,
    /// Checksum; see [`sum`].
    pub sum: U32,
    /// Roles that follow.
    pub roles: U32,
    /// Zeroes.
    pub pad3: [u8; 32],
}

/// The first bytes of an internal bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BitmapHead {
    /// `bitm`.
    pub magic: [u8; 4],
    /// 3 or 4; 5 is a cluster's.
    pub version: U32,
    /// The array's identifier.
    pub set: [u8; 16],
    /// Events when it was written.
    pub events: U64,
    /// Events of the array when it was last in sync.
    pub events_cleared: U64,
    /// Sectors that it describes.
    pub sync_size: U64,
    /// 1: stale; 2: could not be written.
    pub state: U32,
    /// Bytes of the members that one bit stands for.
    pub chunk: U32,
    /// Seconds after which bits are cleared.
    pub sleep: U32,
    /// Most members written behind.
    pub write_behind: U32,
    /// Sectors that are reserved.
    pub reserved: U32,
    /// Nodes of a cluster.
    pub nodes: U32,
    /// The cluster's name.
    pub cluster: [u8; 64],
    /// Zeroes.
    pub pad: [u8; 120],
}

/// The sum of little-endian words, a last half word too, folded once: `calc_sb_1_csum`.
/// The four bytes at `skip` count as zero.
pub fn sum(bytes: &[u8], skip: usize) -> u32 {
    let words = bytes.chunks(4).enumerate().filter(|(index, _)| index * 4 != skip);
    let word = |word: &[u8]| word.iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    fold(words.map(|(_, bytes)| word(bytes)).fold(0, u64::wrapping_add))
}

/// Both halves of a sum, added.
pub fn fold(sum: u64) -> u32 {
    let [a, b, c, d, e, f, g, h] = sum.to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).wrapping_add(u32::from_le_bytes([e, f, g, h]))
}

/// Where [`Head::sum`] stands.
pub const SUM_AT: usize = core::mem::offset_of!(Head, sum);

/// Most entries of a partial parity log's header.
pub const PPL_ENTRIES: usize = 148;

/// The header of a partial parity log.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PplHeader {
    /// Unused, all ones.
    pub reserved: [u8; 512],
    /// Of the array.
    pub signature: U32,
    /// Unused.
    pub pad: U32,
    /// Rises with each header.
    pub generation: U64,
    /// Entries that count.
    pub count: U32,
    /// CRC32C of the header, this field as 0.
    pub sum: U32,
    /// One for each write.
    pub entries: [PplEntry; PPL_ENTRIES],
    /// Unused.
    pub rest: [u8; 8],
}

/// One write in a partial parity log.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PplEntry {
    /// The array's first sector that is written.
    pub block: U64,
    /// Bytes of partial parity.
    pub parity_bytes: U32,
    /// Bytes of data that are written.
    pub data_bytes: U32,
    /// The member that holds parity.
    pub role: U32,
    /// CRC32C of the partial parity.
    pub sum: U32,
}

const _: () = assert!(size_of::<PplHeader>() == 4096);

/// The head of a meta block of a write journal.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct JournalHead {
    /// 0x6433c509.
    pub magic: U32,
    /// Checksum of the block, this field as 0.
    pub sum: U32,
    /// 1.
    pub version: u8,
    /// Unused.
    pub pad: [u8; 3],
    /// Bytes of the block that count, this head among them.
    pub size: U32,
    /// The block's number.
    pub seq: U64,
    /// The sector of the log that it lies at.
    pub position: U64,
}

/// What blocks behind a meta block are: checksums of 4 bytes follow, one for each.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct JournalPayload {
    /// The kind.
    pub kind: PayloadKind,
    /// The sector of the array, or for parity of the members' data.
    pub place: U64,
}

/// The kind of a payload of a meta block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PayloadKind {
    /// 0: data; 1: parity; 2: stripes that are written, whose sectors follow, 8 bytes each.
    pub kind: U16,
    /// Of which none is known here.
    pub flags: U16,
    /// Sectors of data or parity; bytes that follow, of stripes that are written.
    pub size: U32,
}
