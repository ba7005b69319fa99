// SPDX-License-Identifier: MIT
//! The user's own interrupts, I/O ports and IOMMU spaces: numbers that exist once in a system.
use super::channels::take_id;
use super::{MAX_ID, known_region, pds};
use crate::element::{Attribute, Element, Position};
use crate::model::{System, UserPd};
use crate::problem::Problems;
use crate::read;
use std::collections::BTreeMap;

/// Reads an interrupt of `pd`.
pub fn irq(element: &Element, pd: &mut UserPd, system: &mut System, problems: &mut Problems) {
    if let Some(a) = read::required(element, "id", problems)
        && let Some(id) = read::decimal(a, 0, MAX_ID, problems)
    {
        take_id(pd, u8::try_from(id).unwrap_or(u8::MAX), a.at, problems);
    }
    let taken = &mut system.taken;
    let triggers = &["level", "edge"];
    if let Some(a) = element.attribute("trigger") {
        read::choice(a, triggers, problems);
    }
    if let Some(a) = element.attribute("polarity") {
        read::choice(a, &["high", "low"], problems);
    }
    if let Some(a) = element.attribute("irq") {
        system.not_on_x86_64.push((element.at, "an interrupt of the GIC".into()));
        once(&mut taken.gic, a, read::decimal(a, 16, 1019, problems), "interrupt", problems);
        return;
    }
    system.not_on_aarch64.push((element.at, "an interrupt of the I/O APIC or a message".into()));
    if let Some(a) = read::required(element, "vector", problems) {
        once(&mut taken.vectors, a, read::decimal(a, 0, 107, problems), "vector", problems);
    }
    match (element.attribute("pin"), element.attribute("pcidev")) {
        // Two vectors on one pin pass the Microkit tool, and the first PD gets nothing.
        (Some(a), None) => once(&mut taken.pins, a, read::decimal(a, 0, 23, problems), "I/O APIC pin", problems),
        (None, Some(a)) => pci_name(a, problems),
        _ => {
            let what = "an interrupt says neither irq, nor pin, nor pcidev, or two of them";
            problems.add(element.at, what, "write irq on aarch64, one of pin and pcidev on x86-64");
        }
    }
}

fn once(
    taken: &mut BTreeMap<u64, Position>,
    attribute: &Attribute,
    number: Option<u64>,
    kind: &str,
    problems: &mut Problems,
) {
    let Some(number) = number else { return };
    if let Some(first) = taken.insert(number, attribute.at) {
        let what = format!("{kind} {number} has two owners, this and {}", first.line_text());
        problems.add(attribute.at, what, "use another one here");
    }
}

/// `BB:DD.F`, hexadecimal.
fn pci_name(attribute: &Attribute, problems: &mut Problems) {
    let parts: Vec<&str> = attribute.value.split([':', '.']).collect();
    let hex = |text: &str, max: u64| {
        let value = if text.is_empty() { None } else { u64::from_str_radix(text, 16).ok() };
        value.is_some_and(|v| v <= max)
    };
    let good = matches!(parts.as_slice(), [bus, device, function]
        if hex(bus, 0xff) && hex(device, 0x1f) && hex(function, 7));
    if !good {
        let what = format!("{:?} is not a PCI function", attribute.value);
        problems.add(attribute.at, what, "write bus:device.function in hexadecimal, as in 00:04.0");
    }
}

/// Reads a range of I/O ports.
pub fn ioport(element: &Element, system: &mut System, problems: &mut Problems) {
    system.not_on_aarch64.push((element.at, "I/O ports".into()));
    if let Some(a) = read::required(element, "id", problems) {
        read::decimal(a, 0, MAX_ID, problems);
    }
    let first = read::required(element, "addr", problems).and_then(|a| read::number(a, 0, 0xffff, problems));
    let count = read::required(element, "size", problems).and_then(|a| read::decimal(a, 1, 0x1_0000, problems));
    let (Some(first), Some(count)) = (first, count) else {
        return;
    };
    for (other, length, at) in &system.taken.ports {
        if first < other + length && *other < first + count {
            let what = format!("I/O ports {first:#x}.. have two owners, this and {}", at.line_text());
            problems.add(element.at, what, "leave each port to one protection domain");
        }
    }
    system.taken.ports.push((first, count, element.at));
}

/// Reads an IOMMU address space.
pub fn io_address_space(element: &Element, system: &mut System, problems: &mut Problems) {
    system.not_on_host.push((element.at, "an IOMMU address space of your own".into()));
    system.not_on_aarch64.push((element.at, "an IOMMU address space".into()));
    read::required(element, "name", problems);
    if let Some(a) = read::required(element, "domain_id", problems)
        && let Some(id) = read::number(a, 1, 0xffff, problems)
        && !system.taken.io_domains.insert(id)
    {
        problems.add(a.at, format!("IOMMU domain {id} is used twice"), "give each address space a number of its own");
    }
    if let Some(a) = read::required(element, "peripheral_id", problems) {
        pci_name(a, problems);
        system.taken.peripherals.insert(a.value.clone(), a.at);
    }
    for map in element.plain("iomap") {
        if let Some(a) = read::required(map, "mr", problems) {
            known_region(a, system, problems);
        }
        if let Some(a) = read::required(map, "iovaddr", problems) {
            read::number(a, 0, (1 << 39) - 1, problems);
        }
        pds::perms(map, "rw", problems);
    }
}
