// SPDX-License-Identifier: MIT
//! What is counted of requests: how many ended, and of one in 64 how long it took, so that a request costs an addition.
use crate::Ahci;
use crate::port::flag;
use orion_block::Completion;
use orion_driver::{Registers, SAMPLED};
use orion_metrics::{Counter, Figures, Kind};

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    /// What was counted so far. How long requests took, and how much they moved, is that of one in 64; times are
    /// as fine as the calls of `set_time`.
    pub(crate) fn counted(&self) -> Figures {
        let mut figures = self.figures;
        let counters = orion_driver::Engine::<T>::counters(self);
        let in_flight: u32 = self.ports.iter().map(|port| port.in_flight()).sum();
        for (counter, value) in [
            (Counter::Requests, self.ended),
            (Counter::InFlight, in_flight.into()),
            (Counter::Kicks, counters.kicks),
            (Counter::Resets, counters.misused),
            (Counter::Timeouts, counters.timeouts),
            (Counter::Sampled, SAMPLED),
        ] {
            figures.set(counter, value);
        }
        figures
    }

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
        self.figures.record(kind, took);
        let sectors = u64::from(record.blocks) << shift.saturating_sub(9);
        self.figures.add(Counter::Sectors, sectors * SAMPLED);
    }
}
