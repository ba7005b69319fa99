// SPDX-License-Identifier: MIT
//! A `system.xml` as it was understood: Microkit's parts that we have to know, and ours.
use crate::bus::Bus;
use crate::element::{Element, Position};
use std::collections::{BTreeMap, BTreeSet};

/// Entries of each queue of a client's ring, where the client does not say.
pub const DEFAULT_QUEUE: u16 = 64;
/// Bytes of a client's data region, where the client does not say.
pub const DEFAULT_DATA: u64 = 2 << 20;
/// Milliseconds after which a disk's request is given up, where the disk does not say.
pub const DEFAULT_TIMEOUT_MS: u32 = 30_000;
/// Microseconds that a place of a disk is kept free, where its clients' weights differ and it does not say: a few times what
/// a client takes from an answer to its next request.
pub const DEFAULT_GRACE_US: u16 = 200;
/// Most microseconds of that.
pub const GRACE_MAX_US: u16 = 10_000;
/// Most microseconds of a wait that an idle device's rest may be allowed to cause.
pub const REST_MAX_US: u32 = 1_000_000;
/// Windows of a connection: capabilities that one client can hold.
pub const WINDOWS: u8 = 16;

/// The derived PD that keeps the audit records.
pub const AUDITOR: &str = "auditor";

/// A system, parsed and checked.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// Where `<system>` stands.
    pub at: Position,
    /// Whether it is built upon a description that another tool wrote.
    pub over_base: bool,
    /// The user's own Microkit elements below `<system>`, without anything of ours in them.
    pub own: Vec<Element>,
    /// The user's protection domains, children too, by name.
    pub pds: BTreeMap<String, UserPd>,
    /// The user's memory regions, by name.
    pub regions: BTreeMap<String, UserRegion>,
    /// The user's channels.
    pub channels: Vec<UserChannel>,
    /// Disks, as they stand.
    pub disks: Vec<Disk>,
    /// Volumes, as they stand.
    pub volumes: Vec<Volume>,
    /// Grants, as they stand.
    pub grants: Vec<Grant>,
    /// The manager, where there is one.
    pub manager: Option<Manager>,
    /// Where the audit stands, whose extent is the grant of [`AUDITOR`] there.
    pub audit: Option<Position>,
    /// Where the user's own scheduling domains stand.
    pub scheduling_domains: Option<Position>,
    /// PDs that grants name, also grants that are not understood.
    pub named_clients: BTreeSet<String>,
    /// Numbers that the user's own parts take and derived parts must not.
    pub taken: Taken,
    /// What the host world cannot give, each with its place.
    pub not_on_host: Vec<(Position, String)>,
    /// What aarch64 boards cannot give.
    pub not_on_aarch64: Vec<(Position, String)>,
    /// What x86-64 boards cannot give.
    pub not_on_x86_64: Vec<(Position, String)>,
}

/// Numbers that exist once in a system.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// GIC interrupt numbers, with the PD's place.
    pub gic: BTreeMap<u64, Position>,
    /// I/O APIC pins.
    pub pins: BTreeMap<u64, Position>,
    /// x86-64 vectors.
    pub vectors: BTreeMap<u64, Position>,
    /// I/O port ranges: first port, count.
    pub ports: Vec<(u64, u64, Position)>,
    /// IOMMU domain ids.
    pub io_domains: BTreeSet<u64>,
    /// IOMMU peripherals, as `bus:device.function`.
    pub peripherals: BTreeMap<String, Position>,
}

/// A protection domain of the user's own.
#[derive(Clone, Debug, Default)]
pub struct UserPd {
    /// Where it stands.
    pub at: Position,
    /// Its priority.
    pub priority: u8,
    /// Its program's path.
    pub image: String,
    /// Budget and period, where given.
    pub budget: Option<(u32, u32)>,
    /// Bytes of stack, where given.
    pub stack: Option<u64>,
    /// Whether it is passive.
    pub passive: bool,
    /// What it maps.
    pub maps: Vec<UserMap>,
    /// Channel and interrupt ids in use.
    pub ids: BTreeMap<u8, Position>,
    /// Entries of each queue of its ring, should it be a client.
    pub queue: u16,
    /// Bytes of its data region, should it be a client.
    pub data: u64,
    /// Where it says one of these, though it may be no client.
    pub client_settings: Option<Position>,
    /// Whether it is a plain sDDF component, and what it gets of Orion.
    pub sddf: Option<Sddf>,
}

/// What a plain sDDF component gets of Orion, and where that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sddf {
    /// Where.
    pub at: Position,
    /// Whether the console prints for it: `orion:sddf="blk serial"`.
    pub serial: bool,
}

