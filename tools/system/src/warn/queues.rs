// SPDX-License-Identifier: MIT
//! Queues and data regions that are smaller than what may be asked of them.
use crate::derive::DRIVER_QUEUE_MAX;
use crate::model::{Disk, Grant, System};
use crate::problem::Problems;

/// Bytes of a block.
const BLOCK: u64 = 4096;

pub fn check(system: &System, found: &mut Problems) {
    for (name, pd) in &system.pds {
        let entries = u64::from(pd.queue);
        let blocks = pd.data / BLOCK;
        if system.grants.iter().any(|grant| grant.client.0 == *name) && blocks < entries {
            let what = format!(
                "the data region of {name:?} holds {blocks} blocks, and its queue {entries} requests: not one block for each"
            );
            let remedy = format!("write orion:data=\"{}K\" or more, or a smaller orion:queue", entries * BLOCK / 1024);
            found.add(pd.client_settings.unwrap_or(pd.at), what, remedy);
        }
    }
    for disk in &system.disks {
        full(disk, system, found);
    }
}

/// More requests than the queue of a driver holds may be in flight for its disk.
fn full(disk: &Disk, system: &System, found: &mut Problems) {
    let of_disk = |grant: &&Grant| system.comes_down(&grant.target, &disk.name);
    let mut sum = 0;
    for (name, pd) in &system.pds {
        let grants: Vec<&Grant> = system.grants.iter().filter(|g| g.client.0 == *name).filter(of_disk).collect();
        let limits: Option<u32> = grants.iter().map(|grant| grant.in_flight.map(|(most, _)| most)).sum();
        let most = u32::from(pd.queue);
        sum += if grants.is_empty() { 0 } else { limits.map_or(most, |limits| limits.min(most)) };
    }
    if sum > u32::from(DRIVER_QUEUE_MAX) {
        let what = format!(
            "clients of the disk {:?} may have {sum} requests in flight, and its queue holds {DRIVER_QUEUE_MAX}: the rest wait in the gatekeeper",
            disk.name
        );
        found.add(disk.at, what, "lower orion:queue of clients, or write in-flight on their grants");
    }
}
