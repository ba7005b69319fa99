// SPDX-License-Identifier: MIT
//! sDDF 0.7's block layout, byte for byte (`include/sddf/blk/queue.h` and `storage_info.h`), little endian.
//!
//! Every type here has explicit padding, so that its bytes are exactly what a peer sees.
use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[cfg(not(target_endian = "little"))]
compile_error!("rings are little endian, as all of sDDF's targets are");

/// Byte offset of `head` in both queues: requests or answers taken so far, free-running.
pub const HEAD: usize = 0;
/// Byte offset of `tail` in both queues: requests or answers put so far, free-running.
pub const TAIL: usize = 4;
/// Bytes of both counters.
pub const COUNTERS: usize = 8;
/// Byte offset of `plugged` in a request queue. No sDDF component reads it, and neither do we.
pub const PLUGGED: usize = 8;
/// Byte offset of the first entry of a request queue.
pub const REQUESTS: usize = 16;
/// Byte offset of the first entry of a response queue.
pub const RESPONSES: usize = 8;
/// Bytes of a server's or client's page.
pub const PAGE: usize = 4096;
/// Byte offset, in [`StorageInfo`], of the word that holds `read_only`, `ready` and `sector_size`.
pub const READY_WORD: usize = 64;
/// The bits of `ready` in that word.
pub const READY_MASK: u32 = 0xff00;

/// `struct blk_req`: an entry of the request queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// Operation (see [`crate::codes`]).
    pub code: u32,
    /// Padding; written as zero, not read.
    pub pad0: u32,
    /// Byte offset in the client's data region, or bus address.
    pub io_or_offset: u64,
    /// First block.
    pub block_number: u64,
    /// Number of blocks.
    pub count: u16,
    /// Padding; written as zero, not read.
    pub pad1: u16,
    /// The client's name for the request.
    pub id: u32,
}

/// `struct blk_resp`: an entry of the response queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Response {
    /// Status (see [`crate::codes`]).
    pub status: u32,
    /// Blocks that succeeded.
    pub success_count: u16,
    /// Padding; written as zero, not read.
    pub pad: u16,
    /// The request's id.
    pub id: u32,
}

/// `struct blk_storage_info`: what the server is, at byte 0 of its page. All counts of blocks are of 4096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StorageInfo {
    /// Serial number, zero-terminated text.
    pub serial: [u8; 64],
    /// C `bool`: nothing can be written.
    pub read_only: u8,
    /// C `bool`: the rest of the page is valid. Stored last.
    pub ready: u8,
    /// Bytes of the device's sector.
    pub sector_size: u16,
    /// Optimal transfer, in blocks of 4096 bytes.
    pub block_size: u16,
    /// Requests the device works on at once.
    pub queue_depth: u16,
    /// Geometry; unused.
    pub cylinders: u16,
    /// Geometry; unused.
    pub heads: u16,
    /// Geometry; unused.
    pub blocks: u16,
    /// Padding.
    pub pad: u16,
    /// Blocks of 4096 bytes.
    pub capacity: u64,
}

const _: () = {
    assert!(size_of::<Request>() == 32 && align_of::<Request>() == 8);
    assert!(offset_of!(Request, code) == 0);
    assert!(offset_of!(Request, io_or_offset) == 8);
    assert!(offset_of!(Request, block_number) == 16);
    assert!(offset_of!(Request, count) == 24);
    assert!(offset_of!(Request, id) == 28);
    assert!(size_of::<Response>() == 12 && align_of::<Response>() == 4);
    assert!(offset_of!(Response, status) == 0);
    assert!(offset_of!(Response, success_count) == 4);
    assert!(offset_of!(Response, id) == 8);
    assert!(size_of::<StorageInfo>() == 88 && align_of::<StorageInfo>() == 8);
    assert!(offset_of!(StorageInfo, read_only) == READY_WORD);
    assert!(offset_of!(StorageInfo, ready) == 65);
    assert!(offset_of!(StorageInfo, sector_size) == 66);
    assert!(offset_of!(StorageInfo, block_size) == 68);
    assert!(offset_of!(StorageInfo, queue_depth) == 70);
    assert!(offset_of!(StorageInfo, cylinders) == 72);
    assert!(offset_of!(StorageInfo, heads) == 74);
    assert!(offset_of!(StorageInfo, blocks) == 76);
    assert!(offset_of!(StorageInfo, capacity) == 80);
    assert!(queue_bytes(1) <= 128 && queue_bytes(crate::CAPACITY_MAX) <= 128 * 32_768);
};

/// Bytes that a request queue of `capacity` entries occupies.
pub const fn request_queue_bytes(capacity: u16) -> usize {
    REQUESTS + capacity as usize * size_of::<Request>()
}

/// Bytes that a response queue of `capacity` entries occupies.
pub const fn response_queue_bytes(capacity: u16) -> usize {
    RESPONSES + capacity as usize * size_of::<Response>()
}

/// Bytes that either queue of a connection needs: the larger of the two. sdfgen gives each queue `capacity * 128`
/// bytes, which is always enough.
pub const fn queue_bytes(capacity: u16) -> usize {
    request_queue_bytes(capacity)
}
