// SPDX-License-Identifier: MIT
//! Writes that are not sent as they come. To zones (TP 4053): each has to be at its zone's write pointer, and controllers take commands in any order. So of one zone one
//! goes to the controller at a time; those that wait go by their first block.
use super::Nvme;
use super::admit::inside;
use super::disk::Disk;
use super::slots::{Slot, State};
use crate::queues::Queues;
use crate::wire::zone::SIZES;
use orion_block::{Error, Instant, Op, Request};
use orion_driver::{Registers, Unit};
use zerocopy::byteorder::little_endian::U64;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// A write to a disk that is read-only, or of zones, or whose writes are compared.
    #[cold]
    #[inline(never)]
    pub(super) fn admit_careful(&mut self, unit: Unit, tag: T, req: Request) -> Result<(), Error> {
        let disk = self.disks.get(usize::from(unit.0)).ok_or(Error::Offline)?;
        if disk.limits.read_only {
            return Err(Error::ReadOnly);
        }
        inside(disk, &req)?;
        self.payload(disk, &req)?;
        if !disk.is_zoned() {
            return self.admit_alone(unit, tag, &req, State::Parts);
        }
        let busy = self.writes_zone(unit.0, disk.zone_of(req.lba.0));
        let slot = self.take(unit, tag, &req, if busy { State::Waits } else { State::Ordered })?;
        if !busy {
            self.send(slot);
        } else if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            // Its time begins when the controller has it.
            record.deadline = Instant(u64::MAX);
        }
        Ok(())
    }

    /// Whether the controller has a write to this zone.
    fn writes_zone(&self, unit: u8, zone: u64) -> bool {
        let Some(disk) = self.disks.get(usize::from(unit)) else { return false };
        let here = |lba| disk.zone_of(lba) == zone;
        let written = |slot: &Slot<T>| slot.state.in_parts() && slot.req.op == Op::Write;
        self.slots.iter().any(|slot| written(slot) && slot.unit == unit && here(slot.req.lba.0))
    }

    /// A write to the zone of this block has ended: the next of those that wait for it.
    pub(super) fn next_in_zone(&mut self, unit: u8, lba: u64) {
        let Some(disk) = self.disks.get(usize::from(unit)) else { return };
        let zone = disk.zone_of(lba);
        let waiting = (0u16..).zip(&self.slots).filter(|(_, slot)| slot.state == State::Waits && slot.unit == unit);
        let here = waiting.filter(|(_, slot)| disk.zone_of(slot.req.lba.0) == zone);
        let Some((next, _)) = here.min_by_key(|(_, slot)| slot.req.lba.0) else { return };
        let deadline = self.within(self.timeout_ns);
        if let Some(record) = self.slots.get_mut(usize::from(next)) {
            (record.state, record.deadline) = (State::Ordered, deadline);
        }
        self.send(next);
    }

    /// The controller was reset, and what it held is sent again or was given up: nobody waits for what has ended.
    pub(super) fn go_on_in_zones(&mut self) {
        for slot in 0..self.slots.len() {
            let Some(record) = self.slots.get(slot).filter(|record| record.state == State::Waits) else { continue };
            let (unit, lba) = (record.unit, record.req.lba.0);
            let zone = self.disks.get(usize::from(unit)).map_or(0, |disk| disk.zone_of(lba));
            if !self.disks.get(usize::from(unit)).is_some_and(Disk::is_zoned) {
                self.next_beside(unit);
            } else if !self.writes_zone(unit, zone) {
                self.next_in_zone(unit, lba);
            }
        }
    }

    /// How large a unit's zones are; that is in memory.
    pub(super) fn zones_found(&mut self, unit: u8) {
        let format = |found: crate::wire::Namespace| usize::from(found.format & 0xf);
        let Some(disk) = self.disks.get_mut(usize::from(unit)) else { return };
        let size: U64 = self.memory.load_at(SIZES + 16 * disk.found.map_or(0, format));
        disk.zone_blocks = size.get();
    }
}
