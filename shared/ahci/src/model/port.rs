// SPDX-License-Identifier: MIT
//! A port: its registers, its link, the commands that it takes.
use super::{Drive, Model, Multiplier};
use crate::wire::ata::TaskFile;
use crate::wire::fis::{COMMAND, INTERRUPT, ToDevice, ToHost, kind};
use crate::wire::memory::{CommandHeader, Entry};
use crate::wire::registers::{cmd, is, port};
use std::boxed::Box;
use std::vec::Vec;
use zerocopy::{FromBytes, IntoBytes};

/// A command that a drive has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its port.
    pub port: usize,
    /// The number behind a port multiplier that it is for.
    pub device: u8,
    /// It is the end of a reset by software.
    pub soft: bool,
    /// Its slot.
    pub slot: u8,
    /// Whether it is queued.
    pub queued: bool,
    /// What it says.
    pub task: TaskFile,
    /// Where its data lie: address and bytes.
    pub parts: Vec<(u64, usize)>,
    /// Data go to the drive.
    pub write: bool,
}

/// A port.
#[derive(Debug, Default)]
pub struct Port {
    /// The drive that is plugged in.
    pub drive: Option<Box<Drive>>,
    /// The port multiplier that is plugged in instead.
    pub multiplier: Option<Box<Multiplier>>,
    pub(super) fbs: u32,
    pub(super) sntf: u32,
    /// Task files of devices, where they are told apart.
    pub(super) tfds: [u32; 16],
    /// Which device each slot's command is for.
    pub(super) devices: [u8; 32],
    /// The device that is in the middle of a reset by software.
    pub(super) soft: Option<u8>,
    pub(super) regs: [u32; 32],
    pub(super) is: u32,
    pub(super) ie: u32,
    pub(super) cmd: u32,
    pub(super) tfd: u32,
    pub(super) sig: u32,
    pub(super) ssts: u32,
    pub(super) sctl: u32,
    pub(super) serr: u32,
    pub(super) sact: u32,
    pub(super) ci: u32,
    /// Commands in CI that were not looked at.
    pub(super) fresh: u32,
    /// It has stopped after an error.
    pub(super) halted: bool,
    /// It does not stop when told to.
    pub(super) sticks: bool,
    /// The same, whatever is reset.
    pub stuck: bool,
    /// The drive's first FIS has been received.
    pub(super) greeted: bool,
    /// Reads of registers until something has changed.
    pub(super) wait: u32,
}

impl Port {
    /// Which commands its drive has, as SACT and CI say.
    pub fn active(&self) -> (u32, u32) {
        (self.sact, self.ci)
    }

    /// Whether devices are told apart by their FISes.
    pub(super) fn by_fis(&self) -> bool {
        self.fbs & 1 != 0
    }

    /// The device that has failed alone.
    pub(super) fn failed_apart(&self) -> Option<u8> {
        (self.fbs & 5 == 5).then_some((self.fbs >> 16 & 15) as u8)
    }

    /// The task file that a device's FISes change.
    pub(super) fn tfd_of(&mut self, device: u8) -> &mut u32 {
        if self.fbs & 1 != 0 { &mut self.tfds[usize::from(device)] } else { &mut self.tfd }
    }

    /// Where FISes of a device are stored.
    pub(super) fn received(&self, device: u8) -> u64 {
        self.address(port::FB) + if self.by_fis() { 256 * u64::from(device) } else { 0 }
    }

    pub(super) fn address(&self, register: usize) -> u64 {
        u64::from(self.regs[register / 4]) | u64::from(self.regs[register / 4 + 1]) << 32
    }
}

impl Model {
    /// The link of a port comes up, if there is a drive and it is powered.
    pub(super) fn connect(&mut self, port: usize) {
        let (staggered, slow) = (self.shape.staggered, self.shape.slow);
        let regs = &mut self.ports[port];
        let spun = !staggered || regs.cmd & cmd::SUD != 0;
        if regs.drive.is_none() && regs.multiplier.is_none() || !spun || regs.sctl & 15 == 1 || regs.ssts & 15 == 3 {
            return;
        }
        (regs.ssts, regs.tfd, regs.sig, regs.greeted) = (0x133, 0x80, u32::MAX, false);
        regs.serr |= 1 << 26 | 1 << 16;
        if let Some(multiplier) = &mut regs.multiplier {
            multiplier.reset();
        }
        regs.wait = slow;
        self.event(port, is::PCS | is::PRCS);
    }

    pub(super) fn disconnect(&mut self, port: usize) {
        let regs = &mut self.ports[port];
        let was = regs.ssts & 15 == 3;
        (regs.ssts, regs.tfd) = (0, 0x7f);
        self.taken.retain(|taken| taken.port != port);
        if was {
            self.ports[port].serr |= 1 << 16;
            self.event(port, is::PRCS);
        }
    }

