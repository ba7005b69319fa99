// SPDX-License-Identifier: MIT
//! Disks and their drivers: a PD for each device, with DMA memory of its own and a ring for each disk behind it.
use super::build::{Build, PAGE, memory};
use super::clients::{Client, GATEKEEPER, data_name};
use super::slots::FIRST_PCI;
use crate::bus::FIRST_UNIT;
use crate::check::DRIVER_PRIORITY;
use crate::model::Disk;
use crate::plan::{self, Irq, RegionKind, Slot};
use orion_pd::config::{Device, NONE, Name, Role};
use std::collections::BTreeMap;

/// virtio-mmio buses that share one page of registers on the aarch64 board.
pub const BUSES_PER_PAGE: u8 = 8;
/// Of a device's flags: nothing may be written to this disk.
const READ_ONLY: u32 = 2;

/// The PD that drives the device `device`.
pub fn driver_name(device: &str) -> String {
    format!("blk_{device}")
}

impl Build<'_> {
    /// Every driver with its device and its rings to the gatekeeper.
    pub fn drivers(&mut self, slots: &[(Disk, Slot)], clients: &BTreeMap<String, Client>) {
        let mut ordered: Vec<(usize, &(Disk, Slot))> = slots.iter().enumerate().collect();
        ordered.sort_by(|a, b| a.1.0.name.cmp(&b.1.0.name));
        for (index, (disk, slot)) in ordered {
            let pd = match &disk.driver {
                None => {
                    self.driver(index, disk, *slot);
                    driver_name(disk.device())
                }
                Some((pd, _)) => {
                    self.sddf_driver(pd, disk, *slot);
                    pd.clone()
                }
            };
            for (name, _) in clients.iter().filter(|(_, client)| client.disks().contains(disk.name.as_str())) {
                let region = data_name(name);
                let bus = self.regions.get(&region).and_then(|region| region.bus).unwrap_or(0);
                self.name_once(&pd, &region, bus);
            }
            let capacity = self.driver_queue(&disk.name, clients);
            if !self.partitions(disk, &pd, clients) {
                let several = if disk.controller.is_some() { format!("_{}", disk.name) } else { String::new() };
                let user = self.user_of(&disk.name);
                let label = format!("{user}_{pd}{several}");
                self.connect_as(&label, (&user, &pd), capacity, (NONE, NONE), &disk.name);
            }
            self.narrow(disk, index);
        }
    }

    /// Enters a region into `pd`'s table of regions, unless another disk's clients have it there already.
    fn name_once(&mut self, pd: &str, region: &str, bus: u64) {
        let regions = self.pds.get(pd).map_or(&[][..], |part| &part.blob.regions);
        if !regions.iter().any(|known| known.name.as_str() == region) {
            self.name_region(pd, region, 0, bus);
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

    /// A disk of a driver's: the driver too, where it is the first of its device's disks.
    fn driver(&mut self, index: usize, disk: &Disk, slot: Slot) {
        let pd = driver_name(disk.device());
        let forced = self.options.disks.get(&disk.name).copied().unwrap_or_default();
        let read_only = forced.read_only.unwrap_or(disk.read_only);
        let first = self.pds.get(&pd).and_then(|part| part.blob.devices.first()).copied();
        let device = match first {
            Some(device) => device,
            None => self.device(&pd, index, disk, slot),
        };
        let flags = device.flags.get() & !READ_ONLY | if read_only { READ_ONLY } else { 0 };
        let unit = disk.unit.map_or(FIRST_UNIT, |(unit, _)| unit);
        let device = Device { flags: flags.into(), unit: unit.into(), name: Name::new(&disk.name), ..device };
        if let Some(part) = self.pds.get_mut(&pd) {
            part.blob.devices.push(device);
            part.pd.disk.get_or_insert_with(|| disk.name.clone());
        }
        let size = forced.size.or(disk.size);
        self.disks.push(plan::Disk { driver: pd, slot, size, read_only, ..planned(disk) });
    }

    /// The PD of a device's driver, with its DMA memory, registers and interrupt.
    fn device(&mut self, pd: &str, index: usize, disk: &Disk, slot: Slot) -> Device {
        self.derived(pd, disk.bus.name(), DRIVER_PRIORITY, disk.at);
        let irq = self.id(pd);
        let (dma, bytes) = (format!("dma_{}", disk.device()), disk.bus.dma_bytes());
        let mut region = memory(&dma, RegionKind::Dma, bytes);
        region.dma_by = vec![disk.device().to_owned()];
        region.bus = self.bus_address(pd, bytes, bytes, &region.dma_by);
        region.phys = self.fixed(region.bus);
        let dma_bus = region.bus.unwrap_or(0);
        self.region(region);
        let device = Device {
            transport: 0.into(),
            irq: irq.into(),
            flags: u32::from(self.iommu()).into(),
            config_vaddr: 0.into(),
            config_offset: 0.into(),
            bar_vaddr: 0.into(),
            bar_bus: 0.into(),
            bar_size: 0.into(),
            msi_address: 0.into(),
            msi_data: 0.into(),
            timeout_ms: disk.timeout_ms.into(),
            dma_vaddr: self.map(pd, &dma, true).into(),
            dma_bus: dma_bus.into(),
            dma_size: bytes.into(),
            unit: FIRST_UNIT.into(),
            options: disk.options().into(),
            name: Name::new(""),
        };
        let (device, source) = match slot {
            Slot::VirtioMmio(bus) => self.mmio(pd, disk, bus, device),
            Slot::Pci(number) => self.pci(pd, disk, (index, number), device),
        };
        if let Some(part) = self.pds.get_mut(pd) {
            part.pd.irqs.extend(u8::try_from(irq).ok().map(|id| Irq { id, source }));
        }
        device
    }
}

/// A disk as the plan has it, but for what its driver makes of it.
pub fn planned(disk: &Disk) -> plan::Disk {
    plan::Disk {
        name: disk.name.clone(),
        bus: disk.bus,
        device: disk.device().to_owned(),
        unit: disk.unit.map_or(FIRST_UNIT, |(unit, _)| unit),
        options: disk.options(),
        driver: String::new(),
        slot: Slot::Pci(FIRST_PCI),
        size: disk.size,
        read_only: disk.read_only,
        sddf: false,
        way: None,
    }
}

/// The physical address of the page with the registers of a virtio-mmio bus of the aarch64 board.
pub fn virtio_mmio(bus: u8) -> u64 {
    0x0a00_0000 + u64::from(bus / BUSES_PER_PAGE) * PAGE
}
