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

use orion_block::{Access, Instant, Limits};
use orion_layer::{Around, Event, Lowers, NoPayload, Node};
use orion_metrics::Counter;
use orion_multipath::{Multipath, PATHS_MAX};
use orion_pd::config::Role;
use orion_pd::links::{LowerRings, UpperRings, look_again, whole};
use orion_pd::{ChannelSet, InitError, ProtectionDomain, Reporter, World};
use ways::{Doors, Named, Ways};

/// Requests in flight.
const SLOTS: usize = 256;
/// Rights on the one window of a client, as `orion_caps::Rights` has them: read and flush, and those that change blocks.
const READING: u16 = 1 | 4;
const CHANGING: u16 = 2 | 8 | 16;
const NANOS: u64 = 1_000_000_000;

/// The PD.
#[derive(Debug)]
pub struct MultipathPd {
    node: Node<Multipath, SLOTS>,
    uppers: UpperRings,
    lowers: LowerRings,
    ways: Ways,
    /// Where the ways lead was looked at.
    looked: bool,
    misbehaved: u32,
    /// When a disk that is not ready is given up.
    until: Option<Instant>,
    reporter: Reporter,
}

impl<W: World> ProtectionDomain<W> for MultipathPd {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let (uppers, lowers, reporter) = (UpperRings::new(world)?, LowerRings::new(world)?, Reporter::new(world)?);
        let count = lowers.count();
        if count == 0 || usize::from(count) > PATHS_MAX {
            return Err(InitError("there are one to four ways to a disk: build the image again"));
        }
        let (node, ways) = (Node::new(Multipath::new(count), 0), Ways::default());
        Ok(Self { node, uppers, lowers, ways, looked: false, misbehaved: 0, until: None, reporter })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        if self.reporter.asked(from) {
            self.asked(from, world);
        }
        self.uppers.wake(from);
        self.lowers.wake(from);
        loop {
            if self.looked {
                self.follow(world);
            } else {
                self.look_below(world);
            }
            let Self { uppers, lowers, ways, .. } = self;
            let mut doors = Doors { rings: lowers, disk: ways.disk };
            let around = &mut Around { uppers, lowers: &mut doors, payload: &mut NoPayload, now: world.now() };
            let progress = self.node.run(around);
            let mut quiet = self.lowers.settle(world);
            let news = !self.uppers.announced() && self.announce(world);
            quiet &= self.uppers.settle(world, news, |upper| self.node.has_room(upper));
            if let Some(misbehaved) = progress.misbehaved {
                let name = name(misbehaved.port, world);
                world.print(format_args!("the way over {name} is closed: its driver {}", misbehaved.what));
            }
            self.report_clients(world);
            if !progress.moved && !news && quiet {
                let again = look_again(&mut self.uppers, &self.lowers, world);
                return progress.deadline.into_iter().chain(again).chain(self.until).min();
            }
            if self.uppers.any_left() {
                self.forget(world);
            }
        }
    }
}

/// The disk at the end of a way, as `system.xml` calls it.
fn name<W: World>(port: u8, world: &W) -> &'static str {
    world.config().links_as(Role::Client).nth(port.into()).map_or("?", |(_, link)| link.volume.as_str())
}

