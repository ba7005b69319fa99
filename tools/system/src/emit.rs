// SPDX-License-Identifier: MIT
//! A plan as a Microkit system description, and the files that it names.
//!
//! The same plan gives the same bytes. Elements of the user's own pass through as they were written.
use crate::element::Element;
use crate::plan::{Board, Channel, Irq, IrqSource, Map, Pd, Plan, Region, RegionKind, Slot};
use crate::read::digits;
use orion_pd::config::VADDR;
use std::collections::BTreeSet;

mod write;

pub(crate) use write::escaped;
use write::{Writer, hex};

/// A page: prefill files are whole pages, since Microkit 2.3.0 panics where a region is a page larger than its file.
const PAGE: usize = 0x1000;

/// The files that the description names: each PD's configuration, padded to whole pages. After them, the sections of
/// plain sDDF components, which are to be put into their programs.
pub fn files(plan: &Plan) -> Vec<(String, Vec<u8>)> {
    let ours = plan.pds.iter().filter(|pd| !pd.config.is_empty());
    let configurations = ours.map(|pd| {
        let mut bytes = pd.config.clone();
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
        (file_name(pd), bytes)
    });
    let sections = plan.pds.iter().flat_map(|pd| &pd.sections);
    configurations.chain(sections.map(|section| (section.file.clone(), section.bytes.clone()))).collect()
}

fn file_name(pd: &Pd) -> String {
    format!("{}.bin", pd.name)
}

/// The system description for the Microkit tool.
pub fn sdf(plan: &Plan) -> String {
    let mut w = Writer::default();
    w.line("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let iommu = if plan.iommu { ", with an IOMMU" } else { "" };
    w.comment(&format!("Made by orion for the board {}{iommu}. Change system.xml, not this file.", plan.board.name()));
    w.line("<system>");
    w.deeper(|w| {
        own_others(plan, w);
        regions(plan, w);
        io_spaces(plan, w);
        domains(plan, w);
        channels(plan, w);
    });
    w.line("</system>");
    w.finish()
}

fn own_others(plan: &Plan, w: &mut Writer) {
    let later = ["protection_domain", "channel"];
    let others: Vec<&Element> = plan.own.iter().filter(|e| !later.contains(&e.name.as_str())).collect();
    if !others.is_empty() {
        w.comment(&format!("As written in {}.", sources(&others)));
    }
    for element in others {
        verbatim(element, w);
    }
}

/// Where `elements` were written.
fn sources(elements: &[&Element]) -> &'static str {
    let base = elements.iter().filter(|element| element.at.base).count();
    match base {
        0 => "system.xml",
        all if all == elements.len() => "the base",
        _ => "the base and system.xml",
    }
}

/// An element as it was written.
fn verbatim(element: &Element, w: &mut Writer) {
    let attributes: Vec<(&str, &str)> =
        element.attributes.iter().map(|a| (a.name.as_str(), a.value.as_str())).collect();
    if element.children.is_empty() {
        return w.empty(&element.name, &attributes);
    }
    w.open(&element.name, &attributes);
    w.deeper(|w| element.children.iter().for_each(|child| verbatim(child, w)));
    w.close(&element.name);
}

fn regions(plan: &Plan, w: &mut Writer) {
    let groups = [
        (RegionKind::Data, "Payload of clients: mapped by the client alone, reached by devices at the bus address."),
        (RegionKind::Dma, "Drivers' own DMA memory."),
        (RegionKind::Device, "Registers and configuration space of devices."),
        (RegionKind::Page, "Ring connections: the server's and the client's page."),
        (RegionKind::Queue, "Ring connections: queues."),
        (RegionKind::Console, "Console rings."),
        (RegionKind::BootInfo, "What the kernel knows about the time stamp counter."),
    ];
    for (kind, comment) in groups {
        let of_kind: Vec<&Region> = plan.regions.iter().filter(|region| region.kind == kind).collect();
        if !of_kind.is_empty() {
            w.comment(comment);
        }
        of_kind.into_iter().for_each(|region| memory_region(region, w));
    }
    let files: Vec<&Pd> = plan.pds.iter().filter(|pd| !pd.config.is_empty()).collect();
    if !files.is_empty() {
        w.comment("Configurations.");
    }
    for pd in files {
        w.empty("memory_region", &[("name", &config_name(pd)), ("prefill_path", &file_name(pd))]);
    }
}

