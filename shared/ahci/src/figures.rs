// SPDX-License-Identifier: MIT
//! What is counted of requests beyond how many ended.
use crate::Ahci;
use crate::port::flag;
use orion_block::Completion;
use orion_driver::{Registers, SAMPLED, sample};
use orion_metrics::{Counter, Kind};

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    /// Looks closer at a request that has ended: it failed, or is to stand for those that were not looked at.
    #[cold]
    #[inline(never)]
    pub(crate) fn sample(&mut self, unit: u32, slot: u8, done: &Completion) {
        if done.status.is_err() {
            self.figures.add(Counter::Errors, 1);
        }
        if !self.ended.is_multiple_of(SAMPLED) {
            return;
        }
        let Some(port) = self.ports.get(unit as usize) else { return };
        let Some(record) = port.slot(slot).copied() else { return };
        let kind = match (record.blocks, record.flags & flag::WRITE) {
            (0, _) => Kind::Flush,
            (_, 0) => Kind::Read,
            _ => Kind::Write,
        };
        let shift = port.limits().map_or(9, |limits| limits.block.shift());
        let took = self.now().0.saturating_sub(record.deadline.0.saturating_sub(self.timeout_ns));
        sample(&mut self.figures, kind, took, record.blocks, shift);
    }
}
