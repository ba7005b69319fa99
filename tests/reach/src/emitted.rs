// SPDX-License-Identifier: MIT
//! The account that the text of an emitted description gives.
use crate::{Account, Holds};
use roxmltree::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};

fn named<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn value<'a>(node: Node<'a, 'a>, name: &str) -> &'a str {
    node.attribute(name).unwrap_or_else(|| panic!("no {name} at {:?}", node.range()))
}

fn number(text: &str) -> u64 {
    let plain = text.replace('_', "");
    plain.strip_prefix("0x").map_or_else(|| plain.parse(), |hex| u64::from_str_radix(hex, 16)).unwrap()
}

/// What each PD of the description `text` holds.
pub fn account(text: &str) -> Account {
    let document = Document::parse(text).unwrap();
    let system = document.root_element();
    let mut account = Account::new();
    let domains = system.descendants().filter(|node| node.tag_name().name() == "protection_domain");
    for domain in domains {
        account.insert(value(domain, "name").to_owned(), holds(domain));
    }
    for channel in named(system, "channel") {
        let ends: Vec<Node<'_, '_>> = named(channel, "end").collect();
        for (from, to) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let (holder, peer) = (account.get_mut(value(from, "pd")).unwrap(), value(to, "pd").to_owned());
            if from.attribute("notify") != Some("false") {
                holder.signals.insert(peer.clone());
            }
            if from.attribute("pp") == Some("true") {
                holder.calls.insert(peer);
            }
        }
    }
    account
}

fn holds(domain: Node<'_, '_>) -> Holds {
    let mut holds = Holds { priority: domain.attribute("priority").map_or(0, number), ..Holds::default() };
    let machines = named(domain, "virtual_machine").flat_map(|machine| named(machine, "map"));
    for map in named(domain, "map").chain(machines) {
        let write = map.attribute("perms").unwrap_or("rw").contains('w');
        *holds.memory.entry(value(map, "mr").to_owned()).or_default() |= write;
    }
    for irq in named(domain, "irq") {
        let name = if irq.has_attribute("irq") { "irq" } else { "vector" };
        holds.interrupts.insert(number(value(irq, name)));
    }
    for port in named(domain, "ioport") {
        holds.ports.insert((number(value(port, "addr")), number(value(port, "size"))));
    }
    let inner = named(domain, "protection_domain").map(|inner| value(inner, "name").to_owned());
    let given = named(domain, "cspace").flat_map(|cspace| cspace.children().filter(Node::is_element));
    holds.controls = inner.chain(given.map(|cap| value(cap, "pd").to_owned())).collect();
    holds
}

/// The regions that each IOMMU address space maps, by `bus:device.function`.
pub fn spaces(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let document = Document::parse(text).unwrap();
    let of = |space| named(space, "iomap").map(|map| value(map, "mr").to_owned()).collect();
    let spaces = named(document.root_element(), "io_address_space");
    spaces.map(|space| (value(space, "peripheral_id").to_owned(), of(space))).collect()
}

/// A grant as it stands in `system.xml`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The disk that it comes down to, or the volume that is made of several.
    pub disk: String,
    /// The partition of it, as in `number=1`.
    pub partition: Option<String>,
    /// First block.
    pub first: u64,
    /// How many blocks; `None`: to the end.
    pub count: Option<u64>,
    /// Names of rights, sorted.
    pub rights: Vec<String>,
}

/// The grants of each client, from the text of a `system.xml`: an audit's extent is the auditor's.
pub fn grants(text: &str) -> BTreeMap<String, Vec<Grant>> {
    let document = Document::parse(text).unwrap();
    let root = document.root_element();
    let mut grants: BTreeMap<String, Vec<Grant>> = BTreeMap::new();
    for grant in named(root, "grant").chain(named(root, "audit")) {
        let blocks = value(grant, "blocks").trim().split_once("..").map(|(a, b)| (number(a.trim()), number(b.trim())));
        let rights = grant.attribute("rights").unwrap_or("read write flush");
        let client = grant.attribute("client").unwrap_or("auditor");
        let mut rights: Vec<String> = rights.split_whitespace().map(str::to_owned).collect();
        rights.sort();
        let (first, count) = blocks.map_or((0, None), |(first, end)| (first, Some(end - first)));
        let grant_of = Grant { disk: disk(root, grant), partition: partition(root, grant), first, count, rights };
        grants.entry(client.to_owned()).or_default().push(grant_of);
    }
    grants.values_mut().for_each(|of_client| of_client.sort());
    grants
}

