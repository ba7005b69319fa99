// SPDX-License-Identifier: MIT
//! The block device's driver (virtio 1.2, section 5.2) as a hardware queue: [`orion_driver::Engine`] with one disk.
//!
//! Requests are staged by `start` and shown to the device by `kick`, once for a batch. A write with FUA,
//! which virtio does not have, is a write and then a flush, and completes after both. A device that breaks the
//! protocol, or lets a request wait past its deadline, is reset: everything outstanding is answered with an error,
//! and the device is used again if it came back as the same one.
use crate::queue::{Layout, Queue, Ring, SLOTS_MAX, Terms, Used, Wishes};
use crate::{Bus, Fault};
use orion_block::{Completion, Error, Instant};
use orion_driver::{Counters, Done, Free, REGIONS_MAX, Setup, Span};
use orion_metrics::Figures;

mod admit;
mod ask;
mod change;
mod engine;
mod figures;
mod follow;
mod properties;
mod restart;
mod slots;
mod start;
#[cfg(test)]
mod tests;
pub mod wire;

use properties::Properties;
use slots::{Rest, Slot};

/// Requests at most.
const MOST: usize = SLOTS_MAX as usize;

/// A virtio block device. `T` is what the caller calls its requests by, `Q` the shape of its queue.
// What each request needs comes first, the tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct VirtioBlk<B, T = u32, Q = Queue> {
    now: Instant,
    /// Of a request that is submitted now.
    deadline: Instant,
    /// While the device holds a request: no deadline is before this.
    watch: Instant,
    /// Requests that the device has done or failed to do.
    ended: u64,
    alive: bool,
    resets: u8,
    iommu: bool,
    read_only: bool,
    timeout_ns: u64,
    counters: Counters,
    fault: Option<&'static str>,
    properties: Properties,
    queue: Q,
    free: Free<MOST>,
    regions: [Span; REGIONS_MAX],
    bus: B,
    slots: [Slot<T>; MOST],
    figures: Figures,
    done: Done<T, MOST>,
    rests: [Rest; MOST],
    wishes: Wishes,
    terms: Terms,
    asked: ask::Asked,
    /// The limits changed since this was last asked.
    changed: bool,
    generation: u32,
    /// `ended` when the device was last found to have nothing.
    ended_then: u64,
}

impl<B: Bus, T: Copy + Default> VirtioBlk<B, T> {
    /// Resets the device, whatever it was doing, and makes it ready, with one split ring.
    ///
    /// # Errors
    /// [`Fault`] where the device cannot be used; it is left reset, without access to memory.
    pub fn new(bus: B, setup: Setup<'_>) -> Result<Self, Fault> {
        Self::with(bus, setup, Wishes::default())
    }

    /// The shape of the queue.
    pub fn layout(&self) -> Layout {
        self.queue.layout()
    }
}

impl<B: Bus, T: Copy + Default, Q: Ring> VirtioBlk<B, T, Q> {
    /// Resets the device, whatever it was doing, and makes it ready, with the queues that it has of those wished for.
    ///
    /// # Errors
    /// [`Fault`] where the device cannot be used; it is left reset, without access to memory.
    pub fn with(mut bus: B, setup: Setup<'_>, wishes: Wishes) -> Result<Self, Fault> {
        let mut regions = [Span::default(); REGIONS_MAX];
        regions.iter_mut().zip(setup.regions).for_each(|(to, from)| *to = from.sound());
        let (iommu, read_only, timeout_ns) = (setup.iommu, setup.read_only, setup.timeout_ns);
        let started = start::first(&mut bus, setup, wishes);
        let start::Started::<Q> { properties, queue, terms, generation } =
            started.inspect_err(|_| start::abandon(&mut bus))?;
        Ok(Self {
            bus,
            free: Free::new(queue.slots()),
            queue,
            regions,
            properties,
            slots: [Slot::default(); MOST],
            done: Done::new(),
            iommu,
            read_only,
            alive: true,
            resets: 0,
            timeout_ns,
            now: Instant::default(),
            deadline: Instant(timeout_ns),
            watch: Instant(u64::MAX),
            counters: Counters::default(),
            ended: 0,
            figures: Figures::EMPTY,
            fault: None,
            rests: [Rest::default(); MOST],
            wishes,
            terms,
            asked: ask::Asked::default(),
            changed: false,
            generation,
            ended_then: 0,
        })
    }

    /// What is to be done when the watch has run out.
    #[cold]
    #[inline(never)]
    fn overdue(&mut self) -> bool {
        if self.queue.pending() || self.look_at_generation() {
            return true;
        }
        self.watch = self.oldest();
        if self.watch > self.now {
            return false;
        }
        self.late();
        true
    }

    /// Requests that the device holds.
    pub fn in_flight(&self) -> usize {
        self.queue.held().count()
    }

    /// What the use of a slot means for its request: its answer, unless it goes on.
    fn used(&mut self, used: Used) -> Option<(T, Completion)> {
        match self.well(used) {
            Some((tag, blocks)) => Some((tag, Completion::ok(blocks))),
            None => self.otherwise(used),
        }
    }

    /// The request of a slot whose use is the good end of it, and its blocks.
    #[inline]
    fn well(&mut self, Used { slot, status, written }: Used) -> Option<(T, u32)> {
        let Slot { tag, blocks, reads, follows, .. } = *self.slots.get(usize::from(slot))?;
        if status != wire::status::OK || written <= reads || follows {
            return None;
        }
        self.resets = 0;
        self.count(slot);
        Some((tag, blocks))
    }

    /// Counts a request that has ended, and frees its slot.
    #[inline]
    fn count(&mut self, slot: u16) {
        self.ended = self.ended.wrapping_add(1);
        if self.ended.is_multiple_of(orion_driver::SAMPLED) {
            self.sample(slot);
        }
        self.free.give(slot);
    }

    /// Keeps the answer to a request that did not end well, for when it is asked for.
    #[cold]
    #[inline(never)]
    fn put_by(&mut self, used: Used) {
        if let Some((tag, done)) = self.otherwise(used) {
            self.done.push(tag, done);
        }
    }

    /// What any other use of a slot means.
    #[cold]
    #[inline(never)]
    fn otherwise(&mut self, used: Used) -> Option<(T, Completion)> {
        let record = *self.slots.get(usize::from(used.slot))?;
        let result = judge(record.reads, used);
        if result.is_ok() {
            self.resets = 0;
            if record.follows {
                return self.go_on(used.slot);
            }
        } else if self.failed(used.slot) {
            return None;
        }
        self.count(used.slot);
        Some((record.tag, result.map_or_else(Completion::error, |()| Completion::ok(record.blocks))))
    }

    fn oldest(&self) -> Instant {
        let held = self.queue.held();
        let deadlines = (0..).zip(&self.slots).filter(|(slot, _)| held.contains(*slot));
        deadlines.map(|(_, record)| record.deadline).min().unwrap_or(Instant(u64::MAX))
    }
}

/// Whether the device did what was asked. It must have written a status, and after a read the whole payload.
fn judge(reads: u32, used: Used) -> Result<(), Error> {
    match used.status {
        wire::status::OK if used.written > reads => Ok(()),
        wire::status::UNSUPPORTED => Err(Error::Unsupported),
        // IOERR does not say that the medium is bad at these blocks, so it is no reason to call it that.
        _ => Err(Error::Io),
    }
}
