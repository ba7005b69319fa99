// SPDX-License-Identifier: MIT
//! A plan as a picture: clients above, the gatekeeper across, drivers and disks below, rights and extents on the rings.
//!
//! Every ring is a vertical line at the left of its column, so that no two lines cross however many there are.
use crate::model::{Grant, System};
use crate::plan::{Pd, Plan, Slot};
use crate::policy::RIGHTS;
use orion_pd::Config;
use orion_pd::config::Role;

mod svg;

use svg::{Canvas, Style, text_width};

const MARGIN: f64 = 36.0;
const HEADER: f64 = 70.0;
const GAP: f64 = 28.0;
const BOX_HEIGHT: f64 = 62.0;
const PILL_HEIGHT: f64 = 16.0;
/// From a column's left edge to its ring.
const RING_INSET: f64 = 22.0;
/// Height of one grant's label.
const GRANT_HEIGHT: f64 = 42.0;
/// Height of what stands on the ring to a driver.
const DRIVER_RING: f64 = 64.0;
/// Between a driver and its disk.
const DISK_WIRE: f64 = 34.0;
const DISK_HEIGHT: f64 = 66.0;
const SERVICE_WIDTH: f64 = 168.0;

/// A box with what hangs on the line below it.
struct Column<'a> {
    x: f64,
    width: f64,
    pd: &'a Pd,
    lines: Vec<String>,
    grants: Vec<&'a Grant>,
    /// Entries of the queues of its ring, where it has one.
    entries: Option<u16>,
}

/// The picture of `plan`, which was derived from `system`, with `title` above it.
pub fn graph(system: &System, plan: &Plan, title: &str) -> String {
    let mut clients = clients(system, plan);
    let mut drivers = drivers(system, plan);
    let mut services: Vec<&Pd> = plan.pds.iter().filter(|pd| pd.derived && is_service(pd)).collect();
    services.sort_by_key(|pd| std::cmp::Reverse(pd.priority));
    let inner = place(&mut clients).max(place(&mut drivers)).max(heading_width(title, plan));
    centre(&mut clients, inner);
    centre(&mut drivers, inner);
    let arcs = arc_height(plan);
    let rings = clients.iter().map(|c| c.grants.len()).max().map_or(0.0, |n| 34.0 + as_f64(n) * GRANT_HEIGHT);
    let top = HEADER + MARGIN / 2.0 + arcs;
    let gatekeeper = top + BOX_HEIGHT + rings;
    let has_gatekeeper = plan.pds.iter().any(|pd| pd.derived && pd.name == "gatekeeper");
    let lower = gatekeeper + if has_gatekeeper { BOX_HEIGHT + DRIVER_RING } else { 0.0 };
    let bottom = lower + if drivers.is_empty() { 0.0 } else { BOX_HEIGHT + DISK_WIRE + DISK_HEIGHT };
    let side = if services.is_empty() { 0.0 } else { SERVICE_WIDTH + 2.0 * GAP };
    let mut canvas = Canvas::new(inner + side + 2.0 * MARGIN, bottom + MARGIN + 40.0);
    heading(&mut canvas, plan, title);
    own_channels(&mut canvas, plan, &clients, top);
    for column in &clients {
        client(&mut canvas, column, top, gatekeeper);
    }
    if has_gatekeeper {
        gatekeeper_bar(&mut canvas, plan, inner, gatekeeper);
    }
    for column in &drivers {
        driver(&mut canvas, system, plan, column, gatekeeper + BOX_HEIGHT, lower);
    }
    if !services.is_empty() {
        services_panel(&mut canvas, &services, MARGIN + inner + GAP, (top, bottom));
    }
    legend(&mut canvas, bottom + MARGIN + 4.0, drivers.is_empty());
    canvas.finish()
}

/// Lengths of lists are small: no picture has 2^52 boxes.
fn as_f64(n: usize) -> f64 {
    u32::try_from(n).map_or(0.0, f64::from)
}

fn is_service(pd: &Pd) -> bool {
    pd.disk.is_none() && pd.derived && ["tick", "serial", "manager", "supervisor"].contains(&pd.name.as_str())
}

fn under(pd: &Pd) -> String {
    if pd.program == pd.name {
        return format!("priority {}", pd.priority);
    }
    format!("{} \u{b7} priority {}", pd.program, pd.priority)
}

