// SPDX-License-Identifier: MIT
//! The driver as the PD around it sees it.
use super::{QUEUE, VirtioBlk};
use crate::Bus;
use core::fmt;
use orion_block::{Completion, Instant, Limits, Request};
use orion_driver::{Counters, Engine, Unit};
use orion_metrics::Figures;

impl<B: Bus, T: Copy + Default> Engine<T> for VirtioBlk<B, T> {
    const UNITS: u8 = 1;

    fn set_time(&mut self, now: Instant) {
        self.now = now;
        self.deadline = now.after(self.timeout_ns);
    }

    fn interrupted(&mut self) {
        if !self.bus.messages() {
            self.bus.ack_interrupt();
        }
    }

    fn limits(&self, _: Unit) -> Option<Limits> {
        let queue_depth = self.queue.layout().slots();
        self.alive.then_some(Limits { queue_depth, ..self.properties.limits })
    }

    fn has_room(&self, _: Unit) -> bool {
        // Each answer that waits was a request that had room.
        self.free.count() > self.done.count()
    }

    #[inline]
    fn start(&mut self, _: Unit, tag: T, req: &Request) {
        if let Err(error) = self.admit(tag, req) {
            self.done.push(tag, Completion::error(error));
        }
    }

    #[inline]
    fn finished(&mut self) -> Option<(T, Completion)> {
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

    fn has_answers(&self) -> bool {
        self.done.count() > 0
    }

    fn kick(&mut self) {
        if self.queue.publish() {
            self.counters.kicks += 1;
            self.bus.notify(QUEUE);
        }
    }

    #[inline]
    fn expire(&mut self) -> bool {
        self.now >= self.watch && !self.free.is_full() && self.overdue()
    }

    fn deadline(&self) -> Option<Instant> {
        (!self.free.is_full()).then_some(self.watch)
    }

    fn depth(&self) -> u16 {
        self.queue.layout().slots()
    }

    fn figures(&self) -> Figures {
        self.counted()
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn take_fault(&mut self) -> Option<&'static str> {
        self.fault.take()
    }

    fn describe(&self, _: Unit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limits, layout) = (self.properties.limits, self.queue.layout());
        let word = |yes, word| if yes { word } else { "" };
        write!(
            f,
            "virtio-blk, {} blocks of {} bytes, {} requests in flight{}{}{}{}",
            limits.capacity,
            limits.block.bytes(),
            layout.slots(),
            word(layout.indirect(), ", indirect descriptors"),
            word(limits.volatile_cache, ", volatile cache"),
            word(limits.discard_granularity != 0, ", discard"),
            word(limits.read_only, ", read-only"),
        )
    }
}
