// SPDX-License-Identifier: MIT
//! The user's protection domains.
use super::{END_OF_USER, MAX_ID, devices, known_region, twice};
use crate::element::{Attribute, Element, Position};
use crate::model::{DEFAULT_DATA, DEFAULT_QUEUE, Sddf, System, UserMap, UserPd};
use crate::problem::Problems;
use crate::read;

/// Reads a protection domain and those within it.
pub fn read(element: &Element, child: bool, system: &mut System, problems: &mut Problems) {
    let name = read::name(element, 63, problems);
    let mut pd = UserPd {
        at: element.at,
        image: image(element, problems).unwrap_or_default(),
        priority: priority(element, problems).unwrap_or(0),
        budget: budget(element, problems),
        stack: element.attribute("stack_size").and_then(|a| stack(a, problems)),
        passive: element.attribute("passive").and_then(|a| read::choice(a, &["true", "false"], problems))
            == Some("true"),
        ..UserPd::default()
    };
    client_settings(element, &mut pd, problems);
    pd.sddf = element.our_attribute("sddf").and_then(|a| sddf(a, problems));
    if let Some(sddf) = pd.sddf {
        system.not_on_host.push((sddf.at, "a plain sDDF component".into()));
    }
    for map in element.plain("map") {
        pd.maps.extend(self::map(map, system, problems));
    }
    for irq in element.plain("irq") {
        devices::irq(irq, &mut pd, system, problems);
    }
    for port in element.plain("ioport") {
        devices::ioport(port, system, problems);
    }
    not_on_host(element, child, system);
    children(element, system, problems);
    let Some(name) = name else { return };
    if let Some(first) = system.pds.insert(name.to_owned(), pd) {
        twice("protection domain", name, element.at, first.at, problems);
    }
}

fn children(element: &Element, system: &mut System, problems: &mut Problems) {
    let mut ids = std::collections::BTreeMap::new();
    for inner in element.plain("protection_domain") {
        let id =
            read::required(inner, "id", problems).and_then(|a| Some((read::decimal(a, 0, MAX_ID, problems)?, a.at)));
        if let Some((id, at)) = id
            && ids.insert(id, at).is_some()
        {
            problems.add(at, format!("child id {id} is used twice"), "give each child an id of its own");
        }
        read(inner, true, system, problems);
    }
}

fn image(element: &Element, problems: &mut Problems) -> Option<String> {
    let mut images = element.plain("program_image");
    let Some(image) = images.next() else {
        let remedy = "add <program_image path=\"...\"/>";
        problems.add(element.at, "a protection domain has no program", remedy);
        return None;
    };
    if let Some(second) = images.next() {
        problems.add(second.at, "a protection domain has a second program", "remove one <program_image>");
    }
    let path = read::required(image, "path", problems)?;
    if path.value.trim().is_empty() {
        problems.add(path.at, "the program's path is empty", "name an ELF file, as in path=\"demo.elf\"");
        return None;
    }
    Some(path.value.clone())
}

fn priority(element: &Element, problems: &mut Problems) -> Option<u8> {
    let attribute = element.attribute("priority")?;
    let priority = u8::try_from(read::number(attribute, 0, 254, problems)?).ok()?;
    if priority > 252 && !attribute.at.base {
        let what = format!("priority {priority} is kept for the clock (254) and the supervisor (253)");
        problems.add(attribute.at, what, "write at most 252; a client of Orion at most 198");
    }
    Some(priority)
}

fn budget(element: &Element, problems: &mut Problems) -> Option<(u32, u32)> {
    let max = u64::from(u32::MAX);
    let mut read = |name: &str| element.attribute(name).and_then(|a| read::number(a, 50, max, problems));
    let (budget, period) = (read("budget"), read("period"));
    if budget.is_none() && period.is_none() {
        return None;
    }
    let budget = budget.unwrap_or(1000);
    let period = period.unwrap_or(budget);
    if period < budget {
        let what = format!("the period of {period} us is shorter than the budget of {budget} us");
        problems.add(element.at, what, "write a period that is at least the budget");
    }
    Some((u32::try_from(budget).ok()?, u32::try_from(period).ok()?))
}

fn stack(attribute: &Attribute, problems: &mut Problems) -> Option<u64> {
    let size = read::number(attribute, 0x1000, 0x100_0000, problems)?;
    if size % 0x1000 != 0 {
        let what = format!("stack_size={:?} is not a multiple of 4096", attribute.value);
        problems.add(attribute.at, what, "write a multiple of 0x1000");
    }
    Some(size)
}

