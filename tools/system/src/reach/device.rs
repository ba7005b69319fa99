// SPDX-License-Identifier: MIT
//! Devices that a PD programs, and the memory that a device could be made to read and write.
use crate::plan::{Board, Pd, Plan, RegionKind, Slot};
use std::ops::Range;

/// A device that a PD programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The disk, or the controller that disks share; of registers of the user's own, their region.
    pub name: String,
    /// Whether it is a disk of `system.xml`.
    pub disk: bool,
    /// Where it could read and write.
    pub dma: Dma,
    /// Whether it can send any message interrupt to the processor: its PD chooses them, and nothing remaps them.
    pub messages: bool,
}

/// Memory that a device could be made to read and write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dma {
    /// All of it, the kernel's too: no IOMMU stands between.
    Everything,
    /// These regions.
    Regions(Vec<String>),
}

/// The devices that `pd` programs.
pub fn devices(pd: &Pd, plan: &Plan) -> Vec<Device> {
    let mut devices = Vec::new();
    for (disk, _) in plan.devices().into_iter().filter(|(disk, _)| pd.disk.is_some() && disk.driver == pd.name) {
        let pci = matches!(disk.slot, Slot::Pci(_));
        devices.push(Device {
            name: disk.device.clone(),
            disk: true,
            dma: dma(plan, &disk.device),
            messages: pci && plan.board != Board::Host,
        });
    }
    for map in pd.maps.iter().filter(|map| map.write) {
        let region = plan.regions.iter().find(|region| region.name == map.region);
        let registers = region.is_some_and(|region| {
            let ram = ram(plan.board);
            region.kind == RegionKind::Plain && region.phys.is_some_and(|phys| !ram.contains(&phys))
        });
        if registers {
            let dma = if plan.iommu { Dma::Regions(of_own_spaces(plan)) } else { Dma::Everything };
            devices.push(Device { name: map.region.clone(), disk: false, dma, messages: false });
        }
    }
    devices
}

/// Physical addresses of a board that hold memory; what lies elsewhere is taken for a device's registers.
const fn ram(board: Board) -> Range<u64> {
    match board {
        Board::QemuVirtAarch64 => 0x4000_0000..0xc000_0000,
        Board::X86_64Generic | Board::Host => 0..0x8000_0000,
    }
}

/// What the device `device` could reach. QEMU's device on the host has no other memory than these regions.
fn dma(plan: &Plan, device: &str) -> Dma {
    if plan.board != Board::Host && !plan.iommu {
        return Dma::Everything;
    }
    let reached = plan.regions.iter().filter(|region| region.dma_by.iter().any(|by| by == device));
    Dma::Regions(reached.map(|region| region.name.clone()).collect())
}

/// What the user's own IOMMU address spaces map: one of them may be of any device of the user's own.
fn of_own_spaces(plan: &Plan) -> Vec<String> {
    let spaces = plan.own.iter().filter(|element| element.name == "io_address_space");
    let maps = spaces.flat_map(|space| space.plain("iomap"));
    super::sorted(maps.filter_map(|map| map.value("mr").map(str::to_owned)).collect())
}
