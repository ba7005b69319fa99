// SPDX-License-Identifier: MIT
//! The registers behind one BAR.
use crate::function::set_dma;
use crate::{Interrupt, Part};
use orion_driver::Registers;
use orion_region::Mmio;

/// The registers behind one BAR: offset 0 is the BAR's first byte.
#[derive(Debug)]
pub struct BarRegisters<M> {
    window: M,
    part: Part,
    config: M,
    interrupt: Interrupt,
}

impl<M: Mmio> BarRegisters<M> {
    pub(crate) fn new(config: M, window: M, part: Part, interrupt: Interrupt) -> Self {
        Self { window, part, config, interrupt }
    }

    /// How the function interrupts.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt
    }

    #[inline]
    fn read<T>(&self, offset: usize, absent: T, read: impl FnOnce(&M, usize) -> T) -> T {
        self.part.at(offset, size_of::<T>()).map_or(absent, |at| read(&self.window, at))
    }

    #[inline]
    fn write<T>(&self, offset: usize, value: T, write: impl FnOnce(&M, usize, T)) {
        if let Some(at) = self.part.at(offset, size_of::<T>()) {
            write(&self.window, at, value);
        }
    }
}

impl<M: Mmio> Registers for BarRegisters<M> {
    fn set_dma(&mut self, on: bool) {
        set_dma(&self.config, on);
    }

    fn messages(&self) -> bool {
        self.interrupt != Interrupt::Pin
    }
}

impl<M: Mmio> Mmio for BarRegisters<M> {
    fn len(&self) -> usize {
        self.part.len
    }
    #[inline]
    fn read8(&self, offset: usize) -> u8 {
        self.read(offset, u8::MAX, M::read8)
    }
    #[inline]
    fn read16(&self, offset: usize) -> u16 {
        self.read(offset, u16::MAX, M::read16)
    }
    #[inline]
    fn read32(&self, offset: usize) -> u32 {
        self.read(offset, u32::MAX, M::read32)
    }
    #[inline]
    fn read64(&self, offset: usize) -> u64 {
        self.read(offset, u64::MAX, M::read64)
    }
    #[inline]
    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, value, M::write8);
    }
    #[inline]
    fn write16(&self, offset: usize, value: u16) {
        self.write(offset, value, M::write16);
    }
    #[inline]
    fn write32(&self, offset: usize, value: u32) {
        self.write(offset, value, M::write32);
    }
    #[inline]
    fn write64(&self, offset: usize, value: u64) {
        self.write(offset, value, M::write64);
    }
    #[inline]
    fn doorbell16(&self, offset: usize, value: u16) {
        self.write(offset, value, M::doorbell16);
    }
    #[inline]
    fn doorbell32(&self, offset: usize, value: u32) {
        self.write(offset, value, M::doorbell32);
    }
    #[inline]
    fn nudge32(&self, offset: usize, value: u32) {
        self.write(offset, value, M::nudge32);
    }
}
