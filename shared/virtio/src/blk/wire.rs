// SPDX-License-Identifier: MIT
//! Numbers of the virtio block device (virtio 1.2, section 5.2).
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
    /// The device can discard.
    pub const DISCARD: u64 = 1 << 13;
    /// The device can write zeroes.
    pub const WRITE_ZEROES: u64 = 1 << 14;
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
    /// Alignment, in sectors, of what can be discarded: u32.
    pub const DISCARD_SECTOR_ALIGNMENT: usize = 44;
    /// Most sectors of a discard: u32.
    pub const MAX_DISCARD_SECTORS: usize = 36;
    /// Most sectors of a write of zeroes: u32.
    pub const MAX_WRITE_ZEROES_SECTORS: usize = 48;
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

/// `virtio_blk_req` without payload: type, a reserved word, first sector.
pub const fn header(op: Op, sector: u64) -> [u64; 2] {
    [request_type(op) as u64, sector]
}

/// `virtio_blk_discard_write_zeroes` without flags: first sector, number of sectors.
pub const fn segment(sector: u64, sectors: u32) -> [u64; 2] {
    [sector, sectors as u64]
}