/// Clients first, then the user's other PDs.
fn clients<'a>(system: &'a System, plan: &'a Plan) -> Vec<Column<'a>> {
    let mut columns = Vec::new();
    for pd in plan.pds.iter().filter(|pd| pd.disk.is_none() && pd.name != "gatekeeper" && !is_service(pd)) {
        let grants: Vec<&Grant> = system.grants.iter().filter(|grant| grant.client.0 == pd.name).collect();
        let entries = ring(pd, Role::Client);
        let data = plan.regions.iter().find(|region| region.name == format!("data_{}", pd.name));
        let mut lines = vec![under(pd)];
        lines.extend(data.map(|data| format!("data {} at {:#x}", size(data.size), data.bus.unwrap_or(0))));
        let label = grants.iter().map(|grant| grant_width(grant)).fold(150.0, f64::max);
        let width = box_width(pd, &lines).max(if entries.is_some() { RING_INSET + 14.0 + label } else { 0.0 });
        columns.push(Column { x: 0.0, width, pd, lines, grants, entries });
    }
    columns.sort_by_key(|column| (column.entries.is_none(), column.pd.name.clone()));
    columns
}

fn drivers<'a>(system: &'a System, plan: &'a Plan) -> Vec<Column<'a>> {
    let driven = plan.pds.iter().filter(|pd| pd.disk.is_some());
    driven
        .map(|pd| {
            let lines = vec![under(pd)];
            let volume = volume_of(system, pd).map_or(0.0, |name| text_width(name, 12.0) + 70.0);
            let names = plan.driven_by(&pd.name).map(|disk| text_width(&disk.name, 15.0) + 12.0).sum::<f64>() + 32.0;
            let width = box_width(pd, &lines).max(RING_INSET + 14.0 + volume.max(100.0)).max(names);
            Column { x: 0.0, width, pd, lines, grants: Vec::new(), entries: ring(pd, Role::Server) }
        })
        .collect()
}

/// Entries of the first ring on which `pd` is `role`.
fn ring(pd: &Pd, role: Role) -> Option<u16> {
    let config = Config::parse(&pd.config).ok()?;
    config.links_as(role).next().map(|(_, link)| link.capacity.get())
}

fn box_width(pd: &Pd, lines: &[String]) -> f64 {
    let lines = lines.iter().map(|line| text_width(line, 11.0)).fold(0.0, f64::max);
    (lines.max(text_width(&pd.name, 15.0) * 1.08) + 32.0).max(150.0)
}

