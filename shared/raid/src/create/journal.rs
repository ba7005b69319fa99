// SPDX-License-Identifier: MIT
//! The write journal of a new array.
use super::{Device, New, ROLES};
use crate::journal::{BLOCK, BLOCK_BYTES, Log, Maker};
use crate::wire::{JOURNAL, feature};
use crate::{Kind, Role, Super};

/// Where a new log begins, and the number of its first meta block.
const FIRST: (u64, u64) = (0, 1);

/// What the journal's device is to hold.
#[derive(Debug)]
pub struct Journal {
    /// Its superblock.
    pub made: Super,
    /// An empty log's first block, which goes to its first sector of data.
    pub block: [u8; BLOCK_BYTES],
}

impl New<'_> {
    /// Gives the array whose superblocks these are a write journal on another device.
    ///
    /// # Errors
    /// [`Kind::JournalLevel`], [`Kind::JournalSmall`], [`Kind::TooMany`], [`Kind::Size`].
    pub fn journal(&self, supers: &mut [Super], device: &Device) -> Result<Journal, Kind> {
        let first = supers.first().ok_or(Kind::Nothing)?;
        if !matches!(self.level, 4..=6) || self.ppl {
            return Err(Kind::JournalLevel);
        }
        // Behind the last that has a number, missing ones too.
        let used = |role: &u16| *role != crate::wire::SPARE;
        let behind = first.roles.iter().rposition(used).map_or(0, |at| at + 1);
        let spares = supers.iter().map(|own| own.number + 1).max().unwrap_or(0);
        let number = u32::try_from(behind).map_err(|_| Kind::TooMany)?.max(spares);
        let index = usize::try_from(number).ok().filter(|index| *index < ROLES).ok_or(Kind::TooMany)?;
        let sectors = self.data_sectors(device.sectors)?;
        let need = least(self.chunk.into(), first.raid_disks);
        if sectors & !(BLOCK - 1) < need {
            return Err(Kind::JournalSmall { has: sectors, need });
        }
        for own in supers.iter_mut() {
            own.features |= feature::JOURNAL;
            *own.roles.get_mut(index).ok_or(Kind::TooMany)? = JOURNAL;
        }
        let first = supers.first().ok_or(Kind::Nothing)?;
        let mut made = self.one(number, device, first.raid_disks, first.size, &first.roles);
        (made.role, made.features, made.recovery, made.resync) =
            (Role::Journal, first.features, Some(FIRST.0), first.resync);
        let log = Log::new(self.set, sectors, if self.level == 6 { 2 } else { 1 });
        Ok(Journal { made, block: Maker::new(&log, FIRST.0, FIRST.1).finish(&log) })
    }
}

/// Fewest sectors of a journal: four times what is logged at once for one band of a stripe, all members written.
pub fn least(chunk: u64, members: u32) -> u64 {
    let blocks = (chunk.clamp(BLOCK, crate::engine::BAND) / BLOCK) * u64::from(members);
    4 * BLOCK * (1 + blocks)
}
