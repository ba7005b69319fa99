// SPDX-License-Identifier: MIT
//! What a drive does with a command.
use super::port::Taken;
use super::{Mischief, Model};
use crate::wire::ata::TaskFile;
use crate::wire::registers::{is, port};
use std::vec;
use std::vec::Vec;

/// What came of a command: bytes moved, and the address that the drive answers with.
pub(super) type Outcome = Result<(usize, u64), u8>;

impl Model {
    /// Carries out the `nth` command that was taken; of those that are not queued, its port's first.
    pub fn finish(&mut self, nth: usize) {
        let Taken { port, queued, .. } = self.taken[nth];
        let nth = if queued { nth } else { self.taken.iter().position(|taken| taken.port == port).unwrap() };
        let taken = self.taken.remove(nth);
        if self.ports[port].halted || self.gone {
            return;
        }
        if taken.soft {
            return self.greet_again(&taken);
        }
        if taken.device != 15 && self.drive_for(&taken).is_none() {
            // Nobody is there to answer.
            return;
        }
        if self.mischief == Some(Mischief::Spurious) {
            self.mischief = None;
            self.event(port, is::DHRS);
        }
        if let Some(mischief) = self.mischief
            && self.misbehave(mischief, &taken)
        {
            return;
        }
        *self.done.entry(taken.task.command).or_default() += 1;
        match self.perform(&taken) {
            Ok((moved, lba)) => {
                self.succeed(&taken, moved, lba);
                self.doze(taken.port);
            }
            Err(error) => self.fail(&taken, error),
        }
    }

    pub(super) fn succeed(&mut self, taken: &Taken, moved: usize, lba: u64) {
        let &Taken { port, slot, queued, device, .. } = taken;
        let regs = &mut self.ports[port];
        *regs.tfd_of(device) = 0x50;
        if queued {
            regs.sact &= !(1 << slot);
            self.set_bits_fis(taken, 1 << slot);
            return self.event(port, is::SDBS);
        }
        regs.ci &= !(1 << slot);
        let header = regs.address(port::CLB) + 32 * u64::from(slot);
        self.bus().store(header + 4, &(moved as u32).to_le_bytes());
        self.register_fis(taken, lba);
        let pio_read = moved > 0 && !taken.write && !matches!(taken.task.command, 0x25 | 0xc8);
        self.event(port, if pio_read { is::PSS } else { is::DHRS });
    }

    fn perform(&mut self, taken: &Taken) -> Outcome {
        let TaskFile { command, features, count, lba, .. } = taken.task;
        if matches!(command, 0xe4 | 0xe8) {
            return self.multiplier_register(taken);
        }
        let ncq = self.shape.ncq;
        let drive = self.drive_for(taken).ok_or(4u8)?;
        assert!(!drive.stale, "a command for a drive that had others when its port was stopped, and was not reset");
        if drive.aborted && !(command == 0x2f && lba & 0xff == 0x10) {
            return Err(4);
        }
        let long = drive.identify[83] & 0x400 != 0;
        let queued = drive.identify[76] & 0x100 != 0;
        assert!(taken.task.device & 0x40 != 0 || !matches!(command, 0x20..=0x35 | 0x3d | 0x60 | 0x61 | 0xc8 | 0xca));
        match command {
            0x60 | 0x61 => {
                assert!(queued && ncq, "a queued command that nobody knows");
                self.transfer(taken, lba, wide(features), taken.task.device & 0x80 != 0)
            }
            0x24 | 0x25 | 0x34 | 0x35 | 0x3d => {
                assert!(long, "a 48-bit command");
                self.transfer(taken, lba, wide(count), command == 0x3d)
            }
            0x20 | 0x30 | 0xc8 | 0xca => {
                assert!(lba >> 24 == 0 && count >> 8 == 0, "a 28-bit command with 48 bits");
                let lba = lba | u64::from(taken.task.device & 15) << 24;
                self.transfer(taken, lba, if count == 0 { 256 } else { count.into() }, false)
            }
            0xe7 | 0xea => drive.flush().map(|()| (0, 0)),
            0x06 => self.trim(taken),
            0xec => {
                let data = drive.identity();
                self.send(taken, &data)
            }
            0x2f if lba & 0xff == 0x10 => self.error_log(taken),
            0xef => self.set_features(taken, features),
            0xf5 => {
                drive.frozen = true;
                Ok((0, 0))
            }
            0xb0 => self.smart(taken),
            _ => Err(4),
        }
    }

