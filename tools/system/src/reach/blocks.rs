// SPDX-License-Identifier: MIT
//! Blocks that a compromised PD could misuse through its rings, and who would believe its answers.
//!
//! A server is taken to do what it was written for: the gatekeeper lets pass what its table of capabilities has, a
//! driver takes any request of the one ring that it serves, for the regions that its configuration names.
use super::sorted;
use crate::check::MODIFYING;
use crate::model::System;
use crate::plan::{Disk, Pd, Plan};
use orion_caps::Rights;
use orion_pd::Config;
use orion_pd::config::{Grant, Link, NONE, Role};

/// The PD that asks the gatekeeper without a ring.
const MANAGER: &str = "manager";
/// Read, write, flush, discard, zero: all that can be asked of a disk.
const EVERY: u16 = 1 | 2 | 4 | 8 | 16;

/// Blocks that a PD can misuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The disk that they lie on, or the volume that a layer joins several devices into.
    pub disk: String,
    /// The volume of the grant, where it comes of one.
    pub volume: Option<String>,
    /// The partition of that, as in `number=1`, from whose start the blocks are counted.
    pub partition: Option<String>,
    /// First block of 4096 bytes.
    pub first: u64,
    /// How many; `None`: to the end of the disk, the joined devices or the partition.
    pub count: Option<u64>,
    /// Bits of `orion_caps::Rights`.
    pub rights: u16,
    /// The PD that does it on request; `None`: the PD's own device.
    pub server: Option<String>,
    /// The window, and the line of the grant in `system.xml`, where a grant allows it.
    pub grant: Option<(u16, u32)>,
}

/// What a PD can have another's device move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The disk.
    pub disk: String,
    /// Who programs its device.
    pub driver: String,
    /// Regions from and to which it moves payload on request.
    pub regions: Vec<String>,
}

fn config(pd: &Pd) -> Option<Config<'_>> {
    Config::parse(if pd.sections.is_empty() { &pd.config } else { &pd.wiring }).ok()
}

/// The PDs that `pd` has as `role` at the other end of rings, each once.
fn peers<'a>(pd: &'a Pd, role: Role, plan: &'a Plan) -> Vec<&'a Pd> {
    let links = config(pd).map_or(&[][..], |config| config.links);
    let linked = |other: &&Pd| links.iter().any(|link| link.role() != role && link.peer.as_str() == other.name);
    plan.pds.iter().filter(linked).collect()
}

/// The blocks that `pd` could misuse.
pub fn blocks(pd: &Pd, system: &System, plan: &Plan) -> Vec<Blocks> {
    let mut blocks = Vec::new();
    for disk in plan.disks.iter().filter(|disk| disk.driver == pd.name) {
        blocks.push(whole(&disk.name, EVERY, None));
    }
    if pd.derived && pd.name == MANAGER {
        let gatekeepers = plan.pds.iter().filter_map(|server| Some((server, config(server)?)));
        let gatekeepers = gatekeepers.filter(|(_, config)| !config.grants.is_empty());
        gatekeepers.for_each(|(server, config)| blocks.extend(granted(MANAGER, server, &config, (system, plan))));
    }
    for server in peers(pd, Role::Server, plan) {
        let Some(config) = config(server) else { continue };
        let parts = partitions(server, &config, (system, plan));
        if !parts.is_empty() {
            blocks.extend(parts.iter().filter(|part| part.client == pd.name).map(|part| part.blocks(&server.name)));
            continue;
        }
        match reached(pd, server, plan) {
            // A driver refuses nothing but what changes a read-only disk.
            disks if !disks.is_empty() => {
                blocks.extend(disks.iter().map(|disk| whole(&disk.name, allowed(disk), Some(&server.name))));
            }
            _ if !config.grants.is_empty() => blocks.extend(granted(&pd.name, server, &config, (system, plan))),
            _ => match joined(pd, server, system) {
                // Of any other server nothing is known but what it could do itself.
                volumes if volumes.is_empty() => blocks.extend(self::blocks(server, system, plan)),
                volumes => blocks.extend(volumes.iter().map(|volume| whole(volume, EVERY, Some(&server.name)))),
            },
        }
    }
    blocks.sort_by(|a, b| (&a.server, &a.disk, a.first, a.grant).cmp(&(&b.server, &b.disk, b.first, b.grant)));
    blocks
}

