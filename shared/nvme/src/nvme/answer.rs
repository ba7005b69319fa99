// SPDX-License-Identifier: MIT
//! What the controller's answer means for its request.
use super::Nvme;
use super::slots::{Slot, State};
use crate::queue::Answer;
use crate::queues::Queues;
use crate::wire::status::{ABORTED, Meaning};
use orion_block::{Completion, Error, Op};
use orion_driver::{Registers, SAMPLED};

/// How often a request is sent again because the controller asks for that.
const RETRIES_MAX: u8 = 5;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// What an entry of the completion queue means: the answer to its request, unless it goes on.
    pub(super) fn answered(&mut self, answer: Answer) -> Option<(T, Completion)> {
        match self.well(answer) {
            Some((tag, blocks)) => Some((tag, Completion::ok(blocks))),
            None => self.answered_otherwise(answer),
        }
    }

    /// The request of an entry that is the good end of it, and its blocks.
    #[inline]
    pub(super) fn well(&mut self, answer: Answer) -> Option<(T, u32)> {
        let slot = answer.id();
        let record = self.slots.get_mut(usize::from(slot))?;
        if answer.status() != 0 || record.state != State::Held {
            return None;
        }
        record.state = State::Free;
        let (tag, blocks) = (record.tag, record.req.blocks);
        self.resets = 0;
        self.ended(slot);
        Some((tag, blocks))
    }

    /// Keeps what any other entry means, for when it is asked for.
    #[cold]
    #[inline(never)]
    pub(super) fn put_by(&mut self, answer: Answer) {
        if let Some((tag, done)) = self.answered_otherwise(answer) {
            self.done.push(tag, done);
        }
    }

    /// The request in a slot has ended, and its answer was made.
    #[inline]
    fn ended(&mut self, slot: u16) {
        self.ended = self.ended.wrapping_add(1);
        if self.ended.is_multiple_of(SAMPLED) {
            self.sample(slot);
        }
        self.free.give(slot);
    }

    /// Everything but a request that was done.
    #[cold]
    #[inline(never)]
    fn answered_otherwise(&mut self, answer: Answer) -> Option<(T, Completion)> {
        let slot = answer.id();
        let Some(held) = self.slots.get(usize::from(slot)).map(|slot| slot.state) else { return self.unknown() };
        let meant = held.meaning(answer.status());
        if held == State::Zone {
            self.zone_answered(slot, answer.status());
            return None;
        }
        if held == State::Looks {
            self.looked(slot, answer.status());
            return None;
        }
        if held.in_parts() && self.compared_or_mended(slot, meant) {
            return None;
        }
        let record = self.slots.get_mut(usize::from(slot))?;
        let outcome = match (held, meant) {
            (State::Free, _) => return self.unknown(),
            (State::ThenFlush, Meaning::Done) => {
                record.state = State::Flushing;
                self.send(slot);
                return None;
            }
            (_, Meaning::Done) if held.in_parts() => {
                let disk = self.disks.get(usize::from(record.unit))?;
                let lba = record.req.lba.0.wrapping_add(u64::from(record.sent));
                record.sent += disk.part(lba, record.req.blocks - record.sent);
                if record.sent < record.req.blocks {
                    if held.is_compared() {
                        record.state = disk.written();
                    }
                    // A disk at work is not late because it was asked for much.
                    record.deadline = self.deadline;
                    self.resets = 0;
                    self.send(slot);
                    return None;
                }
                Ok(())
            }
            (State::Appends, Meaning::Done) => self.appended(slot)?,
            (_, Meaning::Done) => Ok(()),
            (_, Meaning::Retry(_)) if record.retries < RETRIES_MAX && !record.aborted && record.deadline > self.now => {
                record.retries += 1;
                self.send(slot);
                return None;
            }
            // Who asked for the abort was us, because it took too long; and nobody else may.
            (_, _) if answer.status() & 0x7ff == ABORTED && !record.aborted => Err(Error::Io),
            (_, Meaning::Retry(error) | Meaning::Failed(error)) => Err(error),
        };
        let record = self.slots.get_mut(usize::from(slot))?;
        let Slot { tag, req, sent, unit, .. } = *record;
        record.state = State::Free;
        if held.is_append() {
            self.append_ended(outcome);
        } else if self.disks.get(usize::from(unit)).is_some_and(|disk| disk.compares && !disk.is_zoned()) {
            self.next_beside(unit);
        } else if self.disks.get(usize::from(unit)).is_some_and(|disk| disk.is_zoned() && req.op == Op::Write) {
            self.next_in_zone(unit, req.lba.0);
        }
        if outcome.is_ok() {
            self.resets = 0;
        } else {
            self.failed();
            self.refused_by_way(answer.status());
        }
        self.ended(slot);
        let blocks = match outcome {
            Err(_) if held.is_append() => 0,
            Ok(()) if !held.is_append() => req.blocks,
            _ => sent,
        };
        Some((tag, Completion { status: outcome, blocks }))
    }

    #[cold]
    #[inline(never)]
    fn unknown(&mut self) -> Option<(T, Completion)> {
        self.misused("the controller answered a command that it does not hold");
        None
    }
}
