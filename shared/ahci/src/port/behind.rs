// SPDX-License-Identifier: MIT
//! A drive behind a port multiplier: what it shares with others, and what it leaves to the multiplier.
use super::steps::After;
use super::{Job, Next, Port, Step, Trouble};
use crate::Fault;
use crate::layout::{self, SLOTS};
use crate::switch::{self, Switch};
use crate::wire::fis::ToHost;
use crate::wire::registers::{fbs, port, signature};
use orion_region::{Mmio, Table};

impl<T: Copy + Default> Port<T> {
    /// It is `device` behind the multiplier at `base`, and has the `nth` of `of` equal parts of the command slots, of which the last is the
    /// multiplier's own. `leader`: whose memory holds the commands of all, if not its own.
    pub fn place_behind(
        &mut self,
        base: usize,
        device: u8,
        (nth, of): (u32, u32),
        leader: Option<&Self>,
    ) -> Result<(), Fault> {
        let part = u32::from(self.able.slots).saturating_sub(1).checked_div(of).filter(|part| *part >= 2);
        let part = part.ok_or(Fault::Slots)?;
        let bits = u32::MAX.checked_shr(32 - (part - 1)).unwrap_or(0);
        self.mine = bits.checked_shl(nth * part).unwrap_or(0);
        self.spare = u8::try_from(nth * part + part - 1).map_err(|_| Fault::Slots)?;
        if let Some(leader) = leader {
            self.list = Table::new(&leader.dma, layout::LIST, SLOTS).ok_or(Fault::Dma)?;
            self.tables = Table::new(&leader.dma, layout::TABLES, SLOTS).ok_or(Fault::Dma)?;
            self.received = Table::new(&leader.dma, layout::RECEIVED, layout::RECEIVED_MAX).ok_or(Fault::Dma)?;
            self.tables_bus = leader.tables_bus;
        }
        self.route = [u64::from(device) << 12, u64::from(device) << 8];
        (self.base, self.device, self.turn) = (base, Some(device), false);
        self.step = Step::Behind;
        Ok(())
    }

    /// The memory and its bus address, for whoever shares them.
    pub fn switch(&self) -> Result<Switch, Fault> {
        Switch::new(self.base, &self.dma, self.dma_bus, self.able)
    }

    /// What the drive answered last.
    pub(super) fn answer(&self) -> ToHost {
        switch::received(&self.received, if self.by_fis { self.device.unwrap_or(0) } else { 0 })
    }

    /// The port's registers are to be this device's.
    pub fn select<R: Mmio>(&self, registers: &R) {
        self.write(registers, port::FBS, self.mark());
    }

    fn mark(&self) -> u32 {
        fbs::EN | u32::from(self.device.unwrap_or(0)) << fbs::DEV_SHIFT
    }

    /// The multiplier looks after the device.
    pub fn behind(&mut self) {
        self.wants_halt = false;
        let _ = self.go(Step::Behind);
    }

    /// Whether devices are told apart by their FISes: then each may have commands at any time.
    pub fn switch_by_fis(&mut self, yes: bool) {
        (self.by_fis, self.turn) = (yes, yes);
    }

    /// The controller holds nothing of it any more.
    pub fn taken_back(&mut self) {
        self.lost |= self.held & self.all;
        self.held = 0;
    }

    /// The shared port has stopped. `all`: the link was reset. Whether the device must be reset, since it lost commands.
    pub fn halted(&mut self, all: bool) -> bool {
        let had = self.held != 0;
        self.taken_back();
        if all {
            self.switch_by_fis(false);
        }
        match self.step {
            Step::Absent | Step::Dead | Step::Behind => all,
            Step::Stop(_) if !all => {
                self.released = true;
                false
            }
            _ if all || had => {
                self.drop_job();
                self.trouble = Trouble::None;
                self.behind();
                true
            }
            _ => false,
        }
    }

    /// Whether it leaves the controller to others: it has no command there, and is not in the middle of something.
    pub fn rests(&self) -> bool {
        self.held == 0 && matches!(self.step, Step::Ready | Step::Behind | Step::Absent | Step::Dead)
    }

    /// Whether it has commands for the controller.
    pub fn waits(&self) -> bool {
        (self.queued | self.plain) != 0 && matches!(self.step, Step::Ready | Step::Job)
    }

    /// Whether the controller has a command of it.
    pub fn holds(&self) -> bool {
        self.held != 0
    }

    /// The device has been reset, and said what it is.
    pub fn greeted<R: Mmio>(&mut self, registers: &R, greeting: u32) {
        let _ = match greeting {
            signature::PACKET => self.dead(
                "a packet device (an optical drive?) is behind the port multiplier, which no driver of ours knows",
            ),
            signature::MULTIPLIER => {
                self.dead("a port multiplier is behind the port multiplier, which the standard does not allow")
            }
            _ => self.start_job(registers, Job::Identify),
        };
    }

    /// Stops what the controller does for this device, while it goes on for the others (9.3.6).
    pub(super) fn stop_apart<R: Mmio>(&mut self, registers: &R, after: After) -> Next {
        self.released = self.held == 0 && !self.apart;
        if self.apart {
            self.write(registers, port::FBS, self.mark() | fbs::DEC);
        } else {
            self.wants_halt = !self.released;
        }
        self.go(Step::Stop(after))
    }

    pub(super) fn forgotten<R: Mmio>(&self, registers: &R) -> bool {
        self.released || self.apart && self.read(registers, port::FBS) & fbs::DEC == 0
    }

    /// The device failed alone, and said so.
    pub fn failed_apart<R: Mmio>(&mut self, registers: &R, pending: u32) {
        self.select(registers);
        let ends = self.read(registers, port::TFD);
        self.apart = true;
        let _ = self.error(registers, pending, ends);
    }
}
