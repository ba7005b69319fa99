// SPDX-License-Identifier: MIT
//! What is done when time has passed: commands that are sent again, escalation, questions.
use super::slot::{Slot, Stage};
use super::{Error, Initiator, Instant, MOST, Misused, Port, RESETS_MAX};
use crate::port::Task;

/// What is due for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Resend,
    GiveUp,
    Abort,
    ResetUnit,
    Reset,
}

impl<P: Port, T: Copy + Default> Initiator<P, T> {
    /// When ABORT TASK is asked for, of a command with this deadline.
    #[inline]
    pub(super) fn abort_at(&self, deadline: Instant) -> Instant {
        Instant(deadline.0.saturating_sub(self.timeout_ns / 4))
    }

    pub(super) fn reset_unit_at(&self, deadline: Instant) -> Instant {
        Instant(deadline.0.saturating_sub(self.timeout_ns / 8))
    }

    /// What is due for a slot now, and when it must be looked at next.
    fn due(&self, record: &Slot<T>) -> (Option<Due>, Instant) {
        let reset = self.reset_unit_at(record.deadline);
        let (due, next) = match record.stage {
            Stage::Free => return (None, Instant(u64::MAX)),
            Stage::Waiting if self.now >= record.deadline => (Some(Due::GiveUp), self.now),
            Stage::Waiting => ((self.now >= record.due).then_some(Due::Resend), record.due.min(record.deadline)),
            _ if self.now >= record.deadline => (Some(Due::Reset), self.now),
            Stage::Sent if self.now >= record.due => (Some(Due::Abort), reset),
            Stage::Sent => (None, record.due),
            Stage::Aborting if self.now >= reset => (Some(Due::ResetUnit), record.deadline),
            Stage::Aborting => (None, reset),
            Stage::Resetting => (None, record.deadline),
        };
        (due, next.min(record.deadline))
    }

    /// Does what is due; whether there are answers, or commands to show the device.
    #[cold]
    #[inline(never)]
    pub(super) fn overdue(&mut self) -> bool {
        self.watch = Instant(u64::MAX);
        if let Err(misused) = self.port.watch(self.now) {
            self.misused(misused);
        }
        for slot in 0..MOST {
            let Some(record) = self.slots.get(slot).copied() else { break };
            let (due, next) = self.due(&record);
            self.watch_until(next);
            if let Some(due) = due {
                self.act(u16::try_from(slot).unwrap_or(0), &record, due);
            }
        }
        self.ask_all();
        if let Some(at) = self.next_question() {
            self.watch_until(at);
        }
        self.staged || self.done.count() > 0
    }

    fn act(&mut self, slot: u16, record: &Slot<T>, due: Due) {
        match due {
            Due::Resend => self.go_on(slot),
            Due::GiveUp => {
                if let Some((tag, done)) = self.failed(slot, Error::TimedOut) {
                    self.done.push(tag, done);
                }
            }
            Due::Abort => self.manage(slot, Task::Abort(slot, self.place_of(record)), Stage::Aborting),
            Due::ResetUnit => self.manage(slot, Task::ResetUnit(self.place_of(record)), Stage::Resetting),
            Due::Reset => {
                self.counters.timeouts += 1;
                self.restart("a request took too long", Error::TimedOut);
            }
        }
    }

    fn place_of(&self, record: &Slot<T>) -> crate::Place {
        match &self.search {
            Some(search) if search.unit == record.unit => search.ask().0,
            _ => self.place(record.unit),
        }
    }

    /// Asks for a function. One that cannot be asked for is as one without an answer: what follows is stronger.
    fn manage(&mut self, slot: u16, task: Task, stage: Stage) {
        if !self.managing && self.port.manage(task) {
            (self.managing, self.staged) = (true, true);
        }
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            record.stage = stage;
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn misused(&mut self, Misused(what): Misused) {
        self.counters.misused += 1;
        self.restart(what, Error::Io);
    }

    /// Resets the transport. What it held and has time left is sent again; the rest is answered with `error`.
    #[cold]
    #[inline(never)]
    fn restart(&mut self, what: &'static str, error: Error) {
        self.fault = Some(what);
        self.resets = self.resets.saturating_add(1);
        self.managing = false;
        let again = if self.resets > RESETS_MAX {
            Err("the device failed again after every reset: it is left alone until the driver starts anew")
        } else {
            self.port.reset()
        };
        // Only after the reset may buffers be given back: until then the device may write into them.
        if let Err(why) = again {
            self.port.abandon();
            (self.alive, self.staged) = (false, false);
            self.fault = Some(why);
            for unit in &mut self.units {
                unit.leave(why);
            }
            (self.changed, self.search, self.open) = (true, None, true);
        }
        for slot in 0..MOST {
            let Some(record) = self.slots.get(slot).copied() else { break };
            let slot = u16::try_from(slot).unwrap_or(0);
            if record.stage.at_device() || !self.alive && record.stage == Stage::Waiting {
                self.return_from_reset(slot, &record, error);
            }
        }
        (0..super::UNITS).filter_map(|unit| u8::try_from(unit).ok()).for_each(|unit| self.examine(unit));
    }

    fn return_from_reset(&mut self, slot: u16, record: &Slot<T>, error: Error) {
        let question = slot >= self.depth;
        let given_up = record.stage != Stage::Sent || self.now >= self.abort_at(record.deadline);
        if question {
            // It is asked again, or is not: its unit knows.
            if let Some(record) = self.slots.get_mut(usize::from(slot)) {
                record.stage = Stage::Free;
            }
            if given_up && let Some(unit) = self.units.get_mut(usize::from(record.unit)).filter(|unit| !unit.serves) {
                unit.leave("it does not answer");
                if self.search.as_ref().is_some_and(|search| search.unit == record.unit) {
                    self.search = None;
                }
            }
            self.watch_until(self.now);
        } else if !self.alive || given_up || record.tries >= crate::rules::AGAIN_MAX {
            let error = if self.alive || error == Error::TimedOut { error } else { Error::Io };
            if let Some((tag, done)) = self.failed(slot, error) {
                self.done.push(tag, done);
            }
        } else {
            if let Some(record) = self.slots.get_mut(usize::from(slot)) {
                record.tries = record.tries.saturating_add(1);
            }
            self.go_on(slot);
        }
    }
}