/// Puts columns beside each other from 0; their width altogether.
fn place(columns: &mut [Column<'_>]) -> f64 {
    let mut x = 0.0;
    for column in columns.iter_mut() {
        column.x = x;
        x += column.width + GAP;
    }
    (x - GAP).max(0.0)
}

fn centre(columns: &mut [Column<'_>], inner: f64) {
    let width = columns.last().map_or(0.0, |last| last.x + last.width);
    columns.iter_mut().for_each(|column| column.x += MARGIN + (inner - width) / 2.0);
}

fn summary(plan: &Plan) -> String {
    let iommu = if plan.iommu { " with an IOMMU" } else { "" };
    let (pds, regions, channels) = (plan.pds.len(), plan.regions.len(), plan.channels.len());
    let board = plan.board.name();
    format!("{board}{iommu} \u{b7} {pds} protection domains \u{b7} {regions} memory regions \u{b7} {channels} channels")
}

fn heading_width(title: &str, plan: &Plan) -> f64 {
    text_width(&summary(plan), 12.0).max(text_width(title, 20.0) * 1.08).max(420.0)
}

fn heading(canvas: &mut Canvas, plan: &Plan, title: &str) {
    canvas.text((MARGIN, 40.0), title, 20.0, "#1c2733", true);
    canvas.text((MARGIN, 60.0), &summary(plan), 12.0, "#66727f", false);
}

fn client(canvas: &mut Canvas, column: &Column<'_>, top: f64, gatekeeper: f64) {
    let style = match (column.entries.is_some(), column.pd.derived) {
        (true, false) => Style::CLIENT,
        (true, true) => Style::EXPORT,
        (false, _) => Style::OTHER,
    };
    card(canvas, column, top, style);
    let Some(entries) = column.entries else { return };
    let x = column.x + RING_INSET;
    canvas.ring(x, top + BOX_HEIGHT, gatekeeper);
    let mut y = top + BOX_HEIGHT + 20.0;
    for grant in &column.grants {
        grant_label(canvas, grant, (x + 14.0, y));
        y += GRANT_HEIGHT;
    }
    canvas.text((x + 14.0, gatekeeper - 10.0), &format!("ring of {entries} entries"), 10.0, "#8a94a0", false);
}

/// A PD's box.
fn card(canvas: &mut Canvas, column: &Column<'_>, y: f64, style: Style) {
    canvas.card((column.x, y), (column.width, BOX_HEIGHT), style);
    let first = if column.lines.len() > 1 { 22.0 } else { 28.0 };
    canvas.text((column.x + 16.0, y + first), &column.pd.name, 15.0, style.ink, true);
    for (line, step) in column.lines.iter().zip([16.0, 30.0]) {
        canvas.text((column.x + 16.0, y + first + step), line, 11.0, "#55606c", false);
    }
}

fn extent(grant: &Grant) -> String {
    let end = grant.end.map_or("end".to_owned(), |end| end.to_string());
    let bytes = grant.end.map_or(String::new(), |end| format!(" \u{b7} {}", size((end - grant.first) * 4096)));
    format!("{} {}..{end}{bytes}", grant.target.name(), grant.first)
}

fn rights(grant: &Grant) -> impl Iterator<Item = &'static str> {
    let bits = grant.rights;
    RIGHTS.iter().filter(move |(_, bit)| bits & bit != 0).map(|(name, _)| *name)
}

fn grant_width(grant: &Grant) -> f64 {
    let pills: f64 = rights(grant).map(|right| pill_width(right) + 4.0).sum();
    pills.max(text_width(&extent(grant), 12.0) + 8.0)
}

fn pill_width(text: &str) -> f64 {
    text_width(text, 10.0) + 12.0
}

fn grant_label(canvas: &mut Canvas, grant: &Grant, (x, y): (f64, f64)) {
    canvas.text((x, y), &extent(grant), 12.0, "#2b3642", false);
    let mut at = x;
    for right in rights(grant) {
        let (fill, ink) = match right {
            "read" => ("#e1f3e6", "#1f6b3a"),
            "write" => ("#fde8d7", "#9a4b0a"),
            "flush" => ("#e0ecfc", "#1d4f91"),
            "discard" | "zero" => ("#fbe0e0", "#98292b"),
            _ => ("#ececf0", "#4c5561"),
        };
        let width = pill_width(right);
        canvas.pill((at, y + 6.0), (width, PILL_HEIGHT), fill, (right, 10.0, ink));
        at += width + 4.0;
    }
}

fn gatekeeper_bar(canvas: &mut Canvas, plan: &Plan, inner: f64, y: f64) {
    canvas.card((MARGIN, y), (inner, BOX_HEIGHT), Style::GATEKEEPER);
    let Some(pd) = plan.pds.iter().find(|pd| pd.name == "gatekeeper") else { return };
    let grants = Config::parse(&pd.config).map_or(0, |config| config.grants.len());
    let plural = if grants == 1 { "y" } else { "ies" };
    let line = format!("{} \u{b7} {grants} capabilit{plural} \u{b7} checks every request", under(pd));
    canvas.text((MARGIN + 16.0, y + 27.0), &pd.name, 15.0, Style::GATEKEEPER.ink, true);
    canvas.text((MARGIN + 16.0, y + 45.0), &line, 11.0, "#55606c", false);
}

/// The volume that lies on the disk of `pd`.
fn volume_of<'a>(system: &'a System, pd: &Pd) -> Option<&'a str> {
    let disk = pd.disk.as_deref()?;
    let lies_here = |name: &str| system.volume(name).is_some_and(|v| v.below().any(|on| system.comes_down(on, disk)));
    // Of volumes on each other, the highest: no other lies on it.
    let covered = |name: &str| system.volumes.iter().any(|v| v.below().any(|on| on.name() == name));
    system.volumes.iter().map(|v| v.name.as_str()).find(|name| lies_here(name) && !covered(name))
}

