// SPDX-License-Identifier: MIT
//! What a protection domain could reach if it were compromised: all that the kernel, the devices and its servers would
//! let it do, whatever its program was written for.
//!
//! Computed from the plan and the configurations in it, thus from what is emitted, and not from what `system.xml`
//! meant. `tests/reach` recomputes it from the emitted text, and compares it with the capabilities and page tables that
//! the Microkit tool hands to the kernel.
use crate::element::Element;
use crate::explain::{kind, source};
use crate::model::System;
use crate::plan::{Board, Channel, Pd, Plan};
use crate::read::digits;
use orion_pd::config::VADDR;

mod blocks;
mod device;
mod table;

pub use blocks::{Blocks, Order};
pub use device::{Device, Dma};
pub use table::{heading, text};

/// What one PD could do.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The PD.
    pub pd: String,
    /// Its program.
    pub image: String,
    /// Whether `orion` added it.
    pub derived: bool,
    /// Its priority.
    pub priority: u8,
    /// What it can read, and where so marked write, by name; beside its own program, stack and IPC buffer.
    pub memory: Vec<Memory>,
    /// PDs that it can notify.
    pub signals: Vec<String>,
    /// PDs that it can call.
    pub calls: Vec<String>,
    /// PDs that can call it.
    pub called_by: Vec<String>,
    /// PDs whose execution it controls: those within it, and those whose capabilities `<cspace>` gives it.
    pub controls: Vec<String>,
    /// Interrupts that it receives and acknowledges.
    pub interrupts: Vec<String>,
    /// I/O ports that it can use: first and count.
    pub ports: Vec<(u64, u64)>,
    /// Devices that it programs.
    pub devices: Vec<Device>,
    /// Devices that it can have moved payload by others, with the regions between which and the disk they move it.
    pub orders: Vec<Order>,
    /// Blocks that it can misuse, and how.
    pub blocks: Vec<Blocks>,
    /// What other clients may pass on to it while the system runs: who, and what that one holds.
    pub lent: Vec<(String, Blocks)>,
    /// PDs that believe its answers about blocks, directly or through others.
    pub answers: Vec<String>,
    /// PDs that never run while it does not want to sleep.
    pub starves: Vec<String>,
}

/// A region that a PD maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Its name.
    pub region: String,
    /// What it holds.
    pub kind: &'static str,
    /// Bytes.
    pub size: u64,
    /// Whether it can be written.
    pub write: bool,
    /// Other PDs that map it, and whether they may write.
    pub shared: Vec<(String, bool)>,
    /// Disks whose devices are to reach it.
    pub devices: Vec<String>,
}

/// What each PD of `plan` could reach, by name. `plan` was derived from `system`.
pub fn reach(system: &System, plan: &Plan) -> Vec<Reach> {
    plan.pds.iter().map(|pd| of(pd, system, plan)).collect()
}

fn of(pd: &Pd, system: &System, plan: &Plan) -> Reach {
    let own = own(&plan.own, &pd.name);
    Reach {
        pd: pd.name.clone(),
        image: pd.image.clone(),
        derived: pd.derived,
        priority: pd.priority,
        memory: memory(pd, own, plan),
        signals: signals(pd, plan),
        calls: called(plan, |caller, callee| (caller == pd.name).then(|| callee.to_owned())),
        called_by: called(plan, |caller, callee| (callee == pd.name).then(|| caller.to_owned())),
        controls: controls(pd, own, plan),
        interrupts: interrupts(pd, own),
        ports: ports(pd, own),
        devices: device::devices(pd, plan),
        orders: blocks::orders(pd, plan),
        blocks: blocks::blocks(pd, system, plan),
        lent: blocks::lent(pd, system, plan),
        answers: blocks::answers(pd, plan),
        starves: starves(pd, plan),
    }
}

/// The user's own element of the PD `name`, at whatever depth.
fn own<'a>(elements: &'a [Element], name: &str) -> Option<&'a Element> {
    let mut pds = elements.iter().filter(|element| element.name == "protection_domain");
    pds.find_map(|pd| if pd.value("name") == Some(name) { Some(pd) } else { own(&pd.children, name) })
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

/// What `pd` maps: by plan, and for a virtual machine of its own.
fn maps<'a>(pd: &'a Pd, own: Option<&'a Element>) -> Vec<(&'a str, bool)> {
    let mut maps: Vec<(&str, bool)> = pd.maps.iter().map(|map| (map.region.as_str(), map.write)).collect();
    let machines = own.into_iter().flat_map(|own| own.plain("virtual_machine"));
    for map in machines.flat_map(|machine| machine.plain("map")) {
        let write = map.value("perms").unwrap_or("rw").contains('w');
        maps.extend(map.value("mr").map(|region| (region, write)));
    }
    // One that is mapped twice can be written where one mapping can.
    maps.sort_unstable_by_key(|(region, write)| (*region, !write));
    maps.dedup_by_key(|(region, _)| *region);
    maps
}

