// SPDX-License-Identifier: MIT
//! Clients and the gatekeeper: data regions, rings, capabilities.
use super::build::{Build, LARGE_PAGE, PAGE, STACK, memory};
use crate::check::{AUDITOR_PRIORITY, GATEKEEPER_PRIORITY, MODIFYING, SERIAL_PRIORITY};
use crate::element::Position;
use crate::model::{AUDITOR, DEFAULT_QUEUE, Disk, Grant, Target, WINDOWS};
use crate::plan::{Board, RegionKind};
use crate::stack::Source;
use orion_caps::Rights;
use orion_pd::config::{self, NONE, Name, Setting};
use std::collections::{BTreeMap, BTreeSet};

/// The gatekeeper's name.
pub const GATEKEEPER: &str = "gatekeeper";
/// Bytes of an export's data region.
const EXPORT_DATA: u64 = 16 << 20;
/// Entries of each queue of an export.
const EXPORT_QUEUE: u16 = 128;
/// Priority of an export: as a client's.
const EXPORT_PRIORITY: u8 = 100;
/// Rights of an export: read, write, flush, discard, zero.
const EXPORT_RIGHTS: u16 = 1 | 2 | 4 | 8 | 16;
/// Entries of each queue of the auditor, which asks for one thing at a time.
const AUDITOR_QUEUE: u16 = 8;
/// Bytes of the auditor's data region.
const AUDITOR_DATA: u64 = orion_audit::CHUNK as u64 * 4096;
/// Most entries of each queue between the gatekeeper and a driver: what a device's queue holds.
pub const DRIVER_QUEUE_MAX: u16 = 256;
/// Entries of each queue of who joins devices to each of them: all that it can ask of one at a time.
pub const JOINED_QUEUE: u16 = 512;
const _: () = assert!(orion_raid::engine::SLOTS * orion_raid::engine::FANOUT <= JOINED_QUEUE as usize);
const _: () = assert!(EXPORT_PRIORITY < SERIAL_PRIORITY);

/// What one window of a client may do.
pub struct Held {
    window: u8,
    /// The disks that it comes down to.
    disks: Vec<String>,
    volume: String,
    /// What serves it below the gatekeeper: a disk, a partition, or what joins devices.
    source: String,
    rights: u16,
    first: u64,
    blocks: u64,
    in_flight: u32,
    iops: u32,
    bandwidth: u64,
    burst_ms: u32,
    weight: u16,
    line: u32,
}

/// A client of the gatekeeper.
pub struct Client {
    pub queue: u16,
    pub data: u64,
    pub held: Vec<Held>,
    /// The program and the priority of a PD that is still to be made.
    derived: Option<(&'static str, u8)>,
}

impl Client {
    /// The disks that its grants come down to.
    pub fn disks(&self) -> BTreeSet<&str> {
        self.held.iter().flat_map(|held| &held.disks).map(String::as_str).collect()
    }

    /// Whether it may change capabilities at run time, or look at those of others.
    pub fn commands(&self) -> bool {
        let changes = Rights::DERIVE.with(Rights::ADMIN).with(Rights::OBSERVE).bits();
        self.held.iter().any(|held| held.rights & changes != 0)
    }

