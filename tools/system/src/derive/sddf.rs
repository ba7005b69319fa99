// SPDX-License-Identifier: MIT
//! The device of a disk that sDDF 0.7's own virtio driver drives: its registers, memory and interrupt, where that
//! driver looks for them.
//!
//! On aarch64 its `.device_resources` say where they are. On x86-64 the driver has all of it built in
//! (`drivers/blk/virtio/block.c` and `virtio/transport/pci.c` of sDDF 0.7.0), the firmware's choice of a BAR included.
use super::build::{Build, PAGE, memory};
use super::disks::{BUSES_PER_PAGE, planned, virtio_mmio};
use crate::model::{Disk, Transport};
use crate::plan::{self, Board, Irq, IrqSource, Map, RegionKind, Slot};
use crate::sddf::{Region, Resources};

/// The driver's regions beside its registers, as its `config.json` has them: request headers, then the virtqueue.
const HEADERS: (&str, u64) = ("headers", 0x1_0000);
const METADATA: (&str, u64) = ("metadata", 0x20_0000);

/// What the driver has built in on x86-64: a region's label, kind, size, physical address and virtual address.
const X86: [(&str, RegionKind, u64, u64, u64); 3] = [
    ("regs", RegionKind::Device, 0x4000, 0xfe00_0000, 0x6000_0000),
    ("metadata", RegionKind::Dma, 0x1_0000, 0x5fdf_0000, 0x2020_0000),
    ("headers", RegionKind::Dma, 0x1_0000, 0x5fff_0000, 0x2021_0000),
];
/// There: the device's number on PCI bus 0, its pin of the I/O APIC and the driver's id for it.
const X86_SLOT: u8 = 3;
const X86_PIN: u32 = 11;
const X86_IRQ: u8 = 17;
/// There: the I/O ports of PCI configuration: id, first port, count.
const X86_PORTS: [(u8, u16, u16); 2] = [(1, 0xcf8, 4), (2, 0xcfc, 4)];

