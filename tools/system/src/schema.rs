// SPDX-License-Identifier: MIT
//! Which elements may stand where, with which attributes: Microkit 2.3.0's and ours.
//!
//! Only places and names are judged here; values are read by [`microkit`](crate::microkit) and
//! [`policy`](crate::policy). Microkit compares local names, so our attributes are known by their namespace and never
//! reach it.
use crate::element::Element;
use crate::problem::{Problems, suggest};
use crate::read::tag;

/// What may stand in an element.
struct Rule {
    name: &'static str,
    attributes: &'static [&'static str],
    /// Ours on Microkit's element.
    our_attributes: &'static [&'static str],
    children: &'static [&'static str],
    our_children: &'static [&'static str],
}

const fn leaf(name: &'static str, attributes: &'static [&'static str]) -> Rule {
    Rule { name, attributes, our_attributes: &[], children: &[], our_children: &[] }
}

const PD_ATTRIBUTES: &[&str] = &[
    "name",
    "priority",
    "budget",
    "period",
    "passive",
    "stack_size",
    "cpu",
    "smc",
    "fpu",
    "domain",
    "id",
    "setvar_id",
];
const PD_CHILDREN: &[&str] =
    &["program_image", "map", "irq", "setvar", "protection_domain", "virtual_machine", "ioport", "cspace"];
const DISK_ATTRIBUTES: &[&str] = &[
    "name",
    "bus",
    "controller",
    "unit",
    "size",
    "readonly",
    "slot",
    "transport",
    "timeout",
    "queue",
    "queues",
    "ring",
    "power",
    "write-cache",
    "look-ahead",
    "verify-writes",
    "gather",
    "within",
    "grace",
    "rest",
    "zoned",
    "driver",
];
const IRQ_ATTRIBUTES: &[&str] =
    &["irq", "id", "trigger", "setvar_id", "pin", "vector", "ioapic", "polarity", "pcidev", "handle"];

const MICROKIT: &[Rule] = &[
    Rule {
        children: &["protection_domain", "memory_region", "channel", "io_address_space", "domains"],
        our_children: &["disk", "volume", "grant", "manager", "audit"],
        ..leaf("system", &[])
    },
    Rule {
        our_attributes: &["queue", "data", "sddf"],
        children: PD_CHILDREN,
        ..leaf("protection_domain", PD_ATTRIBUTES)
    },
    leaf("program_image", &["path", "path_for_symbols"]),
    leaf("map", &["mr", "vaddr", "perms", "cached", "setvar_vaddr", "setvar_size", "setvar_prefill_size"]),
    leaf("irq", IRQ_ATTRIBUTES),
    leaf("setvar", &["symbol", "region_paddr"]),
    leaf("ioport", &["id", "addr", "size", "setvar_id", "setvar_addr"]),
    Rule { children: &["cap_tcb", "cap_sc", "cap_vspace"], ..leaf("cspace", &[]) },
    leaf("cap_tcb", &["slot", "pd"]),
    leaf("cap_sc", &["slot", "pd"]),
    leaf("cap_vspace", &["slot", "pd"]),
    Rule { children: &["vcpu", "map"], ..leaf("virtual_machine", &["name", "budget", "period", "priority"]) },
    leaf("vcpu", &["id", "cpu", "setvar_id"]),
    leaf("memory_region", &["name", "size", "page_size", "phys_addr", "prefill_path", "prefill_bootinfo"]),
    Rule { children: &["end"], ..leaf("channel", &[]) },
    leaf("end", &["pd", "id", "pp", "notify", "setvar_id"]),
    Rule { children: &["iomap"], ..leaf("io_address_space", &["name", "peripheral_id", "domain_id"]) },
    leaf("iomap", &["mr", "iovaddr", "perms"]),
    Rule { children: &["domain", "domain_schedule"], ..leaf("domains", &[]) },
    leaf("domain", &["name", "id"]),
    Rule {
        children: &["schedule_entry", "schedule_end_marker"],
        ..leaf("domain_schedule", &["start_index", "index_shift"])
    },
    leaf("schedule_entry", &["domain", "duration"]),
    leaf("schedule_end_marker", &[]),
];

const OURS: &[Rule] = &[
    leaf("disk", DISK_ATTRIBUTES),
    Rule { our_children: &["on", "partition", "raid", "multipath"], ..leaf("volume", &["name"]) },
    Rule { our_children: &["on"], ..leaf("raid", &["name", "uuid", "level"]) },
    Rule { our_children: &["on"], ..leaf("multipath", &[]) },
    Rule { our_children: &["on"], ..leaf("partition", &["number", "name", "uuid", "fuse"]) },
    leaf("on", &["disk", "volume"]),
    leaf("manager", &["rights"]),
    leaf("audit", &["disk", "volume", "blocks"]),
    leaf(
        "grant",
        &[
            "client",
            "volume",
            "disk",
            "blocks",
            "rights",
            "in-flight",
            "shared",
            "window",
            "iops",
            "bandwidth",
            "burst",
            "weight",
        ],
    ),
];

/// Layers of the mission that are still to come.
const LATER_LAYERS: &[&str] = &[
    "luks",
    "crypt",
    "cache",
    "lvm",
    "thin",
    "snapshot",
    "linear",
    "stripe",
    "mirror",
    "dedup",
    "compress",
    "integrity",
    "gpt",
    "nbd",
    "iscsi",
    "spare",
    "tier",
    "prefetch",
];
/// Attributes of the design that are still to come.
const LATER_ATTRIBUTES: &[&str] = &["fuse", "workers", "cpu", "key", "policy", "write", "level", "chunk"];

/// Checks places and names below the root.
pub fn check(root: &Element, problems: &mut Problems) {
    if root.name == "system" && !root.ours {
        return element(root, problems);
    }
    let what = format!("the outermost element is {}", tag(root));
    problems.add(root.at, what, "Microkit's <system> must be the outermost element");
}

fn rule(element: &Element) -> Option<&'static Rule> {
    let rules = if element.ours { OURS } else { MICROKIT };
    rules.iter().find(|rule| rule.name == element.name)
}

