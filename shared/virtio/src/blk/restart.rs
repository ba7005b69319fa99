// SPDX-License-Identifier: MIT
//! What is done about a device that breaks the rules or takes too long: it is reset, and used again if it is the same.
use super::slots::Rest;
use super::{VirtioBlk, start};
use crate::queue::{Held, Misused, RING_RESET, Ring};
use crate::{Bus, Fault};
use orion_block::{Completion, Error};

/// Resets in a row, without a request that succeeded between them, after which the device is left alone.
const RESETS_MAX: u8 = 3;

impl<B: Bus, T: Copy + Default, Q: Ring> VirtioBlk<B, T, Q> {
    /// The device did what it must not do.
    #[cold]
    #[inline(never)]
    pub(super) fn misused(&mut self, Misused(what): Misused) {
        self.counters.misused += 1;
        self.restart(what, Error::Io);
    }

    /// A request took too long.
    pub(super) fn late(&mut self) {
        self.counters.timeouts += 1;
        if !self.reset_queues() {
            self.restart("a request took too long", Error::TimedOut);
        }
    }

    /// Resets the queues that hold what took too long, and leaves the others at work (2.6.1); whether the device could.
    fn reset_queues(&mut self) -> bool {
        if self.terms.features & RING_RESET == 0 || self.resets >= RESETS_MAX {
            return false;
        }
        self.resets += 1;
        (0..self.queue.queues()).all(|queue| !self.is_late(queue) || self.reset_queue(queue))
    }

    fn is_late(&self, queue: u16) -> bool {
        let held = self.queue.held();
        let mut records = (0..).zip(&self.slots);
        records.any(|(slot, record)| {
            held.contains(slot) && self.queue.queue_of(slot) == Some(queue) && record.deadline <= self.now
        })
    }

    /// Resets one queue, answers what it held, and makes it ready again.
    fn reset_queue(&mut self, queue: u16) -> bool {
        if !self.bus.reset_queue(queue) {
            return false;
        }
        let held = self.queue.held();
        let lost = |ring: &Q, slot: &u16| held.contains(*slot) && ring.queue_of(*slot) == Some(queue);
        let mut slots = Held::NONE;
        (0..self.queue.slots()).filter(|slot| lost(&self.queue, slot)).for_each(|slot| slots.add(slot));
        let Ok(place) = self.queue.renew(queue) else { return false };
        (0..self.queue.slots()).filter(|slot| slots.contains(*slot)).for_each(|slot| self.lose(slot, Error::TimedOut));
        self.fault = Some("a request took too long and its queue was reset");
        start::give(&mut self.bus, queue, place);
        self.bus.accepted().is_ok()
    }

    /// Resets the device, answers everything that it held with `error`, and makes it ready again if it may be.
    #[cold]
    #[inline(never)]
    pub(super) fn restart(&mut self, what: &'static str, error: Error) {
        self.fault = Some(what);
        self.resets = self.resets.saturating_add(1);
        let held = self.queue.held();
        // Only after the reset may buffers be given back: until then the device may write into them.
        if let Err(fault) = self.again() {
            start::abandon(&mut self.bus);
            self.queue.forget();
            self.alive = false;
            self.fault = Some(fault.text());
        }
        for slot in (0..self.queue.slots()).filter(|slot| held.contains(*slot)) {
            self.lose(slot, error);
        }
    }

    /// Answers the request of a slot that the device has no more.
    fn lose(&mut self, slot: u16, error: Error) {
        self.free.give(slot);
        let rest = self.rests.get_mut(usize::from(slot)).map(core::mem::take);
        if matches!(rest, Some(Rest::Asked(_))) {
            self.asked.forget();
        } else if let Some(record) = self.slots.get(usize::from(slot)) {
            self.done.push(record.tag, Completion::error(error));
        }
    }

    fn again(&mut self) -> Result<(), Fault> {
        let (terms, generation) = start::negotiate::<Q>(&mut self.bus, self.iommu, self.wishes)?;
        if self.resets > RESETS_MAX {
            return Err(Fault::Misbehaves);
        }
        let now = start::properties(&self.bus, terms.features, self.read_only)?;
        if !self.properties.outlives(&now) {
            return Err(Fault::Changed);
        }
        self.queue.again(terms)?;
        start::go(&mut self.bus, &self.queue)?;
        // It may have grown.
        self.changed |= now != self.properties;
        (self.properties, self.terms, self.generation) = (now, terms, generation);
        Ok(())
    }
}
