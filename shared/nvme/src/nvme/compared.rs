// SPDX-License-Identifier: MIT
//! Writes that are compared with their payload before they are answered (6.6).
//!
//! Each part of such a write is written, then compared with the client's buffer by the controller, from its medium. One that differs,
//! or cannot be read back, is written and compared once more; of a zone nothing can be written twice. Requests of disks without
//! this never come here. What changes the same blocks goes to the controller one after the other, or a compare would find the other's.
use super::Nvme;
use super::disk::Disk;
use super::slots::{Slot, State};
use crate::queues::Queues;
use crate::wire::status::{COMPARE_FAILURE, Meaning, ZONE_BOUNDARY, meaning};
use orion_block::{Error, Instant, Op, Request};
use orion_driver::{Registers, Text, Unit};

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Parts of writes that did not read back as they were written.
    pub differed: u64,
    /// Those of them that did when they were written once more.
    pub mended: u64,
    /// Counts those that wait for others.
    arrivals: u32,
}

impl Compared {
    /// As health shows it.
    fn text(self) -> Text {
        let Self { differed, mended, .. } = self;
        Text::format(format_args!("{differed} writes differed, {mended} mended"))
    }
}

impl Disk {
    /// The state of a write of which a part goes to the controller.
    pub fn written(&self) -> State {
        if self.is_zoned() { State::Ordered } else { State::Parts }
    }
}

impl State {
    /// What a status means for what is in this state.
    pub fn meaning(self, status: u16) -> Meaning {
        // Said of anything else, it says nothing of the medium.
        match status & 0x7ff {
            COMPARE_FAILURE if self.is_compared() => Meaning::Failed(Error::Medium),
            // There is less room than was asked for.
            ZONE_BOUNDARY if self == Self::Appends => Meaning::Failed(Error::NoSpace),
            _ => meaning(status),
        }
    }

    /// The state in which what the controller had when it was reset is sent again: written once more, then compared; of a zone
    /// only compared.
    pub fn again(self, zoned: bool) -> Self {
        match self {
            Self::Compares if !zoned => Self::Parts,
            Self::ComparesAgain if !zoned => Self::Mends,
            other => other,
        }
    }
}

/// Whether what is in a slot changes blocks of this unit that a request changes too.
fn changes_same<T>(slot: &Slot<T>, unit: u8, req: &Request) -> bool {
    let there = slot.state.is_held() && slot.unit == unit && slot.req.op.modifies();
    there && slot.req.lba.0 < req.end().unwrap_or(u64::MAX) && req.lba.0 < slot.req.end().unwrap_or(u64::MAX)
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Takes what changes blocks of a disk whose writes are compared: it waits for what changes some of the same.
    pub(super) fn admit_alone(&mut self, Unit(unit): Unit, tag: T, req: &Request, state: State) -> Result<(), Error> {
        let clear = self.slots.iter().all(|slot| !changes_same(slot, unit, req));
        let slot = self.take(Unit(unit), tag, req, if clear { state } else { State::Waits })?;
        if clear {
            self.send(slot);
        } else if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            self.compared.arrivals = self.compared.arrivals.wrapping_add(1);
            // Its time begins when the controller has it.
            (record.sent, record.deadline) = (self.compared.arrivals, Instant(u64::MAX));
        }
        Ok(())
    }

    /// Something that changed blocks has ended: those that wait for nothing else any more go to the controller.
    pub(super) fn next_beside(&mut self, unit: u8) {
        let deadline = self.within(self.timeout_ns);
        let Some(volatile) = self.disks.get(usize::from(unit)).map(|disk| disk.limits.volatile_cache) else { return };
        for slot in 0..self.slots.len() {
            let Some(record) = self.slots.get(slot).copied() else { break };
            if record.state != State::Waits || record.unit != unit {
                continue;
            }
            let age = |other: &Slot<T>| self.compared.arrivals.wrapping_sub(other.sent);
            // Of those that wait, who came first goes first.
            let before = |other: &Slot<T>| other.state != State::Waits || age(other) > age(&record);
            if self.slots.iter().any(|other| before(other) && changes_same(other, unit, &record.req)) {
                continue;
            }
            let flush = record.req.op == Op::Discard && record.req.fua && volatile;
            if let Some(record) = self.slots.get_mut(slot) {
                let state = if flush { State::ThenFlush } else { State::Parts };
                (record.state, record.sent, record.deadline) = (state, 0, deadline);
            }
            self.send(u16::try_from(slot).unwrap_or(u16::MAX));
        }
    }

    /// A write did not read back as it was written.
    pub(super) fn differed(&mut self) {
        self.compared.differed += 1;
        self.health.verify = self.compared.text();
    }

    /// A part of a request has ended, and the same part is now compared, or written once more; it goes on otherwise where this
    /// says no.
    pub(super) fn compared_or_mended(&mut self, slot: u16, meant: Meaning) -> bool {
        let Some(record) = self.slots.get_mut(usize::from(slot)) else { return false };
        let Some(disk) = self.disks.get(usize::from(record.unit)) else { return false };
        let written = disk.compares && record.req.op == Op::Write;
        let next = match (record.state, meant) {
            (State::Parts | State::Ordered, Meaning::Done) if written => State::Compares,
            (State::Mends, Meaning::Done) => State::ComparesAgain,
            // The medium has something else, or nothing that can be read.
            (State::Compares, Meaning::Failed(Error::Medium)) => {
                let stays = disk.is_zoned() || record.aborted;
                self.compared.differed += 1;
                self.health.verify = self.compared.text();
                if stays {
                    return false;
                }
                State::Mends
            }
            (State::ComparesAgain, Meaning::Done) => {
                self.compared.mended += 1;
                self.health.verify = self.compared.text();
                return false;
            }
            _ => return false,
        };
        record.state = next;
        self.send(slot);
        true
    }
}
