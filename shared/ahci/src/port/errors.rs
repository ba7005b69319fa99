// SPDX-License-Identifier: MIT
//! What went wrong, whose fault it was, and who is tried again (AHCI 1.3.1, section 6.2.2).
use super::steps::After;
use super::{Class, Job, Next, Port, Step, TRIES_MAX, flag};
use crate::wire::ata::error;
use crate::wire::registers::{cmd, is, link, port, tfd};
use orion_block::Error;
use orion_region::Mmio;

/// Why a port was stopped, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody's fault: the link's, or the controller's.
    None,
    /// A slot's, with what the drive said in its error and status registers.
    Slot(u8, u32),
    /// Of a queued command: the drive must be asked. It aborts everything until it is (ACS-3, 7.25.1).
    Ask(u32),
    /// As above, and it did not answer that either.
    Mute(u32),
    /// Somebody's, and nobody can say whose.
    Unknown,
}

/// SERR.DIAG (3.3.12): X (exchanged) and N (PhyRdy changed).
const EXCHANGED: u32 = 1 << 26;

impl<T: Copy + Default> Port<T> {
    /// There was an interrupt: acknowledges it. Completions may be asked for only after this. `None`: the registers are gone.
    #[inline]
    pub fn interrupted<R: Mmio>(&mut self, registers: &R) -> Option<Next> {
        let pending = self.read(registers, port::IS);
        if pending & !is::ENDED != 0 {
            return self.unusual(registers, pending);
        }
        if pending != 0 {
            self.write(registers, port::IS, pending);
        }
        Some(Next::Wait)
    }

    #[cold]
    #[inline(never)]
    fn unusual<R: Mmio>(&mut self, registers: &R, pending: u32) -> Option<Next> {
        if pending == u32::MAX && self.read(registers, port::CMD) == u32::MAX {
            return None;
        }
        let (serr, ends) = (self.read(registers, port::SERR), self.read(registers, port::TFD));
        // PCS, PRCS and UFS show bits of SERR and go only with them (3.3.5).
        self.write(registers, port::SERR, serr);
        self.write(registers, port::IS, pending);
        let works = matches!(self.step, Step::Ready | Step::Job);
        let came = pending & is::PCS != 0 || serr & EXCHANGED != 0;
        if pending & (is::PCS | is::PRCS) != 0 {
            let up = self.read(registers, port::SSTS) & link::DET == link::UP;
            if (matches!(self.step, Step::Absent | Step::Dead) && came && up)
                || (self.step == Step::Absent && up)
                || (works && (!up || came))
            {
                return Some(self.replug(registers));
            }
        }
        if works && pending & (is::FATAL | is::OFS) != 0 {
            return Some(self.error(registers, pending, ends));
        }
        Some(Next::Wait)
    }

    /// The drive was taken out, put in, or has reset itself: it is asked again who it is.
    fn replug<R: Mmio>(&mut self, registers: &R) -> Next {
        self.collect(registers);
        self.trouble = Trouble::None;
        self.drop_job();
        self.stop(registers, After::Reset)
    }

    /// The port has stopped: finds out for whom. What has ended before is answered as if nothing had happened.
    pub fn error<R: Mmio>(&mut self, registers: &R, pending: u32, ends: u32) -> Next {
        let command = self.read(registers, port::CMD);
        let blamed = pending & (is::TFES | is::OFS) != 0;
        if self.class == Class::Plain {
            let asked = if let (Job::Log, Trouble::Ask(first)) = (self.job, self.trouble) { Some(first) } else { None };
            let current = 1u32.wrapping_shl(command >> cmd::CCS_SHIFT & 31) & self.held;
            self.trouble = match asked {
                _ if !blamed => Trouble::None,
                Some(first) => Trouble::Mute(first),
                // CCS names the one, but not every controller keeps it (QEMU's does not): who was not alone is asked again alone.
                None if !self.held.is_power_of_two() => Trouble::Unknown,
                None => Trouble::Slot(u8::try_from(self.held.trailing_zeros()).unwrap_or(0), ends),
            };
            // Some controllers take the command that failed out of CI as well.
            let active = self.read(registers, port::CI) | if blamed { current } else { 0 };
            let active = if blamed && self.held.is_power_of_two() { self.held } else { active };
            self.ended |= self.held & !active;
            self.held &= active;
        } else {
            self.collect(registers);
            self.trouble = match self.held {
                _ if !blamed => Trouble::None,
                _ if pending & is::TFES != 0 => Trouble::Ask(ends),
                one if one.is_power_of_two() => Trouble::Slot(u8::try_from(one.trailing_zeros()).unwrap_or(0), ends),
                _ => Trouble::Unknown,
            };
        }
        if blamed {
            return self.stop(registers, After::Recover);
        }
        self.misused += 1;
        self.fault = Some("the link or the bus failed");
        self.again(registers)
    }

