// SPDX-License-Identifier: MIT
//! Starting and stopping a port, by the book (AHCI 1.3.1, sections 10.1.2, 10.3 and 10.4.2).
use super::steps::After;
use super::{Next, Port, RESETS_MAX, Step};
use crate::Power;
use crate::layout;
use crate::wire::registers::{cmd, is, link, port};
use orion_region::Mmio;

impl<T: Copy + Default> Port<T> {
    /// Nothing may be written to its drive, if `yes`.
    pub fn forbid_writes(&mut self, yes: bool) {
        self.policy_read_only |= yes;
    }

    /// It is the port whose registers begin at `base`.
    pub fn place(&mut self, base: usize) {
        self.base = base;
        self.step = Step::Turn;
    }

    /// Takes the port over, whatever it was doing.
    pub(super) fn begin<R: Mmio>(&mut self, registers: &R) -> Next {
        self.write(registers, port::IE, 0);
        self.stop(registers, After::Begin)
    }

    /// The controller was reset: nothing is at the device.
    pub fn begin_again(&mut self) {
        self.taken_back();
        self.drop_job();
        if self.device.is_some() {
            self.switch_by_fis(false);
            return self.behind();
        }
        if matches!(self.step, Step::Stop(_) | Step::Deaf | Step::Override) {
            // It may have been this one for which the controller was reset.
            self.resets = self.resets.saturating_add(1);
            if self.resets > RESETS_MAX {
                let _ = self.dead("the port did not stop after any reset of the controller: it is left alone");
            }
        }
        if !matches!(self.step, Step::Search | Step::Dead) {
            let _ = self.go(Step::Turn);
        }
    }

    /// No further command is processed; `after` that has come to an end.
    pub(super) fn stop<R: Mmio>(&mut self, registers: &R, after: After) -> Next {
        if self.by_fis {
            return self.stop_apart(registers, after);
        }
        let command = self.read(registers, port::CMD);
        self.write(registers, port::CMD, command & !cmd::ST);
        self.go(Step::Stop(after))
    }

    /// Gives the controller the port's memory, and lets it receive.
    pub(super) fn listen<R: Mmio>(&mut self, registers: &R) -> Next {
        for (register, offset) in [(port::CLB, layout::LIST), (port::FB, layout::RECEIVED)] {
            let [low, high] = crate::hba::halves(self.dma_bus + offset as u64);
            self.write(registers, register, low);
            self.write(registers, register + 4, high);
        }
        self.write(registers, port::SERR, u32::MAX);
        self.write(registers, port::IS, u32::MAX);
        self.write(registers, port::SCTL, self.power());
        let command = self.read(registers, port::CMD) & !(cmd::ICC | cmd::ALPE | cmd::ASP);
        let command = command | cmd::POD | cmd::SUD | cmd::ICC_ACTIVE;
        // The drive spins up; then its first FIS is received.
        self.write(registers, port::CMD, command);
        self.write(registers, port::CMD, command | cmd::FRE);
        self.write(registers, port::IE, self.wanted());
        self.go(Step::Link)
    }

    /// PxSCTL without COMRESET: which states of low power the link may go to (3.3.11).
    pub(super) fn power(&self) -> u32 {
        match self.saves() {
            Power::Active => link::ALWAYS_ACTIVE,
            Power::Partial => link::PARTIAL,
            Power::Slumber => link::SLUMBER,
        }
    }

    /// How far the link may go. One that goes further than its controller can would not come back.
    pub(super) fn saves(&self) -> Power {
        if self.able.low_power { self.options.power } else { Power::Active }
    }

    /// The interrupts to hear of: a link that saves power changes with each rest, and nobody wants to hear of that (8.3.1.3).
    fn wanted(&self) -> u32 {
        if self.saves() == Power::Active { is::WANTED } else { is::WANTED & !is::PRCS }
    }

    /// Lets the link of a drive that is ready save power by itself (8.3.1.3), if the drive takes that.
    pub(super) fn rest<R: Mmio>(&self, registers: &R) {
        let saves =
            if self.drive.as_ref().is_some_and(|drive| drive.host_power) { self.saves() } else { Power::Active };
        let bits = match saves {
            Power::Active => return,
            Power::Partial => cmd::ALPE,
            Power::Slumber => cmd::ALPE | cmd::ASP,
        };
        let command = self.read(registers, port::CMD) & !cmd::ICC;
        self.write(registers, port::CMD, command | bits);
    }

    /// Resets the drive.
    pub(super) fn comreset<R: Mmio>(&mut self, registers: &R) -> Next {
        if self.device.is_some() {
            self.behind();
            self.wants_reset = true;
            return Next::Wait;
        }
        self.softened = false;
        let command = self.read(registers, port::CMD);
        let command = command & !(cmd::ST | cmd::ALPE | cmd::ASP | cmd::ICC);
        self.write(registers, port::CMD, command | cmd::POD | cmd::SUD | cmd::FRE);
        self.write(registers, port::SCTL, self.power() | link::COMRESET);
        self.go(Step::Reset)
    }
}