fn memory_region(region: &Region, w: &mut Writer) {
    let (size, page) = (hex(region.size), hex(region.page));
    let phys = region.phys.map(hex);
    let mut attributes = vec![("name", region.name.as_str()), ("size", &size)];
    if region.page != 0x1000 {
        attributes.push(("page_size", &page));
    }
    if let Some(phys) = &phys {
        attributes.push(("phys_addr", phys));
    }
    if region.kind == RegionKind::BootInfo {
        attributes.push(("prefill_bootinfo", "x86_tsc_freq"));
    }
    w.empty("memory_region", &attributes);
}

fn config_name(pd: &Pd) -> String {
    format!("cfg_{}", pd.name)
}

/// What each device may reach behind the IOMMU.
fn io_spaces(plan: &Plan, w: &mut Writer) {
    if !plan.iommu || plan.disks.is_empty() {
        return;
    }
    w.comment("What each device may reach.");
    let taken: BTreeSet<u64> = plan.own.iter().filter_map(|e| digits(e.value("domain_id")?)).collect();
    let mut free = (1_u64..).filter(|id| !taken.contains(id)).map(|id| id.to_string());
    for (disk, _) in plan.devices() {
        let Slot::Pci(device) = disk.slot else { continue };
        let (name, peripheral) = (format!("io_{}", disk.device), format!("0:{device:x}.0"));
        let id = free.next().unwrap_or_default();
        w.open("io_address_space", &[("name", &name), ("peripheral_id", &peripheral), ("domain_id", &id)]);
        w.deeper(|w| {
            for region in plan.regions.iter().filter(|region| region.dma_by.contains(&disk.device)) {
                let address = hex(region.bus.unwrap_or(0));
                w.empty("iomap", &[("mr", &region.name), ("iovaddr", &address), ("perms", "rw")]);
            }
        });
        w.close("io_address_space");
    }
}

/// The user's PDs as they stand, then ours by priority.
fn domains(plan: &Plan, w: &mut Writer) {
    for element in plan.own.iter().filter(|element| element.name == "protection_domain") {
        w.gap();
        own_pd(element, plan, w);
    }
    for pd in children(None, plan) {
        w.gap();
        derived_pd(pd, plan, w);
    }
}

/// The derived PDs within `parent`, by priority.
fn children<'a>(parent: Option<&str>, plan: &'a Plan) -> Vec<&'a Pd> {
    let within = |pd: &&Pd| pd.derived && pd.parent.as_ref().map(|(name, _)| name.as_str()) == parent;
    let mut children: Vec<&Pd> = plan.pds.iter().filter(within).collect();
    children.sort_by_key(|pd| (std::cmp::Reverse(pd.priority), &pd.name));
    children
}

/// A PD of the user's own, those within it too, each with what was derived for it.
fn own_pd(element: &Element, plan: &Plan, w: &mut Writer) {
    let pd = plan.pds.iter().find(|pd| Some(pd.name.as_str()) == element.value("name"));
    let stack = pd.filter(|_| element.value("stack_size").is_none()).and_then(|pd| pd.stack).map(hex);
    let mut attributes: Vec<(&str, &str)> =
        element.attributes.iter().map(|a| (a.name.as_str(), a.value.as_str())).collect();
    attributes.extend(stack.as_deref().map(|stack| ("stack_size", stack)));
    w.open("protection_domain", &attributes);
    w.deeper(|w| {
        for child in &element.children {
            match child.name.as_str() {
                "protection_domain" => own_pd(child, plan, w),
                _ => verbatim(child, w),
            }
        }
        if let Some(pd) = pd.filter(|pd| !pd.config.is_empty() || !pd.sections.is_empty()) {
            w.comment("Derived.");
            for section in &pd.sections {
                w.comment(&format!("The section {} of its program holds {}.", section.name, section.file));
            }
            parts(pd, plan, w);
        }
    });
    w.close("protection_domain");
}

