// SPDX-License-Identifier: MIT
//! Changes of level for which nothing moves, since both levels place the data alike, and what has to be done in which order to
//! make of an array what is wanted. Linux's md takes the same steps.
use super::{Change, Plan, Room, supers};
use crate::wire::feature;
use crate::{Kind, Super};

/// A layout of RAID 5 and 6 with parity behind all data.
const LAST: u32 = 5;
/// Layouts of RAID 6 that are one of RAID 5 with Q on a member of its own.
const APART: core::ops::RangeInclusive<u32> = 16..=20;
/// RAID 5's usual layout, and the usual of those.
const LEFT_SYMMETRIC: u32 = 2;

/// Steps of the longest way from one level to another, and more.
const STEPS_MAX: usize = 16;

/// A change of level for which nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// The new level.
    pub level: i32,
    /// Its layout.
    pub layout: u32,
    /// Sectors of a chunk.
    pub chunk: u32,
    /// Members: where there is one more it is to be filled, where there is one less the last is a spare from then on.
    pub disks: u32,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another level, with everything where it is.
    TakeOver(Takeover),
    /// A reshape.
    Reshape(Plan),
    /// Nothing.
    Done,
}

/// What is to be done next to make of an array what is wanted; `disks` of the change are those of the level that is wanted.
///
/// # Errors
/// [`Kind`] of why that cannot be.
pub fn next(newest: &Super, change: &Change, room: Room) -> Result<Next, Kind> {
    if newest.has(feature::PPL | feature::PPLS | feature::JOURNAL) {
        return Err(Kind::Cannot("an array with a log or a journal is not reshaped"));
    }
    let target = change.level.unwrap_or(newest.level);
    let Super { level, layout, chunk, raid_disks: disks, .. } = *newest;
    let as_is = Takeover { level, layout, chunk, disks };
    let take = |to: Takeover| Ok(Next::TakeOver(to));
    let reshape = |change: Change| -> Result<Next, Kind> {
        Ok(Plan::new(newest, &change, room)?.map_or(Next::Done, Next::Reshape))
    };
    // First as it has to be for the next level, with the members that it is to have then.
    let first = |change: Change, then: Takeover| match reshape(change)? {
        Next::Done => take(then),
        other => Ok(other),
    };
    let alone = Change { keep: change.keep, ..Change::default() };
    match (level, target) {
        (0, 0) if change.disks.unwrap_or(disks) == disks && change.chunk.unwrap_or(chunk) == chunk => Ok(Next::Done),
        (0, 0 | 4) => take(Takeover { level: 4, layout: LAST, disks: disks.saturating_add(1), ..as_is }),
        (0, 5 | 6) => take(Takeover { level: 5, layout: LAST, disks: disks.saturating_add(1), ..as_is }),
        (1, 1) => match change.disks.filter(|wanted| *wanted != disks) {
            Some(0) => Err(Kind::TooFew(0)),
            Some(disks) => take(Takeover { disks, ..as_is }),
            None => Ok(Next::Done),
        },
        (1, 4..=6) if disks != 2 => Err(Kind::Cannot("a mirror of two becomes RAID 5: make it one of two first")),
        (1, 4..=6) => take(Takeover { level: 5, layout: LEFT_SYMMETRIC, chunk: mirrored(newest, change)?, disks }),
        (4, 4) => reshape(Change { layout: None, ..*change }),
        (4, 5 | 6) => take(Takeover { level: 5, layout: LAST, ..as_is }),
        (4 | 5, 0) => {
            let data = change.disks.unwrap_or(disks.saturating_sub(1));
            let layout = if level == 4 { None } else { Some(LAST) };
            let to = Change { layout, chunk: change.chunk, disks: Some(data.saturating_add(1)), ..alone };
            let chunk = change.chunk.unwrap_or(chunk);
            first(to, Takeover { level: 0, layout: 2, chunk, disks: data })
        }
        (4, 1) => take(Takeover { level: 5, layout: LAST, ..as_is }),
        (5, 1) => {
            let to = Change { disks: Some(2), ..alone };
            first(to, Takeover { level: 1, layout: 0, chunk: 0, disks: 2 })
        }
        (5, 4) => first(Change { layout: Some(LAST), ..alone }, Takeover { level: 4, layout: 0, ..as_is }),
        (5, 6) => {
            let layout = if layout == LAST { LAST } else { layout.saturating_add(*APART.start()) };
            take(Takeover { level: 6, layout, disks: disks.saturating_add(1), ..as_is })
        }
        (6, 0 | 1 | 4 | 5) => {
            let apart = match layout {
                0..=4 => layout.saturating_add(*APART.start()),
                LAST | 16..=20 => layout,
                _ => LEFT_SYMMETRIC + APART.start(),
            };
            let then = if apart == LAST { LAST } else { apart.saturating_sub(*APART.start()) };
            let to = Change { layout: Some(apart), ..alone };
            first(to, Takeover { level: 5, layout: then, disks: disks.saturating_sub(1), ..as_is })
        }
        (5, 5) | (6, 6) | (10, 10) => {
            let usual = change.layout.or(change.usual).filter(|_| level != 10);
            match reshape(Change { layout: change.layout.or(usual), ..*change }) {
                Err(Kind::NoRoom(_)) if change.layout.is_none() => reshape(*change),
                other => other,
            }
        }
        _ => Err(Kind::Cannot("there is no way from its level to that one")),
    }
}

