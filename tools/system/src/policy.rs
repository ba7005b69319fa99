// SPDX-License-Identifier: MIT
//! Our elements: disks, volumes, grants.
use crate::element::{Attribute, Element};
use crate::microkit::twice;
use crate::model::{AUDITOR, Grant, Manager, Partition, System, Target, Volume, WINDOWS};
use crate::problem::{Problems, suggest};
use crate::read::{self, tag};
use orion_caps::Rights;

mod disk;
mod joined;

/// Longest name of a disk, a volume or a client: names of regions and PDs are made of them.
pub const MAX_NAME: usize = 40;
/// Most bytes of what names a partition: the key of a setting.
const SELECT_MAX: usize = 63;
/// Most blocks of an audit: it is looked at whole when the system starts.
const AUDIT_MAX: u64 = 1 << 18;
/// Rights by name and bit.
pub const RIGHTS: [(&str, u16); 8] = [
    ("read", Rights::READ.bits()),
    ("write", Rights::WRITE.bits()),
    ("flush", Rights::FLUSH.bits()),
    ("discard", Rights::DISCARD.bits()),
    ("zero", Rights::ZERO.bits()),
    ("observe", Rights::OBSERVE.bits()),
    ("derive", Rights::DERIVE.bits()),
    ("admin", Rights::ADMIN.bits()),
];
/// The names of the rights in `bits`.
pub fn rights_text(bits: u16) -> String {
    let names: Vec<&str> = RIGHTS.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name).collect();
    names.join(" ")
}

/// Reads all below `root` into `system`.
pub fn read(root: &Element, system: &mut System, problems: &mut Problems) {
    for element in root.children.iter().filter(|child| child.ours) {
        match element.name.as_str() {
            "disk" => system.disks.extend(disk::disk(element, problems)),
            "volume" => system.volumes.extend(volume(element, problems)),
            "grant" => {
                system.named_clients.extend(element.value("client").map(str::to_owned));
                system.grants.extend(grant(element, problems));
            }
            "manager" => manager(element, system, problems),
            "audit" => audit(element, system, problems),
            _ => {}
        }
    }
    unique(system, problems);
}

/// The one manager. It holds no data region, so rights on blocks are only for passing on.
fn manager(element: &Element, system: &mut System, problems: &mut Problems) {
    if let Some(first) = &system.manager {
        let what = format!("there is a manager already, on line {}", first.at.line);
        return problems.add(element.at, what, "remove one");
    }
    let rights = element.attribute("rights");
    let bits = rights.map_or(Some(Rights::OBSERVE.bits()), |a| self::rights(a, problems));
    let own = Rights::OBSERVE.with(Rights::ADMIN).with(Rights::DERIVE).bits();
    if let (Some(a), Some(bits)) = (rights, bits)
        && bits & Rights::DERIVE.bits() == 0
        && bits & !own != 0
    {
        let what = format!("the manager holds no data region and cannot use {:?} itself", rights_text(bits & !own));
        problems.add(a.at, what, "remove these rights, or add \"derive\", so that it may pass them on");
    }
    system.manager = Some(Manager { at: element.at, rights: bits.unwrap_or(Rights::OBSERVE.bits()) });
}

/// Disks and volumes share one space of names.
fn unique(system: &System, problems: &mut Problems) {
    let disks = system.disks.iter().map(|disk| (&disk.name, disk.at));
    let mut all: Vec<_> = disks.chain(system.volumes.iter().map(|volume| (&volume.name, volume.at))).collect();
    all.sort_unstable();
    for ((a, first), (b, at)) in all.iter().zip(all.iter().skip(1)) {
        if a == b {
            twice("disk or volume", b, *at, *first, problems);
        }
    }
}

fn volume(element: &Element, problems: &mut Problems) -> Option<Volume> {
    let name = read::name(element, MAX_NAME, problems);
    let layers = ["on", "partition", "raid", "multipath"];
    let mut below = element.children.iter().filter(|child| child.ours && layers.contains(&&*child.name));
    let empty = |name: &str| Volume { name: name.to_owned(), at: element.at, on: None, partition: None, joined: None };
    let Some(on) = below.next() else {
        if element.children.is_empty() {
            problems.add(element.at, "a volume lies on nothing", "add <orion:on disk=\"...\"/> in it");
        }
        return name.map(empty);
    };
    if let Some(second) = below.next() {
        let what = "a volume lies on two things, and nothing joins them";
        problems.add(second.at, what, "remove one, or put <orion:on> of each into one <orion:raid>");
    }
    let (mut on_one, mut part, mut joined) = (None, None, None);
    match on.name.as_str() {
        "on" => on_one = target(on, problems),
        "raid" => joined = joined::raid(on, problems),
        "multipath" => joined = Some(joined::multipath(on, problems)),
        _ => (on_one, part) = partition(on, problems),
    }
    Some(Volume { on: on_one, partition: part, joined, ..empty(name?) })
}

