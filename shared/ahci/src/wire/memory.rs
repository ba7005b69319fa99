// SPDX-License-Identifier: MIT
//! Structures in memory (AHCI 1.3.1, section 4.2).
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A command's header (4.2.2).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct CommandHeader {
    /// Bits 0 to 4: length of the FIS in words of 32 bits; [`header`]'s bits.
    pub flags: U16,
    /// Entries that describe the payload.
    pub entries: U16,
    /// Bytes moved, which the controller counts.
    pub moved: U32,
    /// The command's table.
    pub table: U64,
    /// Reserved.
    pub reserved: [u8; 16],
}

/// Bits of a header's flags.
pub mod header {
    /// Words of a register FIS.
    pub const FIS_WORDS: u32 = 5;
    /// The command is a packet.
    pub const PACKET: u32 = 1 << 5;
    /// Data goes to the device.
    pub const WRITE: u32 = 1 << 6;
    /// It is a reset by software.
    pub const RESET: u32 = 1 << 8;
    /// The device is not waited for once the controller has got its R_OK.
    pub const CLEAR_BUSY: u32 = 1 << 10;
    /// Where the port of a port multiplier begins.
    pub const PORT_SHIFT: u32 = 12;
}

/// The first two words of a header: what is done with how many entries; nothing was moved yet.
#[inline]
pub const fn head(write: bool, entries: u32) -> u64 {
    (header::FIS_WORDS | if write { header::WRITE } else { 0 } | entries << 16) as u64
}

/// An entry that describes a part of the payload (4.2.3.3).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Entry {
    /// Where it lies; even.
    pub address: U64,
    /// Reserved.
    pub reserved: U32,
    /// Bits 0 to 21: bytes, less one; odd.
    pub bytes: U32,
}

/// The second half of an entry of `bytes` bytes, of which there are 1 to 4 MiB.
#[inline]
pub const fn entry(bytes: u32) -> u64 {
    (bytes.wrapping_sub(1) as u64) << 32
}

const _: () = assert!(size_of::<CommandHeader>() == 32 && size_of::<Entry>() == 16);
