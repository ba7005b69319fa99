// SPDX-License-Identifier: MIT
//! What an engine counts of its requests and of its device: of one request in 64 how long it took, so that a request costs an
//! addition.
use orion_block::Op;
use orion_metrics::{Counter, Figures, Kind};

/// Of so many requests one is timed. A power of two.
pub const SAMPLED: u64 = 64;

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Notifications to the device.
    pub kicks: u64,
    /// Resets because the device broke the protocol.
    pub misused: u64,
    /// Resets because a request took too long.
    pub timeouts: u64,
}

impl Counters {
    /// What is shown of an engine: `counted`, with the requests that `ended` and those `in_flight`.
    pub fn figures(self, counted: &Figures, ended: u64, in_flight: usize) -> Figures {
        let mut figures = *counted;
        for (counter, value) in [
            (Counter::Requests, ended),
            (Counter::InFlight, u64::try_from(in_flight).unwrap_or(u64::MAX)),
            (Counter::Kicks, self.kicks),
            (Counter::Resets, self.misused),
            (Counter::Timeouts, self.timeouts),
            (Counter::Sampled, SAMPLED),
        ] {
            figures.set(counter, value);
        }
        figures
    }
}

/// What a request is counted as.
pub const fn kind(op: Op) -> Kind {
    match op {
        Op::Flush => Kind::Flush,
        Op::Read => Kind::Read,
        Op::Write | Op::Discard | Op::WriteZeroes => Kind::Write,
    }
}

/// Lets a request of `blocks` blocks of `1 << shift` bytes that took `ns` nanoseconds stand for those that are not looked at.
pub fn sample(figures: &mut Figures, kind: Kind, ns: u64, blocks: u32, shift: u8) {
    figures.record(kind, ns);
    let sectors = u64::from(blocks) << shift.saturating_sub(9);
    figures.add(Counter::Sectors, sectors * SAMPLED);
}