fn whole(disk: &str, rights: u16, server: Option<&str>) -> Blocks {
    let (disk, server) = (disk.to_owned(), server.map(str::to_owned));
    Blocks { disk, volume: None, partition: None, first: 0, count: None, rights, server, grant: None }
}

/// The disks of the driver `server` that its client `pd` reaches.
fn reached<'a>(pd: &Pd, server: &Pd, plan: &'a Plan) -> Vec<&'a Disk> {
    let links = config(pd).map_or(&[][..], |config| config.links);
    let to_server = links.iter().filter(|link| link.role() == Role::Client && link.peer.as_str() == server.name);
    to_server.filter_map(|link| plan.disk_over(&server.name, link.volume.as_str())).collect()
}

/// The volumes that `server` joins devices into and its client `pd` reaches.
fn joined(pd: &Pd, server: &Pd, system: &System) -> Vec<String> {
    let links = config(pd).map_or(&[][..], |config| config.links);
    let to_server = links.iter().filter(|link| link.role() == Role::Client && link.peer.as_str() == server.name);
    let joins = |volume: &&str| system.volume(volume).is_some_and(|volume| volume.joined.is_some());
    to_server.map(|link| link.volume.as_str()).filter(joins).map(str::to_owned).collect()
}

/// A partition that a PD gives to a client of its own.
struct Part<'a> {
    client: &'a str,
    volume: &'a str,
    select: &'a str,
    /// The disk or the joined devices that it is of, and what can be asked of it.
    base: &'a str,
    rights: u16,
}

impl Part<'_> {
    /// All of it: its layer refuses nothing within it.
    fn blocks(&self, server: &str) -> Blocks {
        let (volume, partition) = (Some(self.volume.to_owned()), Some(self.select.to_owned()));
        Blocks { volume, partition, ..whole(self.base, self.rights, Some(server)) }
    }
}

/// The partitions that `server` gives away: it is the driver of their disk, or stands over it or over joined devices.
fn partitions<'a>(server: &'a Pd, config: &Config<'a>, (system, plan): (&System, &'a Plan)) -> Vec<Part<'a>> {
    let base = |link: &'a Link| {
        let volume = link.volume.as_str();
        let disk = plan.disk_over(link.peer.as_str(), volume).map(|disk| (disk.name.as_str(), allowed(disk)));
        let joins = system.volume(volume).is_some_and(|volume| volume.joined.is_some());
        disk.or(joins.then_some((volume, EVERY)))
    };
    let own = plan.disks.iter().find(|disk| disk.driver == server.name);
    let own = own.map(|disk| (disk.name.as_str(), allowed(disk)));
    let Some((base, rights)) = own.or_else(|| config.links_as(Role::Client).find_map(|(_, link)| base(link))) else {
        return Vec::new();
    };
    let links = (0_u64..).zip(config.links_as(Role::Server));
    let parts = links.filter_map(|(number, (_, link))| {
        let named = config.settings.iter().filter(|setting| setting.value.get() == number);
        let select = named.map(|s| s.key.as_str()).find(|key| orion_gpt::Select::parse(key).is_some())?;
        Some(Part { client: link.peer.as_str(), volume: link.volume.as_str(), select, base, rights })
    });
    parts.collect()
}

const fn allowed(disk: &Disk) -> u16 {
    if disk.read_only { EVERY & !MODIFYING } else { EVERY }
}

fn granted(pd: &str, server: &Pd, config: &Config<'_>, (system, plan): (&System, &Plan)) -> Vec<Blocks> {
    let link = |index: u16| config.links.get(usize::from(index));
    let of_pd = |grant: &&Grant| {
        // The manager has no ring.
        let managers = grant.client.get() == NONE && pd == MANAGER;
        managers
            || link(grant.client.get())
                .is_some_and(|link: &Link| link.role() == Role::Server && link.peer.as_str() == pd)
    };
    let volume = |line: u32| system.grants.iter().find(|grant| grant.at.line == line && grant.client.0 == pd);
    let grants = config.grants.iter().filter(of_pd).map(|grant| {
        let (disk, partition) =
            link(grant.volume.get()).map_or_else(Default::default, |link| below(link, server, (system, plan)));
        Blocks {
            disk,
            volume: volume(grant.line.get()).map(|grant| grant.target.name().to_owned()),
            partition,
            first: grant.first.get(),
            count: Some(grant.blocks.get()).filter(|count| *count != u64::MAX),
            rights: grant.rights.get(),
            server: Some(server.name.clone()),
            grant: Some((grant.window.get(), grant.line.get())),
        }
    });
    grants.collect()
}

