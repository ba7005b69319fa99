// SPDX-License-Identifier: MIT
//! A port multiplier: its registers, and the drives behind it. QEMU has none.
use super::commands::Outcome;
use super::port::Taken;
use super::{Drive, Model};
use crate::wire::ata::TaskFile;
use crate::wire::registers::{cmd, is};
use std::boxed::Box;
use std::vec::Vec;

/// The multiplier's own number.
const CONTROL: u8 = 15;

/// A port for a device.
#[derive(Debug, Default)]
struct Socket {
    drive: Option<Box<Drive>>,
    status: u32,
    errors: u32,
    control: u32,
}

impl Socket {
    /// Its link comes up, if there is a drive and nothing against it.
    fn connect(&mut self) {
        if self.drive.is_some() && self.control & 15 == 0 && self.status & 15 != 3 {
            self.status = 0x123;
            self.errors |= 1 << 26 | 1 << 16;
        }
    }

    fn disconnect(&mut self) {
        if self.status & 15 == 3 {
            self.errors |= 1 << 16;
        }
        self.status = 0;
    }
}

/// A port multiplier.
#[derive(Debug)]
pub struct Multiplier {
    sockets: Vec<Socket>,
    wanted: u32,
    enabled: u32,
    /// It says when devices come and go.
    pub notifies: bool,
    /// What the host was told of.
    said: u32,
    /// Resets of devices by COMRESET.
    pub comresets: u64,
}

impl Multiplier {
    /// One with so many ports, and drives at some.
    pub fn new(ports: usize, drives: Vec<(usize, Drive)>) -> Box<Self> {
        let mut sockets: Vec<Socket> = (0..ports).map(|_| Socket::default()).collect();
        for (port, drive) in drives {
            sockets[port].drive = Some(Box::new(drive));
        }
        Box::new(Self { sockets, wanted: 0x0400_ffff, enabled: 0, notifies: true, said: 0, comresets: 0 })
    }

    /// A drive whose link is up.
    pub fn drive(&mut self, device: u8) -> Option<&mut Drive> {
        let socket = self.sockets.get_mut(usize::from(device)).filter(|socket| socket.status & 15 == 3)?;
        socket.drive.as_deref_mut()
    }

    /// The signature of the first device.
    pub(super) fn first(&self) -> Option<u32> {
        self.sockets.first().and_then(|socket| Some(socket.drive.as_ref()?.signature))
    }

    /// After COMRESET the first port is enabled, the others are not.
    pub(super) fn reset(&mut self) {
        (self.wanted, self.enabled, self.said) = (0x0400_ffff, 0, 0);
        for (port, socket) in self.sockets.iter_mut().enumerate() {
            (socket.status, socket.errors, socket.control) = (0, 0, if port == 0 { 0 } else { 4 });
            if let Some(drive) = &mut socket.drive {
                drive.reset();
            }
            socket.connect();
        }
    }

    fn errors(&self) -> u32 {
        let sockets = self.sockets.iter().enumerate();
        sockets.fold(0, |all, (port, socket)| all | u32::from(socket.errors & self.wanted != 0) << port)
    }

    fn read(&self, port: u8, register: u16) -> Option<u32> {
        if port == CONTROL {
            return Some(match register {
                0 => 0x5742_1095,
                1 => 0x0e,
                2 => self.sockets.len() as u32,
                32 => self.errors(),
                33 => self.wanted,
                64 => u32::from(self.notifies) << 3,
                96 => self.enabled,
                _ => return None,
            });
        }
        let socket = self.sockets.get(usize::from(port))?;
        [socket.status, socket.errors, socket.control].get(usize::from(register)).copied()
    }

    fn write(&mut self, port: u8, register: u16, value: u32) -> Option<()> {
        match (port, register) {
            (CONTROL, 33) => self.wanted = value,
            (CONTROL, 96) => self.enabled = value & self.read(CONTROL, 64)?,
            (CONTROL, _) => return None,
            _ => {
                let socket = self.sockets.get_mut(usize::from(port))?;
                match register {
                    1 => socket.errors &= !value,
                    2 => {
                        let before = core::mem::replace(&mut socket.control, value);
                        if value & 15 == 1 {
                            self.comresets += u64::from(before & 15 != 1);
                            socket.disconnect();
                            socket.drive.iter_mut().for_each(|drive| drive.reset());
                        } else if before & 15 == 1 {
                            socket.connect();
                        }
                    }
                    _ => return None,
                }
            }
        }
        Some(())
    }
}

impl Model {
    /// Puts a multiplier into a port.
    pub fn plug_multiplier(&mut self, port: usize, multiplier: Box<Multiplier>) {
        self.ports[port].multiplier = Some(multiplier);
        self.connect(port);
    }

    /// The multiplier at a port.
    pub fn multiplier(&mut self, port: usize) -> &mut Multiplier {
        self.ports[port].multiplier.as_mut().expect("a multiplier at this port")
    }

    /// Takes a multiplier out.
    pub fn unplug_multiplier(&mut self, port: usize) -> Option<Box<Multiplier>> {
        let multiplier = self.ports[port].multiplier.take();
        self.disconnect(port);
        multiplier
    }

