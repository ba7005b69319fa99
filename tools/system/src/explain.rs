// SPDX-License-Identifier: MIT
//! All that was derived, as tables for people.
use crate::model::System;
use crate::plan::{IrqSource, Pd, Plan, RegionKind, Slot};
use crate::policy::rights_text;
use orion_pd::Config;
use std::fmt::Write as _;

/// The tables of `plan`, which was derived from `system`.
pub fn explain(system: &System, plan: &Plan) -> String {
    let mut out = String::new();
    let iommu = if plan.iommu { " with an IOMMU" } else { "" };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "== {}{iommu}\n", plan.board.name());
    out.push_str(&domains(plan));
    out.push_str(&disks(system, plan));
    out.push_str(&grants(system));
    out.push_str(&rings(plan));
    out.push_str(&regions(plan));
    out.push_str(&channels(plan));
    out
}

/// A table: a title, a row of headings, rows. Columns are as wide as they must be; nothing where there are no rows.
fn table(title: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.len()).collect();
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("  {}\n", padded.join("  ").trim_end())
    };
    let mut out = format!("{title}\n{}", line(&mut headings.iter().copied()));
    rows.iter().for_each(|row| out.push_str(&line(&mut row.iter().map(String::as_str))));
    out.push('\n');
    out
}

fn domains(plan: &Plan) -> String {
    let mut pds: Vec<&Pd> = plan.pds.iter().collect();
    pds.sort_by_key(|pd| (std::cmp::Reverse(pd.priority), &pd.name));
    let rows: Vec<Vec<String>> = pds
        .into_iter()
        .map(|pd| {
            let budget = pd.budget.map_or("-".into(), |(budget, period)| format!("{budget}/{period} us"));
            let origin = if pd.derived { "derived" } else { "yours" };
            let interrupts: Vec<String> =
                pd.irqs.iter().map(|irq| format!("{} = {}", irq.id, source(&irq.source))).collect();
            let config = if pd.config.is_empty() { "-".into() } else { format!("{} B", pd.config.len()) };
            vec![
                pd.name.clone(),
                pd.priority.to_string(),
                budget,
                pd.image.clone(),
                origin.into(),
                pd.maps.len().to_string(),
                config,
                if interrupts.is_empty() { "-".into() } else { interrupts.join(", ") },
            ]
        })
        .collect();
    let headings =
        ["name", "priority", "budget", "program", "origin", "mappings", "config", "interrupts (id = source)"];
    table("Protection domains", &headings, &rows)
}

pub(crate) fn source(source: &IrqSource) -> String {
    match source {
        IrqSource::Gic { number, edge } => format!("GIC {number} {}", if *edge { "edge" } else { "level" }),
        IrqSource::Msi { device, vector } => format!("message of {device}, vector {vector}"),
        IrqSource::Pin { pin, vector, .. } => format!("I/O APIC pin {pin}, vector {vector}"),
        IrqSource::Event => "message to the event descriptor".into(),
    }
}

fn disks(system: &System, plan: &Plan) -> String {
    let rows: Vec<Vec<String>> = plan
        .disks
        .iter()
        .map(|disk| {
            let slot = match disk.slot {
                Slot::VirtioMmio(bus) => format!("virtio-mmio bus {bus}"),
                Slot::Pci(device) => format!("PCI 00:{device:02x}.0"),
            };
            let queue = system.disk(&disk.name).and_then(|disk| disk.queue);
            let grace = system.disk(&disk.name).map_or(0, |disk| system.grace_us(disk));
            let timeout = system.disk(&disk.name).map_or(0, |disk| disk.timeout_ms);
            vec![
                disk.name.clone(),
                format!("{} {}", disk.bus, disk.bus.unit_name(disk.unit)).trim_end().to_owned(),
                slot,
                disk.driver.clone(),
                disk.size.map_or("any".into(), bytes),
                if disk.read_only { "yes" } else { "no" }.into(),
                format!("{timeout} ms"),
                queue.map_or("any".into(), |queue| queue.to_string()),
                if grace == 0 { "none".into() } else { format!("{grace} us") },
            ]
        })
        .collect();
    table("Disks", &["name", "bus", "place", "driver", "size", "read-only", "timeout", "at once", "grace"], &rows)
}