/// What a partition lies on, and which it is.
fn partition(element: &Element, problems: &mut Problems) -> (Option<Target>, Option<Partition>) {
    let on = element.children.iter().find(|child| child.ours && child.name == "on");
    if on.is_none() {
        problems.add(element.at, "a partition lies on nothing", "add <orion:on disk=\"...\"/> in it");
    }
    let on = on.and_then(|on| target(on, problems));
    let ways: Vec<&Attribute> = ["number", "name", "uuid"].iter().filter_map(|how| element.attribute(how)).collect();
    let [way] = ways[..] else {
        let what = "a partition is named in one way: by its number, its name or its uuid";
        problems.add(element.at, what, "write number=\"2\", or name=\"...\", or uuid=\"...\"");
        return (on, None);
    };
    let fuse = element.attribute("fuse").and_then(|a| read::yes(a, problems)).unwrap_or(false);
    let select = format!("{}={}", way.name, way.value);
    if orion_gpt::Select::parse(&select).is_none() || select.len() > SELECT_MAX {
        let what = format!("{}={:?} names no partition", way.name, way.value);
        let remedy = match way.name.as_str() {
            "number" => "write a number from 1, as `orion inspect` lists them",
            "name" => "write 1 to 58 bytes, or name it by its number",
            _ => "write its own identifier, as in 01234567-89ab-cdef-0123-456789abcdef",
        };
        problems.add(way.at, what, remedy);
        return (on, None);
    }
    (on, Some(Partition { at: element.at, select, fuse }))
}

/// `disk="..."` or `volume="..."`: exactly one of them.
fn target(element: &Element, problems: &mut Problems) -> Option<Target> {
    match (element.attribute("disk"), element.attribute("volume")) {
        (Some(a), None) => Some(Target::Disk(a.value.clone(), a.at)),
        (None, Some(a)) => Some(Target::Volume(a.value.clone(), a.at)),
        (None, None) => {
            let what = format!("{} names neither a disk nor a volume", tag(element));
            problems.add(element.at, what, "add disk=\"...\" or volume=\"...\"");
            None
        }
        (Some(_), Some(a)) => {
            let what = format!("{} names both a disk and a volume", tag(element));
            problems.add(a.at, what, "remove one of the two");
            None
        }
    }
}

fn grant(element: &Element, problems: &mut Problems) -> Option<Grant> {
    let client = read::required(element, "client", problems);
    let target = target(element, problems);
    let blocks = element.attribute("blocks");
    if blocks.is_none() {
        let remedy = "add blocks=\"0..4096\" (4096-byte blocks, end not included) or blocks=\"all\"";
        problems.add(element.at, "<orion:grant> does not say which blocks", remedy);
    }
    let extent = blocks.and_then(|a| extent(a, problems));
    let rights = read::required(element, "rights", problems);
    let bits = rights.and_then(|a| self::rights(a, problems));
    let in_flight = element.attribute("in-flight");
    let in_flight = in_flight.and_then(|a| Some((u32::try_from(read::number(a, 1, 32_768, problems)?).ok()?, a.at)));
    let number = |name, most, problems: &mut Problems| {
        element.attribute(name).and_then(|a| u32::try_from(read::number(a, 1, most, problems)?).ok())
    };
    let iops = number("iops", 10_000_000, problems);
    let weight = number("weight", 1000, problems).and_then(|weight| u16::try_from(weight).ok());
    let bandwidth = element.attribute("bandwidth").and_then(|a| read::size(a, 4096, 1 << 40, problems));
    let burst = element.attribute("burst");
    if let Some(a) = burst.filter(|_| element.attribute("iops").is_none() && element.attribute("bandwidth").is_none()) {
        problems.add(
            a.at,
            "burst without a rate that could burst",
            "add iops=\"...\" or bandwidth=\"...\", or remove it",
        );
    }
    let burst_ms = burst.and_then(|a| read::milliseconds(a, problems));
    let shared = element.attribute("shared").and_then(|a| read::yes(a, problems)).unwrap_or(false);
    let window = element.attribute("window");
    let last = u64::from(WINDOWS - 1);
    let window = window.and_then(|a| Some((u8::try_from(read::number(a, 0, last, problems)?).ok()?, a.at)));
    let (first, end) = extent?;
    let client = client?;
    Some(Grant {
        at: element.at,
        client: (client.value.clone(), client.at),
        target: target?,
        first,
        end,
        blocks_at: blocks?.at,
        rights: bits?,
        rights_at: rights?.at,
        in_flight,
        iops,
        bandwidth,
        burst_ms,
        weight,
        shared,
        window,
    })
}