impl MultipathPd {
    /// Ends what clients have asked that died since.
    #[cold]
    fn forget<W: World>(&mut self, world: &mut W) {
        while let Some(upper) = self.uppers.left() {
            let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut NoPayload);
            self.node.upper_gone(upper, &mut Around { uppers, lowers, payload, now: world.now() });
        }
    }

    /// Looks whether the ways are ready, and does not wait for one for ever; once none is waited for, where they lead.
    #[cold]
    #[inline(never)]
    fn look_below<W: World>(&mut self, world: &mut W) {
        let now = world.now();
        let waiting = self.lowers.refresh(now);
        self.until = waiting.until.filter(|_| waiting.late.is_none());
        if let Some(port) = waiting.late {
            world.print(format_args!("there is no way over {}: its driver is not ready in time", name(port, world)));
            self.gone(port, world);
        }
        if (0..self.lowers.count()).any(|port| self.lowers.limits(port).is_none()) {
            return;
        }
        self.looked = true;
        if self.ways.learn(&mut self.lowers) {
            for port in 0..self.lowers.count() {
                let access = self.ways.routes.get(usize::from(port)).copied().flatten().map(|route| route.access);
                if let Some(access) = access {
                    self.set(port, access, world);
                }
            }
        } else {
            self.refuse(world);
        }
    }

    /// The ways lead to different disks, or do not say where: nothing is served.
    fn refuse<W: World>(&mut self, world: &mut W) {
        world.print(format_args!(
            "the ways are not joined, and there are no blocks: they do not all say that they lead to the same disk; correct \
             <orion:multipath> in system.xml, or what is attached where"
        ));
        for (port, route) in (0..self.lowers.count()).zip(&self.ways.routes) {
            match route {
                Some(route) => world.print(format_args!("{} is {}", name(port, world), Named(route))),
                None => world.print(format_args!("{} is not there", name(port, world))),
            }
        }
        let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut NoPayload);
        self.node.control(&mut Around { uppers, lowers, payload, now: world.now() }, |layer, _| layer.refuse());
    }

    /// Follows what the ways are worth.
    #[inline]
    fn follow<W: World>(&mut self, world: &mut W) {
        while let Some((port, access)) = self.ways.changed(&mut self.lowers) {
            world.print(format_args!("the way over {} is {} now", name(port, world), access.text()));
            self.set(port, access, world);
        }
    }

    #[cold]
    #[inline(never)]
    fn set<W: World>(&mut self, port: u8, access: Access, world: &mut W) {
        let now = world.now();
        let access = match access {
            Access::Optimised => orion_multipath::Access::Optimised,
            Access::NonOptimised => orion_multipath::Access::NonOptimised,
            Access::Inaccessible => orion_multipath::Access::Inaccessible,
            Access::Lost => orion_multipath::Access::Lost,
            Access::Changing(seconds) => orion_multipath::Access::Changing(now.after(u64::from(seconds) * NANOS)),
        };
        let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut NoPayload);
        self.node.control(&mut Around { uppers, lowers, payload, now }, |layer, io| layer.access(port, access, io));
    }

    /// What the supervisor and the manager ask.
    #[cold]
    #[inline(never)]
    fn asked<W: World>(&mut self, from: ChannelSet, world: &mut W) {
        while let Some(port) = self.lowers.given_up(self.reporter.supervised()) {
            world.print(format_args!("the way over {} is gone: its driver was given up", name(port, world)));
            self.gone(port, world);
        }
        if self.reporter.answer(from) {
            self.show(world);
        }
    }

    fn gone<W: World>(&mut self, port: u8, world: &W) {
        let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut NoPayload);
        self.node.event(port, Event::Gone, &mut Around { uppers, lowers, payload, now: world.now() });
    }

    /// Shows the manager its figures.
    #[cold]
    fn show<W: World>(&mut self, world: &mut W) {
        let figures = &mut self.reporter.figures;
        figures.set(Counter::InFlight, u64::try_from(self.node.in_flight()).unwrap_or(u64::MAX));
        figures.set(Counter::Malformed, self.uppers.malformed());
        figures.set(Counter::Misbehaved, self.uppers.misbehaved().into());
        self.reporter.publish(world, []);
    }

    /// Tells the client what the disk is.
    fn announce<W: World>(&mut self, world: &mut W) -> bool {
        let Some(limits) = self.node.limits() else { return false };
        if let Some(disk) = &self.ways.disk {
            let there = self.ways.routes.iter().flatten().count();
            world.print(format_args!("{there} of {} ways to {}", self.lowers.count(), Named(disk)));
            for (port, route) in (0..).zip(&self.ways.routes) {
                if let Some(route) = route.filter(|route| route.access != Access::Optimised) {
                    world.print(format_args!("the way over {} is {}", name(port, world), route.access.text()));
                }
            }
        }
        self.uppers.announce(limits, |_| whole(&limits, rights(&limits)));
        true
    }

    fn report_clients<W: World>(&mut self, world: &mut W) {
        let misbehaved = self.uppers.misbehaved();
        if misbehaved > self.misbehaved {
            world.print(format_args!("a client broke the ring protocol; its connection is closed"));
            self.misbehaved = misbehaved;
        }
    }
}

fn rights(limits: &Limits) -> u16 {
    if limits.read_only { READING } else { READING | CHANGING }
}
