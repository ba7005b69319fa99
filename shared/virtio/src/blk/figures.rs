// SPDX-License-Identifier: MIT
//! What is counted of requests: how many ended, and of one in 64 how long it took, so that a request costs an addition.
use super::VirtioBlk;
use crate::Bus;
use crate::queue::Ring;
use orion_block::Instant;
use orion_driver::SAMPLED;
use orion_metrics::{Counter, Figures, Kind};

impl<B: Bus, T: Copy + Default, Q: Ring> VirtioBlk<B, T, Q> {
    /// What was counted so far. How long requests took, and how much they moved, is that of one in 64; times are
    /// as fine as the calls of `set_time`.
    pub(super) fn counted(&self) -> Figures {
        let mut figures = self.figures;
        for (counter, value) in [
            (Counter::Requests, self.ended),
            (Counter::InFlight, u64::try_from(self.in_flight()).unwrap_or(u64::MAX)),
            (Counter::Kicks, self.counters.kicks),
            (Counter::Resets, self.counters.misused),
            (Counter::Timeouts, self.counters.timeouts),
            (Counter::Sampled, SAMPLED),
        ] {
            figures.set(counter, value);
        }
        figures
    }

    /// Times a request that has ended, and lets it stand for those that were not looked at.
    #[cold]
    #[inline(never)]
    pub(super) fn sample(&mut self, slot: u16) {
        // Not given by its sender: what is passed on is copied for every request.
        let Some(record) = self.slots.get(usize::from(slot)).copied() else { return };
        let began = Instant(record.deadline.0.saturating_sub(self.timeout_ns));
        let kind = match (record.blocks, record.reads) {
            (0, _) => Kind::Flush,
            (_, 0) => Kind::Write,
            _ => Kind::Read,
        };
        self.figures.record(kind, self.now.0.saturating_sub(began.0));
        let sectors = u64::from(record.blocks) << self.properties.limits.block.shift().saturating_sub(9);
        self.figures.add(Counter::Sectors, sectors * SAMPLED);
    }
}