/// The extent of the audit: the one grant of the PD that keeps it.
fn audit(element: &Element, system: &mut System, problems: &mut Problems) {
    if let Some(first) = system.audit {
        let what = format!("there is a second audit, after that of line {}", first.line);
        return problems.add(element.at, what, "remove one: all records go into one chain");
    }
    system.audit = Some(element.at);
    let target = target(element, problems);
    let blocks = read::required(element, "blocks", problems);
    let (Some(target), Some(blocks)) = (target, blocks) else { return };
    let Some((first, end)) = extent(blocks, problems) else { return };
    let size = end.map(|end| end - first);
    if size.is_none_or(|size| !(orion_audit::BLOCKS_MIN..=AUDIT_MAX).contains(&size)) {
        let what = format!("blocks={:?} is no extent for an audit", blocks.value);
        let remedy = format!("give it {} to {AUDIT_MAX} blocks of 4096 bytes", orion_audit::BLOCKS_MIN);
        return problems.add(blocks.at, what, remedy);
    }
    system.grants.push(Grant {
        at: element.at,
        client: (AUDITOR.to_owned(), element.at),
        target,
        first,
        end,
        blocks_at: blocks.at,
        rights: Rights::READ.with(Rights::WRITE).with(Rights::FLUSH).bits(),
        rights_at: element.at,
        in_flight: None,
        iops: None,
        bandwidth: None,
        burst_ms: None,
        weight: None,
        shared: false,
        window: None,
    });
}

/// `all`, or `a..b` with a < b.
fn extent(attribute: &Attribute, problems: &mut Problems) -> Option<(u64, Option<u64>)> {
    let text = attribute.value.trim();
    if text == "all" {
        return Some((0, None));
    }
    let parts = text.split_once("..");
    let number = |text: &str| read::digits(text.trim());
    let Some((first, end)) = parts.and_then(|(a, b)| Some((number(a)?, number(b)?))) else {
        let what = format!("blocks={text:?} is not an extent");
        problems.add(attribute.at, what, "write first..end in 4096-byte blocks, end not included, or \"all\"");
        return None;
    };
    if first >= end {
        let what = format!("blocks={text:?} holds no block");
        problems.add(attribute.at, what, "the end is not included and must be larger than the first block");
        return None;
    }
    if end > 1 << 40 {
        let what = format!("blocks={text:?} ends beyond block 2^40, the most that a window can name");
        problems.add(attribute.at, what, "end at or below 1099511627776");
        return None;
    }
    Some((first, Some(end)))
}

fn rights(attribute: &Attribute, problems: &mut Problems) -> Option<u16> {
    let mut bits = 0;
    let known = RIGHTS.iter().map(|(name, _)| *name);
    for word in attribute.value.split_whitespace() {
        let Some((_, bit)) = RIGHTS.iter().find(|(name, _)| *name == word) else {
            if word.contains([',', '|', '+']) {
                let what = format!("{word:?} is not a right");
                problems.add(attribute.at, what, "separate rights by spaces, as in \"read write\"");
                return None;
            }
            let what = format!("{word:?} is not a right");
            problems.add(attribute.at, what, suggest(word, known.clone(), "remove it"));
            return None;
        };
        if bits & bit != 0 {
            problems.add(attribute.at, format!("the right {word:?} stands twice"), "remove one");
        }
        bits |= bit;
    }
    if bits == 0 {
        let remedy = format!("write some of: {}", known.collect::<Vec<_>>().join(" "));
        problems.add(attribute.at, "no right is given", remedy);
        return None;
    }
    Some(bits)
}
