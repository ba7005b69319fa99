// SPDX-License-Identifier: MIT
//! What is done with a request before the device sees it.
use super::slots::Slot;
use super::{VirtioBlk, wire};
use crate::Bus;
use crate::queue::{Payload, Ring};
use orion_block::{Error, Op, Request};

impl<B: Bus, T: Copy + Default, Q: Ring> VirtioBlk<B, T, Q> {
    /// Checks a request against what the device can do, and stages it. What it is refused for is its answer.
    #[inline(always)]
    pub(super) fn admit(&mut self, tag: T, req: &Request) -> Result<(), Error> {
        // A copy, whose parts stay in registers: only what is rare needs it in memory.
        let req = *req;
        if !self.alive {
            return Err(Error::Offline);
        }
        let payload = match req.op {
            Op::Read => Payload::from_device(self.payload(&req)?, self.bytes(&req)),
            Op::Write if self.properties.limits.read_only => return Err(Error::ReadOnly),
            Op::Write => Payload::to_device(self.payload(&req)?, self.bytes(&req)),
            _ => return self.admit_other(tag, req),
        };
        let sector = self.sector(&req)?;
        let reads = if req.op == Op::Read { self.bytes(&req) } else { 0 };
        let slot = self.take(tag, &req, reads)?;
        self.queue.stage(slot, wire::header(req.op, sector), payload);
        Ok(())
    }

    /// A slot for a request, of which the device must write `reads` bytes of payload.
    #[inline]
    pub(super) fn take(&mut self, tag: T, req: &Request, reads: u32) -> Result<u16, Error> {
        if self.free.is_full() {
            self.watch = self.deadline;
        }
        let slot = self.free.take().ok_or(Error::Again)?;
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            let follows = req.fua && req.op.modifies() && self.properties.limits.volatile_cache;
            *record = Slot { tag, blocks: req.blocks, reads, follows, deadline: self.deadline };
        }
        Ok(slot)
    }

    /// The first sector, if the device has the blocks.
    pub(super) fn sector(&self, req: &Request) -> Result<u64, Error> {
        let limits = &self.properties.limits;
        if req.blocks == 0 || req.blocks > limits.max_blocks {
            return Err(Error::Invalid);
        }
        if req.end().is_none_or(|end| end > limits.capacity) {
            return Err(Error::OutOfRange);
        }
        Ok(req.lba.0 << (limits.block.shift() - 9))
    }

    /// The bus address of the payload, if its region has it.
    #[inline]
    fn payload(&self, req: &Request) -> Result<u64, Error> {
        let span = self.regions.get(usize::from(req.buf.region.0)).ok_or(Error::Invalid)?;
        let len = u64::from(req.blocks) << self.properties.limits.block.shift();
        span.address(req.buf.offset, len).ok_or(Error::Invalid)
    }

    /// Bytes of the payload, which is too much only where [`sector`](Self::sector) refuses the request.
    fn bytes(&self, req: &Request) -> u32 {
        req.blocks << self.properties.limits.block.shift()
    }
}
