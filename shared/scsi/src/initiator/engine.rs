// SPDX-License-Identifier: MIT
//! The driver as the PD around it sees it.
use super::{Event, Initiator, Port, UNITS};
use core::fmt;
use orion_block::{Completion, Instant, Limits, Request};
use orion_driver::{Counters, Engine, Health, Unit};
use orion_metrics::Figures;

impl<P: Port, T: Copy + Default> Engine<T> for Initiator<P, T> {
    #[expect(clippy::cast_possible_truncation, reason = "a small number")]
    const UNITS: u8 = UNITS as u8;

    fn set_time(&mut self, now: Instant) {
        self.now = now;
        self.deadline = now.after(self.timeout_ns);
    }

    fn interrupted(&mut self) {
        self.port.interrupted();
    }

    fn limits(&self, unit: Unit) -> Option<Limits> {
        let limits = self.units.get(usize::from(unit.0)).filter(|_| self.open).and_then(|unit| unit.limits());
        limits.map(|limits| Limits { queue_depth: self.depth, ..limits })
    }

    fn has_room(&self, _: Unit) -> bool {
        // Each answer that waits was a request that had room.
        self.free.count() > self.done.count()
    }

    #[inline]
    fn start(&mut self, unit: Unit, tag: T, req: &Request) {
        if let Err(error) = self.admit(unit, tag, req) {
            self.done.push(tag, Completion::error(error));
        }
    }

    #[inline]
    fn finished(&mut self) -> Option<(T, Completion)> {
        loop {
            if let Some(done) = self.done.pop() {
                return Some(done);
            }
            if !self.alive {
                return None;
            }
            match self.port.next() {
                Ok(Some(Event::Answered(answer))) => {
                    if let Some(done) = self.command_ended(answer) {
                        return Some(done);
                    }
                }
                Ok(Some(Event::Managed(_))) => self.managing = false,
                Ok(Some(Event::Changed(place, change))) => self.unit_changed(place, change),
                Ok(None) => return None,
                Err(misused) => self.misused(misused),
            }
        }
    }

    fn has_answers(&self) -> bool {
        self.done.count() > 0
    }

    fn kick(&mut self) {
        if core::mem::take(&mut self.staged) {
            self.counters.kicks += self.port.publish();
        }
    }

    #[inline]
    fn expire(&mut self) -> bool {
        // Answers may have left commands to show, which the caller's next kick does.
        let due = self.now >= self.watch || self.port.deadline().is_some_and(|at| self.now >= at);
        (due && self.alive && self.overdue()) || self.staged
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.alive {
            return None;
        }
        let watch = self.port.deadline().map_or(self.watch, |at| at.min(self.watch));
        (watch != Instant(u64::MAX) || self.port.has_events()).then_some(watch)
    }

    fn depth(&self) -> u16 {
        self.depth
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
        self.units.iter_mut().for_each(|unit| unit.refresh());
        self.watch_until(self.now);
    }

    fn health(&self, unit: Unit) -> Option<&Health> {
        self.units.get(usize::from(unit.0)).filter(|unit| unit.serves).map(|unit| unit.health())
    }

    fn describe(&self, unit: Unit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(unit) = self.units.get(usize::from(unit.0)) else { return Ok(()) };
        let (limits, who) = (unit.limits().unwrap_or_default(), unit.inquiry());
        let word = |yes, word| if yes { word } else { "" };
        write!(
            f,
            "{}, {}: {} {} {}, {} blocks of {} bytes, {} requests in flight{}{}{}",
            P::NAME,
            unit.place,
            who.vendor,
            who.product,
            who.revision,
            limits.capacity,
            limits.block.bytes(),
            self.depth,
            word(limits.volatile_cache, ", volatile cache"),
            word(limits.discard_granularity != 0, ", discard"),
            word(limits.read_only, ", read-only"),
        )?;
        self.port.describe(f)
    }
}