impl Build<'_> {
    /// The slot that the disk's sDDF driver insists on, if it has one and insists.
    pub fn sddf_slot(&self, disk: &Disk) -> Option<Slot> {
        let insists = disk.driver.is_some() && self.board == Board::X86_64Generic;
        insists.then_some(Slot::Pci(X86_SLOT))
    }

    /// Keeps for sDDF's drivers the memory that they have built in.
    pub fn reserve_for_sddf(&mut self, disks: &[Disk]) {
        if disks.iter().any(|disk| self.sddf_slot(disk).is_some()) {
            for (_, kind, size, phys, _) in X86 {
                if kind == RegionKind::Dma {
                    self.bus.take(phys, size);
                }
            }
        }
    }

    /// Gives the user's driver `pd` the device of `disk`.
    pub fn sddf_driver(&mut self, pd: &str, disk: &Disk, slot: Slot) {
        self.sddf_limits(disk, slot);
        let resources = match slot {
            Slot::VirtioMmio(bus) => self.sddf_mmio(pd, disk, bus),
            Slot::Pci(_) => self.sddf_pci(pd, disk),
        };
        if let Some(part) = self.pds.get_mut(pd) {
            part.resources = resources;
            part.pd.disk = Some(disk.name.clone());
        }
        let forced = self.options.disks.get(&disk.name).copied().unwrap_or_default();
        let size = forced.size.or(disk.size);
        self.disks.push(plan::Disk { driver: pd.to_owned(), slot, size, sddf: true, ..planned(disk) });
    }

    fn sddf_limits(&mut self, disk: &Disk, slot: Slot) {
        let at = disk.driver.as_ref().map_or(disk.at, |(_, at)| *at);
        if self.iommu() {
            let what = "sDDF's virtio driver does not work behind an IOMMU: it never agrees to ACCESS_PLATFORM";
            self.problems.add(at, what, "build without --iommu, or remove driver=\"...\"");
        }
        let wanted = disk.transport == Some(Transport::Pci) || matches!(slot, Slot::Pci(_));
        if self.board == Board::QemuVirtAarch64 && wanted {
            let what = "sDDF's virtio driver reaches its device over virtio-mmio alone on this board";
            self.problems.add(at, what, "remove transport=\"pci\", or have fewer disks");
        }
        if self.board == Board::X86_64Generic
            && let Some((number, at)) = disk.slot
            && number != X86_SLOT
        {
            let what = format!("sDDF's virtio driver knows no slot but {X86_SLOT} on this board");
            self.problems.add(at, what, format!("write slot=\"{X86_SLOT}\", or remove it"));
        }
    }

    /// On aarch64: registers, headers, virtqueue, in the order of the driver's `config.json`.
    fn sddf_mmio(&mut self, pd: &str, disk: &Disk, bus: u8) -> Resources {
        let offset = u64::from(bus % BUSES_PER_PAGE) * 0x200;
        let page = virtio_mmio(bus);
        let vaddr = self.registers(pd, &format!("regs_{}", disk.name), page, PAGE) + offset;
        let mut regions = vec![(Region { vaddr, size: PAGE }, page)];
        for (label, size) in [HEADERS, METADATA] {
            let name = format!("dma_{}_{label}", disk.name);
            let bus = self.bus_address(pd, size, size, &[]);
            self.sddf_memory(&name, disk, size, bus);
            let vaddr = self.map_uncached(pd, &name);
            regions.push((Region { vaddr, size }, bus.unwrap_or(0)));
        }
        let number = 48 + u32::from(bus);
        self.take_gic(disk, u64::from(number));
        let id = self.id(pd);
        let irqs: Vec<u8> = u8::try_from(id).into_iter().collect();
        if let Some(part) = self.pds.get_mut(pd) {
            part.pd.irqs.extend(irqs.iter().map(|id| Irq { id: *id, source: IrqSource::Gic { number, edge: true } }));
        }
        Resources { regions, irqs }
    }

    fn sddf_memory(&mut self, name: &str, disk: &Disk, size: u64, bus: Option<u64>) {
        let mut region = memory(name, RegionKind::Dma, size);
        (region.bus, region.phys) = (bus, self.fixed(bus));
        region.dma_by = vec![disk.name.clone()];
        self.region(region);
    }

    /// Maps memory that the driver shares with its device without cache maintenance.
    fn map_uncached(&mut self, pd: &str, region: &str) -> u64 {
        let vaddr = self.map(pd, region, true);
        let maps = self.pds.get_mut(pd).map(|part| &mut part.pd.maps);
        maps.into_iter().flatten().filter(|map| map.region == region).for_each(|map| map.cached = false);
        vaddr
    }

    /// On x86-64: all where the driver has it built in.
    fn sddf_pci(&mut self, pd: &str, disk: &Disk) -> Resources {
        for (label, kind, size, phys, vaddr) in X86 {
            let device = kind == RegionKind::Device;
            let name = if device { format!("regs_{}", disk.name) } else { format!("dma_{}_{label}", disk.name) };
            if device {
                let region = plan::Region { phys: Some(phys), ..memory(&name, kind, size) };
                self.region(region);
            } else {
                self.sddf_memory(&name, disk, size, Some(phys));
            }
            if let Some(part) = self.pds.get_mut(pd) {
                part.take_space(vaddr, size);
                part.pd.maps.push(Map { region: name, vaddr, write: true, cached: !device });
            }
        }
        self.sddf_interrupt(pd, disk);
        Resources::default()
    }

    fn sddf_interrupt(&mut self, pd: &str, disk: &Disk) {
        let vector = self.free_vector(u64::try_from(self.disks.len()).unwrap_or(0));
        if let Some(at) = self.system.taken.pins.get(&u64::from(X86_PIN)) {
            let what = format!("the I/O APIC's pin {X86_PIN} belongs to the disk {:?}", disk.name);
            self.problems.add(*at, what, "use another pin");
        }
        let Some(part) = self.pds.get_mut(pd) else { return };
        if !part.take_id(X86_IRQ) {
            let what = format!("the id {X86_IRQ} of {pd:?} is in use, and sDDF's virtio driver has it built in");
            return self.problem(pd, what, "give that channel or interrupt another id");
        }
        part.pd.irqs.push(Irq { id: X86_IRQ, source: IrqSource::Pin { pin: X86_PIN, vector, edge: true } });
        part.pd.ioports.extend(X86_PORTS);
    }
}
