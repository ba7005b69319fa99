// SPDX-License-Identifier: MIT
//! The namespaces of the device, as they were found last.
use crate::wire::zone::ZONES;
use orion_metrics::{DiskSpace, DiskZones, Row, ZONES_PER_ROW, ZoneRow};

/// Namespaces that are shown at most.
pub const SPACES_MAX: usize = 32;

/// The namespaces of the device.
#[derive(Debug)]
pub struct Spaces {
    /// Their identifiers, in order; the first 0 ends them.
    pub ids: [u32; SPACES_MAX],
    /// Those of `ids` that are attached, by their places' bits.
    pub attached: u32,
    rows: [DiskSpace; SPACES_MAX],
    count: usize,
    zones: [ZoneRow; ZONES],
    zones_count: usize,
}

impl Spaces {
    /// None.
    pub const EMPTY: Self = Self {
        zones: [ZoneRow::EMPTY; ZONES],
        zones_count: 0,
        ids: [0; SPACES_MAX],
        attached: 0,
        rows: [DiskSpace::NONE; SPACES_MAX],
        count: 0,
    };

    /// Nothing was found.
    pub fn forget(&mut self) {
        (self.count, self.zones_count, self.attached, self.ids) = (0, 0, 0, [0; SPACES_MAX]);
    }

    /// Those in `ids` are attached.
    pub fn are_attached(&mut self, ids: &[u32; SPACES_MAX]) {
        self.ids = *ids;
        self.attached = u32::MAX;
    }

    /// Those in `ids` are all there are.
    pub fn are(&mut self, ids: &[u32; SPACES_MAX]) {
        let attached = self.ids;
        self.attached =
            (0..).zip(ids).filter(|(_, id)| attached.contains(id)).fold(0, |bits, (at, _)| bits | 1u32 << at);
        self.ids = *ids;
    }

    /// The identifier at a place, if there is a namespace.
    pub fn id(&self, at: u8) -> Option<u32> {
        self.ids.get(usize::from(at)).copied().filter(|id| *id != 0)
    }

    /// Whether the one at a place is attached.
    pub fn is_attached(&self, at: u8) -> bool {
        self.attached.checked_shr(at.into()).unwrap_or(0) & 1 != 0
    }

    /// One was looked at.
    pub fn push(&mut self, row: DiskSpace) {
        if let Some(place) = self.rows.get_mut(self.count) {
            *place = row;
            self.count += 1;
        }
    }

    /// A zone was found.
    pub fn push_zone(&mut self, zone: ZoneRow) {
        if let Some(place) = self.zones.get_mut(self.zones_count) {
            *place = zone;
            self.zones_count += 1;
        }
    }

    /// The row `index`.
    pub fn row(&self, unit: u8, index: usize) -> Option<Row> {
        if let Some(index) = index.checked_sub(self.count) {
            return self.zones_row(unit, index);
        }
        self.rows.get(index).map(|row| Row::DiskSpace(DiskSpace { unit, ..*row }))
    }

    fn zones_row(&self, unit: u8, index: usize) -> Option<Row> {
        let zones = self.zones.get(..self.zones_count)?.chunks(ZONES_PER_ROW).nth(index)?;
        let mut row = DiskZones { count: u8::try_from(zones.len()).unwrap_or(0), ..DiskZones::none(unit) };
        row.list.iter_mut().zip(zones).for_each(|(to, from)| *to = *from);
        Some(Row::DiskZones(row))
    }
}
