// SPDX-License-Identifier: MIT
//! READ CAPACITY data (SBC-3, sections 5.15 and 5.16).
use super::number;
use orion_block::BlockSize;

/// Bytes asked of READ CAPACITY (10) and of READ CAPACITY (16).
pub const LEN: [u16; 2] = [8, 32];

/// How large a unit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Blocks.
    pub blocks: u64,
    /// A block.
    pub block: BlockSize,
    /// What the medium writes at once.
    pub physical: BlockSize,
    /// Blocks need not be backed by anything (LBPME).
    pub thin: bool,
    /// Unmapped blocks read as zeroes (LBPRZ).
    pub zeroes: bool,
    /// Type of protection information, 1 to 3; 0 is none.
    pub protection: u8,
}

impl Capacity {
    /// What READ CAPACITY (10) says; `None` where that makes no sense. More blocks than it can say are `u32::MAX` + 1.
    pub fn parse_10(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 8 {
            return None;
        }
        Self::plain(number(bytes, 0, 4), number(bytes, 4, 4))
    }

    /// What READ CAPACITY (16) says; `None` where that makes no sense.
    pub fn parse_16(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 12 {
            return None;
        }
        let plain = Self::plain(number(bytes, 0, 8), number(bytes, 8, 4))?;
        let (protection, exponent, flags) = (number(bytes, 12, 1), number(bytes, 13, 1) & 0xf, number(bytes, 14, 1));
        let shift = u64::from(plain.block.shift()).saturating_add(exponent);
        let physical = u8::try_from(shift).ok().and_then(BlockSize::from_shift).unwrap_or(plain.block);
        let kind = u8::try_from(protection >> 1 & 7).unwrap_or(0);
        let protection = if protection & 1 == 0 { 0 } else { kind.saturating_add(1) };
        Some(Self { physical, thin: flags & 0x80 != 0, zeroes: flags & 0x40 != 0, protection, ..plain })
    }

    fn plain(last: u64, block: u64) -> Option<Self> {
        let block = u32::try_from(block).ok().and_then(BlockSize::from_bytes)?;
        let blocks = last.checked_add(1)?;
        // Of more bytes than 2^63 there is no offset.
        let bytes = blocks.checked_mul(u64::from(block.bytes()))?;
        (bytes <= 1 << 63).then_some(Self { blocks, block, physical: block, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    #[test]
    fn what_qemu_answers() {
        let found = Capacity::parse_16(&hex("00 00 00 00 00 00 7f ff 00 00 02 00 00 03 80 00")).unwrap();
        assert_eq!((found.blocks, found.block, found.physical.bytes()), (32768, BlockSize::B512, 4096));
        assert!(found.thin && !found.zeroes && found.protection == 0);
        let found = Capacity::parse_10(&hex("00 00 7f ff 00 00 10 00")).unwrap();
        assert_eq!((found.blocks, found.block), (32768, BlockSize::B4096));
        let protected = Capacity::parse_16(&hex("00 00 00 00 00 00 7f ff 00 00 02 00 01 00 00 00")).unwrap();
        assert_eq!(protected.protection, 1);
    }

    #[test]
    fn lies_are_refused() {
        for lie in [
            "ff ff ff ff ff ff ff ff 00 00 02 00 00 00 00 00",
            "00 ff ff ff ff ff ff ff 00 00 02 00 00 00 00 00",
            "00 00 00 00 00 00 7f ff 00 00 00 00 00 00 00 00",
            "00 00 00 00 00 00 7f ff 00 00 02 08 00 00 00 00",
            "00 00 00 00 00 00 7f ff 80 00 00 00 00 00 00 00",
            "00 00 00 00 00 00 7f ff 00 00 02",
        ] {
            assert_eq!(Capacity::parse_16(&hex(lie)), None, "{lie}");
        }
        assert_eq!(Capacity::parse_10(&hex("ff ff ff ff 00 00 02")), None);
        assert_eq!(Capacity::parse_10(&hex("ff ff ff ff 00 00 02 00")).unwrap().blocks, 1 << 32);
    }
}
