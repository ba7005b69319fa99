// SPDX-License-Identifier: MIT
//! Whether an array can be reshaped as is wanted, which way, and by how much its data move.
use super::{Before, Groups};
use crate::{Geometry, Kind, Level, Super, Version};

/// What an array is to become; what is `None` stays, or follows from the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The level.
    pub level: Option<i32>,
    /// The layout of that level.
    pub layout: Option<u32>,
    /// The layout that it gets if none is said, where there is room for a reshape.
    pub usual: Option<u32>,
    /// Sectors of a chunk.
    pub chunk: Option<u32>,
    /// Members.
    pub disks: Option<u32>,
    /// Logical sectors that have to stay; all, if not given.
    pub keep: Option<u64>,
    /// The number of the device, beside the array's, that keeps what is moved in place, where there is no room to move it apart.
    pub backup: Option<usize>,
}

impl Change {
    /// What was asked for of an array with this superblock, with what follows from it: as mdadm, RAID 6 gets the layout that
    /// the RAID 5 had, and what had none the usual one; the members stay where nothing is said of level or members.
    #[must_use]
    pub fn of(self, newest: &Super) -> Self {
        let level = self.level.unwrap_or(newest.level);
        let usual = match (newest.level, level) {
            (5, 6) => Some(newest.layout),
            (0 | 4, 5 | 6) | (1, 6) => Some(2),
            (6, 5) if newest.layout > 5 => None,
            (6, 5) => Some(newest.layout),
            _ => None,
        };
        let disks = self.disks.or((level == newest.level).then_some(newest.raid_disks));
        Self { usual: self.usual.or(usual), disks, ..self }
    }
}

/// Sectors by which the data of all members can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Before the data.
    pub front: u64,
    /// Behind what is used of them.
    pub back: u64,
}

/// A reshape that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The new layout.
    pub layout: u32,
    /// The new chunk, in sectors.
    pub chunk: u32,
    /// Members more.
    pub delta_disks: i32,
    /// From the end to the start.
    pub backwards: bool,
    /// What is added to the first sector of data.
    pub offset: i32,
    /// The position at which it begins.
    pub position: u64,
}

/// Sectors behind a superblock at the start that Linux leaves free.
const BEHIND_SUPER: u64 = 72;
/// So many times what moves at once is wanted where there is room: Linux looks one piece ahead on both sides.
const PIECES: u64 = 3;
/// As many sectors, or a quarter of what there is: each time that the sectors between both sides are used up, superblocks are written.
const WANTED: u64 = 2048;

impl Room {
    /// What a device has, where its bitmap takes `bitmap` sectors.
    pub fn of(device: &Super, bitmap: u64) -> Self {
        let first = match device.version {
            Version::V11 | Version::V12 => device.super_offset.saturating_add(BEHIND_SUPER),
            _ => 0,
        };
        let log = device.log.map(|log| log.at.saturating_add(log.sectors.into()));
        let ppl = device.ppl.map(|ppl| ppl.at.saturating_add(ppl.sectors.into()));
        let bits = device.bitmap.map(|at| at.saturating_add(bitmap));
        let taken = [log, ppl, bits].into_iter().flatten().filter(|end| *end <= device.data_offset);
        let limit = taken.fold(first, u64::max);
        Self { front: device.data_offset.saturating_sub(limit), back: device.data_size.saturating_sub(device.size) }
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { front: self.front.min(other.front), back: self.back.min(other.back) }
    }
}

/// Sectors that have to lie between both sides at least.
fn needed(before: &Before, after: &Geometry) -> Option<u64> {
    let (new, old, step) = (Groups::of(after)?, Groups::of(&before.geometry)?, before.step(after)?);
    let mut most = 0;
    // The first position at which both begin a group again repeats what came before, but for what only gets better.
    let mut at = step;
    loop {
        let need = if before.backwards {
            old.end(at).saturating_sub(new.begin(at - step))
        } else {
            new.end(at).saturating_sub(old.begin(at - step))
        };
        most = most.max(need);
        if old.begins(at) && new.begins(at) {
            return Some(most);
        }
        at = at.checked_add(step)?;
    }
}

impl Plan {
    /// How an array with this superblock gets another layout, chunk or number of members of its level; `None` where it has them
    /// already.
    ///
    /// # Errors
    /// [`Kind`] of why it cannot.
    pub fn new(newest: &Super, change: &Change, room: Room) -> Result<Option<Self>, Kind> {
        let layout = change.layout.unwrap_or(newest.layout);
        let chunk = change.chunk.unwrap_or(newest.chunk);
        let disks = change.disks.unwrap_or(newest.raid_disks);
        if (layout, chunk, disks) == (newest.layout, newest.chunk, newest.raid_disks) {
            return Ok(None);
        }
        let of = |layout, disks, chunk| {
            Geometry::new(Level::parse(newest.level, layout, false)?, disks, chunk, newest.size, &[])
        };
        let (old, after) = (of(newest.layout, newest.raid_disks, newest.chunk)?, of(layout, disks, chunk)?);
        if !newest.size.is_multiple_of(chunk.max(newest.chunk).into()) {
            return Err(Kind::Chunk(chunk));
        }
        let keep = change.keep.unwrap_or(old.sectors());
        if after.sectors() < keep.min(old.sectors()) {
            return Err(Kind::Shrinks(after.sectors()));
        }
        let fewer = after.sectors() < old.sectors();
        let more = after.sectors() > old.sectors();
        // md goes forwards where members are added, and backwards where they are taken away.
        let (added, taken) = (disks > newest.raid_disks, disks < newest.raid_disks);
        let ways = [(!fewer && !taken, false, room.front), (!more && !added, true, room.back)];
        if ways.iter().all(|(can, ..)| !can) {
            return Err(Kind::Cannot("more members with less space, or fewer with more, take two reshapes"));
        }
        let mut least = u64::MAX;
        for (_, backwards, has) in ways.into_iter().filter(|(can, ..)| *can) {
            let before = Before { position: 0, backwards, shift: 0, geometry: old.clone() };
            let need = needed(&before, &after).ok_or(Kind::Cannot("far copies stay as they are"))?;
            let tall = u64::from(chunk.max(newest.chunk));
            let wanted = need.max(tall.saturating_mul(PIECES)).max(WANTED.min(has / 4));
            let shift = wanted.next_multiple_of(tall).min(has - has % tall);
            least = least.min(need);
            if shift < need {
                continue;
            }
            let offset = i32::try_from(shift).map_err(|_| Kind::Size)?;
            let delta_disks = i32::try_from(i64::from(disks) - i64::from(newest.raid_disks)).map_err(|_| Kind::Size)?;
            let position = if backwards { old.sectors().min(after.sectors()) } else { 0 };
            let offset = if backwards { offset } else { -offset };
            return Ok(Some(Self { layout, chunk, delta_disks, backwards, offset, position }));
        }
        // In place mdadm goes from the start but where members are taken away.
        let in_place = change.backup.is_some() && matches!(newest.level, 4..=6) && (taken || !fewer);
        if !in_place {
            return Err(Kind::NoRoom(least));
        }
        let delta_disks = i32::try_from(i64::from(disks) - i64::from(newest.raid_disks)).map_err(|_| Kind::Size)?;
        let position = if taken { old.sectors().min(after.sectors()) } else { 0 };
        Ok(Some(Self { layout, chunk, delta_disks, backwards: taken, offset: 0, position }))
    }
}
