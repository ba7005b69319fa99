// SPDX-License-Identifier: MIT
//! Commands on their way to the device, and back.
use super::{Class, Port, Step};
use crate::wire::registers::port;
use core::sync::atomic::{Ordering, fence};
use orion_region::Mmio;

impl<T: Copy + Default> Port<T> {
    /// Shows the device what it may see now; whether that was anything.
    #[inline]
    pub fn pump<R: Mmio>(&mut self, registers: &R) -> bool {
        let usual =
            self.plain == 0 && self.suspects == 0 && self.turn && (self.held == 0 || self.class == Class::Queued);
        if usual && self.step == Step::Ready {
            let staged = self.queued;
            if staged == 0 {
                return false;
            }
            self.issue(registers, Class::Queued, staged);
            return true;
        }
        self.pump_other(registers)
    }

    /// Where there are others than queued commands, or the port is not at its usual work.
    #[inline(never)]
    fn pump_other<R: Mmio>(&mut self, registers: &R) -> bool {
        if !self.turn {
            return false;
        }
        let (queued, plain) = match self.step {
            Step::Ready => (self.queued, self.plain),
            Step::Job => (0, self.plain & self.spare_bit()),
            _ => return false,
        };
        if self.suspects != 0 && self.step == Step::Ready {
            return self.pump_suspect(registers);
        }
        let class = match (queued != 0, plain != 0) {
            (false, false) => return false,
            (true, false) => Class::Queued,
            (false, true) => Class::Plain,
            // They never meet. Who waits lets nobody pass, and is next when the device holds nothing.
            (true, true) if self.held != 0 => return false,
            (true, true) if self.class == Class::Queued => Class::Plain,
            (true, true) => Class::Queued,
        };
        if self.held != 0 && self.class != class {
            return false;
        }
        self.issue(registers, class, if class == Class::Queued { queued } else { plain });
        true
    }

    /// One command at a time, of those of which one has made the device fail: that one will be alone when it does so again.
    fn pump_suspect<R: Mmio>(&mut self, registers: &R) -> bool {
        if self.held != 0 {
            return false;
        }
        self.suspects &= self.queued | self.plain;
        let bit = self.suspects & self.suspects.wrapping_neg();
        if bit == 0 {
            return self.pump_other(registers);
        }
        let class = if self.queued & bit != 0 { Class::Queued } else { Class::Plain };
        self.issue(registers, class, bit);
        true
    }

    /// Gives commands to the device: one write for all of them (AHCI 1.3.1, section 5.5.1; queued ones: 5.3.2.3).
    #[inline]
    fn issue<R: Mmio>(&mut self, registers: &R, class: Class, slots: u32) {
        self.held |= slots;
        (self.queued, self.plain) = (self.queued & !slots, self.plain & !slots);
        self.class = class;
        // The commands are in memory before the device is told of them.
        fence(Ordering::Release);
        if self.by_fis {
            self.select(registers);
        }
        if class == Class::Queued {
            self.write(registers, port::SACT, slots);
            // A queued command has not ended before its bit in SACT is clear, so this write may be on its way for a while.
            registers.doorbell32(self.base + port::CI, slots);
        } else {
            self.write(registers, port::CI, slots);
        }
    }

    /// Asks which of the commands that the device holds have ended.
    #[inline]
    pub fn collect<R: Mmio>(&mut self, registers: &R) {
        if self.held == 0 || self.frozen || !matches!(self.step, Step::Ready | Step::Job) {
            return;
        }
        let register = if self.class == Class::Queued { port::SACT } else { port::CI };
        let active = self.read(registers, register);
        // What it wrote is read only after this.
        fence(Ordering::Acquire);
        self.ended |= self.held & !active;
        self.held &= active;
    }
}
