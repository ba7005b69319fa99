// SPDX-License-Identifier: MIT
//! What is counted of requests beyond how many ended.
use super::Nvme;
use crate::queues::Queues;
use orion_driver::{Registers, kind, sample};
use orion_metrics::Counter;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Times a request that has ended, and lets it stand for those that were not looked at.
    #[cold]
    #[inline(never)]
    pub(super) fn sample(&mut self, slot: u16) {
        let Some(record) = self.slots.get(usize::from(slot)) else { return };
        let began = record.deadline.0.saturating_sub(self.timeout_ns);
        let shift = self.disks.get(usize::from(record.unit)).map_or(9, |disk| disk.limits.block.shift());
        let took = self.now.0.saturating_sub(began);
        sample(&mut self.figures, kind(record.req.op), took, record.req.blocks, shift);
    }

    /// The controller could not do a request.
    #[cold]
    #[inline(never)]
    pub(super) fn failed(&mut self) {
        self.figures.add(Counter::Errors, 1);
    }
}
