// SPDX-License-Identifier: MIT
//! Partitions: the layer that reads a disk's table, in a PD of its own or fused into the driver's.
use super::build::{Build, PAGE, memory};
use super::clients::{Client, GATEKEEPER, data_name, setting};
use crate::check::LAYER_PRIORITY;
use crate::model::Disk;
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
    /// Joins the volumes that are partitions of `disk`, whose driver is `driver`, to the gatekeeper by a ring each;
    /// whether there are any.
    pub fn partitions(&mut self, disk: &Disk, driver: &str, clients: &BTreeMap<String, Client>) -> bool {
        let system = self.system;
        let volumes = system.partitions_of(&disk.name);
        let Some((_, first)) = volumes.first() else { return false };
        let pd = if first.fuse { driver.to_owned() } else { layer_name(&disk.name) };
        if first.fuse {
            self.fuse(driver);
        } else {
            self.derived(&pd, SPLIT, LAYER_PRIORITY, first.at);
            for (name, _) in clients.iter().filter(|(_, client)| client.disks().contains(disk.name.as_str())) {
                let region = data_name(name);
                let bus = self.regions.get(&region).and_then(|region| region.bus).unwrap_or(0);
                self.name_region(&pd, &region, 0, bus);
            }
        }
        self.scratch(disk, &pd, driver);
        for (number, (volume, partition)) in (0..).zip(&volumes) {
            let capacity = Self::partition_queue(volume, clients);
            let label = format!("{GATEKEEPER}_{pd}_{volume}");
            self.connect_as(&label, (GATEKEEPER, &pd), capacity, (NONE, NONE), volume);
            if let Some(part) = self.pds.get_mut(&pd) {
                part.blob.settings.push(setting(&partition.select, number));
            }
        }
        if !first.fuse {
            self.connect(&pd, driver, Self::driver_queue(&disk.name, clients), (NONE, NONE), &disk.name);
        }
        true
    }

    /// Makes the driver's program the one that has the layer in it.
    fn fuse(&mut self, driver: &str) {
        if let Some(part) = self.pds.get_mut(driver) {
            part.pd.image = format!("{FUSED}.elf");
            part.pd.program = FUSED.to_owned();
        }
    }

    /// The memory into which the device puts the table, and the layer's setting that says which region it is.
    fn scratch(&mut self, disk: &Disk, pd: &str, driver: &str) {
        let mut region = memory(&format!("table_{}", disk.name), RegionKind::Dma, PAGE);
        region.dma_by = vec![disk.device().to_owned()];
        region.bus = self.bus_address(pd, PAGE, PAGE, &region.dma_by);
        region.phys = self.fixed(region.bus);
        let (name, bus) = (region.name.clone(), region.bus.unwrap_or(0));
        self.region(region);
        let vaddr = self.map(pd, &name, true);
        let id = self.name_region(pd, &name, vaddr, bus);
        if pd != driver {
            self.name_region(driver, &name, 0, bus);
        }
        if let Some(part) = self.pds.get_mut(pd) {
            part.blob.settings.push(setting("table_region", u64::from(id)));
            part.blob.settings.push(setting("table_ms", table_ms(disk)));
        }
    }

    /// How long the gatekeeper and the partition layers wait for what is below them to become ready. Who is dead must
    /// not hold up those who use other disks.
    pub fn patience(&mut self) {
        let ready = |disk: &Disk| driver_ms(disk) + table_ms(disk) + MARGIN_MS;
        let longest = self.system.disks.iter().map(ready).max().unwrap_or(0);
        let layers = self.system.disks.iter().map(|disk| (layer_name(&disk.name), driver_ms(disk)));
        for (name, ms) in layers.chain([(GATEKEEPER.to_owned(), longest)]).collect::<Vec<_>>() {
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
