// SPDX-License-Identifier: MIT
//! The controller's side of its queues.
use super::{Mischief, Model, Taken};
use std::vec::Vec;

/// A submission queue and its completion queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pair {
    pub commands: u64,
    pub answers: u64,
    pub entries: [u32; 2],
    /// What was fetched, and what there is.
    pub head: u32,
    pub tail: u32,
    /// What was given back, and what was written.
    pub taken: u32,
    pub written: u32,
    pub phase: bool,
    /// The class of arbitration of the submission queue.
    pub priority: u32,
}

impl Model {
    /// The next command of a queue.
    pub(super) fn fetch(&self, pair: &mut Pair) -> Option<Taken> {
        if pair.head == pair.tail {
            return None;
        }
        assert!(pair.tail < pair.entries[0], "a tail beyond the submission queue");
        let bytes: [u8; 64] = self.bus().load(pair.commands + 64 * u64::from(pair.head));
        let mut dwords = [0; 16];
        dwords
            .iter_mut()
            .zip(bytes.chunks(4))
            .for_each(|(to, from)| *to = u32::from_le_bytes(from.try_into().unwrap()));
        assert_eq!([dwords[2], dwords[3], dwords[4], dwords[5]], [0; 4], "reserved dwords, or a metadata pointer");
        pair.head = (pair.head + 1) % pair.entries[0];
        Some(Taken { queue: 0, dwords })
    }

    /// Writes an entry of a completion queue; whether that is worth an interrupt.
    pub(super) fn post(&mut self, pair: &mut Pair, id: u16, status: u16, result: u64, wrong: bool) -> bool {
        let next = (pair.written + 1) % pair.entries[1];
        assert_ne!(
            next, pair.taken,
            "the completion queue is full: the driver has more in flight than it can take answers of"
        );
        let phase = u32::from(pair.phase != wrong);
        let last = u32::from(id) | phase << 16 | u32::from(status) << 17;
        let at = pair.answers + 16 * u64::from(pair.written);
        self.bus().store(at, &result.to_le_bytes());
        self.bus().store(at + 8, &pair.head.to_le_bytes());
        self.bus().store(at + 12, &last.to_le_bytes());
        // QEMU's count, which is never corrected.
        self.pending += i32::from(pair.taken == pair.written);
        let due = !self.shape.patient || pair.taken == pair.written;
        pair.written = next;
        pair.phase ^= next == 0;
        due
    }

    /// The driver has written the head of a completion queue.
    pub(super) fn given_back(&mut self, pair: &mut Pair, head: u32) {
        assert!(head < pair.entries[1], "a head beyond the completion queue");
        assert!(self.shape.messages || head != pair.taken, "the head of a completion queue was written twice");
        pair.taken = head;
        self.pending -= i32::from(head == pair.written);
        if head == pair.written {
            // Nothing is left to tell of.
            self.gathered = 0;
        }
    }

    /// An answer to a request was written: an interrupt is sent once there are so many as it was told to gather.
    fn gather(&mut self) {
        if self.gathered == 0 {
            self.waits_us = 0;
        }
        self.gathered += 1;
        let gather = self.features.get(&8).copied().unwrap_or(0);
        if gather >> 8 & 0xff == 0 || self.gathered > gather & 0xff {
            self.interrupt();
        }
    }

    pub(super) fn interrupt(&mut self) {
        self.gathered = 0;
        self.interrupts += 1;
        self.raised = true;
    }

    /// Takes new requests, if it was told of any: of the queues in the order of their classes.
    pub fn take(&mut self) {
        if !core::mem::take(&mut self.kicked) && !self.polls || self.status & 2 != 0 || self.gone {
            return;
        }
        let mut pairs: Vec<(u16, Pair)> = self.requests.iter().map(|(id, pair)| (*id, *pair)).collect();
        pairs.sort_by_key(|(_, pair)| pair.priority);
        for (id, mut pair) in pairs {
            loop {
                self.look_at_shadows(id, &mut pair, !self.polls);
                let Some(command) = self.fetch(&mut pair) else { break };
                assert!(self.taken.iter().all(|other| other.id() != command.id()), "an identifier that is in use");
                self.taken.push(Taken { queue: id, ..command });
            }
            self.requests.insert(id, pair);
        }
    }

    /// Reads the tail that is in memory; says, if it is to be told of more, from where on.
    fn look_at_shadows(&self, id: u16, pair: &mut Pair, tell: bool) {
        let Some([values, events]) = self.shadows else { return };
        let at = 2 * u64::from(id) * self.stride();
        if tell {
            self.bus().store(events + at, &pair.tail.to_le_bytes());
        }
        pair.tail = u32::from_le_bytes(self.bus().load(values + at));
    }

    /// Bytes from one doorbell to the next.
    pub(super) fn stride(&self) -> u64 {
        4 << (self.shape.capabilities >> 32 & 0xf)
    }

    /// Carries out and answers the `nth` request that it has taken.
    pub fn finish(&mut self, nth: usize) {
        let command = self.taken.remove(nth);
        let queue = command.queue;
        match self.mischief {
            Some(Mischief::Lose) => self.lost.push(command),
            Some(Mischief::Swallow) => {}
            Some(Mischief::Mute) => {
                let before = (self.raised, self.interrupts);
                let status = self.perform(&command);
                self.answer(queue, command.id(), status, false);
                (self.raised, self.interrupts) = before;
            }
            Some(Mischief::Fail) => {
                self.status |= 2;
                self.taken.clear();
            }
            Some(Mischief::Unplug) => {
                self.gone = true;
                self.taken.clear();
            }
            Some(Mischief::Id(id)) => self.answer(queue, id, 0, false),
            Some(Mischief::Phase) => self.answer(queue, command.id(), 0, true),
            Some(Mischief::Status(status)) => self.answer(queue, command.id(), status, false),
            Some(Mischief::Twice) => {
                let status = self.perform(&command);
                self.answer(queue, command.id(), status, false);
                self.answer(queue, command.id(), status, false);
            }
            _ => {
                let status = self.perform(&command);
                return self.answer(queue, command.id(), status, false);
            }
        }
        self.mischief = None;
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, queue: u16, id: u16, status: u16, wrong: bool) {
        let Some(mut pair) = self.requests.get(&queue).copied() else { return };
        if let Some([values, events]) = self.shadows {
            let at = (2 * u64::from(queue) + 1) * self.stride();
            self.bus().store(events + at, &pair.taken.to_le_bytes());
            pair.taken = u32::from_le_bytes(self.bus().load(values + at));
        }
        let result = core::mem::take(&mut self.result);
        let due = self.post(&mut pair, id, status, result, wrong);
        self.requests.insert(queue, pair);
        if due {
            self.gather();
        }
    }

    /// Answers an administrative command.
    pub(super) fn answer_admin(&mut self, id: u16, status: u16, result: u64) {
        let mut pair = self.admin;
        let due = self.post(&mut pair, id, status, result, false);
        self.admin = pair;
        // 5.21.1.8: what is held back is answers to requests alone.
        self.interrupts += u64::from(due);
        self.raised |= due;
    }

    /// Serves everything at once.
    pub fn serve(&mut self) {
        self.take();
        while !self.taken.is_empty() {
            self.finish(0);
        }
    }
}
