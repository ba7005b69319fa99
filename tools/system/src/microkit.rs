// SPDX-License-Identifier: MIT
//! Microkit's own elements: what we must know of them to fit our parts in, and the mistakes that the Microkit tool or
//! the kernel's initialiser would answer with a panic or a silent loss.
use crate::element::{Element, Position};
use crate::model::{System, UserRegion};
use crate::problem::{Problems, suggest};
use crate::read;

mod channels;
mod devices;
mod pds;

/// Highest id of a channel or an interrupt (Microkit 2.3.0: "id must be < 62").
pub(crate) const MAX_ID: u64 = 61;
/// Most protection domains of a system.
pub(crate) const MAX_PDS: usize = 63;
/// Beginnings of the names of derived regions.
const DERIVED_REGIONS: &[&str] = &["data_", "dma_", "regs_", "bars_", "link_", "console_", "cfg_"];
/// First address that a PD cannot map (aarch64 and x86-64 keep the stack near the top of user space).
const END_OF_USER: u64 = 0x7f_ffff_e000;

/// Reads all below `root` into `system`.
pub fn read(root: &Element, system: &mut System, problems: &mut Problems) {
    system.own = root.children.iter().filter(|child| !child.ours).map(stripped).collect();
    for element in root.plain("memory_region") {
        region(element, system, problems);
    }
    for element in root.plain("protection_domain") {
        pds::read(element, false, system, problems);
    }
    for element in root.plain("channel") {
        channels::read(element, system, problems);
    }
    for element in root.plain("io_address_space") {
        devices::io_address_space(element, system, problems);
    }
    for element in root.plain("domains") {
        system.scheduling_domains = Some(element.at);
        system.not_on_host.push((element.at, "scheduling domains".into()));
    }
    check_physical_overlap(system, problems);
    pds::check_maps(system, problems);
}

/// The element without anything of ours: neither attributes nor elements.
fn stripped(element: &Element) -> Element {
    Element {
        attributes: element.attributes.iter().filter(|a| !a.ours).cloned().collect(),
        children: element.children.iter().filter(|c| !c.ours).map(stripped).collect(),
        ..element.clone()
    }
}

/// A name's second use: says where the first is.
pub(crate) fn twice(kind: &str, name: &str, at: Position, first: Position, problems: &mut Problems) {
    let what = format!("there is a second {kind} {name:?}, after that of {}", first.line_text());
    problems.add(at, what, "give one of them another name");
}

fn region(element: &Element, system: &mut System, problems: &mut Problems) {
    let Some(name) = read::name(element, 63, problems) else {
        return;
    };
    let page = match element.attribute("page_size") {
        None => 0x1000,
        Some(a) => match read::digits(&a.value) {
            Some(page @ (0x1000 | 0x20_0000)) => page,
            _ => {
                let what = format!("page_size={:?} is not a page size", a.value);
                return problems.add(a.at, what, "write 0x1000 or 0x200000");
            }
        },
    };
    let prefill = element.attribute("prefill_path").or_else(|| element.attribute("prefill_bootinfo"));
    let size = match element.attribute("size") {
        Some(size) => aligned(size, page, problems),
        None if prefill.is_some() => None,
        None => read::required(element, "size", problems).and(None),
    };
    let phys = element.attribute("phys_addr").and_then(|a| aligned(a, page, problems));
    for attribute in prefill.iter().chain(&element.attribute("phys_addr")) {
        system.not_on_host.push((attribute.at, format!("a memory region's {}", attribute.name)));
    }
    let region = UserRegion { size, page, phys, at: element.at };
    if let Some(first) = system.regions.insert(name.to_owned(), region) {
        twice("memory region", name, element.at, first.at, problems);
    }
}

/// A number that is a multiple of `unit`.
fn aligned(attribute: &crate::element::Attribute, unit: u64, problems: &mut Problems) -> Option<u64> {
    let value = read::number(attribute, 0, u64::MAX >> 1, problems)?;
    if value % unit == 0 && (value > 0 || attribute.name != "size") {
        return Some(value);
    }
    let what = format!("{}={:?} is not a number of pages of {unit:#x} bytes", attribute.name, attribute.value);
    problems.add(attribute.at, what, format!("write a multiple of {unit:#x}"));
    None
}

fn check_physical_overlap(system: &System, problems: &mut Problems) {
    let mut fixed: Vec<(u64, u64, &str, Position)> = Vec::new();
    for (name, region) in &system.regions {
        if let (Some(phys), Some(size)) = (region.phys, region.size) {
            fixed.push((phys, phys.saturating_add(size), name, region.at));
        }
    }
    fixed.sort_unstable();
    for (a, b) in fixed.iter().zip(fixed.iter().skip(1)) {
        if b.0 < a.1 {
            let what = format!("memory regions {:?} and {:?} have physical addresses in common", a.2, b.2);
            problems.add(a.3.max(b.3), what, "share one region, or move one of them");
        }
    }
}

/// Adds a problem where `name` is no memory region.
fn known_region(name: &crate::element::Attribute, system: &System, problems: &mut Problems) {
    if !system.regions.contains_key(&name.value) {
        let known = system.regions.keys().map(String::as_str);
        let what = format!("there is no memory region {:?}", name.value);
        if DERIVED_REGIONS.iter().any(|prefix| name.value.starts_with(prefix)) {
            let remedy = "remove this: what orion derives under such a name is mapped where it is needed, nowhere else";
            return problems.add(name.at, what, remedy);
        }
        problems.add(name.at, what, suggest(&name.value, known, "add a <memory_region> of that name"));
    }
}
