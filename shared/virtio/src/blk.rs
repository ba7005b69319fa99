// SPDX-License-Identifier: MIT
//! The block device's driver (virtio 1.2, section 5.2) as a hardware queue: [`orion_driver::Engine`] with one disk.
//!
//! Requests are staged by `start` and shown to the device by `kick`, once for a batch. A write with FUA,
//! which virtio does not have, is a write and then a flush, and completes after both. A device that breaks the
//! protocol, or lets a request wait past its deadline, is reset: everything outstanding is answered with an error,
//! and the device is used again if it came back as the same one.
use crate::queue::{Layout, Misused, Payload, Queue, SLOTS_MAX, Used};
use crate::{Bus, Fault};
use orion_block::{Completion, Error, Instant, Op};
use orion_driver::{Counters, Done, Free, REGIONS_MAX, Setup, Span};
use orion_metrics::Figures;

mod admit;
mod engine;
mod figures;
mod properties;
mod slots;
mod start;
#[cfg(test)]
mod tests;
pub mod wire;

use properties::Properties;
use slots::Slot;

/// Requests at most.
const MOST: usize = SLOTS_MAX as usize;

/// Resets in a row, without a request that succeeded between them, after which the device is left alone.
const RESETS_MAX: u8 = 3;
/// The one queue that is used.
const QUEUE: u16 = 0;

/// A virtio block device. `T` is what the caller calls its requests by.
// What each request needs comes first, the tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct VirtioBlk<B, T = u32> {
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
    queue: Queue,
    free: Free<MOST>,
    regions: [Span; REGIONS_MAX],
    bus: B,
    slots: [Slot<T>; MOST],
    figures: Figures,
    done: Done<T, MOST>,
}

impl<B: Bus, T: Copy + Default> VirtioBlk<B, T> {
    /// Resets the device, whatever it was doing, and makes it ready.
    ///
    /// # Errors
    /// [`Fault`] where the device cannot be used; it is left reset, without access to memory.
    pub fn new(mut bus: B, setup: Setup<'_>) -> Result<Self, Fault> {
        let mut regions = [Span::default(); REGIONS_MAX];
        regions.iter_mut().zip(setup.regions).for_each(|(to, from)| *to = from.sound());
        let (iommu, read_only, timeout_ns) = (setup.iommu, setup.read_only, setup.timeout_ns);
        let started = start::first(&mut bus, setup);
        let (properties, queue) = started.inspect_err(|_| start::abandon(&mut bus))?;
        Ok(Self {
            bus,
            free: Free::new(queue.layout().slots()),
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
        })
    }

    /// What is to be done when the watch has run out.
    #[cold]
    #[inline(never)]
    fn overdue(&mut self) -> bool {
        if self.queue.pending() {
            return true;
        }
        self.watch = self.oldest();
        if self.watch > self.now {
            return false;
        }
        self.counters.timeouts += 1;
        self.restart("a request took too long", Error::TimedOut);
        true
    }

    /// Requests that the device holds.
    pub fn in_flight(&self) -> usize {
        self.queue.held().count()
    }

    /// The shape of the queue.
    pub fn layout(&self) -> Layout {
        self.queue.layout()
    }

    /// What the use of a slot means for its request: its answer, unless it goes on.
    #[inline]
    fn used(&mut self, used: Used) -> Option<(T, Completion)> {
        let record = *self.slots.get(usize::from(used.slot))?;
        let result = judge(record.reads, used);
        if result.is_ok() {
            self.resets = 0;
            if record.flush_after {
                self.flush(used.slot);
                return None;
            }
        } else {
            self.failed();
        }
        self.ended = self.ended.wrapping_add(1);
        if self.ended.is_multiple_of(orion_driver::SAMPLED) {
            self.sample(used.slot);
        }
        self.free.give(used.slot);
        Some((record.tag, result.map_or_else(Completion::error, |()| Completion::ok(record.blocks))))
    }

    /// The second half of a write with FUA.
    #[inline(never)]
    fn flush(&mut self, slot: u16) {
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            record.flush_after = false;
            record.reads = 0;
            self.queue.stage(slot, wire::header(Op::Flush, 0), Payload::NONE);
        }
    }

    fn oldest(&self) -> Instant {
        let held = self.queue.held();
        let deadlines = (0..).zip(&self.slots).filter(|(slot, _)| held.contains(*slot));
        deadlines.map(|(_, record)| record.deadline).min().unwrap_or(Instant(u64::MAX))
    }

    #[cold]
    #[inline(never)]
    fn misused(&mut self, Misused(what): Misused) {
        self.counters.misused += 1;
        self.restart(what, Error::Io);
    }

    /// Resets the device, answers everything that it held with `error`, and makes it ready again if it may be.
    #[cold]
    #[inline(never)]
    fn restart(&mut self, what: &'static str, error: Error) {
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
        for (slot, record) in (0..).zip(&self.slots).filter(|(slot, _)| held.contains(*slot)) {
            self.free.give(slot);
            self.done.push(record.tag, Completion::error(error));
        }
    }

    fn again(&mut self) -> Result<(), Fault> {
        let features = start::negotiate(&mut self.bus, self.iommu)?;
        if self.resets > RESETS_MAX {
            return Err(Fault::Misbehaves);
        }
        let now = start::properties(&self.bus, features, self.read_only)?;
        let old = self.queue.layout();
        if !self.properties.outlives(&now) || start::most_entries(&mut self.bus) < old.size().into() {
            return Err(Fault::Changed);
        }
        if start::indirect(features) != old.indirect() {
            return Err(Fault::Changed);
        }
        self.queue.reset(old, start::event_idx(features));
        start::go(&mut self.bus, &self.queue)
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