    /// Takes a drive out that is behind a multiplier.
    pub fn unplug_behind(&mut self, port: usize, device: u8) -> Option<Box<Drive>> {
        let socket = &mut self.multiplier(port).sockets[usize::from(device)];
        let drive = socket.drive.take();
        socket.disconnect();
        self.taken.retain(|taken| taken.port != port || taken.device != device);
        self.notice(port);
        drive
    }

    /// Puts a drive in.
    pub fn plug_behind(&mut self, port: usize, device: u8, drive: Drive) {
        let socket = &mut self.multiplier(port).sockets[usize::from(device)];
        socket.drive = Some(Box::new(drive));
        socket.connect();
        self.notice(port);
    }

    /// Tells the host that something has changed, where it wants to be told.
    fn notice(&mut self, port: usize) {
        let multiplier = self.multiplier(port);
        let errors = multiplier.errors();
        let news = errors & !multiplier.said != 0 && multiplier.enabled & 8 != 0;
        multiplier.said = errors;
        if news && self.shape.notifies {
            self.ports[port].sntf |= 1 << CONTROL;
            self.event(port, is::SDBS);
        }
    }

    /// READ and WRITE PORT MULTIPLIER.
    pub(super) fn multiplier_register(&mut self, taken: &Taken) -> Outcome {
        let TaskFile { command, features, count, lba, device } = taken.task;
        assert_eq!(taken.device, CONTROL, "who is asked for a multiplier's register");
        assert_eq!(device & 0xf0, 0);
        let multiplier = self.multiplier(taken.port);
        if command == 0xe4 {
            let value = multiplier.read(device, features).ok_or(4u8)?;
            // The lowest byte is the count's.
            return Ok((0, u64::from(value >> 8) | u64::from(value & 0xff) << 24));
        }
        multiplier.write(device, features, (lba as u32) << 8 | u32::from(count)).ok_or(4u8)?;
        self.notice(taken.port);
        Ok((0, 0))
    }

    /// A FIS that writes the control register: a half of a reset by software (AHCI 1.3.1, 10.4.1).
    pub(super) fn soft_reset(&mut self, port: usize, slot: u8, device: u8, flags: u16, control: u8) -> Option<Taken> {
        let regs = &mut self.ports[port];
        if control & 4 != 0 {
            assert_eq!(flags, 5 | 1 << 8 | 1 << 10, "a reset's first half: R and C are set");
            (regs.soft, regs.ci) = (Some(device), regs.ci & !(1 << slot));
            *regs.tfd_of(device) = 0x80;
            return None;
        }
        assert_eq!((flags, regs.soft.take()), (5, Some(device)), "a reset's second half");
        let task = TaskFile::default();
        Some(Taken { port, slot, queued: false, task, parts: Vec::new(), write: false, device, soft: true })
    }

    /// The end of a reset by software: whoever was reset says what it is.
    pub(super) fn greet_again(&mut self, taken: &Taken) {
        let regs = &mut self.ports[taken.port];
        let signature = match &mut regs.multiplier {
            Some(_) if taken.device == CONTROL => Some(0x9669_0101),
            Some(multiplier) => {
                let socket = multiplier.sockets.get_mut(usize::from(taken.device));
                let ready = socket.filter(|socket| socket.status & 15 == 3 && socket.errors & 1 << 26 == 0);
                ready.and_then(|socket| socket.drive.as_mut())
            }
            .map(|drive| {
                drive.reset();
                drive.signature
            }),
            None => regs.drive.as_mut().map(|drive| {
                drive.reset();
                drive.sulks = false;
                drive.signature
            }),
        };
        let Some(signature) = signature else { return };
        (regs.sig, regs.ci) = (signature, regs.ci & !(1 << taken.slot));
        *regs.tfd_of(taken.device) = 0x150;
        let [count, ..] = signature.to_le_bytes();
        self.register_fis(taken, u64::from(signature >> 8) | u64::from(count) << 24);
        self.event(taken.port, is::DHRS);
    }

    /// PxFBS is written.
    pub(super) fn switching(&mut self, port: usize, value: u32) {
        let shape = self.shape;
        let regs = &mut self.ports[port];
        assert!(shape.by_fis, "PxFBS that is not there");
        if (regs.fbs ^ value) & 1 != 0 {
            assert!(regs.cmd & (cmd::ST | cmd::CR) == 0, "PxFBS.EN of a port that runs");
            assert!(value & 1 == 0 || regs.cmd & cmd::PMA != 0, "FIS-based switching without a multiplier");
            regs.tfds = [0x50; 16];
        }
        regs.fbs = regs.fbs & !0xf01 | value & 0xf01;
        if value & 2 != 0 {
            assert!(regs.fbs & 4 != 0, "DEC without an error of one device");
            let device = (regs.fbs >> 16 & 15) as u8;
            let gone = (0..32).filter(|slot| regs.devices[*slot] == device).fold(0u32, |all, slot| all | 1 << slot);
            (regs.ci, regs.sact, regs.fresh) = (regs.ci & !gone, regs.sact & !gone, regs.fresh & !gone);
            regs.fbs &= !(4 | 15 << 16);
            self.taken.retain(|taken| taken.port != port || taken.device != device);
        }
    }
}
