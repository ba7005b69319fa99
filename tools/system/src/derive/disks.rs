// SPDX-License-Identifier: MIT
//! Disks and their drivers: where each device sits on a board, its registers, its interrupt, its DMA memory.
use super::build::{Build, PAGE, memory};
use super::clients::{Client, GATEKEEPER, data_name};
use crate::check::DRIVER_PRIORITY;
use crate::model::{Disk, Transport, UserRegion};
use crate::plan::{self, Board, Irq, IrqSource, Region, RegionKind, Slot};
use orion_pd::config::{Device, NONE, Name, Role};
use std::collections::{BTreeMap, BTreeSet};

/// virtio-mmio buses that share one page of registers on the aarch64 board.
pub const BUSES_PER_PAGE: u8 = 8;
/// First PCI device number that is given out: lower ones may hold what a machine has on board.
const FIRST_PCI: u8 = 3;
/// Last PCI device number that is given out; 31 holds q35's own chipset functions.
const LAST_PCI: u8 = 30;
/// Bytes of the window for a function's BARs.
const BAR_WINDOW: u64 = 0x1_0000;
/// Bytes between the starts of two such windows.
const BAR_STRIDE: u64 = 0x10_0000;
/// Bytes of a driver's own DMA memory.
const DMA_BYTES: u64 = 0x1_0000;
/// First vector that is given out on x86-64, and first interrupt of the GICv2m frame.
const FIRST_VECTOR: u64 = 1;
const FIRST_GIC_MESSAGE: u64 = 80;
/// Where the kernel places Microkit's vectors: 16 exceptions' worth after 32.
const VECTOR_BASE: u32 = 0x30;

/// The PD that drives `disk`.
pub fn driver_name(disk: &str) -> String {
    format!("blk_{disk}")
}

