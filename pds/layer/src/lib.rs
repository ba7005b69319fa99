// SPDX-License-Identifier: MIT
//! The PD around any layer: wires a node between the rings of those who use it and of those who serve it.
//!
//! What differs from layer to layer is a [`Fitting`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "model"))]
extern crate std;

mod fitting;
#[cfg(any(test, feature = "model"))]
pub mod model;
#[cfg(test)]
mod tests;

pub use fitting::{Below, Fitting, Loss};

use orion_block::{Instant, Limits};
use orion_layer::{Around, Event, Lowers, Node};
use orion_metrics::{Counter, Reply};
use orion_pd::links::{LowerRings, UpperRings, look_again, whole};
use orion_pd::{ChannelSet, InitError, ProtectionDomain, Reporter, World};

/// The PD of a layer that has `N` requests in flight at most; `F` is the layer's fan-out.
#[derive(Debug)]
pub struct LayerPd<P: Fitting, const N: usize, const F: usize = 1> {
    node: Node<P::Layer, N, F>,
    neighbours: Neighbours<P>,
    own: P,
    /// No device below is waited for any more.
    found: bool,
    misbehaved: u32,
    /// When devices that are not ready are given up.
    until: Option<Instant>,
    reporter: Reporter,
}

/// What the node works between.
#[derive(Debug)]
struct Neighbours<P: Fitting> {
    uppers: UpperRings,
    below: P::Below,
    memory: P::Memory,
}

impl<P: Fitting> Neighbours<P> {
    #[inline(always)]
    fn at(&mut self, now: Instant) -> Around<'_, UpperRings, P::Below> {
        Around { uppers: &mut self.uppers, lowers: &mut self.below, payload: &mut self.memory, now }
    }
}

impl<W: World, P: Fitting, const N: usize, const F: usize> ProtectionDomain<W> for LayerPd<P, N, F> {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let (uppers, rings, reporter) = (UpperRings::new(world)?, LowerRings::new(world)?, Reporter::new(world)?);
        let (own, layer, memory) = P::assemble(rings.count(), world)?;
        let neighbours = Neighbours { uppers, below: P::Below::new(rings), memory };
        let node = Node::new(layer, 1);
        Ok(Self { node, neighbours, own, found: false, misbehaved: 0, until: None, reporter })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        if self.reporter.asked(from) {
            self.asked(from, world);
        }
        self.neighbours.uppers.wake(from);
        self.neighbours.below.rings().wake(from);
        loop {
            if !self.neighbours.uppers.announced() {
                self.look_below(world);
            }
            while let Some((port, event)) = self.news(world) {
                self.event(port, event, world);
            }
            let progress = self.node.run(&mut self.neighbours.at(world.now()));
            let mut quiet = self.neighbours.below.rings().settle(world);
            let renewed = self.node.take_renewed() || !self.neighbours.uppers.announced();
            let news = renewed && self.announce(world);
            quiet &= self.neighbours.uppers.settle(world, news, |upper| self.node.has_room(upper));
            if let Some(misbehaved) = progress.misbehaved {
                self.own.lost(misbehaved.port, Loss::Misbehaved(misbehaved.what), world);
            }
            self.report_clients(world);
            self.own.turned(self.node.layer(), world);
            if !progress.moved && !news && quiet {
                let Neighbours { uppers, below, .. } = &mut self.neighbours;
                let again = look_again(uppers, below.rings(), world);
                return progress.deadline.into_iter().chain(again).chain(self.until).min();
            }
            if self.neighbours.uppers.any_left() {
                self.forget(world);
            }
        }
    }
}

impl<P: Fitting, const N: usize, const F: usize> LayerPd<P, N, F> {
    /// The layer, for tests that look through the PD.
    pub fn layer(&self) -> &P::Layer {
        self.node.layer()
    }

    #[inline]
    fn news<W: World>(&mut self, world: &mut W) -> Option<(u8, Event)> {
        if self.found { self.own.news(&mut self.neighbours.below, world) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn event<W: World>(&mut self, port: u8, event: Event, world: &W) {
        self.node.event(port, event, &mut self.neighbours.at(world.now()));
    }

    /// Ends what clients have asked that died since.
    #[cold]
    #[inline(never)]
    fn forget<W: World>(&mut self, world: &mut W) {
        while let Some(upper) = self.neighbours.uppers.left() {
            self.node.upper_gone(upper, &mut self.neighbours.at(world.now()));
        }
    }

    /// Looks which devices are ready, and waits for none for ever.
    #[cold]
    #[inline(never)]
    fn look_below<W: World>(&mut self, world: &mut W) {
        let now = world.now();
        loop {
            let waiting = self.neighbours.below.rings().refresh(now);
            let Some(port) = waiting.late else {
                self.until = waiting.until;
                break;
            };
            self.own.lost(port, Loss::Late, world);
            self.event(port, Event::Gone, world);
        }
        let below = &mut self.neighbours.below;
        if !self.found && (0..below.count()).all(|port| below.limits(port).is_some()) {
            self.found = true;
            self.own.found(below, self.node.layer_mut(), world);
        }
    }

    /// What the supervisor and the manager ask.
    #[cold]
    #[inline(never)]
    fn asked<W: World>(&mut self, from: ChannelSet, world: &mut W) {
        while let Some(port) = self.neighbours.below.rings().given_up(self.reporter.supervised()) {
            self.own.lost(port, Loss::GivenUp, world);
            self.event(port, Event::Gone, world);
        }
        if self.reporter.answer(from) {
            self.obey(world);
            self.show(world);
        }
    }

    /// Has done what the manager has told us.
    fn obey<W: World>(&mut self, world: &mut W) {
        let Some(order) = self.reporter.work() else { return };
        let (own, around) = (&mut self.own, &mut self.neighbours.at(world.now()));
        let reply = self.node.control(around, |layer, io| own.obey(order, layer, io, world));
        self.reporter.acknowledge(order.0, reply.unwrap_or(Reply::Absent));
    }

    /// Shows the manager its figures.
    fn show<W: World>(&mut self, world: &mut W) {
        let figures = &mut self.reporter.figures;
        figures.set(Counter::InFlight, u64::try_from(self.node.in_flight()).unwrap_or(u64::MAX));
        figures.set(Counter::Malformed, self.neighbours.uppers.malformed());
        figures.set(Counter::Misbehaved, self.neighbours.uppers.misbehaved().into());
        let rows = self.own.rows(self.node.layer_mut(), world);
        self.reporter.publish(world, rows);
    }

    /// Tells each client what it has, once that is known.
    #[cold]
    #[inline(never)]
    fn announce<W: World>(&mut self, world: &mut W) -> bool {
        let nothing = Limits { read_only: true, ..Limits::default() };
        let hopeless = self.own.is_hopeless(self.node.layer()).then_some(nothing);
        let Some(limits) = hopeless.or_else(|| self.node.limits()) else { return false };
        self.own.report(self.node.layer(), world);
        let node = &self.node;
        let own = |upper| node.limits_of(upper).unwrap_or(Limits { capacity: 0, ..limits });
        self.neighbours.uppers.announce(limits, |upper| whole(&own(upper)));
        true
    }

    #[inline]
    fn report_clients<W: World>(&mut self, world: &mut W) {
        let misbehaved = self.neighbours.uppers.misbehaved();
        if misbehaved > self.misbehaved {
            world.print(format_args!("a client broke the ring protocol; its connection is closed"));
            self.misbehaved = misbehaved;
        }
    }
}
