// SPDX-License-Identifier: MIT
//! From a request to its command.
use super::slot::{Slot, Stage};
use super::{Initiator, Port};
use crate::cdb::Width;
use crate::port::Data;
use crate::unit::{Traits, Zeroes};
use crate::wire::out;
use crate::{Cdb, Place};
use orion_block::{Completion, Error, Instant, Op, Request};
use orion_driver::Unit;

impl<P: Port, T: Copy + Default> Initiator<P, T> {
    /// Checks a request against what its unit can do, and sends its first command. What it is refused for is its answer.
    #[inline]
    pub(super) fn admit(&mut self, unit: Unit, tag: T, req: &Request) -> Result<(), Error> {
        let Some(logical) = self.units.get(usize::from(unit.0)) else { return Err(Error::Offline) };
        if !logical.serves || !self.alive {
            return Err(Error::Offline);
        }
        let (traits, place) = (&logical.traits, logical.place);
        let write = match req.op {
            Op::Read => false,
            Op::Write if traits.read_only => return Err(Error::ReadOnly),
            Op::Write => true,
            _ => return self.admit_other(unit, tag, req),
        };
        within(traits, req)?;
        let bytes = req.blocks << traits.shift;
        let span = self.regions.get(usize::from(req.buf.region.0)).ok_or(Error::Invalid)?;
        let bus = span.address(req.buf.offset, bytes.into()).ok_or(Error::Invalid)?;
        let width = Width::of(req.lba.0, req.blocks, traits.long);
        let cdb = Cdb::transfer(write, width, req.lba.0, req.blocks, req.fua && write && traits.fua);
        let slot = self.take(unit, tag, req, bytes)?;
        self.send(slot, place, cdb, Data { bus, len: bytes, read: !write });
        Ok(())
    }

    /// Operations without payload: rare enough to be kept out of the others' way.
    #[inline(never)]
    fn admit_other(&mut self, unit: Unit, tag: T, req: &Request) -> Result<(), Error> {
        let traits = self.units.get(usize::from(unit.0)).map(|unit| unit.traits).unwrap_or_default();
        match req.op {
            Op::Flush if !traits.volatile && !self.lost_power(unit.0) => {
                self.done.push(tag, Completion::ok(0));
                return Ok(());
            }
            Op::Flush => {}
            _ if traits.read_only => return Err(Error::ReadOnly),
            Op::Discard if traits.unmap == 0 => return Err(Error::Unsupported),
            _ => within(&traits, req)?,
        }
        let slot = self.take(unit, tag, req, 0)?;
        self.go_on(slot);
        Ok(())
    }

    fn lost_power(&self, unit: u8) -> bool {
        self.units.get(usize::from(unit)).is_some_and(|unit| unit.lost)
    }

    /// A slot for a request.
    #[inline]
    fn take(&mut self, unit: Unit, tag: T, req: &Request, bytes: u32) -> Result<u16, Error> {
        if self.free.is_full() {
            self.watch = self.watch.min(self.abort_at(self.deadline));
        }
        let slot = self.free.take().ok_or(Error::Again)?;
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            let syncing = req.op == Op::Flush;
            let (deadline, due) = (self.deadline, Instant(self.deadline.0.saturating_sub(self.timeout_ns / 4)));
            let rest = (0, if syncing { 0 } else { req.blocks }, 0);
            let (done, part, tries) = rest;
            let (req, unit, stage) = (*req, unit.0, Stage::Sent);
            *record = Slot { tag, req, deadline, due, done, part, bytes, unit, stage, tries, syncing };
        }
        Ok(slot)
    }

    /// Sends the next command of a request, or the same once more.
    #[inline(never)]
    pub(super) fn go_on(&mut self, slot: u16) {
        let Some(record) = self.slots.get_mut(usize::from(slot)) else { return };
        // What is sent late still gets some time, as long as there is any.
        let abort_at = Instant(record.deadline.0.saturating_sub(self.timeout_ns / 4));
        record.due = abort_at.max(self.now.after(self.timeout_ns / 16));
        self.watch = self.watch.min(record.due);
        let Some(unit) = self.units.get(usize::from(record.unit)) else { return };
        record.stage = Stage::Sent;
        let (traits, place, req) = (unit.traits, unit.place, record.req);
        let (lba, left) = (req.lba.0.wrapping_add(record.done.into()), req.blocks.saturating_sub(record.done));
        if record.syncing {
            (record.part, record.bytes) = (0, 0);
            return self.send(slot, place, Cdb::synchronize(), Data::NONE);
        }
        match req.op {
            Op::Read | Op::Write => {
                let write = req.op == Op::Write;
                let bytes = left << traits.shift;
                let offset = req.buf.offset.wrapping_add(u64::from(record.done) << traits.shift);
                // The region had all of it when the request was taken.
                let span = self.regions.get(usize::from(req.buf.region.0)).copied().unwrap_or_default();
                let bus = span.address(offset, bytes.into()).unwrap_or_default();
                (record.part, record.bytes) = (left, bytes);
                let width = Width::of(lba, left, traits.long);
                let cdb = Cdb::transfer(write, width, lba, left, req.fua && write && traits.fua);
                self.send(slot, place, cdb, Data { bus, len: bytes, read: !write });
            }
            Op::Discard => {
                record.part = left.min(traits.unmap);
                let list = out::unmap(lba, record.part);
                record.bytes = u32::try_from(list.len()).unwrap_or(0);
                let data = self.own.list(&self.port.own(), slot, &list);
                self.send(slot, place, Cdb::unmap(u16::try_from(list.len()).unwrap_or(0)), data);
            }
            Op::WriteZeroes | Op::Flush => {
                let (cdb, part, data) = self.zeroes(&traits, lba, left);
                if let Some(record) = self.slots.get_mut(usize::from(slot)) {
                    (record.part, record.bytes) = (part, data.len);
                }
                self.send(slot, place, cdb, data);
            }
        }
    }

    /// The next command of a write of zeroes: how many blocks it is for, and its payload.
    fn zeroes(&self, traits: &Traits, lba: u64, left: u32) -> (Cdb, u32, Data) {
        match traits.zeroes {
            Zeroes::Same => {
                let part = left.min(traits.same);
                (Cdb::write_same(lba, part), part, self.own.zeroes(1 << traits.shift))
            }
            Zeroes::Plain => {
                let most = self.own.zeroes(u64::from(left.min(traits.max_blocks)) << traits.shift);
                let part = most.len >> traits.shift;
                let cdb = Cdb::transfer(true, Width::of(lba, part, traits.long), lba, part, false);
                (cdb, part, most)
            }
        }
    }

    /// Where a unit is.
    pub(super) fn place(&self, unit: u8) -> Place {
        self.units.get(usize::from(unit)).map(|unit| unit.place).unwrap_or_default()
    }
}

/// Whether the unit has the blocks, and takes so many.
#[inline]
fn within(traits: &Traits, req: &Request) -> Result<(), Error> {
    if req.blocks == 0 || req.blocks > traits.max_blocks {
        return Err(Error::Invalid);
    }
    if req.end().is_none_or(|end| end > traits.capacity) {
        return Err(Error::OutOfRange);
    }
    Ok(())
}