fn memory(pd: &Pd, element: Option<&Element>, plan: &Plan) -> Vec<Memory> {
    let mut memory = Vec::new();
    for (name, write) in maps(pd, element) {
        let Some(region) = plan.regions.iter().find(|region| region.name == name) else { continue };
        let others = plan.pds.iter().filter(|other| other.name != pd.name);
        let shared = others.filter_map(|other| {
            let maps = maps(other, own(&plan.own, &other.name));
            maps.into_iter().find(|(shared, _)| *shared == name).map(|(_, write)| (other.name.clone(), write))
        });
        memory.push(Memory {
            region: name.to_owned(),
            kind: kind(region.kind),
            size: region.size,
            write,
            shared: shared.collect(),
            devices: region.dma_by.clone(),
        });
    }
    if !pd.config.is_empty() {
        let size = u64::try_from(pd.config.len()).unwrap_or(0).next_multiple_of(0x1000);
        let region = format!("cfg_{}", pd.name);
        debug_assert!(pd.maps.iter().all(|map| map.vaddr != VADDR));
        memory.push(Memory {
            region,
            kind: "configuration",
            size,
            write: false,
            shared: Vec::new(),
            devices: Vec::new(),
        });
    }
    memory.sort_by(|a, b| a.region.cmp(&b.region));
    memory
}

/// Whether an end of a channel of the user's own says that it does not notify.
fn silent(plan: &Plan, (pd, id): &(String, u8)) -> bool {
    let channels = plan.own.iter().filter(|element| element.name == "channel");
    let mut ends = channels.flat_map(|channel| channel.plain("end"));
    let same = |end: &Element| end.value("pd") == Some(pd) && end.value("id") == Some(id.to_string().as_str());
    ends.any(|end| same(end) && end.value("notify") == Some("false"))
}

fn signals(pd: &Pd, plan: &Plan) -> Vec<String> {
    let ends = plan.channels.iter().flat_map(|Channel { a, b, .. }| [(a, b), (b, a)]);
    sorted(ends.filter(|(from, _)| from.0 == pd.name && !silent(plan, from)).map(|(_, to)| to.0.clone()).collect())
}

/// What `pick` makes of each caller and callee.
fn called(plan: &Plan, pick: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let pairs = plan.channels.iter().filter_map(|channel| match channel.calls {
        Some('a') => pick(&channel.a.0, &channel.b.0),
        Some(_) => pick(&channel.b.0, &channel.a.0),
        None => None,
    });
    sorted(pairs.collect())
}

fn controls(pd: &Pd, own: Option<&Element>, plan: &Plan) -> Vec<String> {
    let is_child = |other: &&Pd| other.parent.as_ref().is_some_and(|(parent, _)| *parent == pd.name);
    let mut names: Vec<String> = plan.pds.iter().filter(is_child).map(|other| other.name.clone()).collect();
    for element in own.into_iter() {
        let within = element.plain("protection_domain");
        names.extend(within.filter_map(|child| child.value("name").map(str::to_owned)));
        let given = element.plain("cspace").flat_map(|cspace| &cspace.children);
        names.extend(given.filter_map(|cap| cap.value("pd").map(str::to_owned)));
    }
    sorted(names)
}

fn interrupts(pd: &Pd, own: Option<&Element>) -> Vec<String> {
    let derived = pd.irqs.iter().map(|irq| source(&irq.source));
    let written = own.into_iter().flat_map(|own| own.plain("irq")).map(|irq| {
        let value = |name| irq.value(name).unwrap_or("?");
        match (irq.value("irq"), irq.value("pin")) {
            (Some(number), _) => format!("GIC {number} {}", irq.value("trigger").unwrap_or("level")),
            (None, Some(pin)) => format!("I/O APIC pin {pin}, vector {}", value("vector")),
            (None, None) => format!("message of {}, vector {}", value("pcidev"), value("vector")),
        }
    });
    derived.chain(written).collect()
}

fn ports(pd: &Pd, own: Option<&Element>) -> Vec<(u64, u64)> {
    let derived = pd.ioports.iter().map(|(_, first, count)| (u64::from(*first), u64::from(*count)));
    let written = own.into_iter().flat_map(|own| own.plain("ioport"));
    let written = written.filter_map(|port| Some((digits(port.value("addr")?)?, digits(port.value("size")?)?)));
    derived.chain(written).collect()
}

/// PDs of lower priority, where nothing bounds the time of `pd`. Linux shares the processor out, so none on the host.
fn starves(pd: &Pd, plan: &Plan) -> Vec<String> {
    let bounded = pd.budget.is_some_and(|(budget, period)| budget < period);
    if bounded || plan.board == Board::Host {
        return Vec::new();
    }
    plan.pds.iter().filter(|other| other.priority < pd.priority).map(|other| other.name.clone()).collect()
}
