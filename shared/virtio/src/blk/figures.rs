// SPDX-License-Identifier: MIT
//! What is counted of requests beyond how many ended.
use super::VirtioBlk;
use crate::Bus;
use crate::queue::Ring;
use orion_block::Instant;
use orion_driver::sample;
use orion_metrics::Kind;

impl<B: Bus, T: Copy + Default, Q: Ring> VirtioBlk<B, T, Q> {
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
        let took = self.now.0.saturating_sub(began.0);
        sample(&mut self.figures, kind, took, record.blocks, self.properties.limits.block.shift());
    }
}