/// A mapping of the user's own.
#[derive(Clone, Debug)]
pub struct UserMap {
    /// The region's name.
    pub region: String,
    /// Where it is mapped.
    pub vaddr: u64,
    /// Whether it may be written.
    pub write: bool,
    /// Whether it is mapped cached.
    pub cached: bool,
    /// Where it stands.
    pub at: Position,
}

/// A memory region of the user's own.
#[derive(Clone, Debug)]
pub struct UserRegion {
    /// Bytes; `None` where Microkit takes the size from a prefill file.
    pub size: Option<u64>,
    /// Page size.
    pub page: u64,
    /// Physical address, where fixed.
    pub phys: Option<u64>,
    /// Where it stands.
    pub at: Position,
}

/// A channel of the user's own.
#[derive(Clone, Debug)]
pub struct UserChannel {
    /// Its two ends.
    pub ends: [End; 2],
}

/// One end of a channel.
#[derive(Clone, Debug)]
pub struct End {
    /// The PD.
    pub pd: String,
    /// The id.
    pub id: u8,
    /// Whether this end may make protected calls.
    pub calls: bool,
    /// Where it stands.
    pub at: Position,
}

/// How a board reaches a disk's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// virtio-mmio.
    Mmio,
    /// PCI.
    Pci,
}

/// A disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub at: Position,
    /// The kind of device.
    pub bus: Bus,
    /// The controller that it shares with the other disks that name it, and where that stands.
    pub controller: Option<(String, Position)>,
    /// Which of the disks behind its controller it is, and where that stands.
    pub unit: Option<(u32, Position)>,
    /// Bytes that it must have at least.
    pub size: Option<u64>,
    /// Whether it is attached read-only.
    pub read_only: bool,
    /// The number of its slot, and where that stands.
    pub slot: Option<(u8, Position)>,
    /// How it is reached, where the board leaves a choice.
    pub transport: Option<Transport>,
    /// Milliseconds after which a request is given up.
    pub timeout_ms: u32,
    /// Most requests that it is given at once.
    pub queue: Option<u16>,
    /// Queues of requests that its driver is to use.
    pub queues: Option<(u8, Position)>,
    /// Whether those queues are packed rings, of virtio.
    pub packed: bool,
    /// How far an idle link saves power: 0, 1 (Partial) or 2 (Slumber), of AHCI.
    pub power: u8,
    /// Whether its write cache is to be on or off, and reading ahead; `None`: as it is.
    pub write_cache: Option<bool>,
    /// The same of reading ahead, of AHCI.
    pub look_ahead: Option<bool>,
    /// Whether its driver compares each write with its payload, of NVMe.
    pub verify_writes: bool,
    /// Whether QEMU is to make it of zones; of NVMe. A drive is so or not by itself, and its driver finds out.
    pub zoned: bool,
    /// Whether its driver has a queue for each kind of requests, reads before writes before the rest, of NVMe.
    pub weighted: bool,
    /// Interrupts are held back until there are so many answers, and no longer than so many times 100 microseconds; of NVMe.
    pub gather: Option<(u8, u8)>,
    /// Microseconds that a place is kept free for who is first by weight and about to ask, and where that is said.
    pub grace_us: Option<(u16, Position)>,
    /// Microseconds of the longest wait that its device's rest may cause, and where that is said; `None`: its power states are left
    /// alone.
    pub rest_us: Option<(u32, Position)>,
    /// The user's own sDDF driver PD, and where it is named; `None`: `orion` derives a driver.
    pub driver: Option<(String, Position)>,
}

impl Disk {
    /// What its driver, its registers and its memory are called by: the controller, or the disk itself where it has one of its
    /// own.
    pub fn device(&self) -> &str {
        self.controller.as_ref().map_or(&self.name, |(name, _)| name)
    }

    /// That wait as its driver is told: 50 microseconds doubled so often, at most; 0 where it is left alone.
    fn rest_code(&self) -> u32 {
        let us = self.rest_us.map_or(0, |(us, _)| us.min(REST_MAX_US));
        (us / 50).checked_ilog2().unwrap_or(0)
    }

    /// How its queues are to be, as its driver is told.
    pub fn options(&self) -> u32 {
        let queues = self.queues.map_or(0, |(queues, _)| queues);
        let (answers, units) = self.gather.unwrap_or_default();
        let shape = u32::from(self.packed) << 8 | u32::from(self.verify_writes) << 9;
        let shape = shape | u32::from(self.zoned) << 10 | u32::from(self.weighted) << 11;
        let shape = shape | self.rest_code() << 12;
        // As `orion_driver::switch` reads them.
        let switch = |on: Option<bool>| on.map_or(0, |on| 1 + u32::from(on));
        let shape = shape | switch(self.write_cache) << 24 | switch(self.look_ahead) << 26;
        u32::from(queues) | shape | u32::from(answers) << 16 | u32::from(self.power) << 16 | u32::from(units) << 24
    }
}

