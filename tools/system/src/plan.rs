// SPDX-License-Identifier: MIT
//! A system made concrete for one board: every PD, region, channel, address and configuration.
use crate::bus::Bus;
use crate::element::Element;

/// Where a plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// QEMU's aarch64 `virt` machine, under seL4.
    QemuVirtAarch64,
    /// QEMU's q35 machine, under seL4.
    X86_64Generic,
    /// This Linux machine: a process per PD, QEMU's device models.
    Host,
}

impl Board {
    /// Every board.
    pub const ALL: [Self; 3] = [Self::Host, Self::QemuVirtAarch64, Self::X86_64Generic];

    /// Its name on the command line; of the seL4 boards, Microkit's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QemuVirtAarch64 => "qemu_virt_aarch64",
            Self::X86_64Generic => "x86_64_generic",
            Self::Host => "host",
        }
    }

    /// The board called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.name() == name)
    }
}

/// A system made concrete. Every list is sorted by name, so the same input gives the same plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The board it is for.
    pub board: Board,
    /// Whether devices sit behind an IOMMU (x86-64 only).
    pub iommu: bool,
    /// Protection domains.
    pub pds: Vec<Pd>,
    /// Memory regions.
    pub regions: Vec<Region>,
    /// Channels.
    pub channels: Vec<Channel>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// What new files behind disks are made to hold.
    pub arrays: Vec<NewArray>,
    /// The user's own Microkit elements below `<system>`, as written, without ours: what the emission passes through.
    pub own: Vec<Element>,
}

/// A protection domain.
#[derive(Clone, Debug)]
pub struct Pd {
    /// Its name.
    pub name: String,
    /// Path of its program as `system.xml` gives it, or `<program>.elf` for a derived PD.
    pub image: String,
    /// The program: the image's file name without its extension. Names the PD's code in the host world.
    pub program: String,
    /// Whether `orion` added it.
    pub derived: bool,
    /// Microkit priority, 0 to 254.
    pub priority: u8,
    /// The PD that is told of its faults and restarts it, and its number there, where `orion` gave it one.
    pub parent: Option<(String, u8)>,
    /// Scheduling budget and period in microseconds, where not Microkit's defaults.
    pub budget: Option<(u32, u32)>,
    /// Bytes of stack, where not Microkit's default.
    pub stack: Option<u64>,
    /// What is mapped, beside its program and its configuration.
    pub maps: Vec<Map>,
    /// Interrupts.
    pub irqs: Vec<Irq>,
    /// Ranges of I/O ports (x86-64): channel-like id, first port, count.
    pub ioports: Vec<(u8, u16, u16)>,
    /// The disk it drives, by name; of several behind one controller, the first.
    pub disk: Option<String>,
    /// Its configuration blob; empty for a user's own PD that has no link to us, and for a plain sDDF component.
    pub config: Vec<u8>,
    /// Of a plain sDDF component, what would be its configuration were it one of ours: its rings and regions.
    pub wiring: Vec<u8>,
    /// What a plain sDDF component finds in sections of its program instead of a configuration.
    pub sections: Vec<Section>,
}

/// The content of a section of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The section's name, as `.blk_client_config`.
    pub name: &'static str,
    /// The file that holds the content, named as sdfgen names it.
    pub file: String,
    /// The content: as many bytes as the section has.
    pub bytes: Vec<u8>,
}

/// A mapping of a region into a PD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// The region's name.
    pub region: String,
    /// Where.
    pub vaddr: u64,
    /// Whether the PD may write it. Everything mapped may be read; nothing mapped may be executed.
    pub write: bool,
    /// Whether it is mapped cached.
    pub cached: bool,
}

/// What a region holds. Decides how the host world backs it, and colours the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegionKind {
    /// A queue of a ring connection.
    Queue,
    /// A server's or client's page of a ring connection.
    Page,
    /// A client's payload.
    Data,
    /// A driver's own DMA memory.
    Dma,
    /// A console ring.
    Console,
    /// Device registers or configuration space: exists only as a physical address.
    Device,
    /// A region of the user's own.
    Plain,
    /// Filled by the kernel's boot information (x86-64): the frequency of the time stamp counter.
    BootInfo,
}

