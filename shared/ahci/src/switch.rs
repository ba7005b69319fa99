// SPDX-License-Identifier: MIT
//! A port with a port multiplier (AHCI 1.3.1, section 9; Serial ATA 3.0, section 16): what is done for all devices behind it.
//!
//! It brings the multiplier up, resets devices one at a time and hears of those that come and go. Each device's commands are
//! its own port's, [`crate::port::Port`], as are its errors. Without FIS-based switching only one of them has commands at the
//! controller at any time, and nobody while the multiplier itself is asked.
use crate::Fault;
use crate::layout::{self, SLOTS, TABLE_WORDS};
use crate::port::Abilities;
use crate::wire::fis::{REGISTER, ToHost};
use crate::wire::registers::port;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use orion_block::Instant;
use orion_region::{Mmio, Table, Window};
use zerocopy::{FromBytes, IntoBytes};

mod ask;
mod commands;
mod device;
mod steps;

pub use steps::{Step, Told};

/// What lies in received FISes for each device, as 64-bit words.
pub type Received = Table<[AtomicU64; layout::RECEIVED_WORDS]>;

/// A port with a port multiplier.
#[derive(Debug)]
pub struct Switch {
    /// Its registers, from the start of the register file; 0 where there is no such port.
    pub base: usize,
    /// Units behind it, one bit each.
    pub units: u32,
    /// The unit whose turn it is, where only one may have commands at the controller.
    pub turn: u8,
    pub step: Step,
    /// Devices are told apart by their FISes.
    pub by_fis: bool,
    /// What went wrong last, for people.
    pub fault: Option<&'static str>,
    /// Times that it did what it must not do.
    pub misused: u64,
    began: Option<Instant>,
    /// A command of its own is at the controller.
    held: bool,
    /// That command has failed.
    failed: bool,
    /// Devices to be reset, one bit each.
    wanted: u16,
    /// Devices of units, one bit each.
    named: u16,
    /// The multiplier may have something to say.
    notified: bool,
    /// It says by itself when devices come and go.
    notifies: bool,
    /// The device that is being reset.
    device: u8,
    /// How often it was asked whether that device's link is up.
    pauses: u8,
    /// Ports for devices.
    ports: u8,
    /// Resets in a row that have not helped.
    resets: u8,
    /// The slot of its own commands.
    slot: u8,
    able: Abilities,
    list: Table<[AtomicU64; 4]>,
    tables: Table<[AtomicU64; TABLE_WORDS]>,
    received: Received,
    dma_bus: u64,
}

impl Switch {
    /// None.
    pub const fn unused() -> Self {
        Self {
            base: 0,
            units: 0,
            turn: 0,
            step: Step::Dead,
            by_fis: false,
            fault: None,
            misused: 0,
            began: None,
            held: false,
            failed: false,
            wanted: 0,
            named: 0,
            notified: false,
            notifies: false,
            device: 0,
            pauses: 0,
            ports: 0,
            resets: 0,
            slot: 0,
            able: Abilities::NONE,
            list: Table::empty(),
            tables: Table::empty(),
            received: Table::empty(),
            dma_bus: 0,
        }
    }

    /// The one at the port whose registers begin at `base`, with the structures of its first unit in `dma`.
    pub fn new(base: usize, dma: &Window, dma_bus: u64, able: Abilities) -> Result<Self, Fault> {
        Ok(Self {
            base,
            step: Step::Turn,
            slot: able.slots.saturating_sub(1),
            able,
            list: Table::new(dma, layout::LIST, SLOTS).ok_or(Fault::Dma)?,
            tables: Table::new(dma, layout::TABLES, SLOTS).ok_or(Fault::Dma)?,
            received: Table::new(dma, layout::RECEIVED, layout::RECEIVED_MAX).ok_or(Fault::Dma)?,
            dma_bus,
            ..Self::unused()
        })
    }

    /// A unit is the device `device` behind it; whether no other is.
    pub fn join(&mut self, unit: usize, device: u8) -> bool {
        let (before, bit) = (self.named, 1u16.checked_shl(device.into()).unwrap_or(0));
        self.named |= bit;
        self.units |= 1 << unit;
        before & bit == 0
    }

    /// A device is to be reset.
    pub fn reset_device(&mut self, device: u8) {
        self.wanted |= 1u16.checked_shl(device.into()).unwrap_or(0) & self.named;
    }

    /// Whether it wants the controller for itself, or has it.
    pub fn wants(&self) -> bool {
        match self.step {
            Step::Serve => self.wanted != 0 || self.notified,
            Step::Absent | Step::Dead => false,
            _ => true,
        }
    }

    /// Whether it has the controller for itself, where devices are not told apart.
    pub fn works(&self) -> bool {
        !matches!(self.step, Step::Serve | Step::Absent | Step::Dead)
    }

    /// Whether devices may have commands at the controller beside its own.
    pub fn runs(&self) -> bool {
        matches!(self.step, Step::Serve | Step::Ask(_) | Step::Device(_))
    }

    /// The device that is being reset.
    pub fn resetting(&self) -> Option<u8> {
        matches!(self.step, Step::Device(_)).then_some(self.device)
    }

    /// Whether one of its own commands is at the controller.
    pub fn holds(&self) -> bool {
        self.held
    }

    fn read<R: Mmio>(&self, registers: &R, register: usize) -> u32 {
        registers.read32(self.base + register)
    }

    fn write<R: Mmio>(&self, registers: &R, register: usize, value: u32) {
        registers.write32(self.base + register, value);
    }

    /// The last register FIS of a device, or of the multiplier itself.
    fn answer(&self, device: u8) -> ToHost {
        fence(Ordering::Acquire);
        received(&self.received, if self.by_fis { device } else { 0 })
    }

    /// There was an interrupt, and no error: whether the multiplier has something to say.
    pub fn listen<R: Mmio>(&mut self, registers: &R) {
        if self.notifies && self.read(registers, port::SNTF) != 0 {
            self.write(registers, port::SNTF, u32::MAX);
            self.notified = true;
        }
    }

    /// What the controller holds of it has failed.
    pub fn failed(&mut self) {
        self.failed = true;
    }
}

/// The register FIS that was received last from a device.
pub fn received(from: &Received, device: u8) -> ToHost {
    let mut words = [0u64; 3];
    if let Some(area) = from.get(device.into()) {
        for (to, word) in words.iter_mut().zip(area.iter().skip(REGISTER / 8)) {
            *to = word.load(Relaxed);
        }
    }
    ToHost::read_from_prefix(words.as_bytes()).map(|(fis, _)| fis).unwrap_or_default()
}
