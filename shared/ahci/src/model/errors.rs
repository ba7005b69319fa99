// SPDX-License-Identifier: MIT
//! How commands fail: what a drive says, what a port does, and what both do that they should not.
use super::commands::Outcome;
use super::port::Taken;
use super::{Mischief, Model};
use crate::wire::registers::{cmd, is, port as register};

impl Model {
    /// A command has failed: its port stops (AHCI 1.3.1, 6.2.2).
    pub(super) fn fail(&mut self, taken: &Taken, error: u8) {
        let &Taken { port, slot, queued, device, .. } = taken;
        self.log(taken, error);
        let regs = &mut self.ports[port];
        *regs.tfd_of(device) = u32::from(error) << 8 | if queued { 0x41 } else { 0x51 };
        if regs.by_fis() {
            regs.fbs = regs.fbs & !(15 << 16) | u32::from(device) << 16 | 4;
        } else {
            regs.halted = true;
        }
        regs.cmd = regs.cmd & !(31 << cmd::CCS_SHIFT) | u32::from(slot) << cmd::CCS_SHIFT;
        if queued {
            self.drive_for(taken).unwrap().aborted = true;
            self.set_bits_fis(taken, 0);
        } else {
            self.register_fis(taken, 0);
            // Some of it was moved.
            let header = self.ports[port].address(register::CLB) + 32 * u64::from(slot);
            self.bus().store(header + 4, &1u32.to_le_bytes());
        }
        let apart = self.ports[port].by_fis();
        self.taken.retain(|taken| taken.port != port || apart && taken.device != device);
        self.event(port, is::TFES);
    }

    /// What the log of queued errors will say (ACS-3, A.14).
    fn log(&mut self, taken: &Taken, error: u8) {
        let Some(drive) = self.drive_for(taken) else { return };
        let log = &mut drive.log;
        *log = [0; 512];
        (log[0], log[2], log[3]) = (taken.slot | if taken.queued { 0 } else { 0x80 }, 0x41, error);
        seal(log);
    }

    pub(super) fn error_log(&mut self, taken: &Taken) -> Outcome {
        let drive = self.drive_for(taken).ok_or(4u8)?;
        drive.aborted = false;
        let log = drive.log;
        if log[510] == 0xff {
            return Err(4);
        }
        self.send(taken, &log)
    }

    /// Does what it should not; whether that is all that happens.
    pub(super) fn misbehave(&mut self, mischief: Mischief, taken: &Taken) -> bool {
        let port = taken.port;
        self.mischief = None;
        match mischief {
            Mischief::Fail(error) => self.fail(taken, error),
            Mischief::FailBusy(error) => {
                self.fail(taken, error);
                *self.ports[port].tfd_of(taken.device) |= 0x80;
            }
            Mischief::Lose => {}
            Mischief::BlameOther(slot) => {
                self.fail(taken, 0x40);
                if let Some(drive) = self.drive_for(taken) {
                    drive.log[0] = slot;
                    seal(&mut drive.log);
                }
            }
            Mischief::BadLog => {
                self.fail(taken, 0x40);
                self.drive_for(taken).into_iter().for_each(|drive| drive.log[0] ^= 1);
            }
            Mischief::NoLog => {
                self.fail(taken, 0x40);
                self.drive_for(taken).into_iter().for_each(|drive| drive.log[510] = 0xff);
            }
            Mischief::LinkFails => self.halt(port, is::IFS),
            Mischief::BusFails => self.halt(port, is::HBFS),
            Mischief::Overflows => {
                let slot = u32::from(taken.slot);
                self.ports[port].cmd = self.ports[port].cmd & !(31 << cmd::CCS_SHIFT) | slot << cmd::CCS_SHIFT;
                self.halt(port, is::OFS);
            }
            Mischief::Short => {
                self.succeed(taken, 0, 0);
            }
            Mischief::Sticks => {
                self.fail(taken, 0x40);
                self.ports[port].sticks = true;
            }
            Mischief::Spurious => return false,
        }
        true
    }

    fn halt(&mut self, port: usize, bits: u32) {
        self.ports[port].halted = true;
        self.taken.retain(|taken| taken.port != port);
        self.event(port, bits);
    }
}

/// Makes the page's bytes add up to 0.
fn seal(log: &mut [u8; 512]) {
    log[511] = 0;
    log[511] = 0u8.wrapping_sub(log.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
}
