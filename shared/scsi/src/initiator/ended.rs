// SPDX-License-Identifier: MIT
//! What the end of a command means for its request.
use super::slot::Stage;
use super::{Answer, Completion, Error, Initiator, Port};
use crate::rules::{self, Learn, Rule, Then};
use crate::unit::LogicalUnit;
use crate::wire::sense::{SENSE_MAX, Sense};
use orion_block::Op;

impl<P: Port, T: Copy + Default> Initiator<P, T> {
    /// The answer to the request of a command that has ended, unless it goes on.
    #[inline]
    pub(super) fn command_ended(&mut self, answer: Answer) -> Option<(T, Completion)> {
        if answer.slot >= self.depth {
            self.question_ended(answer);
            return None;
        }
        let record = self.slots.get_mut(usize::from(answer.slot))?;
        if answer.trouble.is_none() && answer.status == 0 && answer.missing == 0 {
            self.resets = 0;
            record.done = record.done.wrapping_add(record.part);
            if record.done == record.req.blocks && !record.req.fua && !record.syncing {
                return self.finish(answer.slot, Ok(()));
            }
            return self.continues(answer.slot);
        }
        if answer.trouble.is_none() && answer.status == 0 {
            self.cut_short(answer)
        } else {
            self.command_failed(answer)
        }
    }

    /// Sends what is left of a request after a command that went well; its answer where nothing is.
    #[inline(never)]
    fn continues(&mut self, slot: u16) -> Option<(T, Completion)> {
        let record = self.slots.get_mut(usize::from(slot))?;
        let unit = self.units.get_mut(usize::from(record.unit))?;
        record.tries = 0;
        if record.syncing {
            // What was cached and lost no flush brings back, and one must say so.
            let lost = record.req.op == Op::Flush && core::mem::take(&mut unit.lost);
            return if lost { self.failed(slot, Error::Io) } else { self.finish(slot, Ok(())) };
        }
        if record.done >= record.req.blocks {
            let forced = unit.traits.fua && record.req.op == Op::Write;
            if !record.req.fua || !record.req.op.modifies() || !unit.traits.volatile || forced {
                return self.finish(slot, Ok(()));
            }
            record.syncing = true;
        }
        self.go_on(slot);
        None
    }

    /// All is well, but not all bytes were moved: the rest is asked for, if that moves anything.
    #[cold]
    #[inline(never)]
    fn cut_short(&mut self, answer: Answer) -> Option<(T, Completion)> {
        let record = self.slots.get_mut(usize::from(answer.slot))?;
        let shift = self.units.get(usize::from(record.unit)).map_or(9, |unit| unit.traits.shift);
        let moved = record.bytes.saturating_sub(answer.missing) >> shift;
        if !record.req.op.has_payload() || moved == 0 || moved >= record.part || record.tries >= rules::AGAIN_MAX {
            return self.failed(answer.slot, Error::Io);
        }
        record.done = record.done.wrapping_add(moved);
        self.again(answer.slot, 0);
        None
    }

    /// Gives the slot back, with the answer to its request.
    #[inline]
    pub(super) fn finish(&mut self, slot: u16, result: Result<(), Error>) -> Option<(T, Completion)> {
        let record = self.slots.get_mut(usize::from(slot))?;
        record.stage = Stage::Free;
        let blocks = if result.is_ok() { record.req.blocks } else { record.done };
        let tag = record.tag;
        self.ended = self.ended.wrapping_add(1);
        if self.ended.is_multiple_of(orion_driver::SAMPLED) {
            self.sample(slot);
        }
        self.free.give(slot);
        Some((tag, Completion { status: result, blocks }))
    }

    /// A command that did not go well.
    #[cold]
    #[inline(never)]
    fn command_failed(&mut self, answer: Answer) -> Option<(T, Completion)> {
        let sense = self.sense_of(&answer);
        let rule = judge(&answer, sense);
        let record = self.slots.get(usize::from(answer.slot)).copied()?;
        self.learn(record.unit, rule);
        let unit = self.units.get_mut(usize::from(record.unit))?;
        let given_up = record.stage != Stage::Sent && record.stage != Stage::Waiting;
        let done = LogicalUnit::good_before(sense, record.req.lba.0.wrapping_add(record.done.into()), record.part);
        let zeroes_anew = record.req.op == Op::WriteZeroes && !record.syncing && unit.downgrade(rule.error);
        match rule.then {
            Then::Accept if answer.missing == 0 || record.req.op != Op::Read => {
                let slot = self.slots.get_mut(usize::from(answer.slot))?;
                slot.done = slot.done.wrapping_add(slot.part);
                return self.continues(answer.slot);
            }
            _ if given_up => return self.failed(answer.slot, Error::TimedOut),
            _ if zeroes_anew => {
                self.go_on(answer.slot);
                return None;
            }
            Then::Again if record.tries < rules::AGAIN_MAX => self.again(answer.slot, 0),
            Then::Later | Then::Start if rule.error == Error::Again || record.tries < rules::LATER_MAX => {
                self.again(answer.slot, rules::backoff(record.tries.saturating_add(1)))
            }
            _ => {
                let slot = self.slots.get_mut(usize::from(answer.slot))?;
                slot.done = slot.done.wrapping_add(done);
                return self.failed(answer.slot, rule.error);
            }
        }
        if rule.then == Then::Start {
            self.examine(record.unit);
        }
        // There is no time for another try.
        let waits = |record: &&super::Slot<T>| record.stage == Stage::Waiting;
        if self
            .slots
            .get(usize::from(answer.slot))
            .filter(waits)
            .is_some_and(|record| record.due >= self.reset_unit_at(record.deadline))
        {
            // What could have been done again in time was not done in time.
            let error = if rule.error == Error::Again { Error::Again } else { Error::TimedOut };
            return self.failed(answer.slot, error);
        }
        None
    }

    /// Sends the command of a slot again, after so many nanoseconds.
    fn again(&mut self, slot: u16, wait_ns: u64) {
        let due = self.now.after(wait_ns);
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            record.tries = record.tries.saturating_add(1);
            (record.stage, record.due) = (Stage::Waiting, due);
        }
        if wait_ns == 0 { self.go_on(slot) } else { self.watch_until(due) }
    }

    pub(super) fn failed(&mut self, slot: u16, error: Error) -> Option<(T, Completion)> {
        self.count_error();
        self.finish(slot, Err(error))
    }

    /// The sense data of a command that has ended.
    pub(super) fn sense_of(&self, answer: &Answer) -> Option<Sense> {
        if answer.trouble.is_some() || answer.status != rules::status::CHECK_CONDITION {
            return None;
        }
        let mut bytes = [0; SENSE_MAX];
        let len = self.port.sense(answer.slot, &mut bytes);
        Sense::parse(bytes.get(..len)?)
    }

    /// Takes over what a rule says of a unit.
    pub(super) fn learn(&mut self, unit: u8, rule: &Rule) {
        let Some(logical) = self.units.get_mut(usize::from(unit)) else { return };
        match rule.learn {
            Learn::Nothing => {}
            Learn::Altered => self.examine(unit),
            Learn::PowerLost => {
                logical.lost = logical.serves && logical.traits.volatile;
                self.examine(unit);
            }
            Learn::Failing => logical.warn(),
            Learn::Inventory => self.look_again(),
            Learn::Gone if logical.serves => {
                logical.leave(rule.text);
                self.changed = true;
            }
            Learn::Gone => {}
        }
    }
}

/// The rule for a command that did not go well.
pub(super) fn judge(answer: &Answer, sense: Option<Sense>) -> &'static Rule {
    rules::find(answer.trouble, answer.status, sense)
}
