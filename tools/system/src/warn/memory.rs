// SPDX-License-Identifier: MIT
//! The user's own memory regions: mapped nowhere, where they need not be, or where they isolate nothing.
use crate::element::Element;
use crate::model::System;
use crate::problem::Problems;
use std::collections::BTreeMap;

pub fn check(system: &System, found: &mut Problems) {
    let mut users: BTreeMap<&str, Vec<(&str, &Element)>> = BTreeMap::new();
    let mut mapped_for_devices: Vec<&str> = Vec::new();
    for element in &system.own {
        match element.name.as_str() {
            "protection_domain" => domain(element, &mut users, found),
            "io_address_space" => mapped_for_devices.extend(element.plain("iomap").filter_map(|map| map.value("mr"))),
            _ => {}
        }
    }
    for region in system.own.iter().filter(|element| element.name == "memory_region") {
        let name = region.value("name").unwrap_or_default();
        let maps = users.get(name).map_or(&[][..], Vec::as_slice);
        if !mapped_for_devices.contains(&name) {
            used(name, region, maps, found);
        }
        if region.attribute("phys_addr").is_some() {
            registers(name, maps, found);
        }
    }
}

/// The mappings of a PD, of its guest, and of the PDs within it; each with the name of who maps.
fn domain<'a>(pd: &'a Element, users: &mut BTreeMap<&'a str, Vec<(&'a str, &'a Element)>>, found: &mut Problems) {
    let name = pd.value("name").unwrap_or_default();
    maps(pd, name, users, found);
    for guest in pd.plain("virtual_machine") {
        maps(guest, guest.value("name").unwrap_or(name), users, found);
    }
    pd.plain("protection_domain").for_each(|inner| domain(inner, users, found));
}

fn maps<'a>(
    element: &'a Element,
    name: &'a str,
    users: &mut BTreeMap<&'a str, Vec<(&'a str, &'a Element)>>,
    found: &mut Problems,
) {
    for map in element.plain("map") {
        let region = map.value("mr").unwrap_or_default();
        let perms = map.value("perms").unwrap_or("rw");
        if perms.contains('w') && perms.contains('x') && element.name == "protection_domain" {
            let what = format!("{name:?} can both write and execute {region:?}");
            found.add(map.at, what, "write perms=\"rw\" or perms=\"rx\"");
        }
        let before = users.entry(region).or_default();
        if let Some((_, first)) = before.iter().find(|(user, _)| *user == name) {
            let what = format!("{name:?} maps {region:?} a second time, after line {}", first.at.line);
            found.add(map.at, what, "remove one of the two mappings");
        }
        before.push((name, map));
    }
}

fn writes(map: &Element) -> bool {
    map.value("perms").is_none_or(|perms| perms.contains('w'))
}

fn used(name: &str, region: &Element, maps: &[(&str, &Element)], found: &mut Problems) {
    let filled = ["phys_addr", "prefill_path", "prefill_bootinfo"].iter().any(|a| region.attribute(a).is_some());
    if maps.is_empty() {
        found.add(region.at, format!("nobody maps the memory region {name:?}"), "map it, or remove it");
    } else if !filled && !maps.iter().any(|(_, map)| writes(map)) {
        let what = format!("nobody can write the memory region {name:?}: it holds zeroes for ever");
        found.add(region.at, what, "let one protection domain map it with perms=\"rw\", or remove it");
    }
}

/// Registers that two PDs map: each can do with the device what the other can.
fn registers(name: &str, maps: &[(&str, &Element)], found: &mut Problems) {
    let mut uncached = maps.iter().filter(|(_, map)| map.value("cached") == Some("false") && writes(map));
    if let (Some((first, _)), Some((second, map))) = (uncached.next(), uncached.next())
        && first != second
    {
        let what = format!("{second:?} maps the device registers {name:?}, which {first:?} maps too");
        found.add(map.at, what, "leave a device to one protection domain: what two can program isolates neither");
    }
}
