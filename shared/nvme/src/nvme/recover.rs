// SPDX-License-Identifier: MIT
//! What is done when the controller does not do what it should: an abort, a reset, and at last nothing more.
use super::bring::Phase;
use super::slots::{Slot, State};
use super::{Nvme, RESETS_MAX};
use crate::Fault;
use crate::queues::Queues;
use crate::wire::register::{self, GONE, cc, csts};
use orion_block::{Completion, Error, Instant};
use orion_driver::Registers;

/// Nanoseconds that a request has to end after it was asked to be aborted; after that the controller is reset.
const GRACE_NS: u64 = 2_000_000_000;
/// So often the status is looked at while the controller starts or stops.
const POLL_NS: u64 = 1_000_000;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// What is to be done when the watch has run out; whether there are answers to take, or requests are taken again.
    #[cold]
    #[inline(never)]
    pub(super) fn overdue(&mut self) -> bool {
        let was_open = self.open;
        if !self.timed {
            self.arm();
        }
        let status = self.registers.read32(register::CSTS);
        match self.phase {
            Phase::Dead(_) => {}
            Phase::Ready if status != GONE => self.look(status),
            _ => self.step(status),
        }
        if self.phase == Phase::Ready && status == GONE {
            self.die(Fault::Gone);
        }
        self.attend();
        self.done.count() > 0 || self.queues.pending() || self.open != was_open
    }

    /// Looks after a controller that serves.
    fn look(&mut self, status: u32) {
        if status & csts::CFS != 0 {
            self.counters.misused += 1;
            return self.restart("the controller says that it failed", Fault::Fatal);
        }
        if status & csts::RDY == 0 {
            self.counters.misused += 1;
            return self.restart("the controller stopped by itself", Fault::Misbehaves);
        }
        self.poll_admin();
        // A driver that was not run for long must not blame the device.
        if self.phase != Phase::Ready || self.queues.pending() {
            if !core::mem::take(&mut self.told) {
                // It keeps its interrupts back until it is given back what it wrote.
                self.queues.hasten();
            }
            return;
        }
        self.told = false;
        let held = self.slots.iter().filter(|slot| slot.state.is_held());
        let lost = held.clone().any(|slot| slot.deadline.after(GRACE_NS) <= self.now);
        if lost || self.admin.job.is_some() && self.admin.until <= self.now || self.order_late() {
            self.counters.timeouts += 1;
            let what = if lost { "a request took too long" } else { "an administrative command took too long" };
            return self.restart(what, Fault::Misbehaves);
        }
        self.abort();
        if self.orders.is_active() || self.zoned.is_wanted() {
            self.next_job();
        }
    }

    /// Asks for a request to be aborted that has taken too long (5.1): one after the other, the controller need not take more.
    fn abort(&mut self) {
        let mut slots = (0..).zip(&mut self.slots);
        let late = slots.find(|(_, slot)| slot.state.is_held() && !slot.aborted && slot.deadline <= self.now);
        if let Some((slot, record)) = late.filter(|_| self.admin.wanted.abort.is_none()) {
            record.aborted = true;
            self.admin.wanted.abort = Some(slot);
            self.next_job();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn misused(&mut self, what: &'static str) {
        self.counters.misused += 1;
        self.restart(what, Fault::Misbehaves);
    }

    /// Resets the controller and makes it ready again if it may be; if not, `fault` is why.
    #[cold]
    #[inline(never)]
    pub(super) fn restart(&mut self, what: &'static str, fault: Fault) {
        self.fault = Some(what);
        self.resets = self.resets.saturating_add(1);
        if self.resets > RESETS_MAX { self.die(fault) } else { self.begin() }
    }

    /// Leaves the controller alone. Without access to memory it can write into no buffer.
    #[cold]
    #[inline(never)]
    pub(super) fn die(&mut self, fault: Fault) {
        let config = self.registers.read32(register::CC);
        if config != GONE {
            self.queues.discard(&self.registers, self.entries);
            self.admin.discard(&self.registers);
            self.registers.write32(register::CC, config & !cc::EN);
        }
        self.registers.set_dma(false);
        self.phase = Phase::Dead(fault);
        self.fault = Some(fault.text());
        (self.open, self.changed) = (true, true);
        self.disks.iter_mut().for_each(|disk| disk.present = false);
        self.queues.close();
        self.admin.job = None;
        self.admin.beside = None;
        self.order_lost();
        self.forget_zone();
        self.answer_held(|_, _| Some(Error::Offline));
        self.attend();
    }

    /// Answers those of the requests that the controller holds, or held, for which there is an error.
    pub(super) fn answer_held(&mut self, error: impl Fn(Instant, Instant) -> Option<Error>) {
        for (slot, record) in (0..).zip(&mut self.slots) {
            let Slot { state, deadline, tag, .. } = *record;
            if let Some(error) = error(deadline, self.now).filter(|_| state.is_held()) {
                record.state = State::Free;
                self.free.give(slot);
                self.done.push(tag, Completion::error(error));
            }
        }
    }

    /// Finds out when there is something to be done next.
    pub(super) fn attend(&mut self) {
        let (serves, dead) = (self.phase == Phase::Ready, matches!(self.phase, Phase::Dead(_)));
        self.busy = !dead && (!serves || self.admin.job.is_some() || self.orders.is_active());
        let mut next = Instant(u64::MAX);
        if serves && !self.free.is_full() {
            next = self.next_check();
            for slot in self.slots.iter().filter(|slot| slot.state.is_held()) {
                let due = if slot.aborted { slot.deadline.after(GRACE_NS) } else { slot.deadline };
                // What is overdue already waits for an abort before it, or for the next check.
                next = if due > self.now { next.min(due) } else { next };
            }
        }
        if serves && self.orders.is_active() {
            next =
                next.min(self.orders.due(self.now.after(POLL_NS)).max(self.now.after(POLL_NS))).min(self.next_check());
        }
        if self.admin.job.is_some() {
            next = next.min(self.admin.until).min(self.next_check());
        } else if self.busy && !serves {
            next = self.now.after(POLL_NS);
        }
        self.watch = if self.timed || dead { next } else { self.now };
    }
}
