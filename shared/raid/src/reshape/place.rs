// SPDX-License-Identifier: MIT
//! What is moved in place: onto what the old geometry still needs. It is kept elsewhere first, written, and the superblocks say so
//! before the next is.
use super::backup::{Backup, Kept};
use super::mover::bytes;
use super::{Mover, Write};
use crate::{Error, Kind, Super};

/// Logical sectors that are kept at a time, or a step where that has more.
const PIECE: u64 = 4096;

impl Mover {
    /// Has what is moved in place kept on this device, which holds the backup that was begun; what was half written when the power
    /// went is written anew from there. `room` is as for [`step`](Self::step).
    ///
    /// # Errors
    /// [`Kind::Backup`] where it is none of this reshape.
    pub fn with_backup(
        &mut self,
        device: usize,
        all: &mut [Super],
        disks: &mut impl Write,
        room: &mut [u8],
    ) -> Result<(), Error> {
        let place = (self.before.position, self.before.backwards);
        let (backup, kept) = Backup::open(device, self.array.newest.set, place, disks)?;
        if let Some(kept) = kept {
            self.write_anew(&backup, kept, disks, room)?;
            self.checkpoint(all, disks)?;
        }
        self.backup = Some(backup);
        Ok(())
    }

    /// Writes what was kept as it is in the new geometry.
    fn write_anew(
        &mut self,
        backup: &Backup,
        kept: Kept,
        disks: &mut impl Write,
        room: &mut [u8],
    ) -> Result<(), Error> {
        let none = Error { kind: Kind::Backup, at: kept.first };
        let end = kept.end().ok_or(none)?;
        let ends = [self.array.geometry.sectors(), self.before.geometry.sectors()];
        if !kept.first.is_multiple_of(self.step) || !(end.is_multiple_of(self.step) || ends.contains(&end)) {
            return Err(none);
        }
        let mut at = kept.first;
        while at < end {
            let next = at.saturating_add(self.step).min(end);
            let (data, rest) = room.split_at_mut_checked(bytes(next - at)).ok_or(Error { kind: Kind::Size, at })?;
            if !backup.read(kept, at - kept.first, data, disks) {
                return Err(none);
            }
            self.store(at, data, disks, rest)?;
            at = next;
        }
        self.before.position = if self.before.backwards { kept.first } else { end };
        self.array.before = Some(self.before.clone());
        Ok(())
    }

    /// Moves what is next, of which `fit` steps have room; all before is durable, and the superblocks say so.
    pub(super) fn step_in_place(
        &mut self,
        all: &mut [Super],
        disks: &mut impl Write,
        room: &mut [u8],
        fit: u64,
    ) -> Result<bool, Error> {
        let at = self.before.position;
        let here = |kind| Error { kind, at };
        let next = self.behind(fit.min((PIECE / self.step).max(1)));
        let (first, end) = (at.min(next), at.max(next));
        let (data, rest) = room.split_at_mut_checked(bytes(end - first)).ok_or(here(Kind::Size))?;
        self.load(first, data, disks, rest)?;
        let own = all.first().ok_or(here(Kind::Nothing))?;
        let backup = self.backup.as_mut().ok_or(here(Kind::Overlaps(at)))?;
        backup.keep(first, data, own, disks)?;
        self.store(first, data, disks, rest)?;
        self.before.position = next;
        self.array.before = Some(self.before.clone());
        self.checkpoint(all, disks)?;
        Ok(true)
    }
}
