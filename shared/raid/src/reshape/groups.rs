// SPDX-License-Identifier: MIT
//! The sectors of the members behind which nothing lies of what comes before them in the array.
use crate::{Geometry, Level};

/// Rows of the members, and what of the array lies in them: a stripe of a level with parity, or as many cells as there are
/// members of one with copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    /// Logical sectors that are never parted: of a stripe, or of a chunk.
    pub logical: u64,
    /// Cells that these take, and cells of a row.
    cells: u64,
    row: u64,
    /// Sectors of each member that a row takes.
    pub rows: u64,
}

impl Groups {
    /// Those of a geometry with parity, or with near or offset copies; of others the whole array would be one.
    pub fn of(geometry: &Geometry) -> Option<Self> {
        let (chunk, members) = (geometry.chunk(), u64::from(geometry.members()));
        match geometry.level() {
            Level::Parity(parity) => {
                let data = members.checked_sub(parity.count().into())?;
                Some(Self { logical: chunk.checked_mul(data)?, cells: 1, row: 1, rows: chunk })
            }
            Level::Raid10(copies) if !copies.is_far() => {
                let (near, far) = copies.near_and_far();
                Some(Self { logical: chunk, cells: near, row: members, rows: chunk.checked_mul(far)? })
            }
            _ => None,
        }
        .filter(|groups| groups.logical > 0 && groups.rows > 0 && groups.row > 0)
    }

    /// The first sector of the members that a logical sector, or what comes behind it, needs.
    pub fn begin(self, sector: u64) -> u64 {
        ((sector / self.logical).saturating_mul(self.cells) / self.row).saturating_mul(self.rows)
    }

    /// The sector of the members behind everything that comes before a logical sector.
    pub fn end(self, sector: u64) -> u64 {
        sector.div_ceil(self.logical).saturating_mul(self.cells).div_ceil(self.row).saturating_mul(self.rows)
    }

    /// Whether a row begins at a logical sector.
    pub fn begins(self, sector: u64) -> bool {
        self.begin(sector) == self.end(sector)
    }
}