    /// The one volume that it reaches; empty where they are several.
    fn volume(&self) -> &str {
        let names: BTreeSet<&str> = self.held.iter().map(|held| held.volume.as_str()).collect();
        if names.len() == 1 { names.into_iter().next().unwrap_or("") } else { "" }
    }
}

/// The data region's name of the client `pd`.
pub fn data_name(pd: &str) -> String {
    format!("data_{pd}")
}

impl Build<'_> {
    /// The clients by name: PDs that grants name, and exports.
    pub fn clients(&mut self) -> BTreeMap<String, Client> {
        let mut clients = BTreeMap::new();
        for (name, pd) in &self.system.pds {
            let grants: Vec<&Grant> = self.system.grants.iter().filter(|grant| grant.client.0 == *name).collect();
            if !grants.is_empty() {
                let held = self.held(&grants);
                clients.insert(name.clone(), Client { queue: pd.queue, data: pd.data, held, derived: None });
            }
        }
        let audit: Vec<&Grant> = self.system.grants.iter().filter(|grant| grant.client.0 == AUDITOR).collect();
        if let (Some(_), [_]) = (self.system.audit, &audit[..]) {
            let (held, derived) = (self.held(&audit), Some((AUDITOR, AUDITOR_PRIORITY)));
            clients.insert(AUDITOR.to_owned(), Client { queue: AUDITOR_QUEUE, data: AUDITOR_DATA, held, derived });
        }
        for export in &self.options.exports {
            if let Some(held) = self.exported(&export.volume) {
                let derived = Some(("export", EXPORT_PRIORITY));
                let client = Client { queue: EXPORT_QUEUE, data: EXPORT_DATA, held: vec![held], derived };
                clients.insert(format!("export_{}", export.volume), client);
            }
        }
        clients
    }

    /// Each grant with its window: the one it names, or the lowest that none names.
    fn held(&self, grants: &[&Grant]) -> Vec<Held> {
        let named: BTreeSet<u8> = grants.iter().filter_map(|grant| grant.window.map(|(window, _)| window)).collect();
        let mut free = (0..WINDOWS).filter(|window| !named.contains(window));
        let mut held = Vec::new();
        for grant in grants {
            let window = grant.window.map(|(window, _)| window).or_else(|| free.next());
            let source = self.system.source(&grant.target);
            let (Some(window), Some(source)) = (window, source) else {
                continue;
            };
            held.push(Held {
                window,
                disks: names(&self.system.disks_below(&grant.target)),
                volume: grant.target.name().to_owned(),
                source: source.name().to_owned(),
                rights: grant.rights,
                first: grant.first,
                blocks: grant.end.map_or(u64::MAX, |end| end - grant.first),
                in_flight: grant.in_flight.map_or(0, |(most, _)| most),
                iops: grant.iops.unwrap_or(0),
                bandwidth: grant.bandwidth.unwrap_or(0),
                burst_ms: grant.burst_ms.unwrap_or(0),
                weight: grant.weight.unwrap_or(0),
                line: grant.at.line,
            });
        }
        held
    }

    fn exported(&mut self, volume: &str) -> Option<Held> {
        let nowhere = self.system.at;
        let target = match self.system.volume(volume) {
            Some(_) => Target::Volume(volume.to_owned(), nowhere),
            None => Target::Disk(volume.to_owned(), nowhere),
        };
        let Some(source) = self.system.source(&target) else {
            let names = self.system.volumes.iter().map(|v| &v.name).chain(self.system.disks.iter().map(|d| &d.name));
            let remedy = crate::problem::suggest(volume, names.map(String::as_str), "declare one");
            self.problems.add(nowhere, format!("there is no volume {volume:?} to export"), remedy);
            return None;
        };
        let parts = self.system.partitions_of(source.name());
        if let Some((first, _)) = parts.first() {
            let what = format!("{volume:?} cannot be exported whole: partitions of it are volumes");
            self.problems.add(nowhere, what, format!("export one of them, as in --export {first}"));
            return None;
        }
        if let Some((over, joined)) = self.system.joined_over(source.name()) {
            let what = format!("{volume:?} cannot be exported: it is under the {} {:?}", joined.kind.noun(), over.name);
            self.problems.add(nowhere, what, format!("export that, as in --export {}", over.name));
            return None;
        }
        if let Some(at) = self.audited(&target) {
            let what = format!("{volume:?} cannot be exported: the audit of the system lies on it");
            self.problems.add(at, what, "put the audit on a disk of its own, or on another partition");
            return None;
        }
        let disks = self.system.disks_below(&target);
        Some(Held {
            window: 0,
            disks: names(&disks),
            volume: volume.to_owned(),
            source: source.name().to_owned(),
            rights: if disks.iter().any(|disk| disk.read_only) { EXPORT_RIGHTS & !MODIFYING } else { EXPORT_RIGHTS },
            first: 0,
            blocks: u64::MAX,
            in_flight: 0,
            iops: 0,
            bandwidth: 0,
            burst_ms: 0,
            weight: 0,
            line: 0,
        })
    }

