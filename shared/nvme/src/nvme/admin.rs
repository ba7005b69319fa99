// SPDX-License-Identifier: MIT
//! The administrative queues: one command at a time beside requests for events, so that answers need no table.
use super::Nvme;
use super::bring::Phase;
use super::jobs::Job;
use super::memory::{ADMIN_ENTRIES, Memory};
use super::orders::Ask;
use crate::queue::{Completion, Submission};
use crate::queues::Queues;
use crate::wire::Command;
use crate::wire::command::{admin, page};
use crate::wire::register::Capabilities;
use orion_block::Instant;
use orion_driver::Registers;

/// What the one command is called.
const JOB: u16 = 0;
/// What a command of an order is called that may take long.
const BESIDE: u16 = 1;
/// What the first request for an event is called.
const EVENT: u16 = 0x100;
/// Requests for events at most.
const EVENTS_MAX: u8 = 2;
/// Nanoseconds that a command may take.
const ADMIN_NS: u64 = 10_000_000_000;

/// What is to be asked when there is nothing more urgent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// A request to be aborted.
    pub abort: Option<u16>,
    /// Events are to be turned on.
    pub events: bool,
    /// Log pages below 16, by their numbers' bits.
    pub logs: u16,
    /// Another log page, whose reading clears an event.
    pub page: Option<u8>,
    /// Units to be identified again, by their numbers' bits.
    pub units: u16,
    /// In which power state the controller is.
    pub power: bool,
}

/// The administrative queues.
#[derive(Debug)]
pub struct Admin {
    commands: Submission,
    answers: Completion,
    /// The command that is waited for.
    pub job: Option<Job>,
    /// A command that may take long.
    pub beside: Option<Ask>,
    /// When it must have been answered.
    pub until: Instant,
    /// What comes next.
    pub wanted: Wanted,
    /// Events are turned on, so many at a time.
    pub events: u8,
    /// Requests for events that the controller has, by their numbers' bits.
    asked: u8,
}

impl Admin {
    /// Empty queues.
    pub fn new(memory: &Memory, capabilities: Capabilities, messages: bool) -> Self {
        let (commands, answers) = memory.admin(capabilities, messages);
        let until = Instant(u64::MAX);
        Self { commands, answers, job: None, beside: None, until, wanted: Wanted::default(), events: 0, asked: 0 }
    }

    /// Whether the controller has answered anything.
    pub fn pending(&self) -> bool {
        self.answers.pending()
    }

    /// Takes what was answered, as if it were not there.
    pub fn discard(&mut self, registers: &impl Registers) {
        self.answers.discard(registers, ADMIN_ENTRIES);
    }
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Sends the one command.
    pub(super) fn ask(&mut self, job: Job) {
        let command = self.command(job);
        self.admin.job = Some(job);
        self.admin.until = self.within(ADMIN_NS);
        self.admin.commands.push(command.called(JOB));
        self.admin.commands.kick(&self.registers);
    }

    /// Sends a command of an order beside the one.
    pub(super) fn ask_beside(&mut self, ask: Ask) {
        self.admin.beside = Some(ask);
        let command = self.order_command(ask);
        self.admin.commands.push(command.called(BESIDE));
        self.admin.commands.kick(&self.registers);
    }

