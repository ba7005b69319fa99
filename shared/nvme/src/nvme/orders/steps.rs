// SPDX-License-Identifier: MIT
//! What comes next of an order, and what the controller's answers mean for it.
use super::{Ask, DRAIN_NS, LONG_NS, LOOK_NS, SPACES_MAX, Step, shown};
use crate::nvme::Nvme;
use crate::nvme::jobs::Job;
use crate::queues::Queues;
use crate::wire::controller::oacs;
use crate::wire::manage::{Sanitize, SanitizeLog};
use crate::wire::{Namespace, status};
use orion_driver::Registers;
use orion_metrics::{DiskWork, Progress, Verb};
use zerocopy::byteorder::little_endian::U32;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// The next command of the order that is under way, where the controller is not being asked anything else. One that may take
    /// long is sent beside.
    pub(in crate::nvme) fn next_step(&mut self) -> Option<Job> {
        let now = self.now;
        let task = self.orders.task.as_mut()?;
        match task.step {
            Step::Drain => {
                let held = task.held;
                let busy = |unit: u8| held.checked_shr(unit.into()).unwrap_or(0) & 1 != 0;
                if !self.slots.iter().any(|slot| slot.state.is_held() && busy(slot.unit)) {
                    let planned = task.work;
                    let ask = self.planned(&planned).map(|(ask, _)| ask);
                    return self.drained(ask.ok());
                }
                if task.until <= now {
                    self.order_ended(Progress::Failed, 0, "requests in flight do not end");
                }
                None
            }
            Step::Next(ask @ (Ask::Zones | Ask::Zone | Ask::Verify)) => {
                task.look = now.after(LOOK_NS);
                self.ask_zone(ask);
                None
            }
            Step::Next(ask) => {
                task.step = Step::Sent(ask);
                task.look = now.after(LOOK_NS);
                self.orders.progress(Progress::Runs);
                if !ask.is_long() {
                    return Some(Job::Order(ask));
                }
                let until = self.within(LONG_NS);
                if let Some(task) = &mut self.orders.task {
                    task.until = until;
                }
                self.ask_beside(ask);
                None
            }
            Step::Sent(Ask::Format) if task.look <= now => {
                task.look = now.after(LOOK_NS);
                Some(Job::FormatLeft(task.work.unit))
            }
            Step::Sanitizing if task.look <= now => {
                task.look = now.after(LOOK_NS);
                Some(Job::Sanitize)
            }
            Step::Sent(_) | Step::Sanitizing => None,
            Step::Settle => {
                let back = self.disks.iter().zip(0..).any(|(disk, unit)| task.held >> unit & 1 != 0 && disk.present);
                let gone = task.held != 0 && !back && task.work.verb == Verb::Format;
                let note = if gone { "other blocks: used after a new start" } else { "" };
                self.order_ended(Progress::Done, 0, note);
                self.admin.wanted.units = 0;
                None
            }
        }
    }

    /// Nothing is in flight any more.
    fn drained(&mut self, ask: Option<Ask>) -> Option<Job> {
        let Some(ask) = ask else {
            self.order_ended(Progress::Failed, 0, "the disk has changed meanwhile");
            return None;
        };
        if let Some(task) = &mut self.orders.task {
            task.step = Step::Next(ask);
        }
        self.next_step()
    }

    /// The controller has answered a command of the order.
    pub(in crate::nvme) fn order_answered(&mut self, ask: Ask, status: u16, result: u32) {
        let Some(task) = self.orders.task.filter(|task| task.step == Step::Sent(ask)) else { return };
        let done = status == 0;
        let next = match ask {
            Ask::Verify => return self.checked(status),
            // It was done before a reset of the controller, and nobody knew.
            Ask::Delete(_) if status & 0x7ff == status::INVALID_NAMESPACE && task.work.verb == Verb::Delete => {
                Step::Next(Ask::Attached)
            }
            // A list that is not offered: those that are attached are all that is known.
            Ask::Allocated if !done => Step::Next(Ask::Space(0)),
            Ask::Attached | Ask::Space(_) if !done && task.work.verb != Verb::Namespaces => Step::Settle,
            _ if !done => return self.order_refused(status),
            Ask::Format | Ask::Power | Ask::Zones | Ask::Zone => Step::Settle,
            Ask::Rest => {
                self.power.agreed(done);
                Step::Settle
            }
            Ask::Sanitize => Step::Sanitizing,
            Ask::Create => {
                self.orders.row.value = u64::from(result).into();
                Step::Next(Ask::Attach(result))
            }
            Ask::Attach(_) | Ask::Detach(_) | Ask::Delete(_) => Step::Next(Ask::Attached),
            Ask::Attached => {
                self.orders.found.are_attached(&self.listed_ids());
                Step::Next(if self.manages_namespaces() { Ask::Allocated } else { Ask::Space(0) })
            }
            Ask::Allocated => {
                self.orders.found.are(&self.listed_ids());
                Step::Next(Ask::Space(0))
            }
            Ask::Space(at) => self.space_found(at),
        };
        // Whatever was looked up to, it is not looked up to for ever.
        let next = if matches!(next, Step::Next(Ask::Space(at)) if self.orders.found.id(at).is_none()) {
            Step::Settle
        } else {
            next
        };
        self.order_goes_on(next);
    }

    pub(super) fn order_goes_on(&mut self, next: Step) {
        let (now, until) = (self.now, self.within(DRAIN_NS));
        let Some(task) = &mut self.orders.task else { return };
        (task.step, task.look, task.until) = (next, now, until);
        if next == Step::Settle {
            let held = task.held;
            let all =
                matches!(task.work.verb, Verb::Create | Verb::Attach | Verb::Detach | Verb::Delete | Verb::Sanitize);
            self.admin.wanted.units |= if all { self.all_units() } else { held };
            for (unit, disk) in (0..).zip(&mut self.disks) {
                disk.held_back &= held >> unit & 1 == 0;
            }
        }
    }

    /// The identifiers that the controller has written.
    fn listed_ids(&self) -> [u32; SPACES_MAX] {
        self.memory.load::<[U32; SPACES_MAX]>().map(U32::get)
    }

    /// A namespace was looked at: the next, if there is one.
    fn space_found(&mut self, at: u8) -> Step {
        let space: Namespace = self.memory.load();
        if let Some(id) = self.orders.found.id(at) {
            let attached = self.orders.found.is_attached(at);
            self.orders.found.push(shown(0, id, attached, &space));
        }
        Step::Next(Ask::Space(at.saturating_add(1)))
    }

    /// How much of a format is left.
    pub(in crate::nvme) fn format_left(&mut self, done: bool) {
        let left = self.memory.load::<Namespace>().format_left;
        if done && left & 0x80 != 0 && self.orders.is_active() {
            self.orders.row.permille = (1000 - u16::from(left & 0x7f).min(100) * 10).into();
        }
    }

    /// How far the device is that sanitizes; it may have been told by somebody else, or by an earlier life of this driver.
    pub(in crate::nvme) fn sanitize_looked(&mut self, done: bool) {
        let state = if done { self.memory.load::<SanitizeLog>().state() } else { Sanitize::Never };
        let ours = self.orders.task.is_some_and(|task| task.step == Step::Sanitizing);
        match state {
            Sanitize::Runs(permille) => {
                if !ours {
                    self.sanitize_found();
                }
                self.orders.row.permille = permille.into();
            }
            Sanitize::Done if ours => self.order_goes_on(Step::Settle),
            Sanitize::Failed if ours => {
                self.order_ended(Progress::Failed, status::SANITIZE_FAILED, "it could not be sanitized")
            }
            // A log that says nothing of it: the controller forgot.
            Sanitize::Never if ours && done => self.order_ended(Progress::Failed, 0, "the device knows of no sanitize"),
            Sanitize::Done | Sanitize::Failed | Sanitize::Never => {}
        }
    }

    /// The device sanitizes, and this life of the driver has not told it to.
    fn sanitize_found(&mut self) {
        // Whatever else is under way fails by itself.
        if self.orders.is_active() {
            return;
        }
        let held = self.all_units();
        let (verb, now) = (Verb::Sanitize, self.now);
        let progress = Progress::Runs.number();
        self.orders.row = DiskWork { verb: verb.number(), progress, ..DiskWork::none(0) };
        let work = orion_metrics::Work::new(verb, 0);
        self.orders.task =
            Some(super::Task { work, step: Step::Sanitizing, held, until: self.within(DRAIN_NS), look: now });
        self.hold(held);
    }

    /// Whether there is more to namespaces than those that are attached.
    pub(super) fn manages_namespaces(&self) -> bool {
        self.controller.manages(oacs::NAMESPACES)
    }
}
