// SPDX-License-Identifier: MIT
//! Appends to zones (TP 4053): the controller says where what it was given is. They need no order, so as many as there is room for go to it
//! at once.
use super::Nvme;
use super::disk::Disk;
use super::slots::State;
use crate::queues::Queues;
use orion_block::{Error, Op, Request, Status};
use orion_driver::{Registers, Unit, Zones};

impl Disk {
    /// Most blocks of one append.
    fn append_blocks(&self) -> u32 {
        // Beyond 51 it is more than there can be.
        let blocks = 1u64 << (u32::from(self.append_pages.min(51)) + 12 - u32::from(self.limits.block.shift()));
        let limited = u32::try_from(blocks).unwrap_or(u32::MAX).min(self.command_blocks);
        if self.append_pages == 0 { self.command_blocks } else { limited }
    }
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// How a unit's zones are, where it has such.
    pub(super) fn zones_of(&self, unit: u8) -> Option<Zones> {
        let disk = self.disks.get(usize::from(unit)).filter(|disk| disk.present && disk.is_zoned())?;
        // The reference tag of what is protected would be of the place that is not known.
        let append_blocks = if disk.protection == 0 { disk.append_blocks() } else { 0 };
        (disk.zone_blocks != 0).then_some(Zones { blocks: disk.zone_blocks, append_blocks })
    }

    /// Takes an append, if it can be one.
    pub(super) fn take_append(&mut self, unit: Unit, tag: T, req: &Request) -> Result<(), Error> {
        let disk = self.disks.get(usize::from(unit.0)).filter(|disk| disk.present).ok_or(Error::Offline)?;
        if disk.limits.read_only {
            return Err(Error::ReadOnly);
        }
        let zones = self.zones_of(unit.0).filter(|zones| zones.append_blocks != 0).ok_or(Error::Unsupported)?;
        let begins = req.lba.0.is_multiple_of(zones.blocks);
        if req.op != Op::Write || !begins || req.blocks.wrapping_sub(1) >= zones.append_blocks {
            return Err(Error::Invalid);
        }
        if req.lba.0 >= disk.limits.capacity {
            return Err(Error::OutOfRange);
        }
        self.payload(disk, req)?;
        let slot = self.take(unit, tag, req, State::Appends)?;
        self.send(slot);
        Ok(())
    }

    /// An append was done, at the place that its answer says: how it ended, unless it is compared first.
    pub(super) fn appended(&mut self, slot: u16) -> Option<Status> {
        let place = self.queues.last_result();
        let record = self.slots.get_mut(usize::from(slot))?;
        let disk = self.disks.get(usize::from(record.unit))?;
        let room = disk.zone_blocks.checked_sub(record.req.blocks.into());
        let offset = place.checked_sub(record.req.lba.0).filter(|offset| room.is_some_and(|room| *offset <= room));
        let Some(offset) = offset.and_then(|offset| u32::try_from(offset).ok()) else {
            // It says that it is where it cannot be: nobody knows where.
            self.counters.misused += 1;
            return Some(Err(Error::Io));
        };
        record.sent = offset;
        if !disk.compares {
            return Some(Ok(()));
        }
        record.state = State::ComparesAppended;
        self.send(slot);
        None
    }

    /// An append has ended; what is not as it was written stays in its zone.
    pub(super) fn append_ended(&mut self, outcome: Status) {
        if outcome == Err(Error::Medium) {
            self.differed();
        }
    }

    /// How much can be appended at once: as much as a command can have, where the controller has no limit for it.
    pub(super) fn appends_found(&mut self, unit: u8, done: bool) {
        let [pages]: [u8; 1] = if done { self.memory.load() } else { [0] };
        if let Some(disk) = self.disks.get_mut(usize::from(unit)) {
            disk.append_pages = pages;
        }
    }
}
