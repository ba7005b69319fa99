// SPDX-License-Identifier: MIT
//! Devices that a layer joins: which they are, and how.
use super::target;
use crate::element::{Attribute, Element};
use crate::model::{Joined, Joining, Raid, Target};
use crate::problem::Problems;
use orion_multipath::PATHS_MAX;
use orion_raid::engine::PORTS_MAX;

/// Levels by name and as superblocks number them.
const LEVELS: [(&str, i32); 7] = [("linear", -1), ("0", 0), ("1", 1), ("4", 4), ("5", 5), ("6", 6), ("10", 10)];

/// An array: which it is, and on which devices its members are looked for.
pub fn raid(element: &Element, problems: &mut Problems) -> Option<Joined> {
    let members = members(element, "an array", PORTS_MAX, problems);
    let ways: Vec<&Attribute> = ["uuid", "name"].iter().filter_map(|how| element.attribute(how)).collect();
    if let [_, second] = ways[..] {
        let what = "an array is named in one way: by its uuid or its name";
        problems.add(second.at, what, "remove one of the two: `orion inspect IMAGE` says both");
    }
    let select = ways.first().map(|way| (way, format!("{}={}", way.name, way.value)));
    if let Some((way, _)) = select.as_ref().filter(|(_, select)| orion_raid::Select::parse(select).is_none()) {
        let remedy = match way.name.as_str() {
            "uuid" => "write it as `orion inspect IMAGE` says it, as in 01234567:89abcdef:01234567:89abcdef",
            _ => "write 1 to 32 bytes, as `orion inspect IMAGE` says it, or its uuid",
        };
        problems.add(way.at, format!("{}={:?} names no array", way.name, way.value), remedy);
    }
    let level = element.attribute("level").and_then(|a| level(a, problems));
    let raid = Raid { select: select.map(|(_, select)| select), level };
    Some(Joined { at: element.at, kind: Joining::Raid(raid), members })
}

fn level(attribute: &Attribute, problems: &mut Problems) -> Option<i32> {
    let found = LEVELS.iter().find(|(name, _)| *name == attribute.value).map(|(_, level)| *level);
    if found.is_none() {
        let what = format!("level={:?} is no level of an array", attribute.value);
        problems.add(attribute.at, what, format!("write one of: {}", LEVELS.map(|(name, _)| name).join(", ")));
    }
    found
}

/// Ways to one disk.
pub fn multipath(element: &Element, problems: &mut Problems) -> Joined {
    let members = members(element, "a multipath", PATHS_MAX, problems);
    Joined { at: element.at, kind: Joining::Multipath, members }
}

/// What `<orion:on>` in the element names; `noun` is what it makes of that.
fn members(element: &Element, noun: &str, most: usize, problems: &mut Problems) -> Vec<Target> {
    let on = element.children.iter().filter(|child| child.ours && child.name == "on");
    let members: Vec<_> = on.filter_map(|on| target(on, problems)).collect();
    if element.children.is_empty() {
        let what = format!("{noun} lies on nothing");
        problems.add(element.at, what, "add <orion:on disk=\"...\"/> in it for each device");
    }
    if let Some(beyond) = members.get(most) {
        problems.add(beyond.at(), format!("{noun} of more than {most} devices"), "remove some");
    }
    members
}
