// SPDX-License-Identifier: MIT
//! What follows from an answer to what the driver itself has asked.
use super::Nvme;
use super::jobs::{Job, NAMES_SINCE};
use crate::Fault;
use crate::queues::Queues;
use crate::wire::controller::oacs;
use orion_driver::Registers;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// The controller has answered.
    pub(super) fn job_ended(&mut self, job: Job, status: u16, result: u32) {
        let done = status == 0;
        let next = match job {
            Job::SanitizeFirst | Job::List | Job::Namespace(_) | Job::Names(_) | Job::Zoned(_) | Job::Appends(_) => {
                self.namespace_ended(job, done)
            }
            Job::Controller
            | Job::Queues
            | Job::Weights
            | Job::Gather
            | Job::Cache
            | Job::Answers(_)
            | Job::Commands(_)
            | Job::Doorbells => self.queues_ended(job, done, result),
            _ => {
                self.question_ended(job, status, result);
                Ok(None)
            }
        };
        match next {
            Ok(Some(next)) => self.ask(next),
            Ok(None) => {}
            Err(fault) => self.die(fault),
        }
    }

    /// A step from the controller's own description to its queues; the next one.
    fn queues_ended(&mut self, job: Job, done: bool, result: u32) -> Result<Option<Job>, Fault> {
        Ok(match job {
            Job::Controller => {
                self.identified(done)?;
                Some(Job::Queues)
            }
            Job::Queues => {
                // Granted are so many, less one; 0 where it does not say.
                let granted = if done { (result & 0xffff).min(result >> 16) } else { 0 };
                self.pairs = self.pairs.min(u8::try_from(granted).unwrap_or(u8::MAX).saturating_add(1));
                Some(if self.weighted() { Job::Weights } else { self.after_weights() })
            }
            Job::Weights => Some(self.after_weights()),
            // Who cannot hold interrupts back says so, and sends them.
            Job::Gather => Some(self.after_gather()),
            Job::Cache => {
                // One that does not say so has its cache on.
                self.volatile_cache = !done || result & 1 != 0;
                Some(Job::Answers(1))
            }
            Job::Answers(1) | Job::Commands(1) if !done => return Err(Fault::Queues),
            Job::Answers(pair) if done => Some(Job::Commands(pair)),
            Job::Commands(pair) if done && pair < self.pairs => Some(Job::Answers(pair + 1)),
            Job::Answers(pair) | Job::Commands(pair) => {
                // Those before it are enough.
                self.pairs = if done { pair } else { pair - 1 };
                self.queues.granted(self.pairs);
                // Under a pin the register is what lowers it.
                let shadows = self.controller.manages(oacs::DOORBELLS) && self.registers.messages();
                Some(if shadows { Job::Doorbells } else { self.before_list() })
            }
            Job::Doorbells => {
                if done {
                    self.queues.shadow(&self.memory, self.capabilities, self.entries);
                }
                Some(self.before_list())
            }
            _ => None,
        })
    }

    /// A step from one namespace to the next; the next one.
    fn namespace_ended(&mut self, job: Job, done: bool) -> Result<Option<Job>, Fault> {
        Ok(match job {
            Job::SanitizeFirst => {
                self.sanitize_looked(done);
                Some(Job::List)
            }
            Job::List => {
                self.listed(done);
                Some(Job::Namespace(0))
            }
            Job::Namespace(unit) => {
                if !self.found(unit, done) {
                    return Err(Fault::Compare);
                }
                let named = self.controller.version.get() >= NAMES_SINCE;
                if named && self.disks.get(usize::from(unit)).is_some_and(|disk| disk.present) {
                    Some(Job::Names(unit))
                } else {
                    self.after_namespace(unit)
                }
            }
            Job::Names(unit) => {
                if done {
                    self.named(unit);
                }
                if self.disks.get(usize::from(unit)).is_some_and(|disk| disk.is_zoned()) {
                    Some(Job::Zoned(unit))
                } else {
                    self.after_namespace(unit)
                }
            }
            Job::Zoned(unit) => {
                if done {
                    self.zones_found(unit);
                }
                Some(Job::Appends(unit))
            }
            Job::Appends(unit) => {
                self.appends_found(unit, done);
                self.after_namespace(unit)
            }
            _ => None,
        })
    }

    /// A question of a controller that is set up, which leads to no other.
    fn question_ended(&mut self, job: Job, status: u16, result: u32) {
        let done = status == 0;
        match job {
            Job::ChangedZones(namespace) => {
                self.zones_listed(namespace, done);
            }
            Job::Events => {
                self.admin.events = if done { self.controller.aerl.saturating_add(1) } else { 0 };
            }
            Job::Access => {
                self.access_logged(done);
                self.ready();
            }
            Job::Rest => {
                self.power.agreed(done);
            }
            Job::PowerState if done => self.health.power = self.power.shown(result),
            Job::Log(log) => {
                self.logged(log, done);
            }
            Job::Order(ask) => {
                self.order_answered(ask, status, result);
            }
            Job::FormatLeft(_) => {
                self.format_left(done);
            }
            Job::Sanitize => {
                self.sanitize_looked(done);
            }
            // What became of a request that was to be aborted is said by its own answer.
            _ => {}
        }
    }

    /// What comes before the namespaces: whether they can be used.
    fn before_list(&self) -> Job {
        if self.controller.sanicap.get() == 0 { Job::List } else { Job::SanitizeFirst }
    }

    fn after_weights(&mut self) -> Job {
        if self.wishes.gather > 1 { Job::Gather } else { self.after_gather() }
    }

    fn after_gather(&mut self) -> Job {
        self.volatile_cache = false;
        if self.controller.vwc & 1 != 0 { Job::Cache } else { Job::Answers(1) }
    }
}