    /// Where the audit stands, if it lies on the same disk or partition as `target`.
    fn audited(&self, target: &Target) -> Option<Position> {
        let audit = self.system.grants.iter().find(|grant| grant.client.0 == AUDITOR)?;
        let below = |target| self.system.source(target).map(Source::name);
        (below(&audit.target) == below(target)).then_some(audit.at)
    }

    /// A plain Microkit system has nothing to export.
    pub fn exports_without_disks(&mut self) {
        for export in &self.options.exports {
            self.exported(&export.volume);
        }
    }

    /// The gatekeeper's and the exports' PDs.
    pub fn parts(&mut self, clients: &BTreeMap<String, Client>) {
        let start = self.system.at;
        self.derived(GATEKEEPER, GATEKEEPER, GATEKEEPER_PRIORITY, start);
        for (name, client) in clients {
            if let Some((program, priority)) = client.derived {
                self.derived(name, program, priority, start);
            }
        }
    }

    /// Each client's data region: its memory, its bus address, its place in the tables of client and gatekeeper.
    pub fn data_regions(&mut self, clients: &BTreeMap<String, Client>) {
        for (index, (name, client)) in clients.iter().enumerate() {
            let mut region = memory(&data_name(name), RegionKind::Data, client.data);
            // An IOMMU maps only small pages, and the host has no others.
            if client.data % LARGE_PAGE == 0 && self.board != Board::Host && !self.iommu() {
                region.page = LARGE_PAGE;
            }
            let align = if client.data % LARGE_PAGE == 0 { LARGE_PAGE } else { PAGE };
            region.dma_by = self.devices_below(client);
            region.bus = self.bus_address(name, client.data, align, &region.dma_by);
            region.phys = self.fixed(region.bus);
            let bus = region.bus.unwrap_or(0);
            let region_name = region.name.clone();
            self.region(region);
            let vaddr = self.map(name, &region_name, true);
            self.name_region(name, &region_name, vaddr, bus);
            let known = self.name_region(GATEKEEPER, &region_name, 0, bus);
            debug_assert_eq!(usize::from(known), index);
        }
    }

