// SPDX-License-Identifier: MIT
//! What is counted of requests beyond how many ended.
use super::{Initiator, Instant, Port};
use orion_driver::{kind, sample};
use orion_metrics::Counter;

impl<P: Port, T: Copy + Default> Initiator<P, T> {
    /// Times a request that has ended, and lets it stand for those that were not looked at.
    #[cold]
    #[inline(never)]
    pub(super) fn sample(&mut self, slot: u16) {
        let Some(record) = self.slots.get(usize::from(slot)).copied() else { return };
        let began = Instant(record.deadline.0.saturating_sub(self.timeout_ns));
        let shift = self.units.get(usize::from(record.unit)).map_or(9, |unit| unit.block().shift());
        let took = self.now.0.saturating_sub(began.0);
        sample(&mut self.figures, kind(record.req.op), took, record.req.blocks, shift);
    }

    /// A request failed.
    #[cold]
    #[inline(never)]
    pub(super) fn count_error(&mut self) {
        self.figures.add(Counter::Errors, 1);
    }
}
