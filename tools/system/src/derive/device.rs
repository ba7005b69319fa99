// SPDX-License-Identifier: MIT
//! What a driver needs of its device: registers or ports, and an interrupt.
use super::build::{Build, PAGE};
use super::disks::{BUSES_PER_PAGE, virtio_mmio};
use crate::model::Disk;
use crate::plan::{Board, IrqSource, Region, RegionKind};
use orion_pd::config::Device;

/// Bytes of the window for a function's BARs.
const BAR_WINDOW: u64 = 0x1_0000;
/// Bytes between the starts of two such windows.
const BAR_STRIDE: u64 = 0x10_0000;
/// First vector that is given out on x86-64, and first interrupt of the GICv2m frame.
const FIRST_VECTOR: u64 = 1;
const FIRST_GIC_MESSAGE: u64 = 80;
/// Where the kernel places Microkit's vectors: 16 exceptions' worth after 32.
const VECTOR_BASE: u32 = 0x30;
/// Interrupts of the four lines of PCI pins: of the GIC, and pins of the I/O APIC (Intel ICH9, 5.8.6: PIRQE to PIRQH).
const FIRST_GIC_PIN: u32 = 35;
const FIRST_PIN: u32 = 20;
/// I/O ports that there are, and those of a device.
const PORTS: u64 = 0x1_0000;
const PORTS_EACH: u64 = 0x100;
/// Where the aarch64 board has its I/O ports in memory.
const AARCH64_PORTS: u64 = 0x3eff_0000;
/// Ports that are given out: on x86-64 above those that firmware gives to what it finds.
const X86_PORTS: u64 = 0xd000;
const HOST_PORTS: u64 = 0xc000;

