// SPDX-License-Identifier: MIT
//! What was found, for the console.
use core::fmt;
use orion_gpt::{Partitions, Scheme, Table};
use orion_pd::World;
use orion_pd::config::Role;

/// Says what kind of table it is, what is wrong with it, and which partition each client has.
pub fn report<W: World>(layer: &Partitions, world: &mut W) {
    match layer.table() {
        Some(Ok(table)) => report_table(table, world),
        Some(Err(error)) => return world.print(format_args!("no partition can be used: {error}")),
        None => return,
    }
    let config = world.config();
    for ((_, link), (select, found)) in config.links_as(Role::Server).zip(layer.found()) {
        let volume = link.volume.as_str();
        match found {
            Ok(p) => world.print(format_args!(
                "volume {volume}: partition {}{}, blocks {}..{}",
                p.number,
                Name(p),
                p.first,
                p.end()
            )),
            Err(why) => world.print(format_args!("volume {volume}: partition {select}: {why}; it has no blocks")),
        }
    }
}

fn report_table<W: World>(table: &Table, world: &mut W) {
    let count = table.partitions.len();
    match table.scheme {
        Scheme::Mbr { .. } => world.print(format_args!("MBR with {count} partitions")),
        Scheme::Gpt { primary, backup, .. } => {
            world.print(format_args!("GPT with {count} partitions"));
            for (copy, fault) in [("primary", primary), ("backup", backup)] {
                if let Some(fault) = fault {
                    let remedy = fault.kind.remedy();
                    world.print(format_args!("the {copy} copy of the GPT is bad: {fault}; {remedy}"));
                }
            }
        }
    }
}

/// A partition's name in quotes, if it has one. It comes from the disk: what could disturb a terminal is replaced.
struct Name<'a>(&'a orion_gpt::Partition);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = self.0.name().peekable();
        if name.peek().is_none() {
            return Ok(());
        }
        f.write_str(" \"")?;
        name.try_for_each(|c| fmt::Write::write_char(f, if c.is_control() { '\u{fffd}' } else { c }))?;
        f.write_str("\"")
    }
}
