// SPDX-License-Identifier: MIT
//! The driver as the PD around it sees it.
use super::{Nvme, UNITS};
use crate::queues::Queues;
use crate::wire::command::page;
use core::fmt;
use orion_block::{Completion, Error, Instant, Limits, Request, Route};
use orion_driver::{Counters, Engine, Health, Registers, Text, Unit, Zones};
use orion_metrics::{Figures, Reply, Row, Work};

impl<R: Registers, T: Copy + Default, Q: Queues> Engine<T> for Nvme<R, T, Q> {
    const UNITS: u8 = UNITS;

    fn set_time(&mut self, now: Instant) {
        self.now = now;
        self.deadline = now.after(self.timeout_ns);
    }

    #[inline]
    fn interrupted(&mut self) {
        self.told = true;
        // Messages need no acknowledgement, and a pin falls when the completion queues' heads have moved.
        if self.admin.pending() {
            self.poll_admin();
            self.attend();
        }
    }

    fn limits(&self, Unit(unit): Unit) -> Option<Limits> {
        let disk = self.disks.get(usize::from(unit)).filter(|disk| disk.present && self.known)?;
        Some(Limits { queue_depth: self.depth_now(), ..disk.limits })
    }

    #[inline]
    fn has_room(&self, _: Unit) -> bool {
        // Each answer that waits was a request that had room.
        self.open && self.free.count() > self.done.count()
    }

    #[inline]
    fn start(&mut self, unit: Unit, tag: T, req: &Request) {
        if let Err(error) = self.admit(unit, tag, req) {
            self.done.push(tag, Completion::error(error));
        }
    }

    #[inline]
    fn lane(&mut self, client: u8) {
        self.queues.lane(client);
    }

    fn finished(&mut self) -> Option<(T, Completion)> {
        loop {
            if let Some(done) = self.done.pop() {
                return Some(done);
            }
            let Some(answer) = self.queues.pop() else {
                self.queues.release(&self.registers);
                return None;
            };
            if let Some(done) = self.answered(answer) {
                return Some(done);
            }
        }
    }

    #[inline]
    fn drain(&mut self, mut each: impl FnMut(T, Completion)) {
        loop {
            while let Some(answer) = self.queues.pop() {
                // Nobody then has to ask how that went.
                match self.well(answer) {
                    Some((tag, blocks)) => each(tag, Completion::ok(blocks)),
                    None => self.put_by(answer),
                }
            }
            self.queues.release(&self.registers);
            let Some((tag, done)) = self.done.pop() else { return };
            each(tag, done);
        }
    }

    fn has_answers(&self) -> bool {
        self.done.count() > 0
    }

    #[inline]
    fn kick(&mut self) {
        self.counters.kicks += self.queues.kick(&self.registers);
    }

    #[inline]
    fn expire(&mut self) -> bool {
        self.now >= self.watch && (self.busy || !self.free.is_full()) && self.overdue()
    }

    fn deadline(&self) -> Option<Instant> {
        (self.busy || !self.free.is_full()).then_some(self.watch)
    }

    fn depth(&self) -> u16 {
        self.depth_now()
    }

    fn figures(&self) -> Figures {
        self.counters().figures(&self.figures, self.ended, self.in_flight())
    }

    fn counters(&self) -> Counters {
        // Both doorbells: what is given back is counted where it is, and only since the last reset.
        Counters { kicks: self.counters.kicks + self.queues.rung(), ..self.counters }
    }

    fn take_fault(&mut self) -> Option<&'static str> {
        self.fault.take()
    }

    fn take_change(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    fn refresh(&mut self) {
        self.admin.wanted.logs |= 1 << page::HEALTH | 1 << page::FIRMWARE | 1 << page::ERRORS;
        self.admin.wanted.power = self.power.is_known();
        self.count_zones();
        self.next_job();
        self.attend();
    }

    fn order(&mut self, sequence: u32, work: &Work) -> Reply {
        self.take_order(sequence, work)
    }

    fn report(&self, index: usize) -> Option<Row> {
        self.orders.row(index)
    }

    fn zones(&self, Unit(unit): Unit) -> Option<Zones> {
        self.zones_of(unit)
    }

    fn append(&mut self, unit: Unit, tag: T, req: &Request) -> Result<(), Error> {
        self.take_append(unit, tag, req)
    }

    fn health(&self, _: Unit) -> Option<&Health> {
        self.known.then_some(&self.health)
    }

    fn identity(&self, Unit(unit): Unit) -> Text {
        self.disks.get(usize::from(unit)).map_or(Text::default(), |disk| disk.names.text())
    }

    fn route(&self, unit: Unit) -> Route {
        self.route_of(unit)
    }

    fn describe(&self, Unit(unit): Unit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(disk) = self.disks.get(usize::from(unit)) else { return Ok(()) };
        let (limits, version) = (disk.limits, self.controller.version.get());
        let word = |yes, word| if yes { word } else { "" };
        write!(
            f,
            "NVMe {}.{}, {}, serial {}, namespace {}, {} blocks of {} bytes, {} requests in flight{}{}{}{}{}{}{}{}{}",
            version >> 16,
            version >> 8 & 0xff,
            self.health.model,
            self.health.serial,
            disk.id,
            limits.capacity,
            limits.block.bytes(),
            self.depth_now(),
            Pairs(self.pairs),
            word(self.weighted(), ", weighted"),
            word(self.sgl, ", SGL"),
            word(self.queues.is_shadowed(), ", shadow doorbells"),
            word(limits.volatile_cache, ", volatile cache"),
            word(limits.discard_granularity != 0, ", discard"),
            word(disk.protection != 0, ", protection information"),
            word(disk.names.set == crate::wire::zone::SET, ", zoned"),
            word(limits.read_only, ", read-only"),
        )
    }
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    fn depth_now(&self) -> u16 {
        self.memory.slots(self.entries)
    }
}

/// More than one pair of queues, for people.
struct Pairs(u8);

impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, ", {} queues", self.0) } else { Ok(()) }
    }
}