impl Build<'_> {
    /// Where each disk's device sits, as the disks stand in `system.xml`.
    pub fn disk_slots(&mut self) -> Vec<(Disk, Slot)> {
        let mut taken: BTreeSet<(bool, u8)> = BTreeSet::new();
        let disks = self.system.disks.clone();
        self.reserve_for_sddf(&disks);
        // Chosen slots come first, so that free choice avoids them.
        let mut slots: BTreeMap<String, Slot> = BTreeMap::new();
        let fixed = |disk: &&Disk| disk.slot.is_some() || self.sddf_slot(disk).is_some();
        let (first, rest): (Vec<&Disk>, Vec<&Disk>) = disks.iter().partition(fixed);
        for disk in first {
            let slot = self.chosen(disk);
            self.occupy(disk, slot, &mut taken);
            slots.insert(disk.name.clone(), slot);
        }
        for disk in rest {
            let slot = self.free(disk, &taken);
            taken.insert(key(slot));
            slots.insert(disk.name.clone(), slot);
        }
        let slot = |disk: &Disk| slots.get(&disk.name).copied().unwrap_or(Slot::Pci(FIRST_PCI));
        disks.iter().map(|disk| (disk.clone(), slot(disk))).collect()
    }

    /// Whether the board has virtio-mmio at all.
    fn has_mmio(&self) -> bool {
        self.board == Board::QemuVirtAarch64
    }

    fn chosen(&mut self, disk: &Disk) -> Slot {
        if let Some(slot) = self.sddf_slot(disk) {
            return slot;
        }
        let number = disk.slot.map_or(0, |(number, _)| number);
        if self.has_mmio() && disk.transport != Some(Transport::Pci) {
            return Slot::VirtioMmio(number);
        }
        self.must_have_pci(disk);
        if !(FIRST_PCI..=LAST_PCI).contains(&number) {
            let at = disk.slot.map_or(disk.at, |(_, at)| at);
            let what = format!("slot {number} is not a PCI device number that {} can give", self.board.name());
            self.problems.add(at, what, format!("write {FIRST_PCI} to {LAST_PCI}"));
        }
        Slot::Pci(number)
    }

    fn must_have_pci(&mut self, disk: &Disk) {
        if disk.transport == Some(Transport::Mmio) && !self.has_mmio() {
            let what = format!("{} has no virtio-mmio for the disk {:?}", self.board.name(), disk.name);
            self.problems.add(disk.at, what, "remove transport=\"mmio\"");
        }
    }

    fn occupy(&mut self, disk: &Disk, slot: Slot, taken: &mut BTreeSet<(bool, u8)>) {
        if taken.insert(key(slot)) {
            return;
        }
        let at = disk.slot.map_or(disk.at, |(_, at)| at);
        match slot {
            Slot::Pci(n) => self.problems.add(at, format!("slot {n} holds another disk"), "choose another slot"),
            Slot::VirtioMmio(n) => {
                let what = format!("slot {n} has its registers on the page of another disk's");
                let remedy = "use slots of different pages (0-7, 8-15, 16-23, 24-31), or transport=\"pci\"";
                self.problems.add(at, what, remedy);
            }
        }
    }

    /// Whether the base drives a device whose registers are on a page of virtio-mmio.
    fn base_registers(&self, page: u8) -> bool {
        let start = virtio_mmio(page * BUSES_PER_PAGE);
        let covers = |region: &UserRegion| {
            let end = |phys: u64| phys.saturating_add(region.size.unwrap_or(region.page));
            region.phys.is_some_and(|phys| phys < start + PAGE && start < end(phys))
        };
        self.board == Board::QemuVirtAarch64 && self.system.regions.values().filter(|region| region.at.base).any(covers)
    }

    /// The first free page of virtio-mmio registers, else the first free PCI device number.
    fn free(&mut self, disk: &Disk, taken: &BTreeSet<(bool, u8)>) -> Slot {
        let mut pages = (0..4).filter(|page| !self.base_registers(*page)).map(|page| page * BUSES_PER_PAGE);
        let mmio = pages.by_ref().map(Slot::VirtioMmio).find(|slot| !taken.contains(&key(*slot)));
        if self.has_mmio() && disk.transport != Some(Transport::Pci) {
            match mmio {
                Some(slot) => return slot,
                None if disk.transport == Some(Transport::Mmio) => {
                    let what = format!("there is no page of virtio-mmio registers left for the disk {:?}", disk.name);
                    self.problems.add(disk.at, what, "remove transport=\"mmio\": at most 4 disks can be apart there");
                }
                None => {}
            }
        }
        self.must_have_pci(disk);
        let pci = (FIRST_PCI..=LAST_PCI).map(Slot::Pci).find(|slot| !taken.contains(&key(*slot)));
        pci.unwrap_or_else(|| {
            let what = format!("there is no PCI device number left for the disk {:?}", disk.name);
            self.problems.add(disk.at, what, "remove disks: a board has room for 28");
            Slot::Pci(FIRST_PCI)
        })
    }

    /// Every driver with its device and its ring to the gatekeeper.
    pub fn drivers(&mut self, slots: &[(Disk, Slot)], clients: &BTreeMap<String, Client>) {
        let mut ordered: Vec<(usize, &(Disk, Slot))> = slots.iter().enumerate().collect();
        ordered.sort_by(|a, b| a.1.0.name.cmp(&b.1.0.name));
        for (index, (disk, slot)) in ordered {
            let pd = match &disk.driver {
                None => {
                    self.driver(index, disk, *slot);
                    driver_name(&disk.name)
                }
                Some((pd, _)) => {
                    self.sddf_driver(pd, disk, *slot);
                    pd.clone()
                }
            };
            for (name, _) in clients.iter().filter(|(_, client)| client.disks().contains(disk.name.as_str())) {
                let region = data_name(name);
                let bus = self.regions.get(&region).and_then(|region| region.bus).unwrap_or(0);
                self.name_region(&pd, &region, 0, bus);
            }
            let capacity = Self::driver_queue(&disk.name, clients);
            if !self.partitions(disk, &pd, clients) {
                self.connect(GATEKEEPER, &pd, capacity, (NONE, NONE), &disk.name);
            }
            self.narrow(disk, index);
        }
    }

    /// Where a disk is given only so many requests at once, the gatekeeper's links to what lies on it say so.
    fn narrow(&mut self, disk: &Disk, index: usize) {
        let (Some(queue), Ok(lane)) = (disk.queue, u16::try_from(index)) else { return };
        let on_disk: Vec<&str> = self.system.partitions_of(&disk.name).into_iter().map(|(volume, _)| volume).collect();
        let grace = self.system.grace_us(disk);
        let Some(gatekeeper) = self.pds.get_mut(GATEKEEPER) else { return };
        for link in gatekeeper.blob.links.iter_mut().filter(|link| link.role() == Role::Client) {
            let volume = link.volume.as_str();
            if volume == disk.name || on_disk.contains(&volume) {
                link.depth = (u32::from(queue) | u32::from(lane) << 16).into();
                link.grace_us = u32::from(grace).into();
            }
        }
    }

    fn driver(&mut self, index: usize, disk: &Disk, slot: Slot) {
        let pd = driver_name(&disk.name);
        let forced = self.options.disks.get(&disk.name).copied().unwrap_or_default();
        let read_only = forced.read_only.unwrap_or(disk.read_only);
        self.derived(&pd, "virtio-blk", DRIVER_PRIORITY, disk.at);
        let irq = self.id(&pd);
        let dma = format!("dma_{}", disk.name);
        let mut region = memory(&dma, RegionKind::Dma, DMA_BYTES);
        region.bus = self.bus_address(&pd, DMA_BYTES, DMA_BYTES);
        region.phys = self.fixed(region.bus);
        region.dma_by = vec![disk.name.clone()];
        let dma_bus = region.bus.unwrap_or(0);
        self.region(region);
        let device = Device {
            transport: 0.into(),
            irq: irq.into(),
            flags: (u32::from(self.iommu()) | u32::from(read_only) << 1).into(),
            config_vaddr: 0.into(),
            config_offset: 0.into(),
            bar_vaddr: 0.into(),
            bar_bus: 0.into(),
            bar_size: 0.into(),
            msi_address: 0.into(),
            msi_data: 0.into(),
            timeout_ms: disk.timeout_ms.into(),
            dma_vaddr: self.map(&pd, &dma, true).into(),
            dma_bus: dma_bus.into(),
            dma_size: DMA_BYTES.into(),
            unit: u32::MAX.into(),
            pad: 0.into(),
            name: Name::new(&disk.name),
        };
        let (device, source) = match slot {
            Slot::VirtioMmio(bus) => self.mmio(&pd, disk, bus, device),
            Slot::Pci(number) => self.pci(&pd, disk, (index, number), device),
        };
        if let Some(part) = self.pds.get_mut(&pd) {
            part.blob.devices.push(device);
            part.pd.disk = Some(disk.name.clone());
            part.pd.irqs.extend(u8::try_from(irq).ok().map(|id| Irq { id, source }));
        }
        let (name, bus, size) = (disk.name.clone(), disk.bus.clone(), forced.size.or(disk.size));
        self.disks.push(plan::Disk { name, bus, driver: pd, slot, size, read_only, sddf: false });
    }

    /// A device's registers or configuration space, mapped into `pd`.
    pub fn registers(&mut self, pd: &str, name: &str, phys: u64, size: u64) -> u64 {
        let page = PAGE;
        let (name, phys) = (name.to_owned(), Some(phys));
        let region = Region { name, kind: RegionKind::Device, size, page, phys, bus: None, dma_by: Vec::new() };
        let name = region.name.clone();
        self.region(region);
        self.map(pd, &name, true)
    }

    fn mmio(&mut self, pd: &str, disk: &Disk, bus: u8, device: Device) -> (Device, IrqSource) {
        let page = virtio_mmio(bus);
        let vaddr = self.registers(pd, &format!("regs_{}", disk.name), page, PAGE);
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

    fn pci(&mut self, pd: &str, disk: &Disk, (index, number): (usize, u8), device: Device) -> (Device, IrqSource) {
        let (ecam, bars) = match self.board {
            Board::QemuVirtAarch64 => (0x40_1000_0000, 0x1000_0000),
            Board::X86_64Generic => (0xb000_0000, 0xd000_0000),
            Board::Host => (0xb000_0000, 0xe000_0000),
        };
        let index = u64::try_from(index).unwrap_or(0);
        let config = self.registers(pd, &format!("regs_{}", disk.name), ecam + (u64::from(number) << 15), PAGE);
        let bar_bus = bars + index * BAR_STRIDE;
        let bar = self.registers(pd, &format!("bars_{}", disk.name), bar_bus, BAR_WINDOW);
        self.check_peripheral(disk, number);
        let (address, data, source) = self.message(disk, index, number);
        let device = Device {
            transport: 1.into(),
            config_vaddr: config.into(),
            bar_vaddr: bar.into(),
            bar_bus: bar_bus.into(),
            bar_size: BAR_WINDOW.into(),
            msi_address: address.into(),
            msi_data: data.into(),
            ..device
        };
        (device, source)
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

/// The physical address of the page with the registers of a virtio-mmio bus of the aarch64 board.
pub fn virtio_mmio(bus: u8) -> u64 {
    0x0a00_0000 + u64::from(bus / BUSES_PER_PAGE) * PAGE
}

/// What two devices cannot share: a page of virtio-mmio registers, a PCI device number.
fn key(slot: Slot) -> (bool, u8) {
    match slot {
        Slot::VirtioMmio(bus) => (false, bus / BUSES_PER_PAGE),
        Slot::Pci(number) => (true, number),
    }
}
