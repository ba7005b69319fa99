// SPDX-License-Identifier: MIT
//! A disk: on which bus, behind which controller, which of its disks.
use super::MAX_NAME;
use crate::bus::Bus;
use crate::derive::DRIVER_QUEUE_MAX;
use crate::element::{Attribute, Element, Position};
use crate::model::{DEFAULT_TIMEOUT_MS, Disk, GRACE_MAX_US, REST_MAX_US, Transport};
use crate::problem::{Problems, suggest};
use crate::read;

/// Kinds of devices of the mission that have no driver yet.
const LATER_BUSES: &[&str] = &["iscsi", "nbd", "usb", "sas", "file", "ram"];

/// Buses whose drivers turn write caches on and off.
const CACHES_TURNED: [Bus; 3] = [Bus::Ahci, Bus::VirtioScsi, Bus::Am53c974];

/// Instead of a number of queues: one for each kind of requests.
const WEIGHTED: &str = "weighted";
/// Longest that interrupts are held back.
const GATHER_MAX_US: u16 = 25_000;

pub fn disk(element: &Element, problems: &mut Problems) -> Option<Disk> {
    let name = read::name(element, MAX_NAME, problems);
    let bus = read::required(element, "bus", problems).and_then(|a| bus(a, problems));
    let slot = element.attribute("slot");
    let slot = slot.and_then(|a| Some((u8::try_from(read::number(a, 0, 31, problems)?).ok()?, a.at)));
    let transport = element.attribute("transport");
    let transport = transport.and_then(|a| Some((a, read::choice(a, &["mmio", "pci"], problems)?)));
    let size = element.attribute("size").and_then(|a| read::size(a, 512, 1 << 60, problems));
    let read_only = element.attribute("readonly").and_then(|a| read::yes(a, problems)).unwrap_or(false);
    let queue = element.attribute("queue").and_then(|a| read::number(a, 1, u64::from(DRIVER_QUEUE_MAX), problems));
    let grace = element.attribute("grace");
    let microseconds = |a: &Attribute, problems: &mut Problems| read::microseconds(a, GRACE_MAX_US.into(), problems);
    let grace = grace.and_then(|a| Some((u16::try_from(microseconds(a, problems)?).ok()?, a.at)));
    if let (Some(a), None) = (element.attribute("grace"), element.attribute("queue")) {
        let what = "a grace, and the disk takes as many requests as there are: no place is kept free";
        problems.add(a.at, what, "write queue=\"n\" beside it, or remove it");
    }
    let timeout = element.attribute("timeout").and_then(|a| read::milliseconds(a, problems));
    let driver = element.attribute("driver").map(|a| (a.value.clone(), a.at));
    let controller = element.attribute("controller");
    let controller = controller.and_then(|a| Some((read::name_of(a, MAX_NAME, problems)?.to_owned(), a.at)));
    let transport = transport.and_then(|(a, t)| self::transport(a, t, bus, problems));
    // Of a bus that is not known, nothing is known.
    let of_bus = |name: &str| element.attribute(name).zip(bus);
    Some(Disk {
        name: name?.to_owned(),
        at: element.at,
        bus: bus.unwrap_or_default(),
        controller,
        unit: of_bus("unit").and_then(|(a, bus)| unit(a, bus, problems)),
        queues: of_bus("queues").filter(|(a, _)| a.value != WEIGHTED).and_then(|(a, bus)| queues(a, bus, problems)),
        weighted: of_bus("queues").is_some_and(|(a, bus)| weighted(a, bus, problems)),
        zoned: of_bus("zoned").is_some_and(|(a, bus)| nvme_only(a, bus, "has no zones", problems)),
        verify_writes: of_bus("verify-writes").is_some_and(|(a, bus)| nvme_only(a, bus, "compares nothing", problems)),
        gather: gather(element, bus, problems),
        packed: of_bus("ring").is_some_and(|(a, bus)| packed(a, bus, problems)),
        power: of_bus("power").map_or(0, |(a, bus)| power(a, bus, problems)),
        write_cache: of_bus("write-cache").and_then(|(a, bus)| switch(a, bus, &CACHES_TURNED, problems)),
        look_ahead: of_bus("look-ahead").and_then(|(a, bus)| switch(a, bus, &[Bus::Ahci], problems)),
        rest_us: of_bus("rest").and_then(|(a, bus)| rest(a, bus, problems)),
        size,
        read_only,
        slot,
        transport,
        timeout_ms: timeout.unwrap_or(DEFAULT_TIMEOUT_MS),
        queue: queue.and_then(|queue| u16::try_from(queue).ok()),
        grace_us: grace,
        driver,
    })
}

/// The longest wait that power saving may cause, in microseconds.
fn rest(attribute: &Attribute, bus: Bus, problems: &mut Problems) -> Option<(u32, Position)> {
    if bus != Bus::Nvme {
        let what = format!("rest={:?}, and a driver of {:?} leaves power states alone", attribute.value, bus.name());
        problems.add(attribute.at, what, "remove it: only disks of bus nvme have it");
        return None;
    }
    Some((read::microseconds(attribute, REST_MAX_US, problems)?, attribute.at))
}