fn element(element: &Element, problems: &mut Problems) {
    let Some(rule) = rule(element) else { return };
    if rule.name != "system" {
        attributes(element, rule, problems);
    }
    for child in &element.children {
        let allowed = if child.ours { rule.our_children } else { rule.children };
        if allowed.contains(&child.name.as_str()) {
            self::element(child, problems);
        } else {
            misplaced(child, element, rule, problems);
        }
    }
}

fn attributes(element: &Element, rule: &Rule, problems: &mut Problems) {
    for attribute in &element.attributes {
        let allowed = if attribute.ours { rule.our_attributes } else { rule.attributes };
        let name = attribute.name.as_str();
        if allowed.contains(&name) {
            continue;
        }
        let prefix = if attribute.ours { "orion:" } else { "" };
        let what = format!("{} has no attribute \"{prefix}{name}\"", tag(element));
        if element.ours && attribute.ours && rule.attributes.contains(&name) {
            problems.add(attribute.at, what, format!("write {name:?}: Orion's own elements need no prefix there"));
        } else if !attribute.ours && rule.our_attributes.contains(&name) {
            problems.add(attribute.at, what, format!("write \"orion:{name}\""));
        } else if (element.ours || attribute.ours) && LATER_ATTRIBUTES.contains(&name) {
            let what = format!("the attribute {name:?} is not in this version of Orion");
            problems.add(attribute.at, what, "remove it");
        } else {
            problems.add(attribute.at, what, suggest(name, allowed.iter().copied(), "remove it"));
        }
    }
}

fn misplaced(child: &Element, parent: &Element, rule: &Rule, problems: &mut Problems) {
    let (name, tag_name) = (child.name.as_str(), tag(child));
    if child.ours && LATER_LAYERS.contains(&name) {
        let remedy = "a volume of this version is a disk, a partition or an array: <orion:on disk=\"...\"/>";
        return problems.add(child.at, format!("{tag_name} is not in this version of Orion"), remedy);
    }
    let what = format!("{tag_name} may not stand in {}", tag(parent));
    if !child.ours && OURS.iter().any(|rule| rule.name == name) {
        return problems.add(child.at, what, format!("write <orion:{name}>, if Orion's element is meant"));
    }
    if child.ours && self::rule(child).is_none() && MICROKIT.iter().any(|rule| rule.name == name) {
        return problems.add(child.at, what, format!("write <{name}>, if Microkit's element is meant"));
    }
    if self::rule(child).is_some() {
        return problems.add(child.at, what, format!("move it into {}", parents(child).join(" or ")));
    }
    let known = if child.ours { rule.our_children } else { rule.children };
    let remedy = suggest(name, known.iter().copied(), "remove it");
    problems.add(child.at, format!("{tag_name} is not an element that {} knows", tag(parent)), remedy);
}

/// The elements that `child` may stand in.
fn parents(child: &Element) -> Vec<String> {
    let name = child.name.as_str();
    let within = |rule: &&Rule| {
        if child.ours { rule.our_children.contains(&name) } else { rule.children.contains(&name) }
    };
    let plain = MICROKIT.iter().filter(within).map(|rule| format!("<{}>", rule.name));
    let ours = OURS.iter().filter(within).map(|rule| format!("<orion:{}>", rule.name));
    plain.chain(ours).collect()
}
