// SPDX-License-Identifier: MIT
//! What a driver needs of a transport beyond virtio's own operations, and the two transports as one type.
use crate::{Fault, MmioTransport, PciTransport};
use orion_region::Mmio;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A transport whose device can be kept from memory and whose interrupts may be messages.
pub trait Bus: Transport {
    /// Lets the device reach memory, or not. Does nothing where the bus has no such switch.
    fn set_dma(&mut self, _on: bool) {}

    /// Whether interrupts are messages, which need no acknowledgement at the device.
    fn messages(&self) -> bool {
        false
    }

    /// Resets one queue and waits until the device has let go of it (2.6.1); whether it did. Only where RING_RESET was agreed on.
    fn reset_queue(&mut self, _queue: u16) -> bool {
        false
    }

    /// Whether the device took everything that was set up since its last reset.
    ///
    /// # Errors
    /// The [`Fault`] where it did not.
    fn accepted(&self) -> core::result::Result<(), Fault> {
        Ok(())
    }
}

/// Either transport.
#[derive(Debug)]
pub enum AnyBus<M> {
    /// virtio-mmio.
    Mmio(MmioTransport<M>),
    /// PCI.
    Pci(PciTransport<M>),
}

macro_rules! either {
    ($self:ident, $bus:ident => $call:expr) => {
        match $self {
            Self::Mmio($bus) => $call,
            Self::Pci($bus) => $call,
        }
    };
}

impl<M: Mmio> Bus for AnyBus<M> {
    fn set_dma(&mut self, on: bool) {
        either!(self, bus => bus.set_dma(on));
    }
    fn messages(&self) -> bool {
        either!(self, bus => bus.messages())
    }
    fn reset_queue(&mut self, queue: u16) -> bool {
        either!(self, bus => bus.reset_queue(queue))
    }
    fn accepted(&self) -> core::result::Result<(), Fault> {
        either!(self, bus => bus.accepted())
    }
}

impl<M: Mmio> Transport for AnyBus<M> {
    fn device_type(&self) -> DeviceType {
        either!(self, bus => bus.device_type())
    }
    fn read_device_features(&mut self) -> u64 {
        either!(self, bus => bus.read_device_features())
    }
    fn write_driver_features(&mut self, features: u64) {
        either!(self, bus => bus.write_driver_features(features));
    }
    fn max_queue_size(&mut self, queue: u16) -> u32 {
        either!(self, bus => bus.max_queue_size(queue))
    }
    fn notify(&mut self, queue: u16) {
        either!(self, bus => bus.notify(queue));
    }
    fn get_status(&self) -> DeviceStatus {
        either!(self, bus => bus.get_status())
    }
    fn set_status(&mut self, status: DeviceStatus) {
        either!(self, bus => bus.set_status(status));
    }
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, queue: u16, size: u32, table: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        either!(self, bus => bus.queue_set(queue, size, table, driver, device));
    }
    fn queue_unset(&mut self, queue: u16) {
        either!(self, bus => bus.queue_unset(queue));
    }
    fn queue_used(&mut self, queue: u16) -> bool {
        either!(self, bus => bus.queue_used(queue))
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        either!(self, bus => bus.ack_interrupt())
    }
    fn read_config_generation(&self) -> u32 {
        either!(self, bus => bus.read_config_generation())
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        either!(self, bus => bus.read_config_space(offset))
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<()> {
        either!(self, bus => bus.write_config_space(offset, value))
    }
}

/// Part of a register file: `len` bytes from `base`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Bytes from the register file's start.
    pub base: usize,
    /// Bytes.
    pub len: usize,
}

impl Part {
    /// Where `size` bytes at `offset` lie in the register file, if within this part.
    pub fn at(&self, offset: usize, size: usize) -> Result<usize> {
        let end = offset.checked_add(size).ok_or(Error::ConfigSpaceTooSmall)?;
        if end > self.len {
            return Err(Error::ConfigSpaceTooSmall);
        }
        self.base.checked_add(offset).ok_or(Error::ConfigSpaceTooSmall)
    }

    /// Reads a value by the widest accesses of at most 32 bits that are aligned (virtio 1.2, 4.1.3.1 and 4.2.2.2).
    pub fn read<T: FromBytes + IntoBytes>(&self, registers: &impl Mmio, offset: usize) -> Result<T> {
        let mut value = T::new_zeroed();
        let mut at = self.at(offset, size_of::<T>())?;
        let mut rest = value.as_mut_bytes();
        while !rest.is_empty() {
            let width = width(at, rest.len());
            let word = match width {
                4 => registers.read32(at),
                2 => u32::from(registers.read16(at)),
                _ => u32::from(registers.read8(at)),
            };
            let (now, later) = rest.split_at_mut(width);
            now.iter_mut().zip(word.to_le_bytes()).for_each(|(to, from)| *to = from);
            rest = later;
            at += width;
        }
        Ok(value)
    }

    /// Writes a value as [`read`](Self::read) reads it.
    pub fn write<T: IntoBytes + Immutable>(&self, registers: &impl Mmio, offset: usize, value: &T) -> Result<()> {
        let mut at = self.at(offset, size_of::<T>())?;
        let mut rest = value.as_bytes();
        while !rest.is_empty() {
            let width = width(at, rest.len());
            let (now, later) = rest.split_at(width);
            let word = now.iter().rev().fold(0u32, |w, b| w << 8 | u32::from(*b));
            match width {
                4 => registers.write32(at, word),
                2 => registers.write16(at, u16::try_from(word).unwrap_or(0)),
                _ => registers.write8(at, u8::try_from(word).unwrap_or(0)),
            }
            rest = later;
            at += width;
        }
        Ok(())
    }
}

fn width(at: usize, left: usize) -> usize {
    match (at % 4, left) {
        (0, 4..) => 4,
        (0 | 2, 2..) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn a_part_ends_where_it_ends() {
        let part = Part { base: 0x100, len: 8 };
        for (offset, size) in (0..20).flat_map(|offset| (0..20).map(move |size| (offset, size))) {
            let expected = (offset + size <= 8).then_some(0x100 + offset);
            assert_eq!(part.at(offset, size).ok(), expected);
        }
        assert!(part.at(usize::MAX, 2).is_err() && part.at(2, usize::MAX).is_err());
        assert!(Part { base: usize::MAX, len: 8 }.at(1, 1).is_err());
    }
}