/// A memory region.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: RegionKind,
    /// Bytes, a multiple of the page size.
    pub size: u64,
    /// Page size: 0x1000 or 0x20_0000.
    pub page: u64,
    /// Physical address, where it is fixed.
    pub phys: Option<u64>,
    /// The one address by which every device that may touch it names it.
    pub bus: Option<u64>,
    /// The devices that may reach it, by the names that disks have for them.
    pub dma_by: Vec<String>,
}

/// An interrupt of a PD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Irq {
    /// The PD's channel for it.
    pub id: u8,
    /// How it is delivered.
    pub source: IrqSource,
}

/// How an interrupt is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IrqSource {
    /// aarch64: an interrupt number of the GIC, edge-triggered or level-triggered.
    Gic {
        /// INTID.
        number: u32,
        /// Whether it is edge-triggered.
        edge: bool,
    },
    /// x86-64: a message to a local APIC.
    Msi {
        /// `BB:DD.F`.
        device: String,
        /// Microkit's vector number.
        vector: u32,
    },
    /// x86-64: a pin of the I/O APIC.
    Pin {
        /// The pin.
        pin: u32,
        /// Microkit's vector number.
        vector: u32,
        /// Whether it is edge-triggered. The kernel masks a pin until its interrupt is acknowledged, and an edge at a
        /// masked pin is lost for ever (82093AA, 3.2.4): only for devices that interrupt again by themselves.
        edge: bool,
    },
    /// Host: the device's message, or its pin, rings the PD's event descriptor.
    Event,
}

/// A channel between two PDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// One end: PD and its channel id.
    pub a: (String, u8),
    /// The other end.
    pub b: (String, u8),
    /// Which end (`'a'` or `'b'`) may make protected calls, if one.
    pub calls: Option<char>,
}

impl Plan {
    /// The disks that `pd` drives, by name.
    pub fn driven_by<'a>(&'a self, pd: &'a str) -> impl Iterator<Item = &'a Disk> {
        self.disks.iter().filter(move |disk| disk.driver == pd)
    }

    /// The disk that a client of the driver `pd` reaches over a link that says `volume`.
    pub fn disk_over(&self, pd: &str, volume: &str) -> Option<&Disk> {
        let behind = |disk: &&Disk| disk.driver == pd;
        let named = self.disks.iter().filter(behind).find(|disk| disk.name == volume);
        named.or_else(|| self.disks.iter().find(behind))
    }

    /// The devices, each by the first disk behind it, and the disks behind it.
    pub fn devices(&self) -> Vec<(&Disk, Vec<&Disk>)> {
        let mut devices: Vec<(&Disk, Vec<&Disk>)> = Vec::new();
        for disk in &self.disks {
            match devices.iter_mut().find(|(first, _)| first.device == disk.device) {
                Some((_, all)) => all.push(disk),
                None => devices.push((disk, vec![disk])),
            }
        }
        devices
    }
}

/// An array that files behind disks are to hold where all of them are new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewArray {
    /// Its name.
    pub name: String,
    /// Its level, as superblocks number them.
    pub level: i32,
    /// Its members' disks, in their order.
    pub disks: Vec<String>,
}

/// A disk of the system.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// The kind of device.
    pub bus: Bus,
    /// What its device is called by: its controller, or itself where it has one of its own.
    pub device: String,
    /// Which of the disks behind that device it is, as its driver is told; [`FIRST_UNIT`](crate::bus::FIRST_UNIT): the first.
    pub unit: u32,
    /// How its queues are to be, as its driver is told.
    pub options: u32,
    /// The PD that drives it.
    pub driver: String,
    /// How the driver reaches it.
    pub slot: Slot,
    /// Bytes, where `system.xml` says how large the disk must be at least.
    pub size: Option<u64>,
    /// Whether it is attached read-only.
    pub read_only: bool,
    /// Whether the user's own sDDF driver drives it, which knows a transitional device only.
    pub sddf: bool,
    /// What it is one of several ways to, if it is.
    pub way: Option<Way>,
}

/// What a disk is one of several ways to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The volume.
    pub volume: String,
    /// The first of the ways, whose file is that of all.
    pub first: String,
}

impl Disk {
    /// The disk whose file this one has: itself, or the first of several ways to it.
    pub fn file_of(&self) -> &str {
        self.way.as_ref().map_or(&self.name, |way| &way.first)
    }
}

/// Where a disk's device sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// virtio-mmio bus number of the aarch64 board.
    VirtioMmio(u8),
    /// PCI device number on bus 0.
    Pci(u8),
}
