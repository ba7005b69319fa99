// SPDX-License-Identifier: MIT
//! Virtio over PCI (virtio 1.2, section 4.1), modern interface only.
//!
//! The driver holds its function's configuration page and a window of bus addresses for the BARs, nothing else. It
//! places the BARs itself, so that nothing depends on firmware, and programs one MSI-X vector. Everything that the
//! device says about itself (BAR sizes, capability offsets, notify offsets) is checked to stay within the window.
use crate::mmio::{QUEUE_RESET_READS, halves};
use crate::{Bus, Fault};
pub use orion_pci::Message as Msi;
use orion_pci::{Function, Identity};
use orion_region::Mmio;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

mod capabilities;

use capabilities::Capabilities;

#[cfg(test)]
mod tests;

/// Offsets in the common configuration (virtio 1.2, 4.1.4.3).
mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0;
    pub const DEVICE_FEATURE: usize = 4;
    pub const DRIVER_FEATURE_SELECT: usize = 8;
    pub const DRIVER_FEATURE: usize = 12;
    pub const CONFIG_VECTOR: usize = 16;
    pub const DEVICE_STATUS: usize = 20;
    pub const CONFIG_GENERATION: usize = 21;
    pub const QUEUE_SELECT: usize = 22;
    pub const QUEUE_SIZE: usize = 24;
    pub const QUEUE_VECTOR: usize = 26;
    pub const QUEUE_ENABLE: usize = 28;
    pub const QUEUE_NOTIFY_OFF: usize = 30;
    pub const QUEUE_DESC: usize = 32;
    pub const QUEUE_DRIVER: usize = 40;
    pub const QUEUE_DEVICE: usize = 48;
    pub const LEN: usize = 56;
    /// Only where RING_RESET was agreed on.
    pub const QUEUE_RESET: usize = 58;
}

const NO_VECTOR: u16 = 0xffff;
/// Queues whose doorbell is kept.
const QUEUES: usize = crate::queue::QUEUES_MAX as usize;

/// A virtio device behind one PCI function.
#[derive(Debug)]
pub struct PciTransport<M> {
    config: M,
    bars: M,
    caps: Capabilities,
    device_type: DeviceType,
    msi: bool,
    doorbells: [Option<usize>; QUEUES],
    fault: Option<Fault>,
}

impl<M: Mmio> PciTransport<M> {
    /// The device whose configuration page is `config`. Its BARs are placed in `bars`, a window at bus address
    /// `bars_bus`. Until the first [`Bus::set_dma`] it reaches no memory.
    ///
    /// # Errors
    /// [`Fault::NotVirtio`], [`Fault::WrongType`], [`Fault::Registers`], [`Fault::Capabilities`], [`Fault::Window`] or
    /// [`Fault::NoMsix`].
    pub fn new(config: M, bars: M, bars_bus: u64, msi: Option<Msi>) -> core::result::Result<Self, Fault> {
        Self::over(Function::new(config, bars, bars_bus, msi).map_err(fault)?)
    }

    /// The device behind a function whose BARs are placed and whose interrupt is set up.
    ///
    /// # Errors
    /// [`Fault::NotVirtio`], [`Fault::WrongType`] or [`Fault::Capabilities`].
    pub fn over(function: Function<M>) -> core::result::Result<Self, Fault> {
        let device_type = device_type(function.identity())?;
        let caps = capabilities::find(&function)?;
        let msi = function.messages();
        let (config, bars) = function.into_parts();
        Ok(Self { config, bars, caps, device_type, msi, doorbells: [None; QUEUES], fault: None })
    }

    fn common(&self, offset: usize) -> usize {
        self.caps.common.base + offset
    }

    fn select(&self, queue: u16) {
        self.bars.write16(self.common(common::QUEUE_SELECT), queue);
    }

    /// 64-bit fields are written as two words (4.1.3.1).
    fn write_address(&self, offset: usize, address: PhysAddr) {
        let [low, high] = halves(address);
        self.bars.write32(self.common(offset), low);
        self.bars.write32(self.common(offset + 4), high);
    }

    fn set_vector(&mut self) {
        let wanted = if self.msi { 0 } else { NO_VECTOR };
        let register = self.common(common::QUEUE_VECTOR);
        self.bars.write16(register, wanted);
        // 4.1.5.1.2.2: the device answers NO_VECTOR where it has no resources for the mapping.
        if self.bars.read16(register) != wanted {
            self.fault = Some(Fault::NoMsix);
        }
    }

