// SPDX-License-Identifier: MIT
//! Layers that join several devices into one volume: a PD each, with a ring to what serves each device.
use super::build::{Build, PAGE, STACK, memory};
use super::clients::{Client, GATEKEEPER, data_name, setting};
use super::disks::driver_name;
use super::partitions::layer_name;
use crate::check::LAYER_PRIORITY;
use crate::model::{Disk, Joined, Joining, Raid, Target, Volume};
use crate::plan::{NewArray, RegionKind, Way};
use crate::stack::Source;
use orion_pd::config::{NONE, Role};
use std::collections::{BTreeMap, BTreeSet};

/// The PD of the layer that makes the volume.
pub fn joined_name(volume: &Volume, joined: &Joined) -> String {
    format!("{}_{}", joined.kind.program(), volume.name)
}

/// What the devices of the disks are called by, each once.
pub fn devices(disks: &[&Disk]) -> Vec<String> {
    let names: BTreeSet<&str> = disks.iter().map(|disk| disk.device()).collect();
    names.into_iter().map(str::to_owned).collect()
}

impl Build<'_> {
    /// Who asks for the blocks of this source: the layer that joins it to others, or the gatekeeper.
    pub fn user_of(&self, source: &str) -> String {
        let over = self.system.joined_over(source);
        over.map_or_else(|| GATEKEEPER.to_owned(), |(volume, joined)| joined_name(volume, joined))
    }

    /// The PD that serves a source.
    fn server_of(&self, source: Source<'_>) -> String {
        match source {
            Source::Disk(disk) => disk.driver.as_ref().map_or_else(|| driver_name(disk.device()), |(pd, _)| pd.clone()),
            Source::Joined(volume, joined) => joined_name(volume, joined),
            Source::Partition(volume) => {
                let base = self.system.under(source).first().copied();
                let fused = volume.partition.as_ref().is_some_and(|partition| partition.fuse);
                match base {
                    Some(base @ Source::Disk(_)) if fused => self.server_of(base),
                    base => layer_name(base.map_or("", Source::name)),
                }
            }
        }
    }

    /// The PDs of the layers that join devices, before whom they have rings with.
    pub fn joined_parts(&mut self, clients: &BTreeMap<String, Client>) {
        let system = self.system;
        for (volume, joined) in system.joined_upward() {
            let pd = joined_name(volume, joined);
            self.derived(&pd, joined.kind.program(), LAYER_PRIORITY, joined.at);
            let way = system.way_down(Source::Joined(volume, joined));
            let disks: Vec<&str> =
                way.iter().filter(|source| matches!(source, Source::Disk(_))).map(|source| source.name()).collect();
            match &joined.kind {
                Joining::Raid(raid) => {
                    if raid.computes() {
                        self.map_data(&pd, &disks, clients);
                    } else {
                        self.name_data(&pd, &disks, clients);
                    }
                    self.new_array(volume, joined, raid);
                    let Some(part) = self.pds.get_mut(&pd) else { continue };
                    // It knows many superblocks while it puts the array together.
                    part.pd.stack = Some(2 * STACK);
                    let select = raid.select.iter().map(|select| setting(&format!("array {select}"), 0));
                    let level = raid.level.map(|level| setting("array_level", i64::from(level).cast_unsigned()));
                    part.blob.settings.extend(select.chain(level));
                }
                Joining::Multipath => self.name_data(&pd, &disks, clients),
            }
        }
    }

    /// What new files behind the members' disks are made, where all are whole disks.
    fn new_array(&mut self, volume: &Volume, joined: &Joined, raid: &Raid) {
        let disk = |member| match self.system.source(member) {
            Some(Source::Disk(disk)) => Some(disk.name.clone()),
            _ => None,
        };
        let disks: Option<Vec<String>> = joined.members.iter().map(disk).collect();
        if let (Some(disks), Some(level)) = (disks, raid.level) {
            let name = raid.select.as_ref().and_then(|select| select.strip_prefix("name="));
            let named = raid.select.is_none() || name.is_some();
            let name = name.unwrap_or(&volume.name).to_owned();
            self.arrays.extend(named.then_some(NewArray { name, level, disks }));
        }
    }

    /// Maps the data regions of the clients of these disks: the layer computes with what is in them.
    fn map_data(&mut self, pd: &str, disks: &[&str], clients: &BTreeMap<String, Client>) {
        for (name, _) in clients.iter().filter(|(_, client)| disks.iter().any(|disk| client.disks().contains(disk))) {
            let region = data_name(name);
            let bus = self.regions.get(&region).and_then(|region| region.bus).unwrap_or(0);
            let vaddr = self.map(pd, &region, true);
            self.name_region(pd, &region, vaddr, bus);
        }
    }

    /// The disks are ways to one, the first's.
    fn are_ways(&mut self, volume: &str, joined: &Joined) {
        let Some(first) = joined.members.first().map(Target::name) else { return };
        for disk in self.disks.iter_mut().filter(|disk| joined.members.iter().any(|way| way.name() == disk.name)) {
            disk.way = Some(Way { volume: volume.to_owned(), first: first.to_owned() });
        }
    }

    /// The rings above the layers that join devices, and their own memory, once all drivers are there.
    pub fn joined_rings(&mut self, clients: &BTreeMap<String, Client>) {
        let system = self.system;
        for (volume, joined) in system.joined_upward() {
            let pd = joined_name(volume, joined);
            let source = Source::Joined(volume, joined);
            let below = system.way_down(source).into_iter().skip(1);
            let servers: BTreeSet<String> = below.map(|source| self.server_of(source)).collect();
            let disks = system.way_down(source).into_iter().filter_map(|source| match source {
                Source::Disk(disk) => Some(disk),
                _ => None,
            });
            let disks: Vec<&Disk> = disks.collect();
            match &joined.kind {
                Joining::Raid(_) => self.work(&pd, &disks, &servers),
                Joining::Multipath => self.are_ways(&volume.name, joined),
            }
            let with_own: Vec<&str> = servers.iter().map(String::as_str).chain([pd.as_str()]).collect();
            if !self.partitions_of_joined(&volume.name, &pd, (&disks, &with_own), clients) {
                let capacity = self.source_queue(&volume.name, clients);
                let user = self.user_of(&volume.name);
                self.connect_as(&format!("{user}_{pd}"), (&user, &pd), capacity, (NONE, NONE), &volume.name);
            }
        }
        for (volume, joined) in system.joined() {
            self.in_order(&joined_name(volume, joined), joined);
        }
    }

    /// The memory of an array's layer, which the devices of its members reach and the PDs between know.
    fn work(&mut self, pd: &str, disks: &[&Disk], below: &BTreeSet<String>) {
        let size = u64::try_from(orion_raid::engine::WORK_BYTES).unwrap_or(0).next_multiple_of(PAGE);
        let mut region = memory(&format!("work_{pd}"), RegionKind::Dma, size);
        region.dma_by = devices(disks);
        region.bus = self.bus_address(pd, size, PAGE, &region.dma_by);
        region.phys = self.fixed(region.bus);
        let (name, bus) = (region.name.clone(), region.bus.unwrap_or(0));
        self.region(region);
        let vaddr = self.map(pd, &name, true);
        let id = self.name_region(pd, &name, vaddr, bus);
        below.iter().for_each(|server| self.pass_on(server, &name, bus));
        if let Some(part) = self.pds.get_mut(pd) {
            part.blob.settings.push(setting("work_region", u64::from(id)));
        }
    }

    /// Has a PD pass requests on that name this region; an array's layer computes with what is in it.
    pub fn pass_on(&mut self, pd: &str, region: &str, bus: u64) {
        let mut joined = self.system.joined();
        let computes = joined.any(|(volume, joined)| {
            let Joining::Raid(raid) = &joined.kind else { return false };
            raid.computes() && joined_name(volume, joined) == pd
        });
        let vaddr = if computes { self.map(pd, region, true) } else { 0 };
        self.name_region(pd, region, vaddr, bus);
    }

    /// Port n of a layer is the nth device of its element.
    fn in_order(&mut self, pd: &str, joined: &Joined) {
        let names: Vec<&str> =
            joined.members.iter().filter_map(|member| self.system.source(member)).map(Source::name).collect();
        let Some(part) = self.pds.get_mut(pd) else { return };
        part.blob.links.sort_by_key(|link| match link.role() {
            Role::Client => names.iter().position(|name| *name == link.volume.as_str()),
            Role::Server => None,
        });
    }
}