fn bus(attribute: &Attribute, problems: &mut Problems) -> Option<Bus> {
    let value = attribute.value.as_str();
    let found = Bus::named(value);
    if found.is_none() {
        let names = Bus::ALL.map(Bus::name);
        let (what, remedy) = if LATER_BUSES.contains(&value) {
            let what = format!("bus {value:?} is not there yet in this version of Orion");
            (what, format!("use one of: {}", names.join(", ")))
        } else {
            (format!("bus {value:?} is not known"), suggest(value, names, "use bus=\"virtio-blk\""))
        };
        problems.add(attribute.at, what, remedy);
    }
    found
}

fn unit(attribute: &Attribute, bus: Bus, problems: &mut Problems) -> Option<(u32, Position)> {
    let unit = bus.unit(&attribute.value);
    if unit.is_none() {
        let what = format!("{:?} names no disk behind a device on bus {:?}", attribute.value, bus.name());
        let remedy = if bus.is_shared() { format!("write {}", bus.unit_text()) } else { "remove it".to_owned() };
        problems.add(attribute.at, what, remedy);
    }
    Some((unit?, attribute.at))
}

/// Whether something is wished that only NVMe's disks do.
fn nvme_only(attribute: &Attribute, bus: Bus, lack: &str, problems: &mut Problems) -> bool {
    if bus != Bus::Nvme {
        let what = format!("{}={:?}, and a disk on bus {:?} {lack}", attribute.name, attribute.value, bus.name());
        problems.add(attribute.at, what, "remove it: only disks of bus nvme have it");
        return false;
    }
    read::yes(attribute, problems).unwrap_or(false)
}

/// Whether its queues are of different weight.
fn weighted(attribute: &Attribute, bus: Bus, problems: &mut Problems) -> bool {
    let weighted = attribute.value == WEIGHTED;
    if weighted && bus != Bus::Nvme {
        let what = format!("a device on bus {:?} has no queues of different weight", bus.name());
        problems.add(attribute.at, what, "write a number, or remove it");
    }
    weighted && bus == Bus::Nvme
}

/// How interrupts are held back: answers, and times 100 microseconds.
fn gather(element: &Element, bus: Option<Bus>, problems: &mut Problems) -> Option<(u8, u8)> {
    let within = element.attribute("within");
    let Some(gather) = element.attribute("gather") else {
        if let Some(within) = within {
            let what = "a time within which interrupts come, and none is held back";
            problems.add(within.at, what, "write gather=\"n\" beside it, or remove it");
        }
        return None;
    };
    if bus.is_some_and(|bus| bus != Bus::Nvme) {
        problems.add(gather.at, "only NVMe's controllers hold interrupts back", "remove it");
        return None;
    }
    let answers = read::number(gather, 2, 128, problems).and_then(|answers| u8::try_from(answers).ok())?;
    let Some(within) = within else { return Some((answers, 1)) };
    let us = read::microseconds(within, GATHER_MAX_US.into(), problems)?;
    let units = u8::try_from(us / 100).ok().filter(|_| us != 0 && us % 100 == 0);
    if units.is_none() {
        let what = format!("{:?} is no multiple of 100 microseconds, which is what controllers count in", within.value);
        problems.add(within.at, what, "write 100us to 25ms");
    }
    Some((answers, units?))
}

fn queues(attribute: &Attribute, bus: Bus, problems: &mut Problems) -> Option<(u8, Position)> {
    let queues = read::number(attribute, 1, bus.most_queues(), problems)?;
    Some((u8::try_from(queues).ok()?, attribute.at))
}

fn packed(attribute: &Attribute, bus: Bus, problems: &mut Problems) -> bool {
    if bus != Bus::VirtioBlk {
        let what = format!("a device on bus {:?} has no ring of virtio-blk's", bus.name());
        problems.add(attribute.at, what, "remove it");
        return false;
    }
    read::choice(attribute, &["split", "packed"], problems) == Some("packed")
}

/// Something that drivers of some buses turn on or off.
fn switch(attribute: &Attribute, bus: Bus, buses: &[Bus], problems: &mut Problems) -> Option<bool> {
    if !buses.contains(&bus) {
        let Attribute { name, value, .. } = attribute;
        let what = format!("{name}={value:?}, and a driver of {:?} leaves that as it is", bus.name());
        let names: Vec<&str> = buses.iter().map(|bus| bus.name()).collect();
        problems.add(attribute.at, what, format!("remove it: disks of {} have it", names.join(", ")));
        return None;
    }
    read::choice(attribute, &["on", "off"], problems).map(|state| state == "on")
}

fn power(attribute: &Attribute, bus: Bus, problems: &mut Problems) -> u8 {
    const STATES: [&str; 3] = ["active", "partial", "slumber"];
    if bus != Bus::Ahci {
        problems.add(attribute.at, format!("a device on bus {:?} has no link of AHCI's", bus.name()), "remove it");
        return 0;
    }
    let state = read::choice(attribute, &STATES, problems);
    state
        .and_then(|state| STATES.into_iter().position(|known| known == state))
        .map_or(0, |n| u8::try_from(n).unwrap_or(0))
}

fn transport(attribute: &Attribute, value: &str, bus: Option<Bus>, problems: &mut Problems) -> Option<Transport> {
    if value == "pci" {
        return Some(Transport::Pci);
    }
    if let Some(bus) = bus.filter(|bus| *bus != Bus::VirtioBlk) {
        let what = format!("a device on bus {:?} is on PCI alone", bus.name());
        problems.add(attribute.at, what, "remove transport=\"mmio\"");
        return None;
    }
    Some(Transport::Mmio)
}