    /// Takes a drive out.
    pub fn unplug(&mut self, port: usize) -> Option<Box<Drive>> {
        let drive = self.ports[port].drive.take();
        self.disconnect(port);
        drive
    }

    /// Puts a drive in.
    pub fn plug(&mut self, port: usize, drive: Drive) {
        self.ports[port].drive = Some(Box::new(drive));
        self.connect(port);
    }

    /// The drive's first FIS, once the port receives (10.4.2 of AHCI, 11.4 of Serial ATA).
    pub(super) fn greet(&mut self, port: usize) {
        let regs = &mut self.ports[port];
        let greeting = match &regs.multiplier {
            // Who does not know of multipliers sees the first device behind one.
            Some(multiplier) => multiplier.first(),
            None => regs.drive.as_ref().filter(|drive| !drive.sulks).map(|drive| drive.signature),
        };
        let Some(signature) = greeting else { return };
        // Before SERR.DIAG.X is clear no signature is taken (AHCI 1.3.1, 5.1 and 10.4.2).
        let ready = regs.cmd & cmd::FRE != 0 && regs.ssts & 15 == 3 && regs.serr & 1 << 26 == 0 && !regs.greeted;
        if !ready {
            return;
        }
        if regs.wait > 0 {
            regs.wait -= 1;
            return;
        }
        (regs.sig, regs.tfd, regs.greeted) = (signature, 0x150, true);
    }

    /// A link with nothing to do saves power, where it may (8.3.1.3).
    pub(super) fn doze(&mut self, port: usize) {
        let low_power = self.shape.low_power;
        let regs = &mut self.ports[port];
        let deep = regs.cmd & cmd::ASP != 0;
        if regs.cmd & cmd::ALPE == 0 || regs.ci | regs.sact != 0 || regs.ssts & 15 != 3 {
            return;
        }
        let drive = regs.drive.as_ref().expect("a drive");
        assert!(low_power && drive.identify[76] & 0x200 != 0, "a link saves power that cannot");
        assert!(regs.sctl >> if deep { 9 } else { 8 } & 1 == 0, "a state that PxSCTL forbids");
        regs.ssts = if deep { 0x633 } else { 0x233 };
        self.naps += 1;
        self.ports[port].serr |= 1 << 16;
        self.event(port, is::PRCS);
    }

    /// It comes back when there is something to do.
    pub(super) fn wake(&mut self, port: usize) {
        if self.ports[port].ssts >> 8 != 1 {
            self.ports[port].ssts = 0x133;
            self.ports[port].serr |= 1 << 16;
            self.event(port, is::PRCS);
        }
    }

    pub(super) fn start(&mut self, port: usize) {
        let regs = &mut self.ports[port];
        assert!(regs.cmd & cmd::FRE != 0, "ST before FRE (10.3.1)");
        assert!(regs.tfd & 0x88 == 0, "ST while the drive is busy (10.3.1)");
        assert!(regs.ssts & 15 == 3, "ST without a drive (10.3.1)");
        regs.cmd |= cmd::ST | cmd::CR;
        regs.halted = false;
    }

    pub(super) fn stop(&mut self, port: usize) {
        let regs = &mut self.ports[port];
        regs.cmd &= !cmd::ST;
        if regs.sticks || regs.stuck {
            return;
        }
        regs.cmd &= !(cmd::CR | 31 << cmd::CCS_SHIFT);
        (regs.ci, regs.sact, regs.fresh, regs.halted, regs.soft) = (0, 0, 0, false, None);
        regs.fbs &= !(4 | 15 << 16);
        let dropped: Vec<Taken> = self.taken.extract_if(.., |taken| taken.port == port).collect();
        for taken in dropped.iter().filter(|taken| taken.queued) {
            if let Some(drive) = self.drive_for(taken) {
                drive.stale = true;
            }
        }
    }

    /// Takes what was issued.
    pub fn take(&mut self) {
        for port in 0..32 {
            let regs = &mut self.ports[port];
            let fresh = core::mem::take(&mut regs.fresh);
            if regs.halted || self.gone {
                continue;
            }
            let failed = regs.failed_apart();
            let waits = |slot: u8| failed == Some(regs.devices[usize::from(slot)]);
            // Of a device that has failed alone nothing is taken before that is dealt with (9.3.6).
            let slots: Vec<u8> = (0..32u8).filter(|slot| fresh >> slot & 1 != 0 && !waits(*slot)).collect();
            for slot in slots {
                let Some(taken) = self.fetch(port, slot) else { continue };
                let regs = &mut self.ports[port];
                if taken.queued {
                    assert_eq!(taken.task.count >> 3 & 31, u16::from(slot), "a tag that is not its slot");
                    assert!(regs.sact >> slot & 1 != 0, "a queued command whose SACT bit is clear");
                    // The drive has accepted it; that it has ended, SACT tells.
                    regs.ci &= !(1 << slot);
                } else {
                    let apart = regs.by_fis();
                    assert!(apart || regs.sact == 0, "a command that is not queued among queued ones");
                }
                self.taken.push(taken);
            }
            self.check_company(port);
        }
    }

