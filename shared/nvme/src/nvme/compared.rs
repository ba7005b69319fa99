// SPDX-License-Identifier: MIT
//! Writes that are compared with their payload before they are answered (6.6).
//!
//! Each part of such a write is written, then compared with the client's buffer by the controller, from its medium. One that differs,
//! or cannot be read back, is written and compared once more; of a zone nothing can be written twice. Requests of disks without
//! this never come here.
use super::Nvme;
use super::disk::Disk;
use super::slots::State;
use crate::queues::Queues;
use crate::wire::status::{COMPARE_FAILURE, Meaning, meaning};
use orion_block::{Error, Op};
use orion_driver::{Registers, Text};

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Parts of writes that did not read back as they were written.
    pub differed: u64,
    /// Those of them that did when they were written once more.
    pub mended: u64,
}

impl Compared {
    /// As health shows it; nothing where there is nothing to show.
    fn text(self) -> Text {
        let Self { differed, mended } = self;
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
        let differs = status & 0x7ff == COMPARE_FAILURE && self.is_compared();
        if differs { Meaning::Failed(Error::Medium) } else { meaning(status) }
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

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
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
                self.compared.differed += 1;
                self.health.verify = self.compared.text();
                if disk.is_zoned() || record.aborted {
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