impl Build<'_> {
    /// A device's registers or configuration space, mapped into `pd`.
    pub fn registers(&mut self, pd: &str, name: &str, phys: u64, size: u64) -> u64 {
        let page = PAGE;
        let (name, phys) = (name.to_owned(), Some(phys));
        let region = Region { name, kind: RegionKind::Device, size, page, phys, bus: None, dma_by: Vec::new() };
        let name = region.name.clone();
        self.region(region);
        self.map(pd, &name, true)
    }

    pub fn mmio(&mut self, pd: &str, disk: &Disk, bus: u8, device: Device) -> (Device, IrqSource) {
        let page = virtio_mmio(bus);
        let vaddr = self.registers(pd, &format!("regs_{}", disk.device()), page, PAGE);
        let number = 48 + u32::from(bus);
        self.take_gic(disk, u64::from(number));
        let offset = u64::from(bus % BUSES_PER_PAGE) * 0x200;
        let device = Device { config_vaddr: vaddr.into(), config_offset: offset.into(), ..device };
        (device, IrqSource::Gic { number, edge: true })
    }

    pub fn take_gic(&mut self, disk: &Disk, number: u64) {
        if let Some(at) = self.system.taken.gic.get(&number) {
            let what = format!("interrupt {number} belongs to the disk {:?}", disk.name);
            self.problems.add(*at, what, "use another interrupt, or give the disk another slot");
        }
    }

    /// The configuration space of a disk's device, the window for its BARs and its interrupt; `at` is the disk's rank and the
    /// device's number.
    pub fn pci(&mut self, pd: &str, disk: &Disk, at: (usize, u8), device: Device) -> (Device, IrqSource) {
        let (index, number) = (u64::try_from(at.0).unwrap_or(0), at.1);
        let ecam = match self.board {
            Board::QemuVirtAarch64 => 0x40_1000_0000,
            Board::X86_64Generic | Board::Host => 0xb000_0000,
        };
        let config = self.registers(pd, &format!("regs_{}", disk.device()), ecam + (u64::from(number) << 15), PAGE);
        self.check_peripheral(disk, number);
        let device = Device { config_vaddr: config.into(), ..device };
        if disk.bus.is_ports() {
            let device = self.ports(pd, disk, index, device);
            return (device, self.pin(disk, index, number));
        }
        let bars = match self.board {
            Board::QemuVirtAarch64 => 0x1000_0000,
            Board::X86_64Generic => 0xd000_0000,
            Board::Host => 0xe000_0000,
        };
        let bar_bus = bars + index * BAR_STRIDE;
        let bar = self.registers(pd, &format!("bars_{}", disk.device()), bar_bus, BAR_WINDOW);
        let (address, data, source) = self.message(disk, index, number);
        let device = Device {
            transport: 1.into(),
            bar_vaddr: bar.into(),
            bar_bus: bar_bus.into(),
            bar_size: BAR_WINDOW.into(),
            msi_address: address.into(),
            msi_data: data.into(),
            ..device
        };
        (device, source)
    }

    /// The I/O ports of a device: capabilities to them on x86-64, where they have no address; a page of the window through
    /// which the aarch64 board reaches them; on the host, what QEMU is asked for.
    fn ports(&mut self, pd: &str, disk: &Disk, index: u64, device: Device) -> Device {
        let name = format!("bars_{}", disk.device());
        let (first, size, vaddr) = match self.board {
            Board::QemuVirtAarch64 => {
                let first = (1 + index) * PAGE;
                if first >= PORTS {
                    let what = format!("there are no I/O ports left for the disk {:?}", disk.name);
                    self.problems.add(disk.at, what, "move it up: the board has ports for the first 15 disks");
                }
                (first, PAGE, self.registers(pd, &name, AARCH64_PORTS + first, PAGE))
            }
            Board::Host => (HOST_PORTS, PORTS_EACH, self.registers(pd, &name, HOST_PORTS, PORTS_EACH)),
            Board::X86_64Generic => {
                let first = X86_PORTS + index * PORTS_EACH;
                let range = u16::try_from(first).ok().zip(u16::try_from(PORTS_EACH).ok());
                if let (Some((first, count)), Some(part)) = (range, self.pds.get_mut(pd)) {
                    part.pd.ioports.push((0, first, count));
                }
                (first, PORTS_EACH, first)
            }
        };
        Device { transport: 2.into(), bar_vaddr: vaddr.into(), bar_bus: first.into(), bar_size: size.into(), ..device }
    }

    /// The pin by which a device interrupts: a level, of a line that no other derived device has.
    fn pin(&mut self, disk: &Disk, index: u64, device: u8) -> IrqSource {
        let line = u32::from(device % 4);
        match self.board {
            Board::Host => IrqSource::Event,
            Board::QemuVirtAarch64 => {
                let number = FIRST_GIC_PIN + line;
                self.take_gic(disk, u64::from(number));
                IrqSource::Gic { number, edge: false }
            }
            Board::X86_64Generic => {
                let pin = FIRST_PIN + line;
                if let Some(at) = self.system.taken.pins.get(&u64::from(pin)) {
                    let what = format!("pin {pin} belongs to the disk {:?}", disk.name);
                    self.problems.add(*at, what, "use another pin, or give the disk another slot");
                }
                IrqSource::Pin { pin, vector: self.free_vector(index), edge: false }
            }
        }
    }

    /// The user's own IOMMU spaces may not be of a disk's device.
    fn check_peripheral(&mut self, disk: &Disk, number: u8) {
        for (peripheral, at) in &self.system.taken.peripherals {
            let device = peripheral.split([':', '.']).nth(1).and_then(|device| u8::from_str_radix(device, 16).ok());
            if device == Some(number) {
                let what = format!("the device {peripheral} is that of the disk {:?}", disk.name);
                self.problems.add(*at, what, "remove the address space: orion derives it");
            }
        }
    }

    /// The message that is the device's interrupt: address, data, and how it arrives.
    fn message(&mut self, disk: &Disk, index: u64, device: u8) -> (u64, u32, IrqSource) {
        match self.board {
            // The host world fills them in at start: they are another process's.
            Board::Host => (0, 0, IrqSource::Event),
            Board::QemuVirtAarch64 => {
                let number = FIRST_GIC_MESSAGE + index;
                self.take_gic(disk, number);
                let number = u32::try_from(number).unwrap_or(0);
                (0x0802_0040, number, IrqSource::Gic { number, edge: true })
            }
            Board::X86_64Generic => {
                let vector = self.free_vector(index);
                let device = format!("00:{device:02x}.0");
                (0xfee0_0000, vector + VECTOR_BASE, IrqSource::Msi { device, vector })
            }
        }
    }

    /// The vector of rank `index` among those that the user's own parts leave free.
    pub fn free_vector(&self, index: u64) -> u32 {
        let mut free = (FIRST_VECTOR..=107).filter(|vector| !self.system.taken.vectors.contains_key(vector));
        let vector = free.nth(usize::try_from(index).unwrap_or(0));
        u32::try_from(vector.unwrap_or(107)).unwrap_or(107)
    }
}
