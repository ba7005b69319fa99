// SPDX-License-Identifier: MIT
//! What is counted of requests: how many ended, and of one in 64 how long it took, so that a request costs an addition.
use super::{Initiator, Instant, Port};
use orion_block::Op;
use orion_driver::SAMPLED;
use orion_metrics::{Counter, Figures, Kind};

impl<P: Port, T: Copy + Default> Initiator<P, T> {
    /// What was counted so far. How long requests took, and how much they moved, is that of one in 64.
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
        let Some(record) = self.slots.get(usize::from(slot)).copied() else { return };
        let began = Instant(record.deadline.0.saturating_sub(self.timeout_ns));
        let kind = match record.req.op {
            Op::Flush => Kind::Flush,
            Op::Read => Kind::Read,
            _ => Kind::Write,
        };
        self.figures.record(kind, self.now.0.saturating_sub(began.0));
        let shift = self.units.get(usize::from(record.unit)).map_or(9, |unit| unit.block().shift());
        let sectors = u64::from(record.req.blocks) << shift.saturating_sub(9);
        self.figures.add(Counter::Sectors, sectors * SAMPLED);
    }

    /// A request failed.
    #[cold]
    #[inline(never)]
    pub(super) fn count_error(&mut self) {
        self.figures.add(Counter::Errors, 1);
    }
}