/// Names of disks, with spaces between.
fn names(disks: &[&crate::model::Disk]) -> String {
    let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    if names.is_empty() { "?".into() } else { names.join(" ") }
}

fn grants(system: &System) -> String {
    let rows: Vec<Vec<String>> = system
        .grants
        .iter()
        .map(|grant| {
            let end = grant.end.map_or("end".into(), |end| end.to_string());
            let size = grant.end.map_or("-".into(), |end| bytes((end - grant.first) * 4096));
            vec![
                grant.client.0.clone(),
                grant.target.name().to_owned(),
                names(&system.disks_below(&grant.target)),
                format!("{}..{end}", grant.first),
                size,
                rights_text(grant.rights),
                grant.in_flight.map_or("queue".into(), |(most, _)| most.to_string()),
                rates(grant),
                if grant.shared { "yes" } else { "no" }.into(),
                grant.at.line.to_string(),
            ]
        })
        .collect();
    let headings = ["client", "of", "disk", "blocks", "bytes", "rights", "in flight", "rates", "shared", "line"];
    table("Grants (blocks of 4096 bytes, end not included)", &headings, &rows)
}

/// What a grant may use per second, and the client's weight where it is not 1.
fn rates(grant: &crate::model::Grant) -> String {
    let parts = [
        grant.iops.map(|n| format!("{n}/s")),
        grant.bandwidth.map(|n| format!("{}/s", bytes(n))),
        grant.burst_ms.map(|ms| format!("burst {ms}ms")),
        grant.weight.map(|n| format!("weight {n}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}

fn rings(plan: &Plan) -> String {
    let mut rows = Vec::new();
    for pd in &plan.pds {
        let Ok(config) = Config::parse(&pd.config) else { continue };
        for link in config.links.iter().filter(|link| link.role.get() == 0) {
            rows.push(vec![
                pd.name.clone(),
                link.peer.as_str().to_owned(),
                link.capacity.get().to_string(),
                bytes(link.queue_bytes.get()),
                link.volume.as_str().to_owned(),
            ]);
        }
    }
    table("Rings", &["client", "server", "entries", "queue", "volume"], &rows)
}

fn regions(plan: &Plan) -> String {
    let mut rows = Vec::new();
    for region in &plan.regions {
        let users: Vec<String> = plan
            .pds
            .iter()
            .flat_map(|pd| pd.maps.iter().map(move |map| (pd, map)))
            .filter(|(_, map)| map.region == region.name)
            .map(|(pd, map)| format!("{} {} {:#x}", pd.name, if map.write { "rw" } else { "r" }, map.vaddr))
            .collect();
        let address = |address: Option<u64>| address.map_or("-".into(), |address| format!("{address:#x}"));
        rows.push(vec![
            region.name.clone(),
            kind(region.kind).into(),
            bytes(region.size),
            address(region.phys),
            address(region.bus),
            if region.dma_by.is_empty() { "-".into() } else { region.dma_by.join(" ") },
            users.join(", "),
        ]);
    }
    table("Memory regions", &["name", "kind", "size", "physical", "bus", "devices", "mapped by"], &rows)
}

pub(crate) const fn kind(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Queue => "queue",
        RegionKind::Page => "page",
        RegionKind::Data => "data",
        RegionKind::Dma => "DMA",
        RegionKind::Console => "console",
        RegionKind::Device => "device",
        RegionKind::Plain => "yours",
        RegionKind::BootInfo => "boot info",
    }
}

fn channels(plan: &Plan) -> String {
    let end = |end: &(String, u8)| format!("{} {}", end.0, end.1);
    let rows: Vec<Vec<String>> = plan.channels.iter().map(|channel| vec![end(&channel.a), end(&channel.b)]).collect();
    table("Channels (PD and id)", &["one end", "other end"], &rows)
}

/// A number of bytes with the largest unit that fits exactly.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let exact = units.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    exact.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}
