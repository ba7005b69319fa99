// SPDX-License-Identifier: MIT
//! The device behind virtio-mmio registers, in the middle of a page that other devices share.
use super::Shared;
use orion_region::Mmio;

/// Bytes from the page's start to the device's registers.
const BASE: usize = 0x600;

/// A page of virtio-mmio registers, of which one slot has a device.
#[derive(Debug)]
pub struct MmioModel(pub Shared);

impl MmioModel {
    /// Bytes from the page's start to the device's registers.
    pub const BASE: usize = BASE;

    fn config(&self, offset: usize, width: usize) -> u32 {
        let config = offset.checked_sub(BASE + 0x100).expect("registers are read as 32-bit words");
        let model = self.0.borrow();
        let bytes = model.shape.config.iter().skip(config).take(width);
        bytes.rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
    }
}

impl Mmio for MmioModel {
    fn len(&self) -> usize {
        0x1000
    }
    fn read8(&self, offset: usize) -> u8 {
        self.config(offset, 1) as u8
    }
    fn read16(&self, offset: usize) -> u16 {
        self.config(offset, 2) as u16
    }
    fn read32(&self, offset: usize) -> u32 {
        let Some(register) = offset.checked_sub(BASE).filter(|r| *r < 0x200) else {
            // Slots without a device answer with device id 0 (virtio 1.2, 4.2.3.1.1).
            return [0x7472_6976, 2].get(offset % 0x200 / 4).copied().unwrap_or(0);
        };
        if register >= 0x100 {
            return self.config(offset, 4);
        }
        let model = self.0.borrow();
        match register {
            0x00 => 0x7472_6976,
            0x04 => 2,
            0x08 => model.shape.device_type,
            0x10 => (model.shape.features >> (32 * model.selects[0])) as u32,
            0x34 if model.selected >= model.shape.queues => 0,
            0x34 => model.shape.queue_max.into(),
            0x44 => model.queues[usize::from(model.selected)].ready.into(),
            0xc0 => 0,
            0x60 => model.isr.into(),
            0x70 => model.status.into(),
            0xfc => model.generation(),
            _ => panic!("read of register {register:#x}"),
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
        let register = offset - BASE;
        match register {
            0x14 => model.selects[0] = value,
            0x24 => model.selects[1] = value,
            0x20 => {
                let high = model.selects[1] == 1;
                half(&mut model.driver_features, high);
            }
            0x30 => model.selected = value as u16,
            0x38 => model.queue().size = value as u16,
            0x44 => model.set_ready(),
            0x50 => model.notified(value),
            0x64 => model.isr &= !(value as u8),
            0x70 => model.set_status(value as u8),
            0xc0 => model.reset_queue(),
            0x80..=0xa4 => half(&mut model.queue().areas[(register - 0x80) / 0x10], register & 4 != 0),
            _ => panic!("write of register {register:#x}"),
        }
    }
    fn write64(&self, offset: usize, _: u64) {
        panic!("64-bit write at {offset:#x}")
    }
}
