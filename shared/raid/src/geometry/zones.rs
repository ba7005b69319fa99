// SPDX-License-Identifier: MIT
//! Members of different sizes: linear arrays, and RAID 0, whose zones are each striped over the members that reach so far.
use super::{Multizone, Place};
use crate::MEMBERS_MAX;
use heapless::Vec;

/// Consecutive sectors of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    /// One past its last sector of the array.
    end: u64,
    /// Where it begins on each of its members.
    start: u64,
    /// The members that it is striped over; of a linear array, the one member.
    members: u64,
}

/// The zones, and the members' sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zones {
    pub zones: Vec<Zone, MEMBERS_MAX>,
    pub sizes: Vec<u64, MEMBERS_MAX>,
}

impl Zones {
    /// One zone for each member.
    pub fn linear(sizes: &[u64], chunk: u64, members: u32) -> Option<Self> {
        let mut all = Self::sized(sizes, chunk, members)?;
        let mut end = 0u64;
        for (member, size) in (0..).zip(&all.sizes) {
            end = end.checked_add(*size)?;
            all.zones.push(Zone { end, start: 0, members: member }).ok()?;
        }
        Some(all)
    }

    /// Zones from each size to the next larger one.
    pub fn striped(sizes: &[u64], chunk: u64, members: u32) -> Option<Self> {
        let mut all = Self::sized(sizes, chunk, members)?;
        let (mut start, mut end) = (0u64, 0u64);
        while let Some(next) = all.sizes.iter().copied().filter(|&size| size > start).min() {
            let members = u64::try_from(all.sizes.iter().filter(|&&size| size > start).count()).ok()?;
            end = end.checked_add((next - start).checked_mul(members)?)?;
            all.zones.push(Zone { end, start, members }).ok()?;
            start = next;
        }
        Some(all)
    }

    fn sized(sizes: &[u64], chunk: u64, members: u32) -> Option<Self> {
        let members = usize::try_from(members).ok()?;
        let whole = |size: &u64| if chunk == 0 { *size } else { size - size % chunk };
        let sizes: Vec<u64, MEMBERS_MAX> = sizes.get(..members)?.iter().map(whole).collect();
        Some(Self { zones: Vec::new(), sizes })
    }

    /// Sectors of the array.
    pub fn end(&self) -> Option<u64> {
        self.zones.last().map(|zone| zone.end)
    }

    /// Sectors that the member uses.
    pub fn size(&self, member: u32) -> u64 {
        usize::try_from(member).ok().and_then(|member| self.sizes.get(member)).copied().unwrap_or(0)
    }

    /// The zone of a sector, and where that zone begins.
    fn find(&self, sector: u64) -> Option<(Zone, u64)> {
        let index = self.zones.partition_point(|zone| zone.end <= sector);
        let begin = index.checked_sub(1).and_then(|before| self.zones.get(before)).map_or(0, |zone| zone.end);
        self.zones.get(index).map(|zone| (*zone, begin))
    }

    /// Where a sector of a linear array lies.
    pub fn in_turn(&self, sector: u64) -> Option<Place> {
        let (zone, begin) = self.find(sector)?;
        let member = u32::try_from(zone.members).ok()?;
        Some(Place { member, sector: sector - begin, run: zone.end - sector })
    }

    /// Where a sector of a RAID 0 lies.
    pub fn place(&self, sector: u64, chunk: u64, layout: Multizone) -> Option<Place> {
        let (zone, begin) = self.find(sector)?;
        let relative = sector - begin;
        let counted = if layout == Multizone::Original { sector } else { relative };
        let column = usize::try_from(counted / chunk % zone.members).ok()?;
        let within = relative % chunk;
        let row = relative / chunk / zone.members;
        let mut reaching = (0u32..).zip(&self.sizes).filter(|(_, size)| **size > zone.start);
        let (member, _) = reaching.nth(column)?;
        Some(Place { member, sector: zone.start + row * chunk + within, run: chunk - within })
    }
}
