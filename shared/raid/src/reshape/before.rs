// SPDX-License-Identifier: MIT
//! What a reshape has not moved yet.
use super::Groups;
use crate::{Geometry, Kind, Level, Super};

/// The old side of an array that is being reshaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// The logical sector to which the reshape has come: a reshape forwards has moved all before it, one backwards all from
    /// there on.
    pub position: u64,
    /// It goes from the end to the start.
    pub backwards: bool,
    /// What is added to the first sector of data of each member.
    pub shift: i64,
    /// Where what is not moved lies.
    pub geometry: Geometry,
}

impl Before {
    /// Whether a logical sector is moved.
    pub fn moved(&self, sector: u64) -> bool {
        (sector < self.position) != self.backwards
    }

    /// The sectors of a member that are of use to what is moved.
    pub(crate) fn needs(&self, after: &Geometry) -> u64 {
        if self.backwards {
            return u64::MAX;
        }
        Groups::of(after).map_or(u64::MAX, |groups| groups.end(self.position))
    }

    /// The logical sectors that are moved at a time at least: such that whole stripes of the new geometry are written, and no chunk
    /// of either is moved in part. Linux goes on only where that has come to a multiple of it.
    pub(crate) fn step(&self, after: &Geometry) -> Option<u64> {
        let groups = Groups::of(after)?;
        let tall = after.chunk().max(self.geometry.chunk());
        (tall / after.chunk()).checked_mul(groups.logical).filter(|step| *step > 0)
    }

    /// Whether what is moved next would be written over what the old side still needs.
    pub(crate) fn overlaps(&self, after: &Geometry) -> bool {
        let next = self.step(after).map(|step| {
            if self.backwards { self.position.saturating_sub(step) } else { self.position.saturating_add(step) }
        });
        next.is_none_or(|next| !self.clear(after, next))
    }

    /// Whether all from the position to `next` can be written while the old side needs everything that is not moved yet.
    pub(crate) fn clear(&self, after: &Geometry, next: u64) -> bool {
        let (Some(new), Some(old)) = (Groups::of(after), Groups::of(&self.geometry)) else { return false };
        let to = |rows: u64| i128::from(rows) + i128::from(self.shift);
        if self.backwards {
            to(new.begin(next)) >= old.end(self.position).into()
        } else {
            to(new.end(next)) <= old.begin(self.position).into()
        }
    }
}

/// Both sides of an array that is being reshaped: what is moved, and what is not.
///
/// # Errors
/// [`Kind`] of what cannot be.
pub(crate) fn parts(newest: &Super) -> Result<Option<(Geometry, Before)>, Kind> {
    let Some(reshape) = newest.reshape else { return Ok(None) };
    let stuck = Kind::Reshaping(reshape.position);
    if reshape.level != newest.level || !matches!(newest.level, 4..=6 | 10) {
        return Err(stuck);
    }
    let tall = u64::from(reshape.chunk.max(newest.chunk));
    let used = newest.size.checked_rem(tall).map_or(0, |rest| newest.size - rest);
    let of = |layout, members, chunk| {
        let level = Level::parse(newest.level, layout, false)?;
        Geometry::new(level, members, chunk, used, &[])
    };
    let after = of(reshape.layout, newest.raid_disks, reshape.chunk)?;
    let geometry = of(newest.layout, newest.old_disks(), newest.chunk)?;
    if Groups::of(&after).is_none() || Groups::of(&geometry).is_none() {
        return Err(stuck);
    }
    let before =
        Before { position: reshape.position, backwards: reshape.backwards, shift: reshape.offset.into(), geometry };
    // Stripes are moved whole.
    let whole = before.step(&after).is_some_and(|step| reshape.position.is_multiple_of(step));
    if newest.level == 10 || whole { Ok(Some((after, before))) } else { Err(stuck) }
}
