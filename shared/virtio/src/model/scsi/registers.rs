// SPDX-License-Identifier: MIT
//! The device's virtio-mmio registers, alone in their page.
use super::SharedScsi;
use orion_region::Mmio;

/// The registers.
#[derive(Clone, Debug)]
pub struct ScsiMmio(pub SharedScsi);

impl ScsiMmio {
    fn config(&self, register: usize, width: usize) -> u32 {
        let model = self.0.borrow();
        let bytes = model.shape.config.iter().skip(register.checked_sub(0x100).expect("32-bit registers")).take(width);
        bytes.rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
    }
}

impl Mmio for ScsiMmio {
    fn len(&self) -> usize {
        0x200
    }
    fn read8(&self, offset: usize) -> u8 {
        self.config(offset, 1) as u8
    }
    fn read16(&self, offset: usize) -> u16 {
        self.config(offset, 2) as u16
    }
    fn read32(&self, offset: usize) -> u32 {
        if offset >= 0x100 {
            return self.config(offset, 4);
        }
        let model = self.0.borrow();
        match offset {
            0x00 => 0x7472_6976,
            0x04 => 2,
            0x08 => model.shape.device_type,
            0x10 => (model.shape.features >> (32 * model.selects[0])) as u32,
            0x34 => {
                if model.queue < model.queues.len() {
                    model.shape.queue_max.into()
                } else {
                    0
                }
            }
            0x44 => model.queues[model.queue].ready.into(),
            0x60 => model.isr.into(),
            0x70 => model.status.into(),
            0xfc => 0,
            _ => panic!("read of register {offset:#x}"),
        }
    }
    fn read64(&self, offset: usize) -> u64 {
        panic!("64-bit read at {offset:#x}")
    }
    fn write8(&self, offset: usize, _: u8) {
        panic!("8-bit write at {offset:#x}")
    }
    fn write16(&self, offset: usize, _: u16) {
        panic!("16-bit write at {offset:#x}")
    }
    fn write32(&self, offset: usize, value: u32) {
        let mut model = self.0.borrow_mut();
        let half = |word: &mut u64, high: bool| {
            let shift = if high { 32 } else { 0 };
            *word = *word & !(0xffff_ffff << shift) | u64::from(value) << shift;
        };
        let queue = model.queue;
        match offset {
            0x14 => model.selects[0] = value,
            0x24 => model.selects[1] = value,
            0x20 => {
                let high = model.selects[1] == 1;
                half(&mut model.driver_features, high);
            }
            0x30 => model.queue = value as usize,
            0x38 => model.queues[queue].size = value as u16,
            0x44 => model.set_ready(),
            0x50 => model.notified(value as usize),
            0x64 => model.isr &= !(value as u8),
            0x70 => model.set_status(value as u8),
            0x80..=0xa4 => half(&mut model.queues[queue].areas[(offset - 0x80) / 0x10], offset & 4 != 0),
            _ => panic!("write of register {offset:#x}"),
        }
    }
    fn write64(&self, offset: usize, _: u64) {
        panic!("64-bit write at {offset:#x}")
    }
}
