// SPDX-License-Identifier: MIT
//! RAID 10: near, far and offset copies on any number of members.
use super::Place;

/// Copies of each chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// On members side by side.
    near: u8,
    /// At other places of the members.
    far: u8,
    /// Far copies follow in the next row, instead of in another part of the member.
    offset: bool,
}

impl Copies {
    /// Two on members side by side: mdadm's default.
    pub const NEAR2: Self = Self { near: 2, far: 1, offset: false };

    /// Near copies in the low byte, far ones in the next, and the bit of offset. Layouts that
    /// mdadm does not make are not read: sets of far copies, and near copies of offset ones, which may run over each other.
    pub fn parse(layout: u32) -> Option<Self> {
        let [near, far, ..] = layout.to_le_bytes();
        let offset = layout >> 16 & 1 != 0;
        let fine = near > 0 && far > 0 && layout >> 17 == 0 && !(offset && near > 1);
        fine.then_some(Self { near, far, offset })
    }

    /// Copies in all.
    pub fn count(self) -> u32 {
        u32::from(self.near) * u32::from(self.far)
    }

    /// Whether far copies are in other parts of the members than the first ones.
    pub fn is_far(self) -> bool {
        self.far > 1 && !self.offset
    }

    /// Near copies, and far ones of each.
    pub(crate) fn near_and_far(self) -> (u64, u64) {
        (self.near.into(), self.far.into())
    }

    /// The sectors of a member that are used, of `size`: what all copies of all whole chunks take, rounded up.
    pub(super) fn used(self, size: u64, chunk: u64, members: u64) -> Option<u64> {
        let chunks = self.size(size, chunk, members)? / chunk;
        chunks.checked_mul(self.count().into())?.div_ceil(members).checked_mul(chunk)
    }

    /// The sectors of the array whose members use `used`.
    pub(super) fn size(self, used: u64, chunk: u64, members: u64) -> Option<u64> {
        let chunks = (used / chunk / u64::from(self.far)).checked_mul(members)? / u64::from(self.near);
        chunks.checked_mul(chunk)
    }

    /// Where copy `copy` of `sector` lies.
    pub(super) fn place(self, sector: u64, copy: u32, chunk: u64, members: u64, used: u64) -> Option<Place> {
        let (near, far) = (u64::from(self.near), u64::from(self.far));
        let (copy, far_copy) = (u64::from(copy) % near, u64::from(copy) / near);
        if far_copy >= far {
            return None;
        }
        let within = sector % chunk;
        // Near copies are chunks one after the other, row by row.
        let cell = (sector / chunk).checked_mul(near)?.checked_add(copy)?;
        let (row, column) = (cell / members, cell % members);
        // A row of offset copies is as high as there are far ones.
        let row = if self.offset { row.checked_mul(far)? } else { row };
        // A far copy is shifted by as many members as there are near ones.
        let member = (column + far_copy * near) % members;
        let stride = if self.offset { 1 } else { used / chunk / far };
        let at = row.checked_add(far_copy.checked_mul(stride)?)?.checked_mul(chunk)?.checked_add(within)?;
        Some(Place { member: u32::try_from(member).ok()?, sector: at, run: chunk - within })
    }
}