    fn transfer(&mut self, taken: &Taken, lba: u64, blocks: u32, forced: bool) -> Outcome {
        let drive = self.drive_for(taken).ok_or(4u8)?;
        let fua = drive.identify[84] & 0x40 != 0;
        assert!(!forced || fua, "FUA that the drive does not know");
        let bytes = blocks as usize * drive.block;
        assert_eq!(taken.parts.iter().map(|(_, bytes)| bytes).sum::<usize>(), bytes, "the payload's size");
        if taken.write {
            let data = self.receive(taken);
            self.drive_for(taken).ok_or(4u8)?.write(lba, &data, forced)?;
            return Ok((bytes, lba));
        }
        let data = drive.read(lba, bytes)?;
        self.send(taken, &data).map(|(moved, _)| (moved, lba))
    }

    pub(super) fn send(&mut self, taken: &Taken, mut data: &[u8]) -> Outcome {
        assert!(!taken.write, "a read that is said to be a write");
        let moved = data.len();
        for (bus, bytes) in &taken.parts {
            let (now, later) = data.split_at(*bytes);
            self.bus().store(*bus, now);
            data = later;
        }
        assert!(data.is_empty(), "too little room for the data");
        Ok((moved, 0))
    }

    fn receive(&self, taken: &Taken) -> Vec<u8> {
        assert!(taken.write, "a write that is said to be a read");
        let mut all = Vec::new();
        for (bus, bytes) in &taken.parts {
            let (window, offset) = self.bus().at(*bus, *bytes);
            let mut part = vec![0; *bytes];
            assert!(window.copy_out(offset, &mut part));
            all.extend(part);
        }
        all
    }

    fn trim(&mut self, taken: &Taken) -> Outcome {
        assert_eq!((taken.task.features, taken.task.count), (1, 1), "TRIM of one block of ranges");
        let list = self.receive(taken);
        assert_eq!(list.len(), 512);
        for range in list.chunks(8).map(|range| u64::from_le_bytes(range.try_into().unwrap())) {
            if range >> 48 != 0 {
                self.drive_for(taken).ok_or(4u8)?.trim(range & 0xffff_ffff_ffff, range >> 48)?;
            }
        }
        Ok((512, 0))
    }

    fn set_features(&mut self, taken: &Taken, feature: u16) -> Outcome {
        let drive = self.drive_for(taken).ok_or(4u8)?;
        match feature {
            0x02 => drive.cache = true,
            0x82 => {
                drive.flush()?;
                drive.cache = false;
            }
            0xaa => drive.look_ahead = true,
            0x55 => drive.look_ahead = false,
            0x10 if taken.task.count == 3 => drive.saves = true,
            _ => return Err(4),
        }
        Ok((0, 0))
    }

    fn smart(&mut self, taken: &Taken) -> Outcome {
        assert_eq!(taken.task.lba >> 8, 0xc24f, "SMART's key");
        let failing = self.drive_for(taken).ok_or(4u8)?.failing;
        let mut page = [0u8; 512];
        match taken.task.features {
            0xd8 => return Ok((0, 0)),
            0xda => return Ok((0, if failing { 0x2c_f400 } else { 0xc2_4f00 })),
            // Temperature 37, 1234 hours.
            0xd0 => {
                page[2..14].copy_from_slice(&[194, 2, 0, 63, 60, 37, 0, 0, 0, 0, 0, 0]);
                page[14..26].copy_from_slice(&[9, 2, 0, 99, 99, 0xd2, 4, 0, 0, 0, 0, 0]);
            }
            0xd1 => page[2..4].copy_from_slice(&[194, 20]),
            0xd5 if taken.task.lba & 0xff == 6 => page[..2].copy_from_slice(&[1, 0]),
            _ => return Err(4),
        }
        page[511] = 0u8.wrapping_sub(page.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
        self.send(taken, &page)
    }
}

fn wide(count: u16) -> u32 {
    if count == 0 { 1 << 16 } else { count.into() }
}
