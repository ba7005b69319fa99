// SPDX-License-Identifier: MIT
//! The driver as the PD around it sees it.
use super::VirtioBlk;
use crate::Bus;
use crate::queue::{Armed, Ring};
use core::fmt;
use orion_block::{Completion, Instant, Limits, Request};
use orion_driver::{Counters, Engine, Health, Unit};
use orion_metrics::Figures;
use virtio_drivers::transport::InterruptStatus;

impl<B: Bus, T: Copy + Default, Q: Ring> Engine<T> for VirtioBlk<B, T, Q> {
    const UNITS: u8 = 1;

    fn set_time(&mut self, now: Instant) {
        self.now = now;
        self.deadline = now.after(self.timeout_ns);
    }

    fn interrupted(&mut self) {
        if !self.bus.messages() && self.bus.ack_interrupt().contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT) {
            self.reconfigured();
        }
    }

    fn limits(&self, _: Unit) -> Option<Limits> {
        let queue_depth = self.queue.slots();
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
    fn lane(&mut self, client: u8) {
        self.queue.lane(client);
    }

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
                Ok(None) => match self.queue.arm() {
                    Armed::Late => {}
                    Armed::Now => return None,
                    Armed::Already if self.idle() => {}
                    Armed::Already => return None,
                },
                Err(misused) => self.misused(misused),
            }
        }
    }

    #[inline]
    fn drain(&mut self, mut each: impl FnMut(T, Completion)) {
        loop {
            // What went well of what was seen takes a short way.
            while self.queue.has_seen() {
                match self.queue.pop() {
                    Ok(Some(used)) => match self.well(used) {
                        Some((tag, blocks)) => each(tag, Completion::ok(blocks)),
                        None => self.put_by(used),
                    },
                    Ok(None) => break,
                    Err(misused) => self.misused(misused),
                }
            }
            let Some((tag, done)) = self.finished() else { return };
            each(tag, done);
        }
    }

    fn has_answers(&self) -> bool {
        self.done.count() > 0
    }

    fn kick(&mut self) {
        let Self { queue, counters, bus, .. } = self;
        queue.show(|nth| {
            counters.kicks += 1;
            bus.notify(nth);
        });
    }

    #[inline]
    fn expire(&mut self) -> bool {
        self.now >= self.watch && !self.free.is_full() && self.overdue()
    }

    fn deadline(&self) -> Option<Instant> {
        (!self.free.is_full()).then_some(self.watch)
    }

    fn depth(&self) -> u16 {
        self.queue.slots()
    }

    fn figures(&self) -> Figures {
        self.counters.figures(&self.figures, self.ended, self.in_flight())
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn take_fault(&mut self) -> Option<&'static str> {
        self.fault.take()
    }

    fn take_change(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    fn refresh(&mut self) {
        self.ask();
        self.kick();
    }

    fn health(&self, _: Unit) -> Option<&Health> {
        self.asked.health()
    }

    fn describe(&self, _: Unit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.properties.limits;
        let word = |yes, word| if yes { word } else { "" };
        write!(
            f,
            "virtio-blk, {} blocks of {} bytes, {} requests in flight{}{}{}{}{}",
            limits.capacity,
            limits.block.bytes(),
            self.queue.slots(),
            Queues(self.queue.queues()),
            self.queue.shape(),
            word(limits.volatile_cache, ", volatile cache"),
            word(limits.discard_granularity != 0, ", discard"),
            word(limits.read_only, ", read-only"),
        )
    }
}

/// Queues, where there are several.
struct Queues(u16);

impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, ", {} queues", self.0) } else { Ok(()) }
    }
}
