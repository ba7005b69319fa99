// SPDX-License-Identifier: MIT
//! Partitions: the layer that reads a disk's table, in a PD of its own or fused into the driver's.
use super::build::{Build, PAGE, memory};
use super::clients::{Client, DRIVER_QUEUE_MAX, GATEKEEPER, data_name, setting};
use super::joined::{devices, joined_name};
use crate::check::LAYER_PRIORITY;
use crate::model::{DEFAULT_QUEUE, Disk};
use crate::plan::RegionKind;
use orion_pd::config::NONE;
use std::collections::BTreeMap;

/// The program of the layer alone.
const SPLIT: &str = "gpt";
/// The program of driver and layer in one PD.
const FUSED: &str = "virtio-blk-gpt";

/// The PD of the layer over `disk`.
pub fn layer_name(disk: &str) -> String {
    format!("part_{disk}")
}

impl Build<'_> {
    /// Joins the volumes that are partitions of `disk`, whose driver is `driver`, to who uses them by a ring each; whether there
    /// are any.
    pub fn partitions(&mut self, disk: &Disk, driver: &str, clients: &BTreeMap<String, Client>) -> bool {
        let system = self.system;
        let volumes = system.partitions_of(&disk.name);
        let Some((_, first)) = volumes.first() else { return false };
        let pd = if first.fuse { driver.to_owned() } else { layer_name(&disk.name) };
        if first.fuse {
            self.fuse(driver);
        } else {
            self.derived(&pd, SPLIT, LAYER_PRIORITY, first.at);
            self.name_data(&pd, &[&disk.name], clients);
        }
        self.scratch((&disk.name, &pd), &[disk], (pd != driver).then_some(driver).as_slice());
        self.parts_of(&disk.name, &pd, clients);
        if !first.fuse {
            self.connect(&pd, driver, self.driver_queue(&disk.name, clients), (NONE, NONE), &disk.name);
        }
        true
    }

    /// The same of the partitions of joined devices, whose layer is `server`, which lie on `disks` behind the PDs `below`.
    pub fn partitions_of_joined(
        &mut self,
        volume: &str,
        server: &str,
        (disks, below): (&[&Disk], &[&str]),
        clients: &BTreeMap<String, Client>,
    ) -> bool {
        let system = self.system;
        let volumes = system.partitions_of(volume);
        let Some((_, first)) = volumes.first() else { return false };
        let pd = layer_name(volume);
        self.derived(&pd, SPLIT, LAYER_PRIORITY, first.at);
        let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
        self.name_data(&pd, &names, clients);
        self.scratch((volume, &pd), disks, below);
        self.parts_of(volume, &pd, clients);
        let queues: Vec<u16> = volumes.iter().map(|(part, _)| self.source_queue(part, clients)).collect();
        let queue = queues.into_iter().fold(0, u16::saturating_add).clamp(DEFAULT_QUEUE, DRIVER_QUEUE_MAX);
        self.connect(&pd, server, queue.next_power_of_two(), (NONE, NONE), volume);
        true
    }

    /// Enters the data regions of the clients of these disks into the table of a PD that passes their requests on.
    pub fn name_data(&mut self, pd: &str, disks: &[&str], clients: &BTreeMap<String, Client>) {
        for (name, _) in clients.iter().filter(|(_, client)| disks.iter().any(|disk| client.disks().contains(disk))) {
            let region = data_name(name);
            let bus = self.regions.get(&region).and_then(|region| region.bus).unwrap_or(0);
            self.name_region(pd, &region, 0, bus);
        }
    }

    /// A ring for each partition of the disk or joined devices `base`, which `pd` serves.
    fn parts_of(&mut self, base: &str, pd: &str, clients: &BTreeMap<String, Client>) {
        let system = self.system;
        for (number, (volume, partition)) in (0..).zip(system.partitions_of(base)) {
            let capacity = self.source_queue(volume, clients);
            let user = self.user_of(volume);
            let label = format!("{user}_{pd}_{volume}");
            self.connect_as(&label, (&user, pd), capacity, (NONE, NONE), volume);
            if let Some(part) = self.pds.get_mut(pd) {
                part.blob.settings.push(setting(&partition.select, number));
            }
        }
    }

    /// Makes the driver's program the one that has the layer in it.
    fn fuse(&mut self, driver: &str) {
        if let Some(part) = self.pds.get_mut(driver) {
            part.pd.image = format!("{FUSED}.elf");
            part.pd.program = FUSED.to_owned();
        }
    }

    /// The memory into which the devices of `disks` put the table of `base`, and the settings of the layer `pd` that say which
    /// region it is; `below` are the PDs between.
    fn scratch(&mut self, (base, pd): (&str, &str), disks: &[&Disk], below: &[&str]) {
        let mut region = memory(&format!("table_{base}"), RegionKind::Dma, PAGE);
        region.dma_by = devices(disks);
        region.bus = self.bus_address(pd, PAGE, PAGE, &region.dma_by);
        region.phys = self.fixed(region.bus);
        let (name, bus) = (region.name.clone(), region.bus.unwrap_or(0));
        self.region(region);
        let vaddr = self.map(pd, &name, true);
        let id = self.name_region(pd, &name, vaddr, bus);
        below.iter().for_each(|pd| self.pass_on(pd, &name, bus));
        let slowest = disks.iter().map(|disk| table_ms(disk)).max().unwrap_or(MARGIN_MS);
        if let Some(part) = self.pds.get_mut(pd) {
            part.blob.settings.push(setting("table_region", u64::from(id)));
            part.blob.settings.push(setting("table_ms", slowest));
        }
    }

    /// How long the gatekeeper and the partition layers wait for what is below them to become ready. Who is dead must
    /// not hold up those who use other disks.
    pub fn patience(&mut self) {
        let ready = |disk: &Disk| driver_ms(disk) + table_ms(disk) + MARGIN_MS;
        let longest = self.system.disks.iter().map(ready).max().unwrap_or(0);
        let system = self.system;
        // Each waits for all that it lies on, and takes as long again as they may.
        let joined = system.joined_upward().into_iter().map(|(volume, joined)| joined_name(volume, joined));
        let joined: Vec<_> = (1u64..).zip(joined).map(|(rank, name)| (name, longest.saturating_mul(rank))).collect();
        let above = u64::try_from(joined.len()).unwrap_or(0);
        let parts = system.joined().map(|(volume, _)| (layer_name(&volume.name), longest.saturating_mul(above + 1)));
        let layers = system.disks.iter().map(|disk| (layer_name(&disk.name), driver_ms(disk)));
        let all = longest.saturating_mul(2 * above + 1);
        let layers: Vec<_> = layers.chain(parts).chain(joined).chain([(GATEKEEPER.to_owned(), all)]).collect();
        for (name, ms) in layers {
            if let Some(part) = self.pds.get_mut(&name) {
                part.blob.settings.push(setting("patience_ms", ms));
            }
        }
    }
}

/// Milliseconds beside what a device may take.
const MARGIN_MS: u64 = 5000;

/// Within which a driver has its device ready, or never.
fn driver_ms(disk: &Disk) -> u64 {
    u64::from(disk.timeout_ms) + MARGIN_MS
}

/// Within which a table is read from a disk that answers, one copy of it after a request that the driver gave up.
fn table_ms(disk: &Disk) -> u64 {
    2 * u64::from(disk.timeout_ms) + MARGIN_MS
}
