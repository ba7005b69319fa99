// SPDX-License-Identifier: MIT
//! What is done with a request before the device sees it.
use super::slots::flag;
use super::{Port, Slot};
use crate::layout;
use crate::wire::ata::{TRIM, TaskFile, command, device};
use crate::wire::fis;
use orion_block::{Completion, Error, Instant, Op, Request};
use orion_driver::{REGIONS_MAX, Span};

impl<T: Copy + Default> Port<T> {
    /// Checks a request against what the drive can do and writes its command. What it is refused for is its answer; an answer
    /// for which the device is not needed is returned.
    #[inline]
    pub fn admit(
        &mut self,
        tag: T,
        req: &Request,
        regions: &[Span; REGIONS_MAX],
        deadline: Instant,
    ) -> Result<Option<Completion>, Error> {
        if !self.serving {
            return Err(Error::Offline);
        }
        let write = match req.op {
            Op::Read => false,
            Op::Write if self.read_only => return Err(Error::ReadOnly),
            Op::Write => true,
            _ => return self.admit_other(tag, req, deadline),
        };
        self.check(req)?;
        let (bytes, address) = (req.blocks << self.shift, self.payload(req, regions)?);
        if self.mode.queued {
            // Serial ATA 3.0, 13.6.4: the count stands in the features, the tag in the count. A count of 0 is 65,536.
            let forced = write && req.fua && self.mode.fua;
            let device = device::LBA | if forced { device::FUA } else { 0 };
            let command = if write { command::WRITE_QUEUED } else { command::READ_QUEUED };
            let after = if write && req.fua && self.cache && !forced { flag::FLUSH_AFTER } else { 0 };
            let flags = flag::QUEUED | after | if write { flag::WRITE } else { 0 };
            let slot = self.take(Slot { tag, deadline, blocks: req.blocks, bytes, flags, tries: 0, error: None })?;
            let (features, count) = (low(req.blocks), u16::from(slot) << 3);
            let words = fis::words(&TaskFile { command, features, count, lba: req.lba.0, device });
            self.describe(slot, words, write, address, bytes);
            self.queued |= 1u32.wrapping_shl(slot.into());
            return Ok(None);
        }
        self.admit_plain(tag, req, address, deadline)
    }

    /// Reads and writes that are not queued.
    #[inline(never)]
    fn admit_plain(
        &mut self,
        tag: T,
        req: &Request,
        address: u64,
        deadline: Instant,
    ) -> Result<Option<Completion>, Error> {
        let write = req.op == Op::Write;
        let forced = write && req.fua && self.cache;
        let by_command = forced && self.mode.fua;
        let command = match (write, self.mode.dma, self.mode.lba48) {
            (false, true, true) => command::READ_DMA_EXT,
            (false, true, false) => command::READ_DMA,
            (false, false, true) => command::READ_SECTORS_EXT,
            (false, false, false) => command::READ_SECTORS,
            (true, true, true) if by_command => command::WRITE_DMA_FUA_EXT,
            (true, true, true) => command::WRITE_DMA_EXT,
            (true, true, false) => command::WRITE_DMA,
            (true, false, true) => command::WRITE_SECTORS_EXT,
            (true, false, false) => command::WRITE_SECTORS,
        };
        let after = if forced && !by_command { flag::FLUSH_AFTER } else { 0 };
        let flags = flag::COUNTED | after | if write { flag::WRITE } else { 0 };
        let bytes = req.blocks << self.shift;
        let slot = self.take(Slot { tag, deadline, blocks: req.blocks, bytes, flags, tries: 0, error: None })?;
        let mut task = TaskFile { command, features: 0, count: low(req.blocks), lba: req.lba.0, device: device::LBA };
        if !self.mode.lba48 {
            // Bits 24 to 27 of the address stand in the device register; a count of 0 is 256.
            let [top, ..] = u32::try_from(req.lba.0 >> 24).unwrap_or(0).to_le_bytes();
            task.device |= top & 15;
            task.lba &= 0xff_ffff;
            task.count &= 0xff;
        }
        self.describe(slot, fis::words(&task), write, address, bytes);
        self.plain |= 1u32.wrapping_shl(slot.into());
        Ok(None)
    }

