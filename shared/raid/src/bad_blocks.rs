// SPDX-License-Identifier: MIT
//! The list of a device's bad blocks.
use heapless::Vec;

/// Most ranges of one list: a page of them, which is what md keeps.
pub const RANGES_MAX: usize = 512;

/// Sectors of a device, counted from its start, that hold nothing of worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadBlocks(Vec<(u64, u64), RANGES_MAX>);

impl BadBlocks {
    /// The ranges in the sectors of a list that counts in `1 << shift` sectors; `None` where they make no sense.
    /// An entry has the first sector in its upper 54 bits and the length in the lower 10; all ones end the list.
    pub fn parse(bytes: &[u8], shift: u8) -> Option<Self> {
        let mut list = Self::default();
        for entry in bytes.chunks_exact(8) {
            let entry = u64::from_le_bytes(entry.try_into().ok()?);
            if entry == u64::MAX {
                break;
            }
            let (first, count) = (entry >> 10, entry & 0x3ff);
            let scale = 1u64.checked_shl(shift.into())?;
            let first = first.checked_mul(scale)?;
            let end = first.checked_add(count.checked_mul(scale)?)?;
            if count > 0 {
                list.0.push((first, end)).ok()?;
            }
        }
        Some(list)
    }

    /// Whether one of the sectors `first..end` of the device is bad.
    pub fn meet(&self, first: u64, end: u64) -> bool {
        self.0.iter().any(|&(bad, bad_end)| first < bad_end && bad < end)
    }

    /// Ranges.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is bad.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
