// SPDX-License-Identifier: MIT
//! What PDs could reach, for people.
use super::{Blocks, Device, Dma, Memory, Order, Reach};
use crate::explain::bytes;
use crate::plan::{Board, Plan};
use crate::policy::rights_text;
use orion_caps::Rights;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The right to pass rights on.
const DERIVE: u16 = Rights::DERIVE.bits();
/// The right to freeze and revoke what others hold.
const ADMIN: u16 = Rights::ADMIN.bits();
/// Columns of a line.
const WIDTH: usize = 116;
/// Columns before what is listed.
const INDENT: usize = 13;

/// The line above the PDs of `plan`: the board, and what guards memory from its devices.
pub fn heading(plan: &Plan) -> String {
    let guard = match (plan.board, plan.iommu) {
        (Board::Host, _) => "each QEMU has only the regions of its disk",
        (_, true) => "an IOMMU stands before the devices",
        (Board::QemuVirtAarch64, _) => "no SMMU: a device reaches all memory",
        (Board::X86_64Generic, false) => "no IOMMU: a device reaches all memory",
    };
    let option = if plan.iommu { " --iommu" } else { "" };
    format!("== {}{option}: {guard}\n", plan.board.name())
}

/// What one PD could reach.
pub fn text(reach: &Reach) -> String {
    let origin = if reach.derived { "derived" } else { "yours" };
    let mut out = format!("\n{} ({}, {origin}, priority {})\n", reach.pd, reach.image, reach.priority);
    for (title, items) in [
        ("memory", memory(&reach.memory)),
        ("signals", names(&reach.signals)),
        ("calls", names(&reach.calls)),
        ("called by", names(&reach.called_by)),
        ("controls", names(&reach.controls)),
        ("interrupts", reach.interrupts.clone()),
        ("I/O ports", reach.ports.iter().map(|(first, count)| format!("{first:#x}..{:#x}", first + count)).collect()),
        ("devices", reach.devices.iter().map(device).collect()),
        ("orders", reach.orders.iter().map(|order| self::order(order, &reach.memory)).collect()),
        ("blocks", reach.blocks.iter().map(blocks).collect()),
        ("lent", reach.lent.iter().map(lent).collect()),
        ("answers", names(&reach.answers)),
        ("starves", names(&reach.starves)),
    ] {
        entry(&mut out, title, &items);
    }
    out
}

/// Names on one line.
fn names(names: &[String]) -> Vec<String> {
    if names.is_empty() { Vec::new() } else { vec![names.join(", ")] }
}

/// Adds a title and its items; nothing where there are none. Long items go on below.
fn entry(out: &mut String, title: &str, items: &[String]) {
    let mut title = title;
    for item in items {
        let mut line = format!("  {title:<width$}", width = INDENT - 2);
        let mut used = INDENT;
        for (index, word) in item.split(' ').enumerate() {
            let length = word.chars().count();
            if index > 0 && used + 1 + length > WIDTH {
                out.push_str(line.trim_end());
                out.push('\n');
                line = " ".repeat(INDENT + 2);
                used = INDENT + 2;
            } else if index > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
        title = "";
    }
}

fn access(write: bool) -> &'static str {
    if write { "rw" } else { "r" }
}

/// Regions, those together that are shared with the same PDs.
fn memory(memory: &[Memory]) -> Vec<String> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for region in memory {
        let sharers: Vec<&str> = region.shared.iter().map(|(pd, _)| pd.as_str()).collect();
        let with = match (sharers.is_empty(), region.devices.is_empty()) {
            (true, true) => "alone".to_owned(),
            (false, true) => format!("with {}", sharers.join(", ")),
            (true, false) => format!("with the device of {}", region.devices.join(", ")),
            (false, false) => format!("with {} and the device of {}", sharers.join(", "), region.devices.join(", ")),
        };
        let own = access(region.write);
        // A region that only this PD writes is where it can lie, one that only others write is where it can listen.
        groups.entry(with).or_default().push(format!("{} {own}", region.region));
    }
    groups.into_iter().map(|(with, regions)| format!("{with}: {}", regions.join(", "))).collect()
}

fn device(device: &Device) -> String {
    let what = if device.disk { "the disk" } else { "the registers" };
    let dma = match &device.dma {
        Dma::Everything => "reads and writes ALL MEMORY: every PD's and the kernel's".to_owned(),
        Dma::Regions(regions) if regions.is_empty() => "reads and writes no memory".to_owned(),
        Dma::Regions(regions) => format!("reads and writes {}", regions.join(", ")),
    };
    let messages = if device.messages { "; sends any message interrupt" } else { "" };
    format!("{what} {}: {dma}{messages}", device.name)
}

/// `memory` is the PD's own: whether it can look at what is moved.
fn order(order: &Order, memory: &[Memory]) -> String {
    let seen: Vec<&str> = order.regions.iter().map(String::as_str).collect();
    let maps = |region: &&str| memory.iter().any(|own| own.region == **region);
    let own: Vec<&str> = seen.iter().copied().filter(|region| maps(region)).collect();
    let looks =
        if own.is_empty() { "none of which it can look at".to_owned() } else { format!("it maps {}", own.join(", ")) };
    format!("{} to move blocks of {} into and out of {}, {looks}", order.driver, order.disk, seen.join(", "))
}

fn lent((lender, held): &(String, Blocks)) -> String {
    format!("what {lender} may pass on of {}: {}", extent(held), rights_text(held.rights))
}

/// The volume, the partition, the disk and the blocks.
fn extent(blocks: &Blocks) -> String {
    let end = blocks.count.map_or("end".to_owned(), |count| blocks.first.saturating_add(count).to_string());
    let size = blocks.count.map_or(String::new(), |count| format!(" ({})", bytes(count.saturating_mul(4096))));
    let of = blocks.volume.as_ref().map_or(String::new(), |volume| format!("{volume} on "));
    let part = blocks.partition.as_ref().map_or(String::new(), |select| format!("partition {select} of "));
    format!("{of}{part}{} {}..{end}{size}", blocks.disk, blocks.first)
}

fn blocks(blocks: &Blocks) -> String {
    let how = match (&blocks.server, blocks.grant) {
        (None, _) => "its device".to_owned(),
        (Some(server), Some((window, line))) => format!("{server}, window {window}, granted in line {line}"),
        (Some(server), None) => format!("{server}, on any request"),
    };
    let rights = rights_text(blocks.rights);
    let pass = if blocks.rights & DERIVE == 0 { "" } else { "; may be passed on to other clients" };
    let take = if blocks.rights & ADMIN == 0 { "" } else { "; rights of others to them may be taken back" };
    format!("{}: {rights}; by {how}{pass}{take}", extent(blocks))
}