fn derived_pd(pd: &Pd, plan: &Plan, w: &mut Writer) {
    let numbers = [Some(u32::from(pd.priority)), pd.budget.map(|b| b.0), pd.budget.map(|b| b.1)];
    let numbers = numbers.map(|number| number.map(|n| n.to_string()));
    let stack = pd.stack.map(hex);
    let number = pd.parent.as_ref().map(|(_, number)| number.to_string());
    let mut attributes = vec![("name", pd.name.as_str())];
    attributes.extend(number.as_deref().map(|number| ("id", number)));
    for (name, value) in ["priority", "budget", "period"].into_iter().zip(&numbers) {
        attributes.extend(value.as_deref().map(|value| (name, value)));
    }
    attributes.extend(stack.as_deref().map(|stack| ("stack_size", stack)));
    // Our programs of aarch64 use no vector unit: the kernel need not switch it.
    if plan.board == Board::QemuVirtAarch64 {
        attributes.push(("fpu", "false"));
    }
    w.open("protection_domain", &attributes);
    w.deeper(|w| {
        w.empty("program_image", &[("path", &pd.image)]);
        parts(pd, plan, w);
        for child in children(Some(&pd.name), plan) {
            w.gap();
            derived_pd(child, plan, w);
        }
    });
    w.close("protection_domain");
}

/// What `orion` derived for a PD: its configuration, mappings, interrupts, I/O ports.
fn parts(pd: &Pd, plan: &Plan, w: &mut Writer) {
    if !pd.config.is_empty() {
        w.empty("map", &[("mr", &config_name(pd)), ("vaddr", &hex(VADDR)), ("perms", "r")]);
    }
    let own = |map: &&Map| plan.regions.iter().any(|r| r.name == map.region && r.kind == RegionKind::Plain);
    for map in pd.maps.iter().filter(|map| !own(map)) {
        let vaddr = hex(map.vaddr);
        let perms = if map.write { "rw" } else { "r" };
        let mut attributes = vec![("mr", map.region.as_str()), ("vaddr", &vaddr), ("perms", perms)];
        if !map.cached {
            attributes.push(("cached", "false"));
        }
        w.empty("map", &attributes);
    }
    pd.irqs.iter().for_each(|irq| interrupt(irq, w));
    for (id, first, count) in &pd.ioports {
        let (id, first, count) = (id.to_string(), hex(u64::from(*first)), count.to_string());
        w.empty("ioport", &[("id", &id), ("addr", &first), ("size", &count)]);
    }
}

fn interrupt(irq: &Irq, w: &mut Writer) {
    let id = irq.id.to_string();
    match &irq.source {
        IrqSource::Gic { number, edge } => {
            let trigger = if *edge { "edge" } else { "level" };
            w.empty("irq", &[("irq", &number.to_string()), ("id", &id), ("trigger", trigger)]);
        }
        IrqSource::Msi { device, vector } => {
            let vector = vector.to_string();
            w.empty("irq", &[("id", &id), ("pcidev", device), ("handle", "0"), ("vector", &vector)]);
        }
        IrqSource::Pin { pin, vector, edge } => {
            let (pin, vector, trigger) = (pin.to_string(), vector.to_string(), if *edge { "edge" } else { "level" });
            w.empty("irq", &[("id", &id), ("pin", &pin), ("vector", &vector), ("trigger", trigger)]);
        }
        IrqSource::Event => {}
    }
}

fn channels(plan: &Plan, w: &mut Writer) {
    let own: Vec<&Element> = plan.own.iter().filter(|element| element.name == "channel").collect();
    w.gap();
    if !own.is_empty() {
        w.comment(&format!("Channels as written in {}.", sources(&own)));
    }
    let mut written: BTreeSet<(String, String)> = BTreeSet::new();
    for channel in own {
        for end in channel.plain("end") {
            let value = |name| end.value(name).unwrap_or_default().to_owned();
            written.insert((value("pd"), value("id")));
        }
        verbatim(channel, w);
    }
    let is_own = |channel: &&Channel| written.contains(&(channel.a.0.clone(), channel.a.1.to_string()));
    let derived: Vec<&Channel> = plan.channels.iter().filter(|channel| !is_own(channel)).collect();
    if !derived.is_empty() {
        w.comment("Derived channels.");
    }
    for channel in derived {
        let ends = [&channel.a, &channel.b].map(|(pd, id)| format!("<end pd=\"{pd}\" id=\"{id}\"/>"));
        w.line(&format!("<channel> {} </channel>", ends.join(" ")));
    }
}

/// Whether the board is one that a system description can be made for.
pub fn has_description(board: Board) -> bool {
    board != Board::Host
}
