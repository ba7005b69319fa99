// SPDX-License-Identifier: MIT
//! Command descriptor blocks, as they are built: SPC-4 section 6, SBC-3 section 5.
use zerocopy::IntoBytes;

/// Operation codes.
pub mod op {
    /// TEST UNIT READY.
    pub const TEST_UNIT_READY: u8 = 0x00;
    /// REQUEST SENSE.
    pub const REQUEST_SENSE: u8 = 0x03;
    /// INQUIRY.
    pub const INQUIRY: u8 = 0x12;
    /// MODE SELECT (6).
    pub const MODE_SELECT_6: u8 = 0x15;
    /// MODE SENSE (6).
    pub const MODE_SENSE_6: u8 = 0x1a;
    /// START STOP UNIT.
    pub const START_STOP: u8 = 0x1b;
    /// READ CAPACITY (10).
    pub const READ_CAPACITY_10: u8 = 0x25;
    /// READ (10).
    pub const READ_10: u8 = 0x28;
    /// WRITE (10).
    pub const WRITE_10: u8 = 0x2a;
    /// VERIFY (10).
    pub const VERIFY_10: u8 = 0x2f;
    /// SYNCHRONIZE CACHE (10).
    pub const SYNC_10: u8 = 0x35;
    /// UNMAP.
    pub const UNMAP: u8 = 0x42;
    /// LOG SENSE.
    pub const LOG_SENSE: u8 = 0x4d;
    /// PERSISTENT RESERVE IN.
    pub const RESERVE_IN: u8 = 0x5e;
    /// PERSISTENT RESERVE OUT.
    pub const RESERVE_OUT: u8 = 0x5f;
    /// READ (16).
    pub const READ_16: u8 = 0x88;
    /// COMPARE AND WRITE.
    pub const COMPARE_AND_WRITE: u8 = 0x89;
    /// WRITE (16).
    pub const WRITE_16: u8 = 0x8a;
    /// VERIFY (16).
    pub const VERIFY_16: u8 = 0x8f;
    /// SYNCHRONIZE CACHE (16).
    pub const SYNC_16: u8 = 0x91;
    /// WRITE SAME (16).
    pub const WRITE_SAME_16: u8 = 0x93;
    /// SERVICE ACTION IN (16), of which READ CAPACITY (16) is action 10h.
    pub const SERVICE_IN_16: u8 = 0x9e;
    /// REPORT LUNS.
    pub const REPORT_LUNS: u8 = 0xa0;
    /// READ (12).
    pub const READ_12: u8 = 0xa8;
    /// WRITE (12).
    pub const WRITE_12: u8 = 0xaa;
}

/// Force unit access: bit 3 of byte 1 of writes and reads.
const FUA: u8 = 8;
/// READ CAPACITY (16), among the actions of SERVICE ACTION IN (16).
pub const CAPACITY_ACTION: u8 = 0x10;

/// A command, with the bytes that its length leaves out at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cdb {
    bytes: [u8; 16],
    len: u8,
}

/// What of a family of commands fits an address and a count: the 10-byte one if it can, else the 16-byte one where the unit
/// knows those, else the 12-byte one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 10 bytes: 32 bits of address, 16 of count.
    Ten,
    /// 12 bytes: 32 bits of each.
    Twelve,
    /// 16 bytes: 64 bits of address, 32 of count.
    Sixteen,
}

impl Width {
    /// The width for `blocks` blocks from `lba`; `long` says whether the unit has 16-byte commands.
    #[inline]
    pub fn of(lba: u64, blocks: u32, long: bool) -> Self {
        if lba <= u64::from(u32::MAX) && blocks <= u32::from(u16::MAX) {
            Self::Ten
        } else if long {
            Self::Sixteen
        } else {
            Self::Twelve
        }
    }
}