/// `orion:queue` and `orion:data`.
fn client_settings(element: &Element, pd: &mut UserPd, problems: &mut Problems) {
    (pd.queue, pd.data) = (DEFAULT_QUEUE, DEFAULT_DATA);
    if let Some(a) = element.our_attribute("queue") {
        pd.client_settings = Some(a.at);
        let entries = read::number(a, 1, 1024, problems).filter(|n| {
            if !n.is_power_of_two() {
                problems.add(a.at, format!("a queue of {n} entries cannot be"), "write a power of two, as in 64");
            }
            n.is_power_of_two()
        });
        pd.queue = entries.and_then(|n| u16::try_from(n).ok()).unwrap_or(DEFAULT_QUEUE);
    }
    if let Some(a) = element.our_attribute("data") {
        pd.client_settings = Some(a.at);
        pd.data = read::size(a, 4096, 128 << 20, problems).unwrap_or(DEFAULT_DATA);
    }
}

/// `orion:sddf`: the classes of sDDF that Orion serves it.
fn sddf(attribute: &Attribute, problems: &mut Problems) -> Option<Sddf> {
    let mut words: Vec<&str> = attribute.value.split_whitespace().collect();
    words.sort_unstable();
    let serial = match words.as_slice() {
        ["blk"] => false,
        ["blk", "serial"] => true,
        _ => {
            let what = format!("orion:sddf={:?} is not what Orion gives to an sDDF component", attribute.value);
            problems.add(
                attribute.at,
                what,
                "write \"blk\", or \"blk serial\" for a client whose text the console prints",
            );
            return None;
        }
    };
    Some(Sddf { at: attribute.at, serial })
}

fn map(element: &Element, system: &mut System, problems: &mut Problems) -> Option<UserMap> {
    let region = read::required(element, "mr", problems)?;
    known_region(region, system, problems);
    let vaddr = read::required(element, "vaddr", problems)?;
    let perms = perms(element, "rwx", problems);
    if perms.contains('x') {
        system.not_on_host.push((element.at, "an executable mapping".into()));
    }
    let cached = element.attribute("cached").and_then(|a| read::choice(a, &["true", "false"], problems));
    Some(UserMap {
        region: region.value.clone(),
        vaddr: read::number(vaddr, 0x1000, END_OF_USER, problems)?,
        write: perms.contains('w'),
        cached: cached != Some("false"),
        at: element.at,
    })
}

/// The value of `perms`: letters of `allowed`, each once, not "w" alone.
pub(super) fn perms<'a>(element: &'a Element, allowed: &str, problems: &mut Problems) -> &'a str {
    let Some(attribute) = element.attribute("perms") else {
        return "rw";
    };
    let text = attribute.value.as_str();
    let once = |c: char| text.matches(c).count() == 1;
    if text.is_empty() || text == "w" || !text.chars().all(|c| allowed.contains(c) && once(c)) {
        let what = format!("perms={text:?} are not permissions");
        problems.add(attribute.at, what, "write \"r\", \"rw\" or \"rx\"; what can be written can also be read");
    }
    text
}

fn not_on_host(element: &Element, child: bool, system: &mut System) {
    let mut add = |at: Position, what: &str| system.not_on_host.push((at, what.to_owned()));
    if child {
        add(element.at, "a protection domain within another");
    }
    for inner in &element.children {
        match inner.name.as_str() {
            "virtual_machine" => add(inner.at, "a virtual machine"),
            "irq" => add(inner.at, "an interrupt of a PD of your own"),
            "ioport" => add(inner.at, "I/O ports of a PD of your own"),
            "setvar" => add(inner.at, "a patched symbol"),
            "cspace" => add(inner.at, "capabilities of other PDs"),
            _ => {}
        }
    }
}

/// Mappings must be aligned to their region's pages and may not overlap.
pub(super) fn check_maps(system: &System, problems: &mut Problems) {
    for pd in system.pds.values() {
        let mut ranges: Vec<(u64, u64, &UserMap)> = Vec::new();
        for map in &pd.maps {
            let Some(region) = system.regions.get(&map.region) else {
                continue;
            };
            if map.vaddr % region.page != 0 {
                let what = format!("vaddr {:#x} is not a multiple of the page size {:#x}", map.vaddr, region.page);
                problems.add(map.at, what, format!("write a multiple of {:#x}", region.page));
            }
            let end = map.vaddr.saturating_add(region.size.unwrap_or(region.page));
            if end > END_OF_USER {
                let what = format!("the mapping ends at {end:#x}, outside a PD's addresses");
                problems.add(map.at, what, format!("end below {END_OF_USER:#x}"));
            }
            ranges.push((map.vaddr, end, map));
        }
        ranges.sort_by_key(|(start, end, _)| (*start, *end));
        for (a, b) in ranges.iter().zip(ranges.iter().skip(1)) {
            if b.0 < a.1 {
                let what = format!("{:?} is mapped over {:?}, which ends at {:#x}", b.2.region, a.2.region, a.1);
                problems.add(b.2.at.max(a.2.at), what, "move one of the two mappings");
            }
        }
    }
}