/// The partitions of each disk that are volumes, as in `number=1`, from the text of a `system.xml`.
pub fn partitions(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let document = Document::parse(text).unwrap();
    let root = document.root_element();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in root.descendants().filter(|node| node.tag_name().name() == "partition") {
        let on = part.children().find(|node| node.tag_name().name() == "on").unwrap();
        all.entry(disk(root, on)).or_default().insert(select(part));
    }
    all
}

/// How a partition is called.
fn select(part: Node<'_, '_>) -> String {
    let mut ways = ["number", "name", "uuid"].into_iter();
    ways.find_map(|way| part.attribute(way).map(|what| format!("{way}={what}"))).unwrap()
}

/// The partition below what `node` names, directly or through other volumes.
fn partition(root: Node<'_, '_>, node: Node<'_, '_>) -> Option<String> {
    let volume = named(root, "volume").find(|volume| volume.attribute("name") == node.attribute("volume"))?;
    if joins(volume) {
        return None;
    }
    let part = volume.children().find(|child| child.tag_name().name() == "partition");
    part.map(select).or_else(|| partition(root, volume.children().find(|child| child.tag_name().name() == "on")?))
}

/// Whether a volume is made of several devices.
fn joins(volume: Node<'_, '_>) -> bool {
    volume.children().any(|child| ["raid", "multipath"].contains(&child.tag_name().name()))
}

/// What each volume that is made of several devices is made of, disks or other such volumes, from the text of a `system.xml`:
/// by name, with the name of its layer's PD.
pub fn joined(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let document = Document::parse(text).unwrap();
    let root = document.root_element();
    let mut all = BTreeMap::new();
    for volume in named(root, "volume").filter(|volume| joins(*volume)) {
        let layer = volume.children().find(Node::is_element).unwrap();
        let members = named(layer, "on").map(|on| disk(root, on)).collect();
        let name = value(volume, "name");
        all.insert(name.to_owned(), (format!("{}_{name}", layer.tag_name().name()), members));
    }
    all
}

/// The PDs of arrays whose level has parity, or is not said: they compute with payload.
pub fn computing(text: &str) -> BTreeSet<String> {
    let document = Document::parse(text).unwrap();
    let arrays = named(document.root_element(), "volume").filter(|volume| joins(*volume));
    let level = |volume: Node<'_, '_>| {
        let layer = volume.children().find(Node::is_element).unwrap();
        layer.attribute("level").unwrap_or("5").to_owned()
    };
    let computing = arrays.filter(|volume| ["4", "5", "6"].contains(&&*level(*volume)));
    computing.map(|volume| format!("raid_{}", value(volume, "name"))).collect()
}

/// The joined volumes over a disk, directly or through others, each with its layer's PD.
pub fn over(text: &str, disk: &str) -> BTreeMap<String, String> {
    let joined = joined(text);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let above = |members: &BTreeSet<String>| members.iter().any(|m| m == disk || found.contains_key(m));
        let more: Vec<_> = joined.iter().filter(|(name, (_, m))| !found.contains_key(*name) && above(m)).collect();
        if more.is_empty() {
            return found;
        }
        let more: Vec<_> = more.into_iter().map(|(name, (pd, _))| (name.clone(), pd.clone())).collect();
        found.extend(more);
    }
}

/// The disk below what `node` names, or the volume that is made of several.
fn disk(root: Node<'_, '_>, node: Node<'_, '_>) -> String {
    if let Some(disk) = node.attribute("disk") {
        return disk.to_owned();
    }
    let volume = named(root, "volume").find(|volume| volume.attribute("name") == node.attribute("volume")).unwrap();
    if joins(volume) {
        return value(volume, "name").to_owned();
    }
    let on = volume.descendants().find(|node| node.tag_name().name() == "on").unwrap();
    let (disk_name, volume_name) = (on.attribute("disk"), on.attribute("volume"));
    match (disk_name, volume_name) {
        (Some(disk), _) => disk.to_owned(),
        _ => disk(root, on),
    }
}
