// SPDX-License-Identifier: MIT
//! The device behind a PCI function: BAR 1 holds the MSI-X table, BAR 4 (64 bits wide) virtio's registers.
use super::Shared;
use core::cell::RefCell;
use orion_region::Mmio;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

/// The function's configuration page and what its BARs decode.
#[derive(Debug)]
pub struct PciModel {
    /// The device.
    pub device: Shared,
    /// The configuration page.
    pub page: Vec<u8>,
    /// The MSI-X table.
    pub table: Vec<u8>,
    /// Masks of the BARs, as a size probe reads them.
    pub masks: [u32; 6],
    /// It has no vector to give to a queue.
    pub no_vector: bool,
    window_bus: u64,
    window_len: usize,
}

/// The configuration page, as registers.
#[derive(Debug)]
pub struct PciConfig(pub Rc<RefCell<PciModel>>);
/// The window that the BARs are placed in, as registers.
#[derive(Debug)]
pub struct PciBars(pub Rc<RefCell<PciModel>>);

/// A function with `device` behind it, whose BARs are to be placed in a window of `len` bytes at `bus`.
pub fn pci(device: &Shared, bus: u64, len: usize) -> Rc<RefCell<PciModel>> {
    let mut page = vec![0; 4096];
    page[..4].copy_from_slice(&[0xf4, 0x1a, 0x42, 0x10]);
    page[6] = 0x10;
    // What firmware, or the life before, may have left.
    page[4] = 7;
    page[0x10..0x28]
        .copy_from_slice(&[1, 0xc0, 0, 0, 0, 0, 0xbe, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0x0c, 0, 0, 0xfe, 0, 0, 0, 0]);
    page[0x34] = 0x98;
    page[0x98..0xa4].copy_from_slice(&[0x11, 0x84, 1, 0, 1, 0, 0, 0, 1, 8, 0, 0]);
    capability(&mut page, 0x84, 0x70, 1, 0x0000, 0x1000);
    capability(&mut page, 0x70, 0x60, 3, 0x1000, 0x1000);
    capability(&mut page, 0x60, 0x48, 4, 0x2000, 0x1000);
    capability(&mut page, 0x48, 0xb0, 2, 0x3000, 0x1000);
    page[0x58..0x5c].copy_from_slice(&4u32.to_le_bytes());
    capability(&mut page, 0xb0, 0, 5, 0, 0);
    device.borrow_mut().master = false;
    Rc::new(RefCell::new(PciModel {
        device: device.clone(),
        page,
        table: vec![0; 4096],
        masks: [0xffff_ff81, 0xffff_f000, 0, 0, 0xffff_c00c, 0xffff_ffff],
        no_vector: false,
        window_bus: bus,
        window_len: len,
    }))
}

fn capability(page: &mut [u8], at: usize, next: u8, kind: u8, offset: u32, len: u32) {
    page[at..at + 5].copy_from_slice(&[9, next, 16, kind, 4]);
    page[at + 8..at + 12].copy_from_slice(&offset.to_le_bytes());
    page[at + 12..at + 16].copy_from_slice(&len.to_le_bytes());
}

impl PciModel {
    fn bytes(&self, at: usize, width: usize) -> u32 {
        let bytes = self.page.iter().skip(at).take(width);
        bytes.rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
    }

    fn write_config(&mut self, at: usize, value: u32, width: usize) {
        let mut value = value;
        if (0x10..0x28).contains(&at) {
            assert!(width == 4 && self.page[4] & 3 == 0, "a BAR was written while it was decoded");
            let mask = self.masks[(at - 0x10) / 4];
            // The upper half of the wide BAR has no kind bits.
            let kind = if at == 0x24 { 0 } else { mask & 0xf };
            value = value & mask | kind;
        }
        for (byte, value) in self.page[at..at + width].iter_mut().zip(value.to_le_bytes()) {
            *byte = value;
        }
        self.device.borrow_mut().master = self.page[4] & 4 != 0;
        self.set_message();
    }

    /// What the first entry of the MSI-X table sends, if it may.
    fn set_message(&self) {
        let control = self.page[0x9b];
        let word = |at: usize| u32::from_le_bytes(self.table[at..at + 4].try_into().unwrap());
        let sends = control & 0xc0 == 0x80 && word(12) & 1 == 0;
        let message = (u64::from(word(4)) << 32 | u64::from(word(0)), word(8));
        self.device.borrow_mut().message = sends.then_some(message);
    }

