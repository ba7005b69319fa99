// SPDX-License-Identifier: MIT
//! Requests that the device does in several steps: writes with FUA, which virtio has not, and clearing more than it clears at
//! once. None of it is on the path of a plain read or write.
use super::properties::Clearing;
use super::slots::{Clear, Part, Rest};
use super::{VirtioBlk, wire};
use crate::Bus;
use crate::queue::{Payload, Ring};
use orion_block::{Completion, Error, Lba, Op, Request};

impl<B: Bus, T: Copy + Default, Q: Ring> VirtioBlk<B, T, Q> {
    /// Operations without payload: rare enough to be kept out of the others' way.
    #[cold]
    #[inline(never)]
    pub(super) fn admit_other(&mut self, tag: T, req: Request) -> Result<(), Error> {
        let req = &req;
        match req.op {
            Op::Discard => self.admit_clear(tag, req, Clear::Discard),
            Op::WriteZeroes => self.admit_clear(tag, req, Clear::Zeroes),
            _ => self.admit_flush(tag, req),
        }
    }

    fn admit_flush(&mut self, tag: T, req: &Request) -> Result<(), Error> {
        if self.properties.flush {
            let slot = self.take(tag, req, 0)?;
            self.queue.stage(slot, wire::header(Op::Flush, 0), Payload::NONE);
        } else {
            // 5.2.6.2: a device without FLUSH completes a write only when it is durable.
            self.done.push(tag, Completion::ok(0));
        }
        Ok(())
    }

    /// Erases blocks so that nobody can read them again, whatever is taken out of the device: `tag` is answered as any
    /// request. Where the device has no secure erase it is `Unsupported`, where the blocks are no multiple of what it erases,
    /// `Invalid`.
    pub fn erase(&mut self, tag: T, lba: Lba, blocks: u32) {
        let buf = orion_block::Buf { region: orion_block::RegionId(0), offset: 0 };
        let req = Request { op: Op::Discard, fua: false, lba, blocks, buf };
        if let Err(error) = self.admit_clear(tag, &req, Clear::Erase) {
            self.done.push(tag, Completion::error(error));
        }
    }

    fn admit_clear(&mut self, tag: T, req: &Request, how: Clear) -> Result<(), Error> {
        let limits = &self.properties.limits;
        if !self.alive {
            return Err(Error::Offline);
        }
        if limits.read_only {
            return Err(Error::ReadOnly);
        }
        let Clearing { most, align, .. } = *self.properties.clearing(how);
        if most == 0 || (how == Clear::Zeroes && !limits.write_zeroes) {
            return Err(Error::Unsupported);
        }
        self.sector(req)?;
        let aligned = |n: u64| n.is_multiple_of(align.max(1).into());
        if how == Clear::Erase && !(aligned(req.lba.0) && aligned(req.blocks.into())) {
            return Err(Error::Invalid);
        }
        let slot = self.take(tag, req, 0)?;
        let flush = req.fua && self.properties.limits.volatile_cache;
        self.clear(slot, Part { how, lba: req.lba.0, blocks: req.blocks, flush });
        Ok(())
    }

    /// Has the device clear as much as it takes at once, and remembers the rest.
    fn clear(&mut self, slot: u16, part: Part) {
        let limits = *self.properties.clearing(part.how);
        let shift = self.properties.limits.block.shift() - 9;
        let (mut words, mut len, mut rest) = ([0; crate::queue::WORDS], 0, part);
        for segment in words.chunks_exact_mut(2).take(limits.segments.into()) {
            if rest.blocks == 0 {
                break;
            }
            let blocks = limits.next(rest.lba, rest.blocks);
            segment.copy_from_slice(&wire::segment(rest.lba << shift, blocks << shift));
            rest.lba = rest.lba.saturating_add(blocks.into());
            rest.blocks -= blocks;
            len += 16;
        }
        let follows = rest.blocks > 0 || rest.flush;
        if let (Some(record), Some(place)) =
            (self.slots.get_mut(usize::from(slot)), self.rests.get_mut(usize::from(slot)))
        {
            // Each step has the whole time: a large erase is slow, and a device that works at it is not to be blamed.
            (record.follows, record.deadline) = (follows, self.deadline);
            *place = if rest.blocks > 0 { Rest::Clear(rest) } else { Rest::Flush };
        }
        let payload = self.queue.words(slot, words, len);
        self.queue.stage(slot, [wire::clear_type(part.how).into(), 0], payload);
    }

    /// The device has done what it was given of a request that goes on; its answer, where that was all.
    #[cold]
    #[inline(never)]
    pub(super) fn go_on(&mut self, slot: u16) -> Option<(T, Completion)> {
        match self.rests.get_mut(usize::from(slot)).map(core::mem::take)? {
            Rest::Clear(part) => self.clear(slot, part),
            Rest::Asked(question) => self.answered(slot, question),
            Rest::Flush => {
                let record = self.slots.get_mut(usize::from(slot))?;
                (record.follows, record.reads) = (false, 0);
                self.queue.stage(slot, wire::header(Op::Flush, 0), Payload::NONE);
            }
        }
        None
    }

    /// The device could not do a request; whether that was the driver's own.
    #[cold]
    #[inline(never)]
    pub(super) fn failed(&mut self, slot: u16) -> bool {
        match self.rests.get_mut(usize::from(slot)).map(core::mem::take) {
            Some(Rest::Asked(question)) => {
                self.unanswered(slot, question);
                true
            }
            _ => {
                self.figures.add(orion_metrics::Counter::Errors, 1);
                false
            }
        }
    }
}
