// SPDX-License-Identifier: MIT
//! virtio-mmio, version 2 (virtio 1.2, section 4.2).
//!
//! The transport of `virtio-drivers` takes a pointer to mapped registers. Ours goes through [`Mmio`]: the same PD code
//! then drives registers that are messages (the host world), and needs no unsafe code for those that are mapped.
use crate::bus::Part;
use crate::{Bus, Fault};
use orion_region::Mmio;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes of one device's registers.
pub const LEN: usize = 0x200;
/// How often a register is read until a queue must have been reset.
pub(crate) const QUEUE_RESET_READS: u32 = 100_000;
/// "virt".
const MAGIC_VALUE: u32 = 0x7472_6976;

/// Register offsets (table 4.1).
mod reg {
    pub const MAGIC: usize = 0x000;
    pub const VERSION: usize = 0x004;
    pub const DEVICE_ID: usize = 0x008;
    pub const DEVICE_FEATURES: usize = 0x010;
    pub const DEVICE_FEATURES_SEL: usize = 0x014;
    pub const DRIVER_FEATURES: usize = 0x020;
    pub const DRIVER_FEATURES_SEL: usize = 0x024;
    pub const QUEUE_SEL: usize = 0x030;
    pub const QUEUE_NUM_MAX: usize = 0x034;
    pub const QUEUE_NUM: usize = 0x038;
    pub const QUEUE_READY: usize = 0x044;
    pub const QUEUE_NOTIFY: usize = 0x050;
    pub const INTERRUPT_STATUS: usize = 0x060;
    pub const INTERRUPT_ACK: usize = 0x064;
    pub const STATUS: usize = 0x070;
    pub const QUEUE_DESC: usize = 0x080;
    pub const QUEUE_DRIVER: usize = 0x090;
    pub const QUEUE_DEVICE: usize = 0x0a0;
    pub const QUEUE_RESET: usize = 0x0c0;
    pub const CONFIG_GENERATION: usize = 0x0fc;
    pub const CONFIG: usize = 0x100;
}

/// A virtio-mmio device.
#[derive(Debug)]
pub struct MmioTransport<M> {
    registers: M,
    base: usize,
    device_type: DeviceType,
}

impl<M: Mmio> MmioTransport<M> {
    /// The device whose registers begin `base` bytes into `registers`.
    ///
    /// # Errors
    /// [`Fault::Registers`], [`Fault::NotVirtio`], [`Fault::Legacy`] or [`Fault::WrongType`].
    pub fn new(registers: M, base: usize) -> core::result::Result<Self, Fault> {
        let end = base.checked_add(LEN).ok_or(Fault::Registers)?;
        if end > registers.len() || !base.is_multiple_of(LEN) {
            return Err(Fault::Registers);
        }
        if registers.read32(base + reg::MAGIC) != MAGIC_VALUE {
            return Err(Fault::NotVirtio);
        }
        if registers.read32(base + reg::VERSION) != 2 {
            return Err(Fault::Legacy);
        }
        // An empty slot of the machine has device id 0, which is no device type either.
        let device_type = DeviceType::try_from(registers.read32(base + reg::DEVICE_ID));
        Ok(Self { device_type: device_type.map_err(|_| Fault::WrongType)?, registers, base })
    }

    fn read(&self, offset: usize) -> u32 {
        self.registers.read32(self.base + offset)
    }

    fn write(&self, offset: usize, value: u32) {
        self.registers.write32(self.base + offset, value);
    }

    fn write_address(&self, offset: usize, address: PhysAddr) {
        let [low, high] = halves(address);
        self.write(offset, low);
        self.write(offset + 4, high);
    }

    fn config(&self) -> Part {
        Part { base: self.base + reg::CONFIG, len: LEN - reg::CONFIG }
    }
}

/// The low and the high word of `value`.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(crate) const fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

impl<M: Mmio> Bus for MmioTransport<M> {
    fn reset_queue(&mut self, queue: u16) -> bool {
        self.write(reg::QUEUE_SEL, queue.into());
        self.write(reg::QUEUE_RESET, 1);
        let done = (0..QUEUE_RESET_READS).any(|_| self.read(reg::QUEUE_RESET) == 0);
        // A device without the register has not reset, whatever it offered: then its queue is ready still.
        done && self.read(reg::QUEUE_READY) == 0
    }
}

impl<M: Mmio> Transport for MmioTransport<M> {
    fn device_type(&self) -> DeviceType {
        self.device_type
    }

    fn read_device_features(&mut self) -> u64 {
        self.write(reg::DEVICE_FEATURES_SEL, 0);
        let low = self.read(reg::DEVICE_FEATURES);
        self.write(reg::DEVICE_FEATURES_SEL, 1);
        u64::from(self.read(reg::DEVICE_FEATURES)) << 32 | u64::from(low)
    }

    fn write_driver_features(&mut self, features: u64) {
        for (select, half) in (0..).zip(halves(features)) {
            self.write(reg::DRIVER_FEATURES_SEL, select);
            self.write(reg::DRIVER_FEATURES, half);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.write(reg::QUEUE_SEL, queue.into());
        self.read(reg::QUEUE_NUM_MAX)
    }

    fn notify(&mut self, queue: u16) {
        self.registers.doorbell32(self.base + reg::QUEUE_NOTIFY, queue.into());
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.read(reg::STATUS))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.write(reg::STATUS, status.bits());
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, table: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        self.write(reg::QUEUE_SEL, queue.into());
        self.write(reg::QUEUE_NUM, size);
        self.write_address(reg::QUEUE_DESC, table);
        self.write_address(reg::QUEUE_DRIVER, driver);
        self.write_address(reg::QUEUE_DEVICE, device);
        self.write(reg::QUEUE_READY, 1);
    }

    fn queue_unset(&mut self, queue: u16) {
        self.write(reg::QUEUE_SEL, queue.into());
        self.write(reg::QUEUE_READY, 0);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.write(reg::QUEUE_SEL, queue.into());
        self.read(reg::QUEUE_READY) != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        let status = self.read(reg::INTERRUPT_STATUS);
        if status != 0 {
            self.write(reg::INTERRUPT_ACK, status);
        }
        InterruptStatus::from_bits_truncate(status)
    }

    fn read_config_generation(&self) -> u32 {
        self.read(reg::CONFIG_GENERATION)
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        self.config().read(&self.registers, offset)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<()> {
        self.config().write(&self.registers, offset, &value)
    }
}
