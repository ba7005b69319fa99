// SPDX-License-Identifier: MIT
//! The block device's driver (virtio 1.2, section 5.2) as a hardware queue: [`orion_layer::Lowers`] with one port.
//!
//! Requests are staged by `submit` and shown to the device by [`VirtioBlk::kick`], once for a batch. A write with FUA,
//! which virtio does not have, is a write and then a flush, and completes after both. A device that breaks the
//! protocol, or lets a request wait past its deadline, is reset: everything outstanding is answered with an error,
//! and the device is used again if it came back as the same one.
use crate::queue::{Layout, Misused, Payload, Queue, SLOTS_MAX, Used};
use crate::{Bus, Fault};
use orion_block::{Completion, Error, Instant, Limits, Op, Request};
use orion_layer::{Interrupted, Lowers, Submission};
use orion_metrics::Figures;
use orion_region::Window;

mod admit;
mod figures;
mod properties;
mod slots;
mod start;
#[cfg(test)]
mod tests;
pub mod wire;

use properties::Properties;
use slots::{Done, Free, Slot};

/// Most data regions that requests can name.
pub const REGIONS_MAX: usize = 64;
/// Resets in a row, without a request that succeeded between them, after which the device is left alone.
const RESETS_MAX: u8 = 3;
/// The one queue that is used.
const QUEUE: u16 = 0;

/// Where a data region lies for the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Bus address; meaningless where `size` is 0.
    pub bus: u64,
    /// Bytes; 0 where the device may not reach the region.
    pub size: u64,
}

/// What the driver works with.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The driver's own DMA region.
    pub dma: Window,
    /// Its bus address.
    pub dma_bus: u64,
    /// The data regions, by [`orion_block::RegionId`]; those beyond [`REGIONS_MAX`] can't be named.
    pub regions: &'a [Span],
    /// Whether the device sits behind an IOMMU, so that it must not bypass it.
    pub iommu: bool,
    /// Whether nothing may be written though the device would.
    pub read_only: bool,
    /// Nanoseconds that a request may take.
    pub timeout_ns: u64,
}

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Notifications to the device.
    pub kicks: u64,
    /// Resets because the device broke the protocol.
    pub misused: u64,
    /// Resets because a request took too long.
    pub timeouts: u64,
}

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
    free: Free,
    regions: [Span; REGIONS_MAX],
    bus: B,
    slots: [Slot<T>; SLOTS_MAX as usize],
    figures: Figures,
    done: Done<T>,
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
            slots: [Slot::default(); SLOTS_MAX as usize],
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

    /// Says what time it is.
    pub fn set_time(&mut self, now: Instant) {
        self.now = now;
        self.deadline = now.after(self.timeout_ns);
    }

    /// Gives up on requests that took too long; whether there are completions to fetch. To be called after those that
    /// the device has made were fetched: a driver that was not run for long must not blame the device.
    #[inline]
    pub fn expire(&mut self) -> bool {
        self.now >= self.watch && !self.free.is_full() && self.overdue()
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

    /// When [`expire`](Self::expire) must be called next, at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.free.is_full()).then_some(self.watch)
    }

    /// Shows the device what was submitted since the last call, and notifies it where it sleeps.
    pub fn kick(&mut self) {
        if self.queue.publish() {
            self.counters.kicks += 1;
            self.bus.notify(QUEUE);
        }
    }

    /// Acknowledges an interrupt at the device, where that is needed. To be called before completions are drained.
    pub fn interrupted(&mut self) {
        if !self.bus.messages() {
            self.bus.ack_interrupt();
        }
    }

    /// What the device can do; `None` where it is not used any more.
    pub fn limits(&self) -> Option<Limits> {
        let queue_depth = self.queue.layout().slots();
        self.alive.then_some(Limits { queue_depth, ..self.properties.limits })
    }

    /// Whether there is room for a request.
    pub fn has_room(&self) -> bool {
        // Each answer that waits was a request that had room.
        self.free.count() > self.done.count()
    }

    /// Takes a request, for which there must be room. The device sees it at the next [`kick`](Self::kick).
    #[inline]
    pub fn start(&mut self, tag: T, req: &Request) {
        if let Err(error) = self.admit(tag, req) {
            self.done.push(tag, Completion::error(error));
        }
    }

    /// The next request that has ended. Where there is none, the device has been asked for an interrupt at the next.
    #[inline]
    pub fn finished(&mut self) -> Option<(T, Completion)> {
        loop {
            if let Some(done) = self.done.pop() {
                return Some(done);
            }
            // A device that was given up has left nothing to take.
            if !self.queue.has_seen() && !self.alive {
                return None;
            }
            match self.queue.pop() {
                Ok(Some(used)) => {
                    if let Some(done) = self.used(used) {
                        return Some(done);
                    }
                }
                Ok(None) if self.queue.arm() => {}
                Ok(None) => return None,
                Err(misused) => self.misused(misused),
            }
        }
    }

    /// Whether there are answers for which the device was not needed.
    pub fn has_answers(&self) -> bool {
        self.done.count() > 0
    }

    /// Requests that the device holds.
    pub fn in_flight(&self) -> usize {
        self.queue.held().count()
    }

    /// The shape of the queue.
    pub fn layout(&self) -> Layout {
        self.queue.layout()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What the device did last that it must not do; said once.
    pub fn take_fault(&mut self) -> Option<&'static str> {
        self.fault.take()
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
        if self.ended.is_multiple_of(figures::SAMPLED) {
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

impl<B: Bus> Lowers for VirtioBlk<B> {
    fn count(&self) -> u8 {
        1
    }

    fn capacity(&self, _: u8) -> u16 {
        self.queue.layout().slots()
    }

    fn limits(&self, _: u8) -> Option<Limits> {
        self.limits()
    }

    fn submit(&mut self, _: u8, submission: Submission) {
        self.start(submission.tag, &submission.req);
    }

    /// Never an error: a device that misbehaves is reset, and its requests are answered.
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(self.finished().map(|(tag, done)| (0, tag, done)))
    }
}