    /// Operations without payload: rare enough to be kept out of the others' way.
    #[inline(never)]
    fn admit_other(&mut self, tag: T, req: &Request, deadline: Instant) -> Result<Option<Completion>, Error> {
        let drive = self.drive.as_ref().ok_or(Error::Offline)?;
        let (trim, flush) = (drive.trim && self.mode.dma, drive.flush && self.cache);
        let mut slot = Slot { tag, deadline, blocks: 0, bytes: 0, flags: 0, tries: 0, error: None };
        if req.op == Op::Flush {
            if !flush {
                // Without a volatile cache a write that has ended is durable.
                return Ok(Some(Completion::ok(0)));
            }
            let slot = self.take(slot)?;
            self.describe_empty(slot, &self.flush_task());
            self.plain |= 1u32.wrapping_shl(slot.into());
            return Ok(None);
        }
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        if req.op != Op::Discard || !trim {
            return Err(Error::Unsupported);
        }
        self.check(req)?;
        (slot.blocks, slot.flags) = (req.blocks, flag::WRITE);
        let slot = self.take(slot)?;
        let command = command::DATA_SET_MANAGEMENT;
        let task = TaskFile { command, features: TRIM, count: 1, lba: 0, device: device::LBA };
        // What is more than the ranges hold is left as it is: a discard may be ignored.
        self.describe_ranges(slot, &task, req.lba.0, req.blocks.min(0xffff * layout::RANGES_MAX));
        self.plain |= 1u32.wrapping_shl(slot.into());
        Ok(None)
    }

    /// The command that makes durable what was written.
    fn flush_task(&self) -> TaskFile {
        let long = self.mode.lba48 && self.drive.as_ref().is_some_and(|drive| drive.flush_ext);
        let command = if long { command::FLUSH_CACHE_EXT } else { command::FLUSH_CACHE };
        TaskFile { command, device: device::LBA, ..TaskFile::default() }
    }

    /// The second half of a write that is to be durable, where the drive can't be told with the write.
    pub(super) fn flush_after(&mut self, slot: u8) {
        self.describe_empty(slot, &self.flush_task());
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            record.flags = flag::WRITE;
        }
        self.plain |= 1u32.wrapping_shl(slot.into());
    }

    /// A slot for a request.
    #[inline]
    fn take(&mut self, record: Slot<T>) -> Result<u8, Error> {
        let slot = self.free.trailing_zeros();
        let place = self.slots.get_mut(slot as usize).ok_or(Error::Again)?;
        *place = record;
        self.free &= self.free.wrapping_sub(1);
        u8::try_from(slot).map_err(|_| Error::Again)
    }

    /// Whether the drive has the blocks.
    #[inline]
    fn check(&self, req: &Request) -> Result<(), Error> {
        if req.blocks == 0 || req.blocks > self.most {
            return Err(Error::Invalid);
        }
        if req.end().is_none_or(|end| end > self.capacity) {
            return Err(Error::OutOfRange);
        }
        Ok(())
    }

    /// The bus address of the payload, if its region has it. The controller leaves out the lowest bit (AHCI 1.3.1, 4.2.3.3).
    #[inline]
    fn payload(&self, req: &Request, regions: &[Span; REGIONS_MAX]) -> Result<u64, Error> {
        let span = regions.get(usize::from(req.buf.region.0)).ok_or(Error::Invalid)?;
        let address = span.address(req.buf.offset, u64::from(req.blocks) << self.shift).ok_or(Error::Invalid)?;
        if address & 1 == 0 { Ok(address) } else { Err(Error::Invalid) }
    }
}

/// The low half of a count, which is at most 65,536: all of it, or 0.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
const fn low(count: u32) -> u16 {
    count as u16
}