    /// The BAR and the offset in it that an offset of the window decodes to.
    fn decode(&self, offset: usize) -> Option<(usize, usize)> {
        let bus = self.window_bus + offset as u64;
        assert!(self.page[4] & 2 != 0, "an access while memory decoding is off");
        let bar = |index: usize| u64::from(self.bytes(0x10 + 4 * index, 4) & !0xf);
        let wide = bar(4) | u64::from(self.bytes(0x24, 4)) << 32;
        [(1, bar(1), 0x1000), (4, wide, 0x4000)]
            .into_iter()
            .find(|(_, base, len)| (*base..base + len).contains(&bus))
            .map(|(index, base, _)| (index, (bus - base) as usize))
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        let Some((bar, at)) = self.decode(offset) else {
            return u32::MAX;
        };
        assert_eq!(bar, 4, "the MSI-X table is not read");
        let mut device = self.device.borrow_mut();
        match (at, width) {
            (4, 4) => (device.shape.features >> (32 * device.selects[0])) as u32,
            (20, 1) => device.status.into(),
            (21, 1) => device.generation(),
            (24, 2) if device.selected >= device.shape.queues => 0,
            (24, 2) if device.queue().ready => device.queue().size.into(),
            (24, 2) => device.shape.queue_max.into(),
            (26, 2) => device.queue().vector.into(),
            (28, 2) => device.queue().ready.into(),
            (30, 2) => 3 + u32::from(device.selected),
            (58, 2) => 0,
            (0x1000, 1) => core::mem::take(&mut device.isr).into(),
            (0x2000.., _) => {
                let bytes = device.shape.config.iter().skip(at - 0x2000).take(width);
                bytes.rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
            }
            _ => panic!("{width}-byte read at {at:#x}"),
        }
    }

    fn write(&mut self, offset: usize, value: u32, width: usize) {
        let Some((bar, at)) = self.decode(offset) else {
            return;
        };
        if bar == 1 {
            self.table[at..at + 4].copy_from_slice(&value.to_le_bytes());
            return self.set_message();
        }
        let mut device = self.device.borrow_mut();
        let half = |word: &mut u64, high: bool| {
            let shift = if high { 32 } else { 0 };
            *word = *word & !(0xffff_ffff << shift) | u64::from(value) << shift;
        };
        match (at, width) {
            (0, 4) => device.selects[0] = value,
            (8, 4) => device.selects[1] = value,
            (12, 4) => {
                let high = device.selects[1] == 1;
                half(&mut device.driver_features, high);
            }
            (16, 2) => device.config_vector = if self.no_vector { 0xffff } else { value as u16 },
            (20, 1) => device.set_status(value as u8),
            (22, 2) => device.selected = value as u16,
            (24, 2) => device.queue().size = value as u16,
            (26, 2) => device.queue().vector = if self.no_vector { 0xffff } else { value as u16 },
            (28, 2) => device.set_ready(),
            (32..=52, 4) => half(&mut device.queue().areas[(at - 32) / 8], at & 4 != 0),
            (58, 2) => device.reset_queue(),
            (0x300c..0x302c, 2) => {
                assert_eq!(at - 0x300c, 4 * value as usize, "another queue's doorbell");
                device.notified(value);
            }
            _ => panic!("{width}-byte write at {at:#x}"),
        }
    }
}

macro_rules! registers {
    ($name:ident, $len:expr, $read:expr, $write:expr) => {
        impl Mmio for $name {
            fn len(&self) -> usize {
                $len(&self.0.borrow())
            }
            fn read8(&self, offset: usize) -> u8 {
                $read(&self.0.borrow(), offset, 1) as u8
            }
            fn read16(&self, offset: usize) -> u16 {
                $read(&self.0.borrow(), offset, 2) as u16
            }
            fn read32(&self, offset: usize) -> u32 {
                $read(&self.0.borrow(), offset, 4)
            }
            fn read64(&self, offset: usize) -> u64 {
                panic!("64-bit read at {offset:#x}")
            }
            fn write8(&self, offset: usize, value: u8) {
                $write(&mut self.0.borrow_mut(), offset, value.into(), 1);
            }
            fn write16(&self, offset: usize, value: u16) {
                $write(&mut self.0.borrow_mut(), offset, value.into(), 2);
            }
            fn write32(&self, offset: usize, value: u32) {
                $write(&mut self.0.borrow_mut(), offset, value, 4);
            }
            fn write64(&self, offset: usize, _: u64) {
                panic!("64-bit write at {offset:#x}")
            }
        }
    };
}

registers!(PciConfig, |m: &PciModel| m.page.len(), PciModel::bytes, PciModel::write_config);
registers!(PciBars, |m: &PciModel| m.window_len, PciModel::read, PciModel::write);
