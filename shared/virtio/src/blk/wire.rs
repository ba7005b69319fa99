// SPDX-License-Identifier: MIT
//! Numbers of the virtio block device (virtio 1.2, section 5.2).
use super::slots::Clear;
use orion_block::Op;

/// Feature bits (5.2.3). Those that every device can have are `virtio_drivers::device::common::Feature`'s.
pub mod feature {
    /// `size_max` is valid.
    pub const SIZE_MAX: u64 = 1 << 1;
    /// `seg_max` is valid.
    pub const SEG_MAX: u64 = 1 << 2;
    /// The device is read-only.
    pub const RO: u64 = 1 << 5;
    /// `blk_size` is valid.
    pub const BLK_SIZE: u64 = 1 << 6;
    /// The device can flush its cache.
    pub const FLUSH: u64 = 1 << 9;
    /// The topology fields are valid.
    pub const TOPOLOGY: u64 = 1 << 10;
    /// `writeback` is valid.
    pub const CONFIG_WCE: u64 = 1 << 11;
    /// `num_queues` is valid.
    pub const MQ: u64 = 1 << 12;
    /// The device can discard.
    pub const DISCARD: u64 = 1 << 13;
    /// The device can write zeroes.
    pub const WRITE_ZEROES: u64 = 1 << 14;
    /// The device says how worn it is.
    pub const LIFETIME: u64 = 1 << 15;
    /// The device can erase for good.
    pub const SECURE_ERASE: u64 = 1 << 16;
}

/// Offsets in the device's configuration (5.2.4).
pub mod config {
    /// Sectors of 512 bytes: u64.
    pub const CAPACITY: usize = 0;
    /// Most bytes of a segment: u32.
    pub const SIZE_MAX: usize = 8;
    /// Most segments of a request: u32.
    pub const SEG_MAX: usize = 12;
    /// Bytes of a block: u32.
    pub const BLK_SIZE: usize = 20;
    /// Binary logarithm of the logical blocks in a physical one: u8.
    pub const PHYSICAL_BLOCK_EXP: usize = 24;
    /// Logical blocks that are best for I/O: u32.
    pub const OPT_IO_SIZE: usize = 28;
    /// 1: the cache is volatile; 0: it is written through: u8.
    pub const WRITEBACK: usize = 32;
    /// Request queues: u16.
    pub const NUM_QUEUES: usize = 34;
    /// Alignment, in sectors, of what can be discarded: u32.
    pub const DISCARD_SECTOR_ALIGNMENT: usize = 44;
    /// Most sectors of a segment of a discard: u32.
    pub const MAX_DISCARD_SECTORS: usize = 36;
    /// Most segments of a discard: u32.
    pub const MAX_DISCARD_SEG: usize = 40;
    /// Most sectors of a segment of zeroes: u32.
    pub const MAX_WRITE_ZEROES_SECTORS: usize = 48;
    /// Most segments of a write of zeroes: u32.
    pub const MAX_WRITE_ZEROES_SEG: usize = 52;
    /// Most sectors of a segment of a secure erase: u32.
    pub const MAX_SECURE_ERASE_SECTORS: usize = 60;
    /// Most segments of a secure erase: u32.
    pub const MAX_SECURE_ERASE_SEG: usize = 64;
    /// Alignment, in sectors, of what can be erased: u32.
    pub const SECURE_ERASE_SECTOR_ALIGNMENT: usize = 68;
}

/// Status bytes (5.2.6).
pub mod status {
    /// It succeeded.
    pub const OK: u8 = 0;
    /// The device cannot do that.
    pub const UNSUPPORTED: u8 = 2;
}

/// The request type of an operation (5.2.6).
pub const fn request_type(op: Op) -> u32 {
    match op {
        Op::Read => 0,
        Op::Write => 1,
        Op::Flush => 4,
        Op::Discard => 11,
        Op::WriteZeroes => 13,
    }
}

/// The request type of a question for the serial number.
pub const GET_ID: u32 = 8;
/// Bytes of a serial number.
pub const ID_BYTES: u32 = 20;
/// The request type of a question for the wear.
pub const GET_LIFETIME: u32 = 10;
/// Bytes of the answer.
pub const LIFETIME_BYTES: u32 = 6;

/// The request type of a way to clear blocks.
pub(super) const fn clear_type(how: Clear) -> u32 {
    match how {
        Clear::Discard => request_type(Op::Discard),
        Clear::Zeroes => request_type(Op::WriteZeroes),
        Clear::Erase => 14,
    }
}

/// `virtio_blk_req` without payload: type, a reserved word, first sector.
pub const fn header(op: Op, sector: u64) -> [u64; 2] {
    [request_type(op) as u64, sector]
}

/// `virtio_blk_discard_write_zeroes` without flags: first sector, number of sectors.
pub const fn segment(sector: u64, sectors: u32) -> [u64; 2] {
    [sector, sectors as u64]
}
