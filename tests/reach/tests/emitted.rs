// SPDX-License-Identifier: MIT
//! `orion reach` against the emitted text, for every good system and board, without an SDK.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use orion_reach_tests::emitted;
use orion_reach_tests::emitted::{Grant, account, grants, joined, over, partitions, spaces};
use orion_reach_tests::{Case, cases, claimed, default_cases, same};
use orion_system::emit;
use orion_system::plan::{Board, Slot};
use orion_system::reach::{Blocks, Dma};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn what_is_claimed_is_what_the_emitted_text_gives() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| emit::has_description(case.plan.board)) {
        same(&case.name, &claimed(&case.reach), &account(&emit::sdf(&case.plan)));
        compared += 1;
    }
    assert!(compared >= 90, "only {compared} systems");
}

/// What is shared, and with whom, is the same seen from both sides.
#[test]
fn sharing_is_mutual() {
    for case in cases() {
        let find = |pd: &str| case.reach.iter().find(|reach| reach.pd == pd).unwrap();
        for reach in &case.reach {
            for memory in &reach.memory {
                for (other, write) in &memory.shared {
                    let there = find(other).memory.iter().find(|there| there.region == memory.region).unwrap();
                    assert_eq!(there.write, *write, "{}: {}", case.name, memory.region);
                    assert!(there.shared.contains(&(reach.pd.clone(), memory.write)), "{}", case.name);
                }
            }
        }
    }
}

/// A client's blocks are exactly its grants as `system.xml` has them; nobody but drivers and the gatekeeper has others.
#[test]
fn a_client_reaches_exactly_the_blocks_of_its_grants() {
    for case in cases() {
        let granted = grants(&case.text);
        let drives = |pd: &str| case.plan.disks.iter().any(|disk| disk.driver == pd);
        for reach in case.reach.iter().filter(|reach| !drives(&reach.pd)) {
            let mut blocks: Vec<Grant> = reach.blocks.iter().map(of_blocks).collect();
            blocks.sort();
            assert!(blocks.windows(2).all(|two| two[0] != two[1]), "{}: {} twice", case.name, reach.pd);
            let none = Vec::new();
            let expected = granted.get(&reach.pd).unwrap_or(&none);
            if !reach.derived {
                assert_eq!(blocks, *expected, "{}: {}", case.name, reach.pd);
                assert!(reach.orders.is_empty(), "{}: {}", case.name, reach.pd);
                assert!(reach.answers.is_empty(), "{}: {}", case.name, reach.pd);
            }
        }
    }
}

/// What a client may be lent is what others hold with the right to derive, as `system.xml` has it.
#[test]
fn a_client_may_be_lent_what_others_may_pass_on() {
    let mut lent = 0;
    for case in cases() {
        let granted = grants(&case.text);
        for reach in case.reach.iter().filter(|reach| !reach.derived) {
            let others = granted.iter().filter(|(client, _)| **client != reach.pd && granted.contains_key(&reach.pd));
            let derive = |grant: &&Grant| grant.rights.contains(&"derive".to_owned());
            let mut expected: Vec<(&String, &Grant)> = others
                .flat_map(|(client, list)| list.iter().filter(derive).map(move |grant| (client, grant)))
                .collect();
            let claimed: Vec<(String, Grant)> =
                reach.lent.iter().map(|(lender, held)| (lender.clone(), of_blocks(held))).collect();
            let mut claimed: Vec<(&String, &Grant)> = claimed.iter().map(|(lender, grant)| (lender, grant)).collect();
            claimed.sort();
            expected.sort();
            assert_eq!(claimed, expected, "{}: {}", case.name, reach.pd);
            lent += claimed.len();
        }
    }
    assert!(lent > 0, "no file lends anything");
}

fn of_blocks(blocks: &orion_system::reach::Blocks) -> Grant {
    let mut rights: Vec<String> =
        orion_system::rights_text(blocks.rights).split_whitespace().map(str::to_owned).collect();
    rights.sort();
    Grant {
        disk: blocks.disk.clone(),
        partition: blocks.partition.clone(),
        first: blocks.first,
        count: blocks.count,
        rights,
    }
}

