// SPDX-License-Identifier: MIT
//! The adapter's ports, as its driver sees them.
use super::Shared;
use orion_driver::Registers;
use orion_region::Mmio;

/// The adapter's ports.
#[derive(Clone, Debug)]
pub struct Ports(pub Shared);

impl Mmio for Ports {
    fn len(&self) -> usize {
        0x80
    }
    fn read8(&self, offset: usize) -> u8 {
        self.0.borrow_mut().read_register(offset, 1) as u8
    }
    fn read16(&self, _: usize) -> u16 {
        panic!("no register has 16 bits")
    }
    fn read32(&self, offset: usize) -> u32 {
        self.0.borrow_mut().read_register(offset, 4)
    }
    fn read64(&self, _: usize) -> u64 {
        panic!("no register has 64 bits")
    }
    fn write8(&self, offset: usize, value: u8) {
        self.0.borrow_mut().write_register(offset, value.into(), 1);
    }
    fn write16(&self, _: usize, _: u16) {
        panic!("no register has 16 bits")
    }
    fn write32(&self, offset: usize, value: u32) {
        self.0.borrow_mut().write_register(offset, value, 4);
    }
    fn write64(&self, _: usize, _: u64) {
        panic!("no register has 64 bits")
    }
}

impl Registers for Ports {
    fn set_dma(&mut self, on: bool) {
        self.0.borrow_mut().adapter.master = on;
    }
}