/// A name of something that blocks lie on, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A disk.
    Disk(String, Position),
    /// A volume.
    Volume(String, Position),
}

/// A volume.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub at: Position,
    /// What it lies on; `None` only while that is a problem.
    pub on: Option<Target>,
    /// The partition of that disk or array that it is; `None`: all of what it lies on.
    pub partition: Option<Partition>,
    /// The devices that it joins, on which it then lies; `on` is `None`.
    pub joined: Option<Joined>,
}

/// Devices that a layer joins into one volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Where the element stands.
    pub at: Position,
    /// How.
    pub kind: Joining,
    /// The devices, as they stand.
    pub members: Vec<Target>,
}

/// How devices are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joining {
    /// They hold an array of Linux's RAID.
    Raid(Raid),
    /// They are ways to one disk.
    Multipath,
}

/// Which array of Linux's RAID it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raid {
    /// `uuid=...` or `name=...`, as [`orion_raid::Select`] reads it; `None`: the one that the devices hold.
    pub select: Option<String>,
    /// The level that it must have, as superblocks number them; -1: linear.
    pub level: Option<i32>,
}

impl Raid {
    /// Whether its layer computes with payload.
    pub fn computes(&self) -> bool {
        self.level.is_none_or(|level| (4..=6).contains(&level))
    }
}

impl Joining {
    /// The layer's program, with which its PD's name begins too.
    pub fn program(&self) -> &'static str {
        match self {
            Self::Raid(_) => "raid",
            Self::Multipath => "multipath",
        }
    }

    /// What is joined, in words.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Raid(_) => "array",
            Self::Multipath => "multipath",
        }
    }
}

/// Which partition of a disk a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Where the element stands.
    pub at: Position,
    /// `number=2`, `name=rootfs` or `uuid=...`, as [`orion_gpt::Select`] reads it.
    pub select: String,
    /// Whether the table's layer runs in the driver's PD.
    pub fuse: bool,
}

/// A grant.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Where it stands.
    pub at: Position,
    /// The client PD, and where it is named.
    pub client: (String, Position),
    /// What it is a grant of.
    pub target: Target,
    /// First 4096-byte block.
    pub first: u64,
    /// One past the last block; `None`: to the end.
    pub end: Option<u64>,
    /// Where the blocks are said.
    pub blocks_at: Position,
    /// Bits of `orion_caps::Rights`.
    pub rights: u16,
    /// Where the rights are said.
    pub rights_at: Position,
    /// Most requests in flight, and where that is said; `None`: no limit but the ring's.
    pub in_flight: Option<(u32, Position)>,
    /// Most requests per second.
    pub iops: Option<u32>,
    /// Most bytes per second.
    pub bandwidth: Option<u64>,
    /// Milliseconds of these rates that may be saved up while idle.
    pub burst_ms: Option<u32>,
    /// The client's part beside other clients'.
    pub weight: Option<u16>,
    /// Whether its blocks may be granted to others as well.
    pub shared: bool,
    /// The window, where given, and where that is said.
    pub window: Option<(u8, Position)>,
}

/// The PD that faces operators.
#[derive(Clone, Debug)]
pub struct Manager {
    /// Where it stands.
    pub at: Position,
    /// Bits of `orion_caps::Rights`, on every volume.
    pub rights: u16,
}

impl System {
    /// The disk called `name`.
    pub fn disk(&self, name: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.name == name)
    }

    /// The disks behind the device of this name, as they stand.
    pub fn behind<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a Disk> {
        self.disks.iter().filter(move |disk| disk.device() == device)
    }

    /// The volume called `name`.
    pub fn volume(&self, name: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.name == name)
    }
}

impl System {
    /// Microseconds that a free place on the way to `disk` is kept for who is first by weight and about to ask: as it says,
    /// else some where it is given only so many requests at once and its clients' weights differ.
    pub fn grace_us(&self, disk: &Disk) -> u16 {
        let mut weights: BTreeMap<&str, u16> = BTreeMap::new();
        for grant in self.grants.iter().filter(|grant| self.comes_down(&grant.target, &disk.name)) {
            let weight = weights.entry(&grant.client.0).or_insert(1);
            *weight = grant.weight.unwrap_or(1).max(*weight);
        }
        let differ = weights.values().collect::<BTreeSet<_>>().len() > 1;
        let usual = if disk.queue.is_some() && differ { DEFAULT_GRACE_US } else { 0 };
        disk.grace_us.map_or(usual, |(grace, _)| grace)
    }
}

impl Target {
    /// The name, whatever it names.
    pub fn name(&self) -> &str {
        match self {
            Self::Disk(name, _) | Self::Volume(name, _) => name,
        }
    }

    /// Where the name stands.
    pub fn at(&self) -> Position {
        match self {
            Self::Disk(_, at) | Self::Volume(_, at) => *at,
        }
    }
}