    /// Which commands a port must not have at the same time (5.3.2.3, 9.2).
    fn check_company(&self, port: usize) {
        let all = || self.taken.iter().filter(move |taken| taken.port == port);
        let apart = self.ports[port].by_fis();
        for taken in all() {
            let met = all().all(|other| taken.device == other.device || apart);
            assert!(met, "commands for two devices at once, which the port does not tell apart");
            let alike = all().filter(|other| other.device == taken.device).all(|other| other.queued == taken.queued);
            assert!(alike, "queued commands and others at once");
        }
    }

    fn fetch(&mut self, port: usize, slot: u8) -> Option<Taken> {
        let regs = &self.ports[port];
        let header: [u8; 32] = self.bus().load(regs.address(port::CLB) + 32 * u64::from(slot));
        let header = CommandHeader::read_from_bytes(&header).unwrap();
        assert_eq!(header.flags.get() & 31, 5, "the length of a register FIS");
        assert_eq!(header.moved.get(), 0, "bytes moved before it began");
        assert_eq!(header.table.get() % 128, 0, "a table's alignment");
        let fis: [u8; 20] = self.bus().load(header.table.get());
        let fis = ToDevice::read_from_bytes(&fis).unwrap();
        let device = fis.flags & 15;
        assert_eq!((fis.kind, fis.flags & 0x70, fis.icc), (kind::TO_DEVICE, 0, 0), "the FIS");
        assert_eq!(header.flags.get() >> 12, u16::from(device), "the device that the header names");
        assert!(self.shape.multipliers || device == 0, "a device behind no multiplier");
        assert!(!regs.by_fis() || regs.devices[usize::from(slot)] == device, "the device that PxFBS named");
        if fis.flags & COMMAND == 0 {
            let (flags, control) = (header.flags.get() & 0xfff, fis.control);
            return self.soft_reset(port, slot, device, flags, control);
        }
        assert_eq!((header.flags.get() & 0xfa0, fis.control), (0, 0), "flags of a header");
        assert_eq!(regs.soft, None, "a command in the middle of a reset by software");
        let task = fis.task_file();
        let parts = (0..u64::from(header.entries.get())).map(|i| {
            let entry: [u8; 16] = self.bus().load(header.table.get() + 0x80 + 16 * i);
            let entry = Entry::read_from_bytes(&entry).unwrap();
            let bytes = entry.bytes.get();
            assert!(entry.address.get() % 2 == 0 && bytes & 1 == 1 && bytes >> 22 == 0, "an entry: {entry:?}");
            (entry.address.get(), bytes as usize + 1)
        });
        let queued = matches!(task.command, 0x60 | 0x61);
        let (parts, write) = (parts.collect(), header.flags.get() & 0x40 != 0);
        Some(Taken { port, slot, queued, task, parts, write, device, soft: false })
    }

    /// What the drive sends at a command's end, as the port stores it.
    pub(super) fn register_fis(&mut self, taken: &Taken, lba: u64) {
        let regs = &mut self.ports[taken.port];
        let [status, error, ..] = regs.tfd_of(taken.device).to_le_bytes();
        // What a multiplier answers has its lowest byte in the count.
        let [a, b, c, count, ..] = lba.to_le_bytes();
        let fis = ToHost {
            kind: kind::TO_HOST,
            flags: INTERRUPT | taken.device,
            status,
            error,
            lba_low: [a, b, c],
            count: [count, 0],
            ..ToHost::default()
        };
        let at = regs.received(taken.device) + 0x40;
        self.bus().store(at, fis.as_bytes());
    }

    /// As above, for queued commands.
    pub(super) fn set_bits_fis(&mut self, taken: &Taken, ended: u32) {
        let regs = &mut self.ports[taken.port];
        let [status, error, ..] = regs.tfd_of(taken.device).to_le_bytes();
        let fis = [u32::from_le_bytes([kind::SET_BITS, INTERRUPT | taken.device, status, error]), ended];
        let at = regs.received(taken.device) + 0x58;
        self.bus().store(at, fis.map(u32::to_le_bytes).as_flattened());
    }
}