/// The gatekeeper and each driver can misuse every block, and are believed by every client of their disks. Between them
/// and a disk of partitions stands who gives the gatekeeper nothing but these.
#[test]
fn servers_are_trusted_with_the_blocks_that_they_serve() {
    let mut layers = 0;
    for case in cases() {
        let (granted, partitions) = (grants(&case.text), partitions(&case.text));
        for disk in &case.plan.disks {
            let whole =
                |b: &&Blocks| b.disk == disk.name && b.partition.is_none() && b.count.is_none() && b.grant.is_none();
            let trusted = case.reach.iter().filter(|reach| reach.blocks.iter().any(|b| whole(&b)));
            let trusted: BTreeSet<&str> = trusted.map(|reach| reach.pd.as_str()).collect();
            let find = |pd: &str| case.reach.iter().find(|reach| reach.pd == pd);
            let layer = format!("part_{}", disk.name);
            let mut expected = BTreeSet::from([disk.driver.as_str()]);
            // What joins the disk, or partitions of it, to others asks for it in the gatekeeper's stead.
            let (joined, above) = (joined(&case.text), over(&case.text, &disk.name));
            let joiner = joined.values().find(|(_, members)| members.contains(&disk.name)).map(|(pd, _)| pd);
            match partitions.get(&disk.name) {
                None => _ = expected.insert(joiner.map_or("gatekeeper", String::as_str)),
                Some(parts) => {
                    expected.extend(find(&layer).map(|_| layer.as_str()));
                    let users = ["gatekeeper"].into_iter().chain(joiner.map(String::as_str));
                    let of_disk = users.flat_map(|pd| &find(pd).unwrap().blocks).filter(|b| b.disk == disk.name);
                    let seen: BTreeSet<String> = of_disk.map(|b| b.partition.clone().unwrap()).collect();
                    assert_eq!(seen, *parts, "{}: {}", case.name, disk.name);
                    layers += 1;
                }
            }
            assert_eq!(trusted, expected, "{}: {}", case.name, disk.name);
            let all: BTreeSet<&str> = granted.keys().map(String::as_str).collect();
            let answers = find("gatekeeper").unwrap().answers.iter().map(String::as_str);
            assert_eq!(answers.collect::<BTreeSet<&str>>(), all, "{}", case.name);
            let mut believed: BTreeSet<&str> = believers(&granted, &disk.name);
            above.keys().for_each(|volume| believed.extend(believers(&granted, volume)));
            for server in expected.iter().filter(|pd| **pd != "gatekeeper") {
                let answers: BTreeSet<&str> = find(server).unwrap().answers.iter().map(String::as_str).collect();
                let derived = |pd: &&str| find(pd).unwrap().derived && *pd != "auditor";
                let clients: BTreeSet<&str> = answers.into_iter().filter(|pd| !derived(pd)).collect();
                assert_eq!(clients, believed, "{}: {server}", case.name);
            }
        }
    }
    assert!(layers >= 4, "{layers} disks with partitions");
}

/// Clients with a grant on the disk, and, where one of these may be lent to others, all.
fn believers<'a>(granted: &'a BTreeMap<String, Vec<Grant>>, disk: &str) -> BTreeSet<&'a str> {
    let of_disk = |list: &[Grant]| list.iter().any(|grant| grant.disk == disk);
    let lent = |grant: &Grant| grant.disk == disk && grant.rights.contains(&"derive".to_owned());
    let any = granted.values().flatten().any(lent);
    granted.iter().filter(|(_, list)| any || of_disk(list)).map(|(client, _)| client.as_str()).collect()
}

/// The layers that compute with a client's payload: those of the arrays below its grants.
fn computing(text: &str, client: &str) -> BTreeSet<String> {
    let (joined, granted) = (joined(text), grants(text));
    let mut below: Vec<String> = granted[client].iter().map(|grant| grant.disk.clone()).collect();
    let mut layers = BTreeSet::new();
    while let Some(name) = below.pop() {
        if let Some((pd, members)) = joined.get(&name) {
            layers.extend(Some(pd).filter(|pd| emitted::computing(text).contains(*pd)).cloned());
            below.extend(members.iter().cloned());
        }
    }
    layers
}

/// From the emitted text alone: a client's payload is mapped by that client, by arrays below it, and by nobody else.
#[test]
fn payload_is_reached_by_its_client_and_arrays_alone() {
    let mut computed = 0;
    for case in cases() {
        for reach in case.reach.iter().filter(|reach| !reach.pd.starts_with("raid_")) {
            for memory in reach.memory.iter().filter(|memory| memory.kind == "data") {
                assert_eq!(memory.region, format!("data_{}", reach.pd), "{}", case.name);
                assert!(memory.write, "{}", case.name);
            }
        }
        if emit::has_description(case.plan.board) {
            let account = account(&emit::sdf(&case.plan));
            for client in grants(&case.text).keys() {
                let region = format!("data_{client}");
                let holders: BTreeSet<String> = account
                    .iter()
                    .filter(|(_, holds)| holds.memory.contains_key(&region))
                    .map(|(pd, _)| pd.clone())
                    .collect();
                let layers = computing(&case.text, client);
                computed += layers.len();
                assert_eq!(holders, layers.into_iter().chain([client.clone()]).collect(), "{}", case.name);
            }
        }
    }
    assert!(computed > 8, "{computed}");
}

