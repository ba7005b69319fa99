// SPDX-License-Identifier: MIT
//! Where each disk's device sits on a board.
use super::build::{Build, PAGE};
use super::disks::{BUSES_PER_PAGE, virtio_mmio};
use crate::bus::Bus;
use crate::model::{Disk, Transport, UserRegion};
use crate::plan::{Board, Slot};
use std::collections::{BTreeMap, BTreeSet};

/// First PCI device number that is given out: lower ones may hold what a machine has on board.
pub const FIRST_PCI: u8 = 3;
/// Last PCI device number that is given out; 31 holds q35's own chipset functions.
const LAST_PCI: u8 = 30;
/// Last one whose pin is wired as those of the numbers before it are.
const LAST_PIN: u8 = 24;
/// Interrupt lines that the pins of PCI devices share.
const LINES: u8 = 4;

/// What two devices cannot share.
#[derive(Default)]
struct Taken {
    /// Pages of virtio-mmio registers, and PCI device numbers.
    places: BTreeSet<(bool, u8)>,
    /// Interrupt lines of those that interrupt by their pin.
    lines: BTreeSet<u8>,
}

impl Taken {
    /// Whether a device on `bus` could sit there.
    fn allows(&self, bus: Bus, slot: Slot) -> bool {
        !self.places.contains(&key(slot)) && line(bus, slot).is_none_or(|line| !self.lines.contains(&line))
    }

    fn take(&mut self, bus: Bus, slot: Slot) {
        self.places.insert(key(slot));
        self.lines.extend(line(bus, slot));
    }
}

impl Build<'_> {
    /// Where each disk's device sits, as the disks stand in `system.xml`.
    pub fn disk_slots(&mut self) -> Vec<(Disk, Slot)> {
        let mut taken = Taken::default();
        let disks = self.system.disks.clone();
        self.reserve_for_sddf(&disks);
        // Chosen slots come first, so that free choice avoids them.
        let mut slots: BTreeMap<String, Slot> = BTreeMap::new();
        let fixed = |disk: &Disk| disk.slot.is_some() || self.sddf_slot(disk).is_some();
        let (first, rest): (Vec<Disk>, Vec<Disk>) = self.leaders().into_iter().partition(fixed);
        for disk in &first {
            let slot = self.chosen(disk);
            self.occupy(disk, slot, &mut taken);
            slots.insert(disk.device().to_owned(), slot);
        }
        for disk in &rest {
            let slot = self.free(disk, &taken);
            taken.take(disk.bus, slot);
            slots.insert(disk.device().to_owned(), slot);
        }
        let slot = |disk: &Disk| slots.get(disk.device()).copied().unwrap_or(Slot::Pci(FIRST_PCI));
        disks.iter().map(|disk| (disk.clone(), slot(disk))).collect()
    }

    /// One disk for each device: the first behind it, with what any of them says of the device.
    fn leaders(&self) -> Vec<Disk> {
        let mut leaders: Vec<Disk> = Vec::new();
        for disk in &self.system.disks {
            match leaders.iter_mut().find(|leader| leader.device() == disk.device()) {
                Some(leader) => {
                    leader.slot = leader.slot.or(disk.slot);
                    leader.transport = leader.transport.or(disk.transport);
                }
                None => leaders.push(disk.clone()),
            }
        }
        leaders
    }

    /// Whether a device on `bus` may be on virtio-mmio there.
    fn has_mmio(&self, bus: Bus) -> bool {
        self.board == Board::QemuVirtAarch64 && bus == Bus::VirtioBlk
    }

    fn chosen(&mut self, disk: &Disk) -> Slot {
        if let Some(slot) = self.sddf_slot(disk) {
            return slot;
        }
        let number = disk.slot.map_or(0, |(number, _)| number);
        if self.has_mmio(disk.bus) && disk.transport != Some(Transport::Pci) {
            return Slot::VirtioMmio(number);
        }
        self.must_have_pci(disk);
        let last = last(disk.bus);
        if !(FIRST_PCI..=last).contains(&number) {
            let at = disk.slot.map_or(disk.at, |(_, at)| at);
            let what = format!("slot {number} is not a PCI device number that {} can give", self.board.name());
            self.problems.add(at, what, format!("write {FIRST_PCI} to {last}"));
        }
        Slot::Pci(number)
    }

    fn must_have_pci(&mut self, disk: &Disk) {
        if disk.transport == Some(Transport::Mmio) && !self.has_mmio(disk.bus) {
            let what = format!("{} has no virtio-mmio for the disk {:?}", self.board.name(), disk.name);
            self.problems.add(disk.at, what, "remove transport=\"mmio\"");
        }
    }

    fn occupy(&mut self, disk: &Disk, slot: Slot, taken: &mut Taken) {
        if taken.allows(disk.bus, slot) {
            return taken.take(disk.bus, slot);
        }
        let at = disk.slot.map_or(disk.at, |(_, at)| at);
        match slot {
            Slot::Pci(n) if !taken.places.contains(&key(slot)) => {
                let what = format!("slot {n} has the interrupt line of another disk's device");
                self.problems.add(at, what, format!("choose one that differs in the remainder of {LINES}"));
            }
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
    fn free(&mut self, disk: &Disk, taken: &Taken) -> Slot {
        let mut pages = (0..4).filter(|page| !self.base_registers(*page)).map(|page| page * BUSES_PER_PAGE);
        let mmio = pages.by_ref().map(Slot::VirtioMmio).find(|slot| taken.allows(disk.bus, *slot));
        if self.has_mmio(disk.bus) && disk.transport != Some(Transport::Pci) {
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
        let pci = (FIRST_PCI..=last(disk.bus)).map(Slot::Pci).find(|slot| taken.allows(disk.bus, *slot));
        pci.unwrap_or_else(|| {
            let what = format!("there is no PCI device number left for the disk {:?}", disk.name);
            let remedy = match disk.bus.is_ports() {
                true => "remove disks: four devices can interrupt by their pins",
                false => "remove disks: a board has room for 28",
            };
            self.problems.add(disk.at, what, remedy);
            Slot::Pci(FIRST_PCI)
        })
    }
}

/// What two devices cannot share: a page of virtio-mmio registers, a PCI device number.
fn key(slot: Slot) -> (bool, u8) {
    match slot {
        Slot::VirtioMmio(bus) => (false, bus / BUSES_PER_PAGE),
        Slot::Pci(number) => (true, number),
    }
}

/// The last PCI device number for a device on `bus`.
fn last(bus: Bus) -> u8 {
    if bus.is_ports() { LAST_PIN } else { LAST_PCI }
}

/// The interrupt line of a device that interrupts by its pin.
fn line(bus: Bus, slot: Slot) -> Option<u8> {
    match slot {
        Slot::Pci(number) if bus.is_ports() => Some(number % LINES),
        _ => None,
    }
}