fn driver(canvas: &mut Canvas, system: &System, plan: &Plan, column: &Column<'_>, from: f64, y: f64) {
    let x = column.x + RING_INSET;
    canvas.ring(x, from, y);
    if let Some(volume) = volume_of(system, column.pd) {
        let (text, ink) = (format!("volume {volume}"), "#7a5200");
        let width = text_width(&text, 12.0) + 16.0;
        canvas.pill((x + 14.0, from + 12.0), (width, 19.0), "#fff1d6", (&text, 12.0, ink));
    }
    let entries = column.entries.unwrap_or(0);
    canvas.text((x + 14.0, y - 10.0), &format!("ring of {entries} entries"), 10.0, "#8a94a0", false);
    card(canvas, column, y, Style::DRIVER);
    let Some(disk) = plan.disks.iter().find(|disk| Some(&disk.name) == column.pd.disk.as_ref()) else { return };
    let below = y + BOX_HEIGHT;
    canvas.wire(x, below, below + DISK_WIRE);
    let slot = match disk.slot {
        Slot::VirtioMmio(bus) => format!("virtio-mmio bus {bus}"),
        Slot::Pci(device) => format!("PCI 00:{device:02x}.0"),
    };
    canvas.text((x + 14.0, below + 22.0), &slot, 10.0, "#8a94a0", false);
    canvas.disk((column.x, below + DISK_WIRE), (column.width, DISK_HEIGHT));
    let mut from = column.x + 16.0;
    for disk in plan.driven_by(&column.pd.name) {
        canvas.text((from, below + DISK_WIRE + 36.0), &disk.name, 15.0, "#2f3a45", true);
        from += text_width(&disk.name, 15.0) + 12.0;
    }
    let bytes = disk.size.map_or(String::new(), |bytes| format!(" \u{b7} {}", size(bytes)));
    let line = format!("{}{bytes}{}", disk.bus, if disk.read_only { " \u{b7} read-only" } else { "" });
    canvas.text((column.x + 16.0, below + DISK_WIRE + 52.0), &line, 11.0, "#55606c", false);
}

fn services_panel(canvas: &mut Canvas, services: &[&Pd], x: f64, (top, bottom): (f64, f64)) {
    canvas.divider(x, top, bottom);
    let mut y = top;
    for pd in services {
        let what = Config::parse(&pd.config).map_or(String::new(), |config| match pd.name.as_str() {
            "tick" => format!("wakes {} PDs", config.wakes.len()),
            "supervisor" => format!("restarts {} PDs", config.children.len()),
            "manager" => format!("sees {} PDs, faces operators", config.watches.len()),
            _ => format!("prints for {} PDs", config.consoles.len()),
        });
        let lines = vec![under(pd), what];
        let column = Column { x: x + GAP, width: SERVICE_WIDTH, pd, lines, grants: Vec::new(), entries: None };
        card(canvas, &column, y, Style::SERVICE);
        y += BOX_HEIGHT + 20.0;
    }
}

/// Room for arcs of the user's own channels.
fn arc_height(plan: &Plan) -> f64 {
    if plan.own.iter().any(|element| element.name == "channel") { 40.0 } else { 0.0 }
}

/// The user's own channels, as arcs above the boxes.
fn own_channels(canvas: &mut Canvas, plan: &Plan, columns: &[Column<'_>], top: f64) {
    let centre = |name: &str| columns.iter().find(|c| c.pd.name == name).map(|c| c.x + c.width / 2.0);
    for channel in &plan.channels {
        if let (Some(a), Some(b)) = (centre(&channel.a.0), centre(&channel.b.0)) {
            canvas.arc((a, top), (b, top), 44.0);
        }
    }
}

fn legend(canvas: &mut Canvas, y: f64, plain: bool) {
    let lines: &[&str] = if plain {
        &["A plain Microkit system: no disk is declared."]
    } else {
        &["Rings carry requests down and completions up.", "Payload moves by DMA between disk and client, uncopied."]
    };
    for (line, step) in lines.iter().zip([0.0, 16.0]) {
        canvas.text((MARGIN, y + step), line, 11.0, "#8a94a0", false);
    }
}

/// Bytes with the largest unit that fits exactly.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let exact = units.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    exact.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}