    /// The devices that the grants of a client come down to.
    fn devices_below(&self, client: &Client) -> Vec<String> {
        let disks = client.disks().into_iter().filter_map(|disk| self.system.disk(disk));
        let names: BTreeSet<&str> = disks.map(Disk::device).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// A bus address for `size` bytes on behalf of `pd`, which all of `devices` can name.
    pub fn bus_address(&mut self, pd: &str, size: u64, align: u64, devices: &[String]) -> Option<u64> {
        let mut disks = self.system.disks.iter().filter(|disk| devices.iter().any(|name| name == disk.device()));
        let short = disks.any(|disk| disk.bus.is_32_bit());
        let space = self.low.as_mut().filter(|_| short).unwrap_or(&mut self.bus);
        let bus = space.allocate(size, align);
        if bus.is_none() {
            let what = format!("there is no RAM left for {size:#x} bytes of DMA memory of {pd:?}");
            self.problem(pd, what, "make data regions (orion:data) smaller, or have fewer clients");
        }
        bus
    }

    /// The physical address that gives a region the bus address `bus`; only where no IOMMU translates.
    pub fn fixed(&self, bus: Option<u64>) -> Option<u64> {
        bus.filter(|_| self.board != Board::Host && !self.iommu())
    }

    /// Enters a region into `pd`'s table of regions; its index there.
    pub fn name_region(&mut self, pd: &str, region: &str, vaddr: u64, bus: u64) -> u16 {
        let size = self.regions.get(region).map_or(0, |region| region.size);
        let Some(part) = self.pds.get_mut(pd) else { return NONE };
        let id = u16::try_from(part.blob.regions.len()).unwrap_or(NONE);
        part.blob.regions.push(config::Region {
            id: id.into(),
            flags: u16::from(vaddr != 0).into(),
            pad: 0.into(),
            vaddr: vaddr.into(),
            size: size.into(),
            bus: bus.into(),
            name: Name::new(region),
        });
        id
    }

    /// The ring of each client to the gatekeeper, and the client's settings.
    pub fn client_links(&mut self, clients: &BTreeMap<String, Client>) {
        for (index, (name, client)) in clients.iter().enumerate() {
            let data = (u16::try_from(index).unwrap_or(NONE), 0);
            self.connect(name, GATEKEEPER, client.queue, data, client.volume());
            let writes = u64::from(self.options.demo_writes);
            if let Some(part) = self.pds.get_mut(name).filter(|part| part.sddf.is_none()) {
                part.ours = true;
                part.pd.stack.get_or_insert(STACK);
                part.blob.settings.push(setting("writes", writes));
                let further = self.options.client_settings.iter().map(|(key, value)| setting(key, *value));
                part.blob.settings.extend(further);
            }
        }
    }

    /// Entries of each queue between the gatekeeper and the driver of `disk`: enough for all of its clients, within
    /// what a device's queue holds; the gatekeeper holds back what does not fit.
    pub fn driver_queue(&self, disk: &str, clients: &BTreeMap<String, Client>) -> u16 {
        if self.system.joined_over(disk).is_some() {
            return JOINED_QUEUE;
        }
        Self::queue(clients.values().filter(|client| client.disks().contains(disk)))
    }

    /// The same of a partition, or of what joins devices.
    pub fn source_queue(&self, source: &str, clients: &BTreeMap<String, Client>) -> u16 {
        if self.system.joined_over(source).is_some() {
            return JOINED_QUEUE;
        }
        Self::queue(clients.values().filter(|client| client.held.iter().any(|held| held.source == source)))
    }

    fn queue<'a>(users: impl Iterator<Item = &'a Client>) -> u16 {
        let sum: u32 = users.map(|client| u32::from(client.queue)).sum();
        let entries = sum.clamp(u32::from(DEFAULT_QUEUE), u32::from(DRIVER_QUEUE_MAX)).next_power_of_two();
        u16::try_from(entries).unwrap_or(DEFAULT_QUEUE)
    }

    /// The gatekeeper's table of capabilities: by client, then as the grants stand.
    pub fn grants(&mut self, clients: &BTreeMap<String, Client>) {
        let Some(gatekeeper) = self.pds.get_mut(GATEKEEPER) else {
            return;
        };
        let index = |at: Option<usize>| at.and_then(|at| u16::try_from(at).ok()).unwrap_or(NONE);
        let link = |role: config::Role, peer: &str, links: &[config::Link]| {
            index(links.iter().position(|link| link.role() == role && link.peer.as_str() == peer))
        };
        // Disks and volumes share one space of names.
        let volume_link = |held: &Held, links: &[config::Link]| {
            index(links.iter().position(|l| l.role() == config::Role::Client && l.volume.as_str() == held.source))
        };
        let mut grants = Vec::new();
        for (name, client) in clients {
            for held in &client.held {
                let links = &gatekeeper.blob.links;
                grants.push(config::Grant {
                    client: link(config::Role::Server, name, links).into(),
                    window: u16::from(held.window).into(),
                    volume: volume_link(held, links).into(),
                    rights: held.rights.into(),
                    first: held.first.into(),
                    blocks: held.blocks.into(),
                    in_flight: held.in_flight.into(),
                    line: held.line.into(),
                    iops: held.iops.into(),
                    burst_ms: held.burst_ms.into(),
                    bandwidth: held.bandwidth.into(),
                    weight: u32::from(held.weight).into(),
                    pad: 0.into(),
                });
            }
        }
        gatekeeper.blob.grants = grants;
    }
}

fn names(disks: &[&Disk]) -> Vec<String> {
    disks.iter().map(|disk| disk.name.clone()).collect()
}

/// A named number for a PD.
pub fn setting(key: &str, value: u64) -> Setting {
    Setting { key: Name::new(key), value: value.into() }
}