    fn learn_doorbell(&mut self, queue: u16) {
        let off = self.bars.read16(self.common(common::QUEUE_NOTIFY_OFF));
        let offset = usize::try_from(u64::from(off) * u64::from(self.caps.notify_multiplier));
        let place = offset.ok().and_then(|o| self.caps.notify.at(o, 2).ok()).filter(|p| p % 2 == 0);
        match (self.doorbells.get_mut(usize::from(queue)), place) {
            (Some(doorbell), Some(place)) => *doorbell = Some(place),
            _ => self.fault = Some(Fault::Capabilities),
        }
    }
}

/// Why the function is of no use to us, in virtio's words.
fn fault(fault: orion_pci::Fault) -> Fault {
    use orion_pci::Fault as Pci;
    match fault {
        Pci::Page => Fault::Registers,
        Pci::Absent | Pci::Kind => Fault::NotVirtio,
        Pci::Size | Pci::Capability | Pci::NoBar => Fault::Capabilities,
        Pci::Window => Fault::Window,
        Pci::NoMessage => Fault::NoMsix,
    }
}

fn device_type(identity: Identity) -> core::result::Result<DeviceType, Fault> {
    // 4.1.2: modern ids are 0x1040 and the type; of a transitional device, the subsystem id is the type.
    let number = match (identity.vendor, identity.device) {
        (0x1af4, id @ 0x1040..=0x107f) => id - 0x1040,
        (0x1af4, 0x1000..=0x103f) => identity.subsystem,
        _ => return Err(Fault::NotVirtio),
    };
    DeviceType::try_from(number).map_err(|_| Fault::WrongType)
}

impl<M: Mmio> Bus for PciTransport<M> {
    fn set_dma(&mut self, on: bool) {
        orion_pci::set_dma(&self.config, on);
    }

    fn messages(&self) -> bool {
        self.msi
    }

    fn reset_queue(&mut self, queue: u16) -> bool {
        if self.caps.common.len < common::QUEUE_RESET + 2 {
            return false;
        }
        self.select(queue);
        self.bars.write16(self.common(common::QUEUE_RESET), 1);
        let reads = |register| self.bars.read16(self.common(register));
        let done = (0..QUEUE_RESET_READS).any(|_| reads(common::QUEUE_RESET) == 0);
        // 4.1.4.3.1: a queue that was reset is not enabled. One that is was not reset, whatever the device offered.
        done && reads(common::QUEUE_ENABLE) == 0
    }

    fn accepted(&self) -> core::result::Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }
}

impl<M: Mmio> Transport for PciTransport<M> {
    fn device_type(&self) -> DeviceType {
        self.device_type
    }

    fn read_device_features(&mut self) -> u64 {
        let read = |select| {
            self.bars.write32(self.common(common::DEVICE_FEATURE_SELECT), select);
            u64::from(self.bars.read32(self.common(common::DEVICE_FEATURE)))
        };
        read(0) | read(1) << 32
    }

    fn write_driver_features(&mut self, features: u64) {
        for (select, half) in (0..).zip(halves(features)) {
            self.bars.write32(self.common(common::DRIVER_FEATURE_SELECT), select);
            self.bars.write32(self.common(common::DRIVER_FEATURE), half);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        self.bars.read16(self.common(common::QUEUE_SIZE)).into()
    }

    fn notify(&mut self, queue: u16) {
        if let Some(place) = self.doorbells.get(usize::from(queue)).copied().flatten() {
            self.bars.doorbell16(place, queue);
        }
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.bars.read8(self.common(common::DEVICE_STATUS)).into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        if status.is_empty() {
            self.fault = None;
        }
        self.bars.write8(self.common(common::DEVICE_STATUS), u8::try_from(status.bits()).unwrap_or(0));
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, table: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        // Changes of the configuration come by the same message. A device that has no vector for them is no worse than none
        // that changes: its configuration is looked at now and then.
        self.bars.write16(self.common(common::CONFIG_VECTOR), if self.msi { 0 } else { NO_VECTOR });
        self.select(queue);
        self.bars.write16(self.common(common::QUEUE_SIZE), u16::try_from(size).unwrap_or(0));
        self.set_vector();
        self.write_address(common::QUEUE_DESC, table);
        self.write_address(common::QUEUE_DRIVER, driver);
        self.write_address(common::QUEUE_DEVICE, device);
        self.learn_doorbell(queue);
        self.bars.write16(self.common(common::QUEUE_ENABLE), 1);
    }

    /// Does nothing: a queue is disabled only by a reset of the device (4.1.4.3.2).
    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.bars.read16(self.common(common::QUEUE_ENABLE)) != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        // Reading the register clears it and lowers the pin (4.1.4.5).
        InterruptStatus::from_bits_truncate(self.bars.read8(self.caps.isr.base).into())
    }

    fn read_config_generation(&self) -> u32 {
        self.bars.read8(self.common(common::CONFIG_GENERATION)).into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        self.caps.device.read(&self.bars, offset)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<()> {
        self.caps.device.write(&self.bars, offset, &value)
    }
}