/// The disk or the joined devices, and the partition of them if it is one, that `pd` has at the other end of its `link`.
fn below(link: &Link, pd: &Pd, (system, plan): (&System, &Plan)) -> (String, Option<String>) {
    let volume = link.volume.as_str();
    let server = plan.pds.iter().find(|other| other.name == link.peer.as_str());
    let parts =
        server.and_then(|server| Some(partitions(server, &config(server)?, (system, plan)))).unwrap_or_default();
    let part = parts.iter().find(|part| part.client == pd.name && part.volume == volume);
    part.map_or_else(|| (volume.to_owned(), None), |part| (part.base.to_owned(), Some(part.select.to_owned())))
}

/// What other clients of the servers of `pd` hold and may pass on to it while the system runs, with who holds it.
pub fn lent(pd: &Pd, system: &System, plan: &Plan) -> Vec<(String, Blocks)> {
    let mut lent = Vec::new();
    for server in peers(pd, Role::Server, plan) {
        let Some(config) = config(server).filter(|config| !config.grants.is_empty()) else { continue };
        for lender in peers(server, Role::Client, plan).into_iter().filter(|lender| lender.name != pd.name) {
            let grants = granted(&lender.name, server, &config, (system, plan));
            let derive = Rights::DERIVE.bits();
            let passed = grants.into_iter().filter(|blocks| blocks.rights & derive != 0);
            lent.extend(passed.map(|blocks| (lender.name.clone(), blocks)));
        }
    }
    lent
}

/// What `pd` could have the devices of its drivers move: a driver takes any address within its clients' regions.
pub fn orders(pd: &Pd, plan: &Plan) -> Vec<Order> {
    let mut orders = Vec::new();
    for server in peers(pd, Role::Server, plan) {
        let Some(config) = config(server) else { continue };
        if plan.driven_by(&server.name).next().is_some() {
            let disks = reached(pd, server, plan);
            let Some(disk) = disks.first() else { continue };
            // sDDF's drivers believe whatever address they are given.
            let regions = match disk.sddf {
                true => plan.regions.iter().map(|region| region.name.clone()).collect(),
                false => config.regions.iter().map(|region| region.name.as_str().to_owned()).collect(),
            };
            let regions = sorted(regions);
            orders.push(Order { disk: disk.device.clone(), driver: server.name.clone(), regions });
        } else if config.grants.is_empty() {
            // A layer between passes addresses on as they are, if it knows a region that they lie in.
            let known = |name: &String| config.regions.iter().any(|region| region.name.as_str() == name);
            let passed = self::orders(server, plan).into_iter();
            orders.extend(
                passed.map(|order| Order { regions: order.regions.into_iter().filter(known).collect(), ..order }),
            );
        }
    }
    orders.sort_by(|a, b| (&a.disk, &a.driver).cmp(&(&b.disk, &b.driver)));
    orders.dedup();
    orders
}

/// Whether requests of `client` may go through a server with `config` to one of `below`: any, unless grants say which. Who
/// has none there may be lent some.
fn concerns(config: &Config<'_>, client: &str, below: &[&str]) -> bool {
    let peer = |index: u16| config.links.get(usize::from(index)).map_or("", |link| link.peer.as_str());
    let mut there = config.grants.iter().filter(|grant| below.contains(&peer(grant.volume.get())));
    let derive = Rights::DERIVE.bits();
    config.grants.is_empty()
        || there.any(|grant| peer(grant.client.get()) == client || grant.rights.get() & derive != 0)
}

/// The PDs whose requests `pd` answers, and those whose requests they answer in turn.
pub fn answers(pd: &Pd, plan: &Plan) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut ahead = vec![pd];
    let mut via: Vec<&str> = vec![&pd.name];
    while let Some(server) = ahead.pop() {
        via.push(&server.name);
        for client in peers(server, Role::Client, plan) {
            // Its own answers go to all its clients, what it hands on from others to those whom it concerns.
            let handed_on = config(server).filter(|_| server.name != pd.name);
            let concerned = handed_on.is_none_or(|config| concerns(&config, &client.name, &via));
            if concerned && client.name != pd.name && !found.contains(&client.name) {
                found.push(client.name.clone());
                ahead.push(client);
            }
        }
    }
    sorted(found)
}
