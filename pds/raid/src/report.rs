// SPDX-License-Identifier: MIT
//! What was found and what becomes of it, for the console.
use core::fmt::{self, Write as _};
use heapless::Vec;
use orion_metrics::{Reply, Verb, Work};
use orion_pd::World;
use orion_pd::config::{Link, Role};
use orion_raid::engine::{Condition, Conditions, PORTS_MAX, Refusal};
use orion_raid::{Error, Raid};

/// What was said already.
#[derive(Debug, Default)]
pub struct Reported {
    conditions: Option<Conditions>,
}

/// The device at a port.
pub fn link<W: World>(world: &W, port: u8) -> Option<&'static Link> {
    world.config().links_as(Role::Client).map(|(_, link)| link).nth(port.into())
}

/// The devices below, by port.
fn links<W: World>(world: &W) -> Vec<&'static Link, PORTS_MAX> {
    world.config().links_as(Role::Client).map(|(_, link)| link).take(PORTS_MAX).collect()
}

/// Says why the array is not served.
#[cold]
pub fn fault<W: World>(fault: Error, layer: &Raid, world: &mut W) {
    let links = links(world);
    let name = |port: u8| links.get(usize::from(port)).map_or("?", |link| link.volume.as_str());
    let names: Vec<&str, PORTS_MAX> = layer.devices().map(name).collect();
    world.print(format_args!("the array has no blocks: {}", fault.named(&names)));
}

/// Says what came of an order.
#[cold]
pub fn order<W: World>(work: &Work, reply: Reply, refusal: Option<Refusal>, world: &mut W) {
    let name = link(world, u8::try_from(work.how).unwrap_or(u8::MAX)).map_or("", |link| link.volume.as_str());
    let about = if matches!(work.verb, Verb::ArrayCheck | Verb::ArrayRepair | Verb::ArrayGrow) { "" } else { name };
    match refusal {
        Some(refusal) => world.print(format_args!("told to {} {about}: {refusal}", work.verb.text())),
        None => world.print(format_args!("told to {} {about}: {reply}", work.verb.text())),
    }
}

impl Reported {
    /// Says what array it is, and how its members are.
    #[cold]
    pub fn array<W: World>(&mut self, layer: &Raid, world: &mut W) {
        let (Some(known), Some(geometry)) = (layer.described(), layer.geometry()) else { return };
        let (kib, members) = (geometry.sectors() / 2, geometry.members());
        let level = Level(known.level);
        world.print(format_args!("{}: {level} of {members}, {kib} KiB, UUID {}", Text(known.name()), known.set));
        self.members(layer, world);
    }

    /// Says how the members are, if that has changed.
    #[inline]
    pub fn changes<W: World>(&mut self, layer: &Raid, world: &mut W) {
        if self.conditions.is_some_and(|known| known != layer.conditions()) {
            self.members(layer, world);
        }
    }

    #[cold]
    fn members<W: World>(&mut self, layer: &Raid, world: &mut W) {
        self.conditions = Some(layer.conditions());
        let links = links(world);
        let work = layer.progress().map_or("", |progress| progress.what);
        let missing = layer.missing().count();
        let state = if missing == 0 { "complete" } else { "degraded" };
        world.print(format_args!(
            "{state}: {}{}{work}",
            Members(layer, &links),
            if work.is_empty() { "" } else { "; " }
        ));
    }
}

/// The members by their devices' names.
struct Members<'a>(&'a Raid, &'a [&'static Link]);

impl Members<'_> {
    fn name(&self, port: u8) -> &'static str {
        self.1.get(usize::from(port)).map_or("?", |link| link.volume.as_str())
    }
}

impl fmt::Display for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (role, seen) in self.0.seen().enumerate() {
            let comma = if role > 0 { ", " } else { "" };
            let name = seen.port.map(|port| self.name(port));
            match (seen.condition, name) {
                (Condition::Whole, name) => write!(f, "{comma}{role} {}", name.unwrap_or("?")),
                (Condition::Filling, name) => write!(f, "{comma}{role} {} (being rebuilt)", name.unwrap_or("?")),
                (Condition::Missing, Some(name)) => write!(f, "{comma}{role} missing ({name} was left behind)"),
                (Condition::Missing, None) => write!(f, "{comma}{role} missing"),
            }?;
            if let Some(by) = seen.by {
                write!(f, " (being replaced by {})", self.name(by))?;
            }
        }
        for (index, port) in self.0.idle().enumerate() {
            write!(f, "{}{}", if index == 0 { "; no member: " } else { ", " }, self.name(port))?;
        }
        Ok(())
    }
}

/// A level in words.
struct Level(i32);

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == -1 { f.write_str("linear") } else { write!(f, "RAID {}", self.0) }
    }
}

/// A name from a disk: what could disturb a terminal is replaced.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_control() { '\u{fffd}' } else { c }))
    }
}
