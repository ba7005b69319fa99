// SPDX-License-Identifier: MIT
//! The demo as a meter: a number of equal requests at a fixed depth, then one line with the time they took.
use crate::job::{Ask, Data, Job, Next, Say, Server, Slot};
use crate::pattern::mix;
use crate::text::{Answer, Name, Place};
use orion_block::{Op, Status};
use orion_pd::Verdict;

/// What is measured. Blocks are those of window 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The operation: a read or a write.
    pub op: Op,
    /// Requests.
    pub count: u64,
    /// Blocks of one request.
    pub blocks: u16,
    /// Blocks from one request to the next; 0: at random.
    pub stride: u64,
    /// The first blocks of the window, of which all addresses are; 0: the whole window.
    pub span: u64,
}

/// The job.
#[derive(Debug)]
pub struct Bench {
    load: Load,
    size: u64,
    /// Blocks of one request, at least 1, and places where one may begin.
    each: u64,
    firsts: u64,
    sent: u64,
    answered: u64,
    most_in_flight: u64,
    failed: bool,
}

impl Bench {
    /// The job `load` on window 0 of `server`.
    pub fn new(server: &Server, load: Load) -> Self {
        let window = server.grants.first().map_or(0, |g| g.blocks);
        let span = if load.span == 0 { window } else { load.span.min(window) };
        let load = Load { span, ..load };
        let each = u64::from(load.blocks).max(1);
        let firsts = span.saturating_sub(each) + 1;
        Self { load, size: server.block(), each, firsts, sent: 0, answered: 0, most_in_flight: 0, failed: false }
    }

    /// First block of request `nth`: such that the whole request lies within the span, and at a multiple of its size,
    /// since a device below may have to copy what is not aligned.
    fn block(&self, nth: u64) -> u64 {
        let block = match self.load.stride {
            0 => mix(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            stride => stride.wrapping_mul(nth),
        };
        block % self.firsts / self.each * self.each
    }
}

impl Job for Bench {
    #[inline]
    fn next(&mut self, slot: Slot, _: &dyn Data) -> Next {
        if self.failed || self.sent == self.load.count {
            return if self.sent == self.answered { Next::Done } else { Next::Wait };
        }
        let (op, block, count) = (self.load.op, self.block(self.sent), self.load.blocks);
        self.sent += 1;
        Next::Send(Ask { op, block, count, address: slot.offset })
    }

    #[inline]
    fn sent(&mut self) {
        self.most_in_flight = self.most_in_flight.max(self.sent - self.answered);
    }

    #[inline]
    fn answered(&mut self, slot: Slot, status: Status, blocks: u16, _: &dyn Data, say: Say<'_>) {
        self.answered += 1;
        if !self.failed && (status.is_err() || blocks != self.load.blocks) {
            let (op, of, answer) = (Name(self.load.op), Place(self.block(self.answered)), Answer(status));
            say(format_args!("failed: {op} number {} (near {of}, slot {}): {answer}", self.answered, slot.index));
            self.failed = true;
        }
    }

    fn end(&mut self, elapsed: u64, say: Say<'_>) -> Verdict {
        if self.failed {
            return Verdict::Failed;
        }
        let (op, n, depth) = (Name(self.load.op), self.answered, self.most_in_flight);
        let bytes = u64::from(self.load.blocks) * self.size;
        let each = elapsed.checked_div(n).unwrap_or(0);
        say(format_args!("bench: {n} x {op} of {bytes} bytes, depth {depth}: {elapsed} ns, {each} ns each"));
        Verdict::Passed
    }
}
