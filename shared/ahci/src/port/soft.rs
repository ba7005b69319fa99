// SPDX-License-Identifier: MIT
//! A drive that stays busy after its link was reset is reset by software (AHCI 1.3.1, sections 3.3.7 and 10.4.1), once.
use super::{Job, Next, Port, Slot, Step, flag};
use crate::wire::registers::{cmd, port};
use crate::wire::{fis, memory};
use core::sync::atomic::Ordering::Relaxed;
use orion_region::Mmio;

impl<T: Copy + Default> Port<T> {
    /// The drive does not get ready: has the controller forget that it is busy, for commands are not sent to one that is.
    pub(super) fn soften<R: Mmio>(&mut self, registers: &R) -> Next {
        if self.softened || !self.able.overrides {
            return self.failed(registers, "the drive does not get ready");
        }
        self.softened = true;
        let command = self.read(registers, port::CMD) & !cmd::ST;
        self.write(registers, port::CMD, command | cmd::CLO);
        self.go(Step::Override)
    }

    /// It has forgotten: the reset begins.
    pub(super) fn overridden<R: Mmio>(&mut self, registers: &R) -> Next {
        self.write(registers, port::IS, u32::MAX);
        let command = self.read(registers, port::CMD);
        self.write(registers, port::CMD, command | cmd::ST);
        self.start_job(registers, Job::Soft(true))
    }

    /// Issues one half of the reset: a FIS that writes the control register, and is no command.
    pub(super) fn start_soft<R: Mmio>(&mut self, registers: &R, begin: bool) -> Next {
        let (Some(header), Some(table)) = (self.list.get(self.spare.into()), self.tables.get(self.spare.into())) else {
            return Next::Wait;
        };
        let [first, second] = fis::control(0, if begin { fis::SOFT_RESET } else { 0 });
        let flags = if begin { memory::header::RESET | memory::header::CLEAR_BUSY } else { 0 };
        table[0].store(first, Relaxed);
        table[1].store(second, Relaxed);
        header[0].store(memory::head(false, 0) | u64::from(flags), Relaxed);
        if let Some(record) = self.slots.get_mut(usize::from(self.spare)) {
            *record = Slot { flags: flag::OWN, ..Slot::default() };
        }
        self.plain |= self.spare_bit();
        (self.job, self.outcome, self.began, self.step) = (Job::Soft(begin), None, None, Step::Job);
        self.pump(registers);
        Next::Wait
    }

    /// A half has ended: the other follows, or the drive is about to say what it is.
    pub(super) fn soft_ended<R: Mmio>(&mut self, registers: &R, begin: bool) -> Next {
        self.outcome = None;
        if begin {
            return self.start_job(registers, Job::Soft(false));
        }
        self.drop_job();
        self.go(Step::Settle)
    }
}