    /// Takes what the controller has answered.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_admin(&mut self) {
        // A controller that answers faster than it is asked must not keep this going.
        for _ in 0..2 * ADMIN_ENTRIES {
            let result = self.admin.answers.result();
            let Some(answer) = self.admin.answers.pop() else { break };
            let event = answer.id().checked_sub(EVENT).filter(|event| *event < EVENTS_MAX.into());
            match (answer.id(), event) {
                (JOB, _) if self.admin.job.is_some() => {
                    if let Some(job) = self.admin.job.take() {
                        self.job_ended(job, answer.status(), low(result));
                    }
                }
                (BESIDE, _) if self.admin.beside.is_some() => {
                    if let Some(ask) = self.admin.beside.take() {
                        self.order_answered(ask, answer.status(), low(result));
                    }
                }
                (_, Some(event)) if self.admin.asked >> event & 1 != 0 => {
                    self.admin.asked &= !(1 << event);
                    self.event(answer.status(), result);
                }
                _ => self.misused("the controller answered an administrative command that it does not hold"),
            }
            if !matches!(self.phase, Phase::Ready | Phase::Admin) {
                break;
            }
        }
        // Where it was stopped meanwhile, there is nothing to give back.
        self.admin.answers.release(&self.registers);
        self.next_job();
    }

    /// Something happened (5.2): its log page says what, and is read, because until then the controller keeps such events back.
    fn event(&mut self, status: u16, result: u64) {
        let [kind, _, log, ..] = result.to_le_bytes();
        if status != 0 {
            // It wants no more of them.
            self.admin.events = 0;
            return;
        }
        match log {
            page::ERRORS | page::HEALTH | page::FIRMWARE | page::CHANGED | page::ACCESS => {
                self.admin.wanted.logs |= 1 << log
            }
            // Which namespace's is in the second dword.
            page::CHANGED_ZONES => self.zones_changed(low(result >> 32)),
            0 => {}
            other => self.admin.wanted.page = Some(other),
        }
        if log == page::HEALTH && kind & 7 == 1 {
            self.fault = Some("the controller warns of its health: see `orion health`");
        }
    }

    /// Asks what is to be asked, unless the controller is being asked something.
    pub(super) fn next_job(&mut self) {
        if self.phase != Phase::Ready || self.admin.job.is_some() {
            return;
        }
        let wanted = &mut self.admin.wanted;
        if let Some(slot) = wanted.abort.take() {
            return self.ask(Job::Abort(slot));
        }
        if core::mem::take(&mut wanted.events) {
            return self.ask(Job::Events);
        }
        // Which namespaces changed comes before they are looked at.
        if let Some(log) = [page::CHANGED, page::ACCESS, page::ERRORS, page::FIRMWARE, page::HEALTH]
            .into_iter()
            .find(|log| wanted.logs >> log & 1 != 0)
        {
            wanted.logs &= !(1 << log);
            return self.ask(Job::Log(log));
        }
        if core::mem::take(&mut self.power.wanted) {
            return self.ask(Job::Rest);
        }
        let wanted = &mut self.admin.wanted;
        if core::mem::take(&mut wanted.power) {
            return self.ask(Job::PowerState);
        }
        if let Some(log) = wanted.page.take() {
            return self.ask(Job::Log(log));
        }
        if let Some(namespace) = self.zoned.next_list() {
            return self.ask(Job::ChangedZones(namespace));
        }
        let wanted = &mut self.admin.wanted;
        if wanted.units != 0 {
            let unit = wanted.units.trailing_zeros();
            wanted.units &= wanted.units - 1;
            return self.ask(Job::Namespace(u8::try_from(unit).unwrap_or(0)));
        }
        if let Some(job) = self.next_step() {
            return self.ask(job);
        }
        // What has just ended may have left namespaces to look at.
        if self.admin.wanted.units != 0 {
            return self.next_job();
        }
        self.look_at_zones();
        self.ask_for_events();
    }

    /// Gives the controller back the requests for events that it has answered.
    fn ask_for_events(&mut self) {
        for event in 0..self.admin.events.min(EVENTS_MAX) {
            if self.admin.asked >> event & 1 == 0 {
                self.admin.asked |= 1 << event;
                self.admin.commands.push(Command::admin(admin::EVENT, 0, 0).called(EVENT + u16::from(event)));
            }
        }
        self.admin.commands.kick(&self.registers);
    }

    /// `ns` nanoseconds from now; never while the time is not known.
    pub(super) fn within(&self, ns: u64) -> Instant {
        if self.timed { self.now.after(ns) } else { Instant(u64::MAX) }
    }

    /// The engine has been told the time: what it began before counts from now on.
    pub(super) fn arm(&mut self) {
        self.timed = true;
        self.until = self.within(self.capabilities.ready_ns());
        self.admin.until = self.within(ADMIN_NS);
    }
}

/// The first dword of two.
fn low(result: u64) -> u32 {
    u32::try_from(result & 0xffff_ffff).unwrap_or(0)
}