impl Cdb {
    const fn new<const N: usize>(from: [u8; N]) -> Self {
        let mut bytes = [0; 16];
        let mut at = 0;
        while at < N && at < 16 {
            #[expect(clippy::indexing_slicing, reason = "within both, as the loop says")]
            {
                bytes[at] = from[at];
            }
            at += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "6 to 16")]
        Self { bytes, len: N as u8 }
    }

    /// All sixteen bytes, zeroes after its length.
    #[inline]
    pub const fn padded(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// As the target gets it on a bus that counts.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Its operation code.
    pub const fn opcode(&self) -> u8 {
        let [opcode, ..] = self.bytes;
        opcode
    }

    /// READ or WRITE; `blocks` is within the width's count, and 12 bytes only with an address of 32 bits.
    #[inline]
    pub fn transfer(write: bool, width: Width, lba: u64, blocks: u32, fua: bool) -> Self {
        let flags = if fua { FUA } else { 0 };
        let w = if write { 2 } else { 0 };
        match width {
            Width::Ten => Self::ten(op::READ_10 + w, flags, lba, blocks),
            Width::Twelve => {
                let ([.., a, b, c, d], [e, f, g, h]) = (lba.to_be_bytes(), blocks.to_be_bytes());
                Self::new([op::READ_12 + w, flags, a, b, c, d, e, f, g, h, 0, 0])
            }
            Width::Sixteen => Self::sixteen(op::READ_16 + w, flags, lba, blocks),
        }
    }

    fn ten(opcode: u8, flags: u8, lba: u64, blocks: u32) -> Self {
        let ([.., a, b, c, d], [.., e, f]) = (lba.to_be_bytes(), blocks.to_be_bytes());
        Self::new([opcode, flags, a, b, c, d, 0, e, f, 0])
    }

    fn sixteen(opcode: u8, flags: u8, lba: u64, blocks: u32) -> Self {
        let mut bytes = [0; 16];
        let [o, f, rest @ ..] = &mut bytes;
        (*o, *f) = (opcode, flags);
        let (address, rest) = rest.split_at_mut(8);
        address.copy_from_slice(&lba.to_be_bytes());
        rest.iter_mut().zip(blocks.to_be_bytes()).for_each(|(to, from)| *to = from);
        Self { bytes, len: 16 }
    }

    /// TEST UNIT READY.
    pub fn test_unit_ready() -> Self {
        Self::new([op::TEST_UNIT_READY, 0, 0, 0, 0, 0])
    }

    /// REQUEST SENSE of at most `len` bytes, in fixed format.
    pub fn request_sense(len: u8) -> Self {
        Self::new([op::REQUEST_SENSE, 0, 0, 0, len, 0])
    }

    /// INQUIRY: the standard data, or a page of vital product data.
    pub fn inquiry(page: Option<u8>, len: u16) -> Self {
        let [a, b] = len.to_be_bytes();
        Self::new([op::INQUIRY, page.is_some().into(), page.unwrap_or(0), a, b, 0])
    }

    /// MODE SENSE (6) of a page's current values, without block descriptors.
    pub fn mode_sense(page: u8, len: u8) -> Self {
        Self::new([op::MODE_SENSE_6, 8, page & 0x3f, 0, len, 0])
    }

    /// MODE SELECT (6) of pages in the standard's format, not saved unless `save`.
    pub fn mode_select(len: u8, save: bool) -> Self {
        Self::new([op::MODE_SELECT_6, 0x10 | u8::from(save), 0, 0, len, 0])
    }

    /// START STOP UNIT; returns when it has.
    pub fn start_stop(start: bool) -> Self {
        Self::new([op::START_STOP, 0, 0, 0, start.into(), 0])
    }

    /// READ CAPACITY (10).
    pub fn read_capacity_10() -> Self {
        Self::ten(op::READ_CAPACITY_10, 0, 0, 0)
    }

    /// READ CAPACITY (16).
    pub fn read_capacity_16(len: u32) -> Self {
        Self::sixteen(op::SERVICE_IN_16, CAPACITY_ACTION, 0, len)
    }

    /// REPORT LUNS of every addressing method.
    pub fn report_luns(len: u32) -> Self {
        let [a, b, c, d] = len.to_be_bytes();
        Self::new([op::REPORT_LUNS, 0, 0, 0, 0, 0, a, b, c, d, 0, 0])
    }

    /// SYNCHRONIZE CACHE (10) of the whole medium.
    pub fn synchronize() -> Self {
        Self::ten(op::SYNC_10, 0, 0, 0)
    }

    /// SYNCHRONIZE CACHE (16) of some blocks; 0 blocks are all from `lba`.
    pub fn synchronize_16(lba: u64, blocks: u32) -> Self {
        Self::sixteen(op::SYNC_16, 0, lba, blocks)
    }

    /// VERIFY by the medium's own check, without data.
    pub fn verify(width: Width, lba: u64, blocks: u32) -> Self {
        match width {
            Width::Ten => Self::ten(op::VERIFY_10, 0, lba, blocks),
            _ => Self::sixteen(op::VERIFY_16, 0, lba, blocks),
        }
    }

    /// UNMAP with a parameter list of `len` bytes.
    pub fn unmap(len: u16) -> Self {
        Self::ten(op::UNMAP, 0, 0, len.into())
    }

    /// WRITE SAME (16) of one block of data, which is written and never unmapped.
    pub fn write_same(lba: u64, blocks: u32) -> Self {
        Self::sixteen(op::WRITE_SAME_16, 0, lba, blocks)
    }

    /// COMPARE AND WRITE: twice `blocks` blocks of data, those to compare first.
    pub fn compare_and_write(lba: u64, blocks: u8, fua: bool) -> Self {
        Self::sixteen(op::COMPARE_AND_WRITE, if fua { FUA } else { 0 }, lba, blocks.into())
    }

    /// LOG SENSE of a page's cumulative values.
    pub fn log_sense(page: u8, len: u16) -> Self {
        let [a, b] = len.to_be_bytes();
        Self::new([op::LOG_SENSE, 0, 0x40 | page & 0x3f, 0, 0, 0, 0, a, b, 0])
    }

    /// PERSISTENT RESERVE IN.
    pub fn reserve_in(action: u8, len: u16) -> Self {
        let [a, b] = len.to_be_bytes();
        Self::new([op::RESERVE_IN, action & 0x1f, 0, 0, 0, 0, 0, a, b, 0])
    }

    /// PERSISTENT RESERVE OUT with a parameter list of `len` bytes; the scope is the logical unit.
    pub fn reserve_out(action: u8, kind: u8, len: u32) -> Self {
        let [a, b, c, d] = len.to_be_bytes();
        Self::new([op::RESERVE_OUT, action & 0x1f, kind & 0xf, 0, 0, a, b, c, d, 0])
    }

    /// The bytes as two little-endian words, for a transport that stores words.
    #[inline]
    pub fn words(&self) -> [u64; 2] {
        let mut words = [0u64; 2];
        words.as_mut_bytes().copy_from_slice(&self.bytes);
        words.map(u64::from_le)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands as sg3-utils 1.46 prints them with `-v`, and sg_raw takes them.
    #[test]
    fn commands_are_what_the_tools_send() {
        for (cdb, bytes) in [
            (Cdb::test_unit_ready(), "00 00 00 00 00 00"),
            (Cdb::inquiry(None, 36), "12 00 00 00 24 00"),
            (Cdb::inquiry(Some(0x80), 252), "12 01 80 00 fc 00"),
            (Cdb::inquiry(Some(0x83), 252), "12 01 83 00 fc 00"),
            (Cdb::inquiry(Some(0xb0), 64), "12 01 b0 00 40 00"),
            (Cdb::inquiry(Some(0xb1), 64), "12 01 b1 00 40 00"),
            (Cdb::inquiry(Some(0xb2), 64), "12 01 b2 00 40 00"),
            (Cdb::mode_sense(8, 192), "1a 08 08 00 c0 00"),
            (Cdb::mode_select(24, true), "15 11 00 00 18 00"),
            (Cdb::start_stop(true), "1b 00 00 00 01 00"),
            (Cdb::start_stop(false), "1b 00 00 00 00 00"),
            (Cdb::request_sense(252), "03 00 00 00 fc 00"),
            (Cdb::read_capacity_10(), "25 00 00 00 00 00 00 00 00 00"),
            (Cdb::read_capacity_16(32), "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00"),
            (Cdb::report_luns(8192), "a0 00 00 00 00 00 00 00 20 00 00 00"),
            (Cdb::transfer(false, Width::Ten, 0x1234_5678, 8, false), "28 00 12 34 56 78 00 00 08 00"),
            (Cdb::transfer(true, Width::Ten, 1, 0x102, true), "2a 08 00 00 00 01 00 01 02 00"),
            (Cdb::transfer(false, Width::Twelve, 0x1234_5678, 0x1_0000, false), "a8 00 12 34 56 78 00 01 00 00 00 00"),
            (Cdb::transfer(true, Width::Twelve, 1, 0x1_0002, true), "aa 08 00 00 00 01 00 01 00 02 00 00"),
            (
                Cdb::transfer(false, Width::Sixteen, 0x1_0203_0405, 16, false),
                "88 00 00 00 00 01 02 03 04 05 00 00 00 10 00 00",
            ),
            (Cdb::transfer(true, Width::Sixteen, 2, 16, true), "8a 08 00 00 00 00 00 00 00 02 00 00 00 10 00 00"),
            (Cdb::synchronize(), "35 00 00 00 00 00 00 00 00 00"),
            (Cdb::synchronize_16(0, 0), "91 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"),
            (Cdb::verify(Width::Ten, 16, 128), "2f 00 00 00 00 10 00 00 80 00"),
            (Cdb::verify(Width::Sixteen, 16, 128), "8f 00 00 00 00 00 00 00 00 10 00 00 00 80 00 00"),
            (Cdb::unmap(24), "42 00 00 00 00 00 00 00 18 00"),
            (Cdb::write_same(0x1122, 0x33), "93 00 00 00 00 00 00 00 11 22 00 00 00 33 00 00"),
            (Cdb::compare_and_write(0x99, 1, true), "89 08 00 00 00 00 00 00 00 99 00 00 00 01 00 00"),
            (Cdb::log_sense(0xd, 252), "4d 00 4d 00 00 00 00 00 fc 00"),
            (Cdb::reserve_in(1, 0x2000), "5e 01 00 00 00 00 00 20 00 00"),
            (Cdb::reserve_out(1, 5, 24), "5f 01 05 00 00 00 00 00 18 00"),
        ] {
            let expected: std::vec::Vec<u8> =
                bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
            assert_eq!(cdb.as_bytes(), expected, "{bytes}");
            assert!(cdb.padded()[expected.len()..].iter().all(|byte| *byte == 0));
            let words = cdb.words().map(u64::to_le_bytes);
            assert_eq!(words.as_flattened(), cdb.padded());
        }
    }

    #[test]
    fn the_width_holds_address_and_count() {
        let (a32, a33, n16, n17) = (u64::from(u32::MAX), 1 << 32, 65535, 65536);
        for (lba, blocks, long, width) in [
            (a32, n16, true, Width::Ten),
            (a32, n16, false, Width::Ten),
            (a33, 1, true, Width::Sixteen),
            (0, n17, true, Width::Sixteen),
            (0, n17, false, Width::Twelve),
        ] {
            assert_eq!(Width::of(lba, blocks, long), width);
        }
    }
}
