// SPDX-License-Identifier: MIT
//! Bringing the controller up from any state (sections 3.1.5 and 7.6.1): it may take seconds, as many as it says.
use super::Nvme;
use super::admin::Admin;
use super::jobs::Job;
use super::memory::ADMIN_ENTRIES;
use super::slots::State;
use crate::Fault;
use crate::queues::{Queues, Terms};
use crate::wire::command::page;
use crate::wire::register::{self, Capabilities, GONE, cc, csts};
use orion_block::{Completion, Error};
use orion_driver::Registers;

/// How often the status is read before the engine waits for the clock instead: of what the driver does at first, and of what it
/// does while others wait. One read takes 0.1 to 10 microseconds.
const FIRST_READS: u32 = 100_000;
const READS: u32 = 2_000;

/// How far the controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was being enabled when we came: it must not be stopped before it is ready.
    Settle,
    /// It stops.
    Disable,
    /// It becomes ready.
    Enable,
    /// It is asked what it is.
    Admin,
    /// It serves.
    Ready,
    /// It is left alone.
    Dead(Fault),
}

/// What the controller can do.
pub fn capabilities(registers: &impl Registers) -> Result<Capabilities, Fault> {
    if registers.read32(register::CSTS) == GONE {
        return Err(Fault::Gone);
    }
    let capabilities = Capabilities(registers.read64(register::CAP));
    if registers.read32(register::VS) >> 16 == 0 {
        return Err(Fault::NotNvme);
    }
    if !capabilities.nvm() || !capabilities.small_pages() {
        return Err(Fault::Capabilities);
    }
    if registers.len() < register::DOORBELLS + 4 * capabilities.stride() || capabilities.stride() > 1 << 10 {
        return Err(Fault::Registers);
    }
    Ok(capabilities)
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Stops the controller, and makes it ready if that does not take long.
    pub(super) fn begin(&mut self) {
        self.open = false;
        self.queues.discard(&self.registers, self.entries);
        self.admin.discard(&self.registers);
        self.disable();
        self.spin(if self.timed { READS } else { FIRST_READS });
    }

    /// Goes on without being told the time.
    fn spin(&mut self, reads: u32) {
        for _ in 0..reads {
            if matches!(self.phase, Phase::Ready | Phase::Dead(_)) {
                break;
            }
            let status = self.registers.read32(register::CSTS);
            self.step(status);
        }
        self.attend();
    }

    /// Clears EN, as soon as that is allowed.
    fn disable(&mut self) {
        let (config, status) = (self.registers.read32(register::CC), self.registers.read32(register::CSTS));
        self.until = self.within(self.capabilities.ready_ns());
        if config & cc::EN != 0 && status & (csts::RDY | csts::CFS) == 0 {
            self.phase = Phase::Settle;
        } else {
            self.clear_enable();
        }
    }

    fn clear_enable(&mut self) {
        let config = self.registers.read32(register::CC);
        if config != GONE && config & cc::EN != 0 {
            self.registers.write32(register::CC, config & !(cc::EN | cc::SHN));
        }
        self.until = self.within(self.capabilities.ready_ns());
        self.phase = Phase::Disable;
    }

    /// Goes on if the controller is so far, which has this status.
    pub(super) fn step(&mut self, status: u32) {
        let over = self.now >= self.until;
        if status == GONE {
            return self.die(Fault::Gone);
        }
        match self.phase {
            Phase::Settle if over || status & (csts::RDY | csts::CFS) != 0 => self.clear_enable(),
            Phase::Disable if status & csts::RDY == 0 => self.stopped(),
            Phase::Disable if over => self.die(Fault::Disable),
            Phase::Enable | Phase::Admin if status & csts::CFS != 0 => {
                self.restart("the controller says that it failed while it was started", Fault::Fatal);
            }
            Phase::Enable if status & csts::RDY != 0 => {
                self.phase = Phase::Admin;
                self.ask(Job::Controller);
            }
            Phase::Enable if over => self.die(Fault::Enable),
            Phase::Admin => {
                self.poll_admin();
                if self.phase == Phase::Admin && self.admin.job.is_some() && self.now >= self.admin.until {
                    self.counters.timeouts += 1;
                    self.restart("the controller does not answer administrative commands", Fault::Admin);
                }
            }
            _ => {}
        }
    }

    /// The controller has stopped: from here on it neither reads nor writes memory. Answers what has waited for too long, and
    /// enables the controller again.
    fn stopped(&mut self) {
        self.forget_zone();
        self.answer_held(|deadline, now| (deadline <= now).then_some(Error::TimedOut));
        let messages = self.registers.messages();
        self.counters.kicks += self.queues.rung();
        let by_kind = self.weighted();
        self.pairs = self.wishes.pairs(self.memory.pairs(&self.registers, self.capabilities).min(Q::MOST));
        let terms = Terms { entries: self.entries, pairs: self.pairs, by_kind, messages };
        self.queues = Q::new(&self.memory, self.capabilities, terms);
        self.admin = Admin::new(&self.memory, self.capabilities, messages);
        let [commands, answers] = self.memory.admin_addresses();
        let size = u32::from(ADMIN_ENTRIES - 1);
        self.registers.write32(register::AQA, size << 16 | size);
        self.registers.write64(register::ASQ, commands);
        self.registers.write64(register::ACQ, answers);
        self.registers.set_dma(true);
        let arbitration = if by_kind { cc::WEIGHTED } else { 0 };
        let sets = if self.capabilities.sets() { cc::SETS } else { 0 };
        self.registers.write32(register::CC, cc::ENTRIES | sets | arbitration | cc::EN);
        self.until = self.within(self.capabilities.ready_ns());
        self.phase = Phase::Enable;
    }

    /// Whether the controller is to arbitrate by weight, and can.
    pub(super) fn weighted(&self) -> bool {
        Q::MOST > 1 && self.wishes.weighted && self.capabilities.weighted()
    }

    /// The controller serves: sends again what it had not answered before it was reset.
    pub(super) fn ready(&mut self) {
        let present = self.disks.iter().any(|disk| disk.present || disk.held_back);
        if !present && !self.known {
            return self.die(Fault::Namespaces);
        }
        self.phase = Phase::Ready;
        (self.open, self.known) = (true, true);
        let gone = self.disks.map(|disk| !disk.present);
        for slot in (0..).take(self.slots.len()) {
            let Some(record) = self.slots.get_mut(usize::from(slot)).filter(|record| record.state.is_held()) else {
                continue;
            };
            if gone.get(usize::from(record.unit)) == Some(&true) {
                record.state = State::Free;
                self.free.give(slot);
                self.done.push(record.tag, Completion::error(Error::Offline));
            } else {
                // What was aborted goes on as if nothing had been.
                record.aborted = false;
                let zoned = self.disks.get(usize::from(record.unit)).is_some_and(super::disk::Disk::is_zoned);
                record.state = record.state.again(zoned);
                if record.state != State::Waits {
                    self.send(slot);
                }
            }
        }
        self.go_on_in_zones();
        self.queues.kick(&self.registers);
        self.order_after_reset();
        // A reset undoes it.
        self.power.wanted = self.power.bound_us != 0 && self.can_rest();
        self.admin.wanted.events = true;
        self.admin.wanted.logs = 1 << page::HEALTH | 1 << page::FIRMWARE;
        self.next_job();
    }
}