/// Whether all steps to what is wanted can be taken, before the first one is; where it is in use nothing that it adds may be
/// missing, and copies are not moved.
///
/// # Errors
/// [`Kind`] of the first that cannot.
pub(crate) fn foresee(newest: &Super, change: &Change, room: Room, spares: u32, in_use: bool) -> Result<(), Kind> {
    let (mut ahead, mut room, mut spares) = (newest.clone(), room, spares);
    for _ in 0..STEPS_MAX {
        match next(&ahead, change, room)? {
            Next::Done => return Ok(()),
            Next::TakeOver(to) => {
                if ahead.level == 0 {
                    ahead.size = ahead.data_size.checked_rem(to.chunk.into()).map_or(0, |rest| ahead.data_size - rest);
                }
                let more = to.disks.saturating_sub(ahead.raid_disks);
                if in_use && more > spares {
                    return Err(Kind::FewSpares(more - spares));
                }
                // What it adds may be missing; what it has no place for any more is a spare.
                spares = spares.saturating_sub(more).saturating_add(ahead.raid_disks.saturating_sub(to.disks));
                (ahead.level, ahead.layout, ahead.chunk, ahead.raid_disks) = (to.level, to.layout, to.chunk, to.disks);
            }
            Next::Reshape(_) if in_use && ahead.level == 10 => {
                return Err(Kind::Cannot("copies are moved only where the array is not in use: `orion raid grow`"));
            }
            Next::Reshape(plan) => {
                let more = u32::try_from(plan.delta_disks).unwrap_or(0);
                spares = spares.checked_sub(more).ok_or(Kind::FewSpares(more.saturating_sub(spares)))?;
                (ahead.layout, ahead.chunk) = (plan.layout, plan.chunk);
                ahead.raid_disks = ahead.raid_disks.saturating_add_signed(plan.delta_disks);
                let by = i64::from(plan.offset);
                room = Room { front: room.front.saturating_add_signed(by), back: room.back.saturating_add_signed(-by) };
            }
        }
    }
    Err(Kind::Cannot("there is no way from its level to that one"))
}

/// The chunk of a mirror that becomes a RAID 5: 64 KiB, or the largest below that which the members are whole numbers of.
fn mirrored(newest: &Super, change: &Change) -> Result<u32, Kind> {
    let fits = |chunk: u32| newest.size.is_multiple_of(chunk.into());
    match change.chunk {
        Some(chunk) if chunk >= 8 && chunk.is_power_of_two() && fits(chunk) => Ok(chunk),
        Some(chunk) => Err(Kind::Chunk(chunk)),
        None => (3..=7).rev().map(|shift| 1 << shift).find(|chunk| fits(*chunk)).ok_or(Kind::Chunk(4)),
    }
}

/// Says that the array has another level. Nothing is written. Places that nobody had are given to spares, which are to be
/// rebuilt.
///
/// # Errors
/// [`Kind`] of why it cannot have that level.
pub fn take_over(all: &mut [Super], to: &Takeover) -> Result<(), Kind> {
    let Some(first) = all.first() else { return Err(Kind::Nothing) };
    let chunk = u64::from(to.chunk);
    let size = if first.level == 0 { striped(all, chunk)? } else { first.size };
    for device in all.iter_mut() {
        (device.level, device.layout, device.chunk) = (to.level, to.layout, to.chunk);
        device.raid_disks = to.disks;
        device.features &= !feature::RAID0_LAYOUT;
        device.size = size;
        if to.level == 0 {
            device.features |= feature::RAID0_LAYOUT;
            (device.data_size, device.size) = (size, 0);
        }
    }
    supers::retire(all, to.disks);
    supers::fill(all, to.disks, to.disks)?;
    for device in all.iter_mut() {
        let recovers = if device.recovery.is_some() { feature::RECOVERY } else { 0 };
        device.features = device.features & !feature::RECOVERY | recovers;
    }
    Ok(())
}

/// Sectors that each member of a RAID 0 uses, if that is the same for all.
fn striped(all: &[Super], chunk: u64) -> Result<u64, Kind> {
    let used = |device: &Super| device.data_size.checked_rem(chunk).map(|rest| device.data_size - rest);
    let mut members = all.iter().filter(|device| matches!(device.role, crate::Role::Active(_))).filter_map(used);
    let first = members.next().filter(|_| chunk.is_power_of_two() && chunk >= 8);
    match first {
        Some(size) if members.all(|other| other == size) => Ok(size),
        Some(_) => Err(Kind::Cannot("its members differ in size, so that it is striped over fewer of them in places")),
        None => Err(Kind::Chunk(u32::try_from(chunk).unwrap_or(u32::MAX))),
    }
}