    /// The port has stopped after an error: starts it again, or resets a drive that is stuck.
    pub(super) fn recover<R: Mmio>(&mut self, registers: &R) -> Next {
        if self.by_fis {
            // What others have pending is not this one's.
            self.select(registers);
        } else {
            self.write(registers, port::SERR, u32::MAX);
            self.write(registers, port::IS, u32::MAX);
        }
        if self.read(registers, port::TFD) & (tfd::BSY | tfd::DRQ) != 0 {
            self.judge();
            self.drop_job();
            return self.comreset(registers);
        }
        let command = self.read(registers, port::CMD);
        self.write(registers, port::CMD, command | cmd::ST);
        match self.trouble {
            Trouble::Slot(slot, _) if slot == self.spare && self.job != Job::None => {
                self.trouble = Trouble::None;
                self.job_ended(false);
                if self.job.is_smart() { self.ready(false) } else { self.go(Step::Job) }
            }
            Trouble::Mute(ends) => {
                self.trouble = Trouble::Ask(ends);
                self.job_ended(false);
                self.go(Step::Job)
            }
            Trouble::Ask(_) => self.start_job(registers, Job::Log),
            _ => {
                self.judge();
                if self.job != Job::None && self.outcome.is_none() {
                    // The driver's own command was among them. It is not tried again.
                    self.job_ended(false);
                }
                self.ready(false)
            }
        }
    }

    /// Decides about whoever is to blame.
    pub(super) fn judge(&mut self) {
        match core::mem::replace(&mut self.trouble, Trouble::None) {
            Trouble::Slot(slot, ends) => self.convict(slot, ends),
            Trouble::Ask(ends) | Trouble::Mute(ends) if self.lost.is_power_of_two() => {
                self.convict(u8::try_from(self.lost.trailing_zeros()).unwrap_or(0), ends);
            }
            // One after the other, until it is known.
            Trouble::Ask(_) | Trouble::Mute(_) | Trouble::Unknown => self.suspects = self.lost,
            Trouble::None => {}
        }
    }

    /// Ends a request that made the drive fail, or has it tried again where its data were damaged on the way.
    pub(super) fn convict(&mut self, slot: u8, ends: u32) {
        let [status, register, ..] = ends.to_le_bytes();
        let Some(record) = self.slots.get_mut(usize::from(slot)) else { return };
        record.tries = record.tries.saturating_add(1);
        let failed = u32::from(status) & tfd::DF != 0;
        if register & error::ICRC != 0 && !failed && record.tries <= TRIES_MAX {
            return;
        }
        let medium = register & (error::UNC | error::IDNF) != 0 && register & error::ICRC == 0 && !failed;
        self.fail(slot, if medium { Error::Medium } else { Error::Io });
    }

    /// Serves again. What was lost is issued again; `blameless`: each time it is, is counted.
    pub(super) fn ready(&mut self, blameless: bool) -> Next {
        for slot in Self::each(core::mem::take(&mut self.lost)) {
            self.rewind(slot);
            let Some(record) = self.slots.get_mut(usize::from(slot)) else { continue };
            record.tries = record.tries.saturating_add(blameless.into());
            let (bit, flags, tries) = (1u32.wrapping_shl(slot.into()), record.flags, record.tries);
            if tries > TRIES_MAX {
                self.fail(slot, Error::Io);
            } else if flags & flag::QUEUED != 0 {
                self.queued |= bit;
            } else {
                self.plain |= bit;
            }
        }
        self.go(Step::Ready);
        Next::Wait
    }
}
