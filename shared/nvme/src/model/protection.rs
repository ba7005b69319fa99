// SPDX-License-Identifier: MIT
//! Protection information of type 1 (section 8.3): eight bytes beside each block that was written, made and checked here.
use super::{Model, Taken};
use crate::wire::status;
use core::ops::Range;

/// CRC-16 T10-DIF: polynomial 8BB7h, nothing reflected, from 0.
pub fn guard(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8)
            .fold(crc ^ u16::from(*byte) << 8, |crc: u16, _| if crc >> 15 == 0 { crc << 1 } else { crc << 1 ^ 0x8bb7 })
    })
}

impl Model {
    /// Makes the guard and the reference tag of blocks that were written.
    pub(super) fn protect(&mut self, command: &Taken, range: &Range<usize>) {
        let Some(space) = self.spaces.get_mut(&command.namespace()).filter(|space| space.identify.dps & 7 == 1) else {
            return;
        };
        let bytes = 1usize << space.shift();
        for (lba, block) in ((range.start / bytes) as u64..).zip(space.content[range.clone()].chunks(bytes)) {
            space.protection.insert(lba, (guard(block), lba as u32));
        }
    }

    /// Checks those of blocks that are read, as far as it is asked to; of blocks that were never written there are none.
    pub(super) fn check(&self, command: &Taken, range: &Range<usize>) -> u16 {
        let space = &self.spaces[&command.namespace()];
        let bytes = 1usize << space.shift();
        let first = (range.start / bytes) as u64;
        let checks = |bit: u32| command.dwords[12] >> bit & 1 == 1;
        for (lba, block) in (first..).zip(space.content[range.clone()].chunks(bytes)) {
            let Some((crc, tag)) = space.protection.get(&lba) else { continue };
            let expected = command.dwords[14].wrapping_add((lba - first) as u32);
            if checks(28) && *crc != guard(block) {
                return status::GUARD_CHECK;
            }
            if checks(26) && *tag != expected {
                return status::REFERENCE_CHECK;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_guard_is_t10s() {
        // The check value of the catalogue of CRCs; SBC-4's own example: 32 bytes of zeroes, and of ones.
        assert_eq!(super::guard(b"123456789"), 0xd0db);
        assert_eq!((super::guard(&[0; 32]), super::guard(&[0xff; 32])), (0, 0xa293));
    }
}