/// The device of a disk, and all disks behind it.
fn device(text: &str, disk: &str) -> (String, BTreeSet<String>) {
    let document = roxmltree::Document::parse(text).unwrap();
    let disks = document.descendants().filter(|node| node.tag_name().name() == "disk");
    let named = |node: roxmltree::Node<'_, '_>| {
        let name = node.attribute("name").unwrap();
        (node.attribute("controller").unwrap_or(name).to_owned(), name.to_owned())
    };
    let all: Vec<(String, String)> = disks.map(named).collect();
    let (device, _) = all.iter().find(|(_, name)| name == disk).unwrap().clone();
    let behind = all.into_iter().filter(|(other, _)| *other == device).map(|(_, name)| name).collect();
    (device, behind)
}

/// What a disk's device is to reach: its driver's memory, the payload of every client with a grant on a disk behind it, and
/// the pages for their tables of partitions, if those are volumes; of arrays above them also what these compute in.
fn needed(case: &Case, disk: &str) -> BTreeSet<String> {
    let (granted, (device, behind)) = (grants(&case.text), device(&case.text, disk));
    let above: BTreeMap<String, String> = behind.iter().flat_map(|disk| over(&case.text, disk)).collect();
    let bases: BTreeSet<&String> = behind.iter().chain(above.keys()).collect();
    let clients = granted.iter().filter(|(_, list)| list.iter().any(|grant| bases.contains(&grant.disk)));
    let parts = partitions(&case.text);
    let tables = bases.iter().filter(|base| parts.contains_key(**base)).map(|base| format!("table_{base}"));
    let work = above.values().filter(|pd| pd.starts_with("raid_")).map(|pd| format!("work_{pd}"));
    let clients = clients.map(|(client, _)| format!("data_{client}"));
    clients.chain([format!("dma_{device}")]).chain(tables).chain(work).collect()
}

#[test]
fn devices_reach_what_their_board_lets_them_reach() {
    let mut guarded = 0;
    for case in cases() {
        let emitted = spaces(&emit::sdf(&case.plan));
        for disk in &case.plan.disks {
            let driver = case.reach.iter().find(|reach| reach.pd == disk.driver).unwrap();
            let device = driver.devices.iter().find(|device| device.disk).unwrap();
            assert_eq!(device.name, self::device(&case.text, &disk.name).0);
            let pci = matches!(disk.slot, Slot::Pci(_));
            assert_eq!(device.messages, pci && case.plan.board != Board::Host, "{}", case.name);
            match (&device.dma, case.plan.board, case.plan.iommu) {
                (Dma::Everything, Board::QemuVirtAarch64, false) | (Dma::Everything, Board::X86_64Generic, false) => {}
                (Dma::Regions(regions), Board::Host, false) | (Dma::Regions(regions), Board::X86_64Generic, true) => {
                    let regions: BTreeSet<String> = regions.iter().cloned().collect();
                    assert_eq!(regions, needed(&case, &disk.name), "{}", case.name);
                    if let (Slot::Pci(number), true) = (disk.slot, case.plan.iommu) {
                        assert_eq!(regions, emitted[&format!("0:{number:x}.0")], "{}", case.name);
                    }
                    guarded += 1;
                }
                (dma, ..) => unreachable!("{}: {dma:?}", case.name),
            }
        }
    }
    assert!(guarded >= 60, "only {guarded} guarded devices");
}

/// The default system, said out.
#[test]
fn in_the_default_system_each_reaches_what_the_threat_model_says() {
    for case in default_cases() {
        let find = |pd: &str| case.reach.iter().find(|reach| reach.pd == pd).unwrap();
        let maps = |pd: &str, region: &str| find(pd).memory.iter().any(|memory| memory.region == region);
        assert!(maps("demo", "data_demo"), "{}", case.name);
        assert!(!maps("gatekeeper", "data_demo") && !maps("blk_d0", "data_demo"), "{}", case.name);
        let (demo, gatekeeper, driver) = (find("demo"), find("gatekeeper"), find("blk_d0"));
        assert!(demo.devices.is_empty() && demo.controls.is_empty() && demo.ports.is_empty(), "{}", case.name);
        assert!(gatekeeper.devices.is_empty(), "{}", case.name);
        assert!(
            gatekeeper
                .orders
                .iter()
                .any(|order| order.driver == "blk_d0" && order.regions.contains(&"data_demo".into()))
        );
        assert!(driver.devices.len() == 1 && driver.answers.contains(&"demo".into()), "{}", case.name);
        for other in case.reach.iter().filter(|reach| !["gatekeeper", "blk_d0"].contains(&reach.pd.as_str())) {
            assert!(other.devices.is_empty() && other.orders.is_empty(), "{}: {}", case.name, other.pd);
        }
        if case.plan.board != Board::Host {
            assert!(find("tick").starves.is_empty() && find("tick").blocks.is_empty(), "{}", case.name);
            assert!(find("serial").blocks.is_empty() && !find("serial").starves.contains(&"gatekeeper".into()));
        }
    }
}
