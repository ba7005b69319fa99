// SPDX-License-Identifier: MIT
//! Where each port's structures lie in the DMA memory (AHCI 1.3.1, section 4).
//!
//! Of each unit's four pages the first has the command list and room for the data of the driver's own commands, the second the
//! received FISes, the others a command table for each slot.

/// Disks behind one controller that the driver has room for.
pub const UNITS: u8 = 8;
/// [`UNITS`], as the length of a table.
pub const UNITS_LEN: usize = UNITS as usize;
/// Commands of one port.
pub const SLOTS: usize = 32;
/// Bytes of DMA memory for each unit.
pub const PORT_BYTES: usize = 16 << 10;

/// The command list: 32 headers of 32 bytes, aligned to 1 KiB (4.2.2).
pub const LIST: usize = 0;
/// 512 bytes that stay zero: the rest of a list of ranges to trim.
pub const ZEROES: usize = 0x400;
/// Data of the driver's own commands: one sector.
pub const DATA: usize = 0x600;
/// Received FISes (4.2.1), aligned to 4 KiB, as FIS-based switching wants.
pub const RECEIVED: usize = 0x1000;
/// Bytes of what is received from each device.
pub const RECEIVED_BYTES: usize = 256;
/// The same as 64-bit words.
pub const RECEIVED_WORDS: usize = RECEIVED_BYTES / 8;
/// Devices whose FISes have room there, where they are told apart.
pub const RECEIVED_MAX: usize = 16;
/// The command tables.
pub const TABLES: usize = 0x2000;
/// Bytes of a command table: its FIS, and 8 entries that describe the payload.
pub const TABLE_BYTES: usize = 256;
/// 64-bit words of a command table.
pub const TABLE_WORDS: usize = TABLE_BYTES / 8;
/// The entries that describe the payload, in 64-bit words from the table's start.
pub const PRDT: usize = 0x80 / 8;
/// Entries of it.
pub const ENTRIES: usize = 8;
/// Ranges to trim, in 64-bit words from the table's start: where the entries 4 to 7 would be, which such a command has not.
pub const RANGES: usize = 0xc0 / 8;
/// Ranges that have room there.
pub const RANGES_MAX: u32 = 8;
/// Most bytes of one entry (4.2.3.3).
pub const ENTRY_BYTES: u32 = 4 << 20;

/// Most bytes of a request: what a table's entries describe.
pub const REQUEST_BYTES: u32 = 8 * ENTRY_BYTES;

const _: () = assert!(RECEIVED + RECEIVED_MAX * RECEIVED_BYTES == TABLES);
const _: () =
    assert!(ENTRIES == 8 && TABLES + SLOTS * TABLE_BYTES == PORT_BYTES && ENTRIES * 16 + PRDT * 8 == TABLE_BYTES);
