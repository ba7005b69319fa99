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
use orion_pd::config::{Grant, Link, Role};

/// Read, write, flush, discard, zero: all that can be asked of a disk.
const EVERY: u16 = 1 | 2 | 4 | 8 | 16;

/// Blocks that a PD can misuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The disk that they lie on.
    pub disk: String,
    /// The volume of the grant, where it comes of one.
    pub volume: Option<String>,
    /// First block of 4096 bytes.
    pub first: u64,
    /// How many; `None`: to the end of the disk.
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

/// The PDs that `pd` has as `role` at the other end of a ring, each with its end's link.
fn peers<'a>(pd: &'a Pd, role: Role, plan: &'a Plan) -> Vec<&'a Pd> {
    let links = config(pd).map_or(&[][..], |config| config.links);
    let others = links.iter().filter(|link| link.role() != role);
    others.filter_map(|link| plan.pds.iter().find(|other| other.name == link.peer.as_str())).collect()
}

/// The blocks that `pd` could misuse.
pub fn blocks(pd: &Pd, system: &System, plan: &Plan) -> Vec<Blocks> {
    let mut blocks = Vec::new();
    for disk in plan.disks.iter().filter(|disk| disk.driver == pd.name) {
        blocks.push(whole(&disk.name, EVERY, None));
    }
    for server in peers(pd, Role::Server, plan) {
        let Some(config) = config(server) else { continue };
        match plan.disks.iter().find(|disk| disk.driver == server.name) {
            // A driver refuses nothing but what changes a read-only disk.
            Some(disk) => blocks.push(whole(&disk.name, allowed(disk), Some(&server.name))),
            None if !config.grants.is_empty() => blocks.extend(granted(&pd.name, server, &config, system)),
            // Of any other server nothing is known but what it could do itself.
            None => blocks.extend(self::blocks(server, system, plan)),
        }
    }
    blocks.sort_by(|a, b| (&a.server, &a.disk, a.first, a.grant).cmp(&(&b.server, &b.disk, b.first, b.grant)));
    blocks
}

fn whole(disk: &str, rights: u16, server: Option<&str>) -> Blocks {
    let (disk, server) = (disk.to_owned(), server.map(str::to_owned));
    Blocks { disk, volume: None, first: 0, count: None, rights, server, grant: None }
}

const fn allowed(disk: &Disk) -> u16 {
    if disk.read_only { EVERY & !MODIFYING } else { EVERY }
}

fn granted(pd: &str, server: &Pd, config: &Config<'_>, system: &System) -> Vec<Blocks> {
    let link = |index: u16| config.links.get(usize::from(index));
    let of_pd = |grant: &&Grant| {
        link(grant.client.get()).is_some_and(|link: &Link| link.role() == Role::Server && link.peer.as_str() == pd)
    };
    let volume = |line: u32| system.grants.iter().find(|grant| grant.at.line == line && grant.client.0 == pd);
    let grants = config.grants.iter().filter(of_pd).map(|grant| Blocks {
        disk: link(grant.volume.get()).map_or_else(String::new, |link| link.volume.as_str().to_owned()),
        volume: volume(grant.line.get()).map(|grant| grant.target.name().to_owned()),
        first: grant.first.get(),
        count: Some(grant.blocks.get()).filter(|count| *count != u64::MAX),
        rights: grant.rights.get(),
        server: Some(server.name.clone()),
        grant: Some((grant.window.get(), grant.line.get())),
    });
    grants.collect()
}

/// What other clients of the servers of `pd` hold and may pass on to it while the system runs, with who holds it.
pub fn lent(pd: &Pd, system: &System, plan: &Plan) -> Vec<(String, Blocks)> {
    let mut lent = Vec::new();
    for server in peers(pd, Role::Server, plan) {
        let Some(config) = config(server).filter(|config| !config.grants.is_empty()) else { continue };
        for lender in peers(server, Role::Client, plan).into_iter().filter(|lender| lender.name != pd.name) {
            let grants = granted(&lender.name, server, &config, system);
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
        if let Some(disk) = plan.disks.iter().find(|disk| disk.driver == server.name) {
            // sDDF's drivers believe whatever address they are given.
            let regions = match disk.sddf {
                true => plan.regions.iter().map(|region| region.name.clone()).collect(),
                false => config.regions.iter().map(|region| region.name.as_str().to_owned()).collect(),
            };
            let regions = sorted(regions);
            orders.push(Order { disk: disk.name.clone(), driver: server.name.clone(), regions });
        } else if config.grants.is_empty() {
            // A layer between passes addresses on as they are.
            orders.extend(self::orders(server, plan));
        }
    }
    orders.sort_by(|a, b| (&a.disk, &a.driver).cmp(&(&b.disk, &b.driver)));
    orders.dedup();
    orders
}

/// The PDs whose requests `pd` answers, and those whose requests they answer in turn.
pub fn answers(pd: &Pd, plan: &Plan) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut ahead = vec![pd];
    while let Some(server) = ahead.pop() {
        for client in peers(server, Role::Client, plan) {
            if client.name != pd.name && !found.contains(&client.name) {
                found.push(client.name.clone());
                ahead.push(client);
            }
        }
    }
    sorted(found)
}
