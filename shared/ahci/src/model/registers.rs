// SPDX-License-Identifier: MIT
//! The controller's registers, as the driver sees them.
use super::{Model, Shared};
use crate::wire::registers::{cmd, hba, port};
use orion_region::Mmio;

/// BAR 5 of a controller.
#[derive(Clone, Debug)]
pub struct Abar(pub Shared);

impl Model {
    fn read(&mut self, offset: usize) -> u32 {
        if self.gone {
            return u32::MAX;
        }
        match offset {
            hba::CAP => {
                let bit = |yes: bool, bit: u32| u32::from(yes) << bit;
                let shape = &self.shape;
                let switches =
                    bit(shape.ncq, 30) | bit(shape.wide, 31) | bit(shape.staggered, 27) | bit(shape.low_power, 26);
                let more = bit(shape.multipliers, 17)
                    | bit(shape.by_fis, 16)
                    | bit(shape.overrides, 24)
                    | bit(shape.notifies, 29);
                u32::from(shape.slots - 1) << 8 | switches | more
            }
            hba::GHC => self.ghc,
            hba::IS => self.is,
            hba::PI => self.shape.ports,
            hba::VS => 0x1_0301,
            hba::CAP2 => u32::from(self.shape.handoff.is_some()),
            hba::BOHC => {
                if self.bohc & 2 != 0 && self.handoff != u32::MAX {
                    self.handoff = self.handoff.saturating_sub(1);
                    self.bohc &= if self.handoff == 0 { !1 } else { u32::MAX };
                }
                self.bohc
            }
            _ if offset >= hba::PORTS => self.read_port((offset - hba::PORTS) / 128, offset % 128),
            _ => 0,
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        if self.gone {
            return;
        }
        match offset {
            hba::GHC => self.control(value),
            hba::IS => {
                self.is &= !value;
                // What came meanwhile is a new message (10.6.2.2).
                if self.is != 0 {
                    self.interrupt();
                }
                // A port that still has something pending shows again, without a new event (3.1.4).
                for port in 0..32 {
                    let pending = self.ports[port].is & self.ports[port].ie != 0;
                    self.is |= u32::from(pending && value >> port & 1 != 0) << port;
                }
            }
            hba::BOHC => self.bohc = self.bohc & 1 | value & 2,
            _ if offset >= hba::PORTS => self.write_port((offset - hba::PORTS) / 128, offset % 128, value),
            _ => {}
        }
    }

    fn control(&mut self, value: u32) {
        assert!(self.bohc & 1 == 0, "the firmware still owns the controller");
        if value & 1 != 0 && self.shape.stuck {
            self.ghc = value;
            return;
        }
        if value & 1 == 0 {
            self.ghc = value & 0x8000_0002;
            return;
        }
        self.resets += u64::from(self.ghc & 2 != 0);
        (self.ghc, self.is, self.raised) = (0x8000_0000, 0, false);
        self.taken.clear();
        for port in 0..32 {
            let drive = self.ports[port].drive.take();
            let multiplier = self.ports[port].multiplier.take();
            let stuck = self.ports[port].stuck;
            let fresh = super::Port { drive, multiplier, stuck, tfd: 0x7f, sig: u32::MAX, ..super::Port::default() };
            self.ports[port] = fresh;
            if let Some(drive) = &mut self.ports[port].drive {
                drive.reset();
            }
            self.connect(port);
        }
    }

    fn read_port(&mut self, number: usize, register: usize) -> u32 {
        assert!(self.shape.ports >> number & 1 != 0, "port {number} is not there");
        self.greet(number);
        let regs = &mut self.ports[number];
        match register {
            port::IS => regs.is,
            port::IE => regs.ie,
            port::CMD if regs.stuck => regs.cmd | cmd::CR,
            port::CMD => regs.cmd | if self.shape.by_fis { cmd::FBSCP } else { 0 },
            port::TFD if regs.by_fis() => regs.tfds[(regs.fbs >> 8 & 15) as usize],
            port::TFD => regs.tfd,
            port::FBS => regs.fbs,
            port::SNTF => regs.sntf,
            port::SIG => regs.sig,
            port::SSTS => regs.ssts,
            port::SCTL => regs.sctl,
            port::SERR => regs.serr,
            port::SACT => regs.sact,
            port::CI => regs.ci,
            _ => regs.regs[register / 4],
        }
    }

    fn write_port(&mut self, number: usize, register: usize, value: u32) {
        assert!(self.shape.ports >> number & 1 != 0, "port {number} is not there");
        let regs = &mut self.ports[number];
        match register {
            port::IS => regs.is &= !value,
            port::IE => regs.ie = value,
            port::CMD => self.command(number, value),
            port::SERR => {
                regs.serr &= !value;
                self.greet(number);
            }
            port::SCTL => self.link_control(number, value),
            port::FBS => self.switching(number, value),
            port::SNTF => regs.sntf &= !value,
            port::SACT => {
                assert!(regs.cmd & cmd::ST != 0, "SACT while the port is stopped");
                assert_eq!(regs.sact & value, 0, "a tag that is in use");
                regs.sact |= value;
            }
            port::CI => {
                assert!(regs.cmd & cmd::ST != 0, "CI while the port is stopped");
                assert_eq!(regs.ci & value, 0, "a slot that is in use");
                assert!(value >> (u32::from(self.shape.slots) - 1) <= 1, "a slot that is not there");
                (regs.ci, regs.fresh) = (regs.ci | value, regs.fresh | value);
                let device = (regs.fbs >> 8 & 15) as u8;
                (0..32).filter(|slot| value >> slot & 1 != 0).for_each(|slot| regs.devices[slot] = device);
                self.kicks += 1;
                self.wake(number);
            }
            port::CLB | port::CLBU | port::FB | port::FBU => {
                assert!(regs.cmd & (cmd::FRE | cmd::FR | cmd::ST | cmd::CR) == 0, "addresses of a port that runs");
                regs.regs[register / 4] = value;
            }
            _ => regs.regs[register / 4] = value,
        }
    }

    fn command(&mut self, number: usize, value: u32) {
        let before = self.ports[number].cmd;
        let status = cmd::CR | cmd::FR | 31 << cmd::CCS_SHIFT | cmd::ST | cmd::CLO | cmd::FBSCP;
        let overrides = self.shape.overrides;
        let regs = &mut self.ports[number];
        regs.cmd = before & status | value & !status;
        if value & cmd::CLO != 0 {
            assert!(overrides && before & (cmd::ST | cmd::CR) == 0, "CLO of a port that runs (3.3.7)");
            regs.tfd &= !0x88;
        }
        if (before ^ value) & cmd::PMA != 0 {
            assert!(self.shape.multipliers && before & (cmd::ST | cmd::CR) == 0, "PMA of a port that runs");
        }
        if value & cmd::FRE != 0 {
            assert!(
                regs.address(port::CLB).trailing_zeros() >= 10 && regs.address(port::FB).trailing_zeros() >= 8,
                "misaligned lists"
            );
            assert!(regs.address(port::FB) != 0, "FRE before the addresses");
            regs.cmd |= cmd::FR;
        } else {
            assert!(value & cmd::ST == 0 && before & cmd::CR == 0, "FRE cleared while commands are processed");
            regs.cmd &= !cmd::FR;
        }
        self.connect(number);
        self.greet(number);
        match (before & cmd::ST != 0, value & cmd::ST != 0) {
            (false, true) => self.start(number),
            (true, false) => self.stop(number),
            _ => {}
        }
    }

    fn link_control(&mut self, number: usize, value: u32) {
        let before = self.ports[number].sctl;
        self.ports[number].sctl = value;
        if value & 15 == 1 {
            assert!(self.ports[number].cmd & (cmd::ST | cmd::CR) == 0, "COMRESET while commands are processed");
            self.comresets += u64::from(before & 15 == 0);
            if let Some(drive) = &mut self.ports[number].drive {
                drive.reset();
            }
            self.disconnect(number);
        } else if before & 15 == 1 {
            self.connect(number);
        }
    }
}

impl Mmio for Abar {
    fn len(&self) -> usize {
        hba::PORTS + 32 * hba::PORT_BYTES
    }
    fn read8(&self, _: usize) -> u8 {
        panic!("AHCI's registers are read by words")
    }
    fn read16(&self, _: usize) -> u16 {
        panic!("AHCI's registers are read by words")
    }
    fn read32(&self, offset: usize) -> u32 {
        self.0.borrow_mut().read(offset)
    }
    fn read64(&self, _: usize) -> u64 {
        panic!("AHCI's registers are read by words")
    }
    fn write8(&self, _: usize, _: u8) {
        panic!("AHCI's registers are written by words")
    }
    fn write16(&self, _: usize, _: u16) {
        panic!("AHCI's registers are written by words")
    }
    fn write32(&self, offset: usize, value: u32) {
        self.0.borrow_mut().write(offset, value);
    }
    fn write64(&self, _: usize, _: u64) {
        panic!("AHCI's registers are written by words")
    }
}

impl orion_driver::Registers for Abar {
    fn set_dma(&mut self, on: bool) {
        self.0.borrow_mut().master = on;
    }
}
