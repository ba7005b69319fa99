// SPDX-License-Identifier: MIT
//! The PD that joins several ways to one disk: wires the layer of `orion-multipath` between the gatekeeper's ring and those of the
//! drivers, each of which reaches the disk over a controller of its own.
//!
//! Ways are joined only where their drivers say that they lead to the same disk. It maps no payload.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;
mod ways;

use orion_layer::{Event, Lowers, NoPayload};
use orion_layer_pd::{Fitting, LayerPd, Loss};
use orion_multipath::{Multipath, PATHS_MAX};
use orion_pd::config::Role;
use orion_pd::{InitError, World};
use ways::{Doors, Named, Ways};

/// Requests in flight.
const SLOTS: usize = 256;

/// The PD.
pub type MultipathPd = LayerPd<Joined, SLOTS>;

/// Several ways to one disk, in a PD.
#[derive(Debug)]
pub struct Joined {
    ways: Ways,
}

/// The disk at the end of a way, as `system.xml` calls it.
fn name<W: World>(port: u8, world: &W) -> &'static str {
    world.config().links_as(Role::Client).nth(port.into()).map_or("?", |(_, link)| link.volume.as_str())
}

impl Fitting for Joined {
    type Layer = Multipath;
    type Memory = NoPayload;
    type Below = Doors;

    fn assemble<W: World>(below: u8, _: &mut W) -> Result<(Self, Multipath, NoPayload), InitError> {
        if !(1..=PATHS_MAX).contains(&below.into()) {
            return Err(InitError("there are one to four ways to a disk: build the image again"));
        }
        Ok((Self { ways: Ways::default() }, Multipath::new(below), NoPayload))
    }

    fn lost<W: World>(&mut self, port: u8, why: Loss, world: &mut W) {
        let name = name(port, world);
        match why {
            Loss::Late => {
                world.print(format_args!("there is no way over {name}: its driver is not ready in time"));
            }
            Loss::GivenUp => world.print(format_args!("the way over {name} is gone: its driver was given up")),
            Loss::Misbehaved(what) => world.print(format_args!("the way over {name} is closed: its driver {what}")),
        }
    }

    /// Learns where the ways lead.
    fn found<W: World>(&mut self, doors: &mut Doors, layer: &mut Multipath, world: &mut W) {
        if self.ways.learn(doors) {
            return;
        }
        layer.refuse();
        world.print(format_args!(
            "the ways are not joined, and there are no blocks: they do not all say that they lead to the same disk; correct \
             <orion:multipath> in system.xml, or what is attached where"
        ));
        for (port, route) in (0..doors.count()).zip(&self.ways.routes) {
            match route {
                Some(route) => world.print(format_args!("{} is {}", name(port, world), Named(route))),
                None => world.print(format_args!("{} is not there", name(port, world))),
            }
        }
    }

    /// Follows what the ways are worth.
    #[inline]
    fn news<W: World>(&mut self, doors: &mut Doors, world: &mut W) -> Option<(u8, Event)> {
        let (port, access) = self.ways.changed(doors)?;
        world.print(format_args!("the way over {} is {} now", name(port, world), access.text()));
        Some((port, Event::Worth(access)))
    }

    fn report<W: World>(&mut self, _: &Multipath, world: &mut W) {
        let there = self.ways.routes.iter().flatten();
        let Some(disk) = there.clone().next() else { return };
        let ways = world.config().links_as(Role::Client).count();
        world.print(format_args!("{} of {ways} ways to {}", there.count(), Named(disk)));
    }
}
