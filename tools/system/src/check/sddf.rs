// SPDX-License-Identifier: MIT
//! Plain sDDF components: each is a client that a grant names, or the driver that a disk names.
use super::GATEKEEPER_PRIORITY;
use crate::model::{Disk, System};
use crate::policy::rights_text;
use crate::problem::{Problems, suggest};
use orion_caps::Rights;
use std::collections::BTreeMap;

/// Checks every component and every disk that names one.
pub fn check(system: &System, problems: &mut Problems) {
    let mut driven: BTreeMap<&str, &str> = BTreeMap::new();
    for disk in &system.disks {
        let Some((pd, at)) = &disk.driver else { continue };
        driver(disk, system, problems);
        if let Some(first) = driven.insert(pd, &disk.name) {
            let what = format!("{pd:?} drives the disk {first:?} already");
            problems.add(*at, what, "give each disk a driver of its own: a driver serves one device");
        }
    }
    for (name, pd) in &system.pds {
        let Some(sddf) = pd.sddf else { continue };
        let client = system.named_clients.contains(name);
        let drives = driven.contains_key(name.as_str());
        if client && drives {
            let what = format!("{name:?} drives a disk, and a grant names it as a client");
            problems.add(sddf.at, what, "a driver reaches its whole device: remove the grant");
        }
        if !client && !drives {
            let what = format!("{name:?} is an sDDF component that no grant and no disk names");
            let remedy = format!("add <orion:grant client={name:?} .../> or driver={name:?} on a disk");
            problems.add(sddf.at, what, remedy);
        }
        if drives && sddf.serial {
            let what = format!("{name:?} is a driver, and sDDF's block drivers print to no console");
            problems.add(sddf.at, what, "write orion:sddf=\"blk\"");
        }
    }
    rights(system, problems);
}

fn driver(disk: &Disk, system: &System, problems: &mut Problems) {
    let Some((name, at)) = &disk.driver else { return };
    let Some(pd) = system.pds.get(name) else {
        let what = format!("there is no protection domain {name:?}");
        let known = system.pds.iter().filter(|(_, pd)| pd.sddf.is_some()).map(|(name, _)| name.as_str());
        return problems.add(*at, what, suggest(name, known, "add a <protection_domain> of that name"));
    };
    if pd.sddf.is_none() {
        let what = format!("{name:?} is to drive {:?} and is not said to be an sDDF component", disk.name);
        problems.add(pd.at, what, "write orion:sddf=\"blk\" on it");
    }
    if !(GATEKEEPER_PRIORITY..=252).contains(&pd.priority) {
        let what = format!("the driver {name:?} has priority {}", pd.priority);
        let remedy = format!("write {GATEKEEPER_PRIORITY} to 252: what clients wait for may not wait for them");
        problems.add(pd.at, what, remedy);
    }
    if disk.read_only {
        let what = "sDDF's virtio driver does not take a read-only disk for one";
        problems.add(*at, what, "remove readonly=\"yes\", or the driver; what clients may do, grants say");
    }
    if let Some((volume, partition)) = system.partitions_of(&disk.name).iter().find(|(_, partition)| partition.fuse) {
        let what = format!("{volume:?} is to be fused into the driver {name:?}, which is not Orion's");
        problems.add(partition.at, what, "remove fuse=\"yes\"");
    }
}

/// A plain client has no control ring.
fn rights(system: &System, problems: &mut Problems) {
    let changes = Rights::DERIVE.with(Rights::ADMIN).bits();
    for grant in system.grants.iter().filter(|grant| grant.rights & changes != 0) {
        if system.pds.get(&grant.client.0).is_some_and(|pd| pd.sddf.is_some()) {
            let rights = rights_text(grant.rights & changes);
            let what = format!("{:?} is a plain sDDF client, which cannot use the right {rights:?}", grant.client.0);
            problems.add(grant.rights_at, what, "remove it: sDDF has no ring for commands");
        }
    }
}
