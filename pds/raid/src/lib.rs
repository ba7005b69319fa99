// SPDX-License-Identifier: MIT
//! The PD of an array: wires the layer of `orion-raid` between whoever uses the array and what serves its members.
//!
//! It maps memory of its own, which the members' devices reach, and its clients' data: parity is computed from it, and what a
//! missing member should hold is put there.
#![no_std]
#![forbid(unsafe_code)]

mod assemble;
mod orders;
mod report;

pub use assemble::{Mapped, assemble};
pub use orders::Orders;
pub use report::Reported;

use orion_block::{Instant, Limits};
use orion_layer::{Around, Event, Node};
use orion_metrics::{Counter, Reply, Verb};
use orion_pd::links::{LowerRings, UpperRings, look_again, whole};
use orion_pd::{ChannelSet, InitError, ProtectionDomain, Reporter, World};
use orion_raid::Raid;
use orion_raid::engine::{FANOUT, SLOTS};
use report::link;

/// Rights on the one window of a client, as `orion_caps::Rights` has them: read and flush, and those that change blocks.
const READING: u16 = 1 | 4;
const CHANGING: u16 = 2 | 8 | 16;

/// The PD.
#[derive(Debug)]
pub struct RaidPd {
    node: Node<Raid, SLOTS, FANOUT>,
    uppers: UpperRings,
    lowers: LowerRings,
    memory: Mapped,
    misbehaved: u32,
    /// When members that are not ready are given up.
    until: Option<Instant>,
    reporter: Reporter,
    reported: Reported,
    orders: Orders,
}

impl<W: World> ProtectionDomain<W> for RaidPd {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let (layer, memory) = assemble(world)?;
        let (uppers, lowers) = (UpperRings::new(world)?, LowerRings::new(world)?);
        let (node, reporter) = (Node::new(layer, 1), Reporter::new(world)?);
        let (reported, orders) = (Reported::default(), Orders::new(&world.config()));
        Ok(Self { node, uppers, lowers, memory, misbehaved: 0, until: None, reporter, reported, orders })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        if self.reporter.asked(from) {
            self.asked(from, world);
        }
        self.uppers.wake(from);
        self.lowers.wake(from);
        loop {
            if !self.uppers.announced() {
                self.look_below(world);
            }
            let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut self.memory);
            let progress = self.node.run(&mut Around { uppers, lowers, payload, now: world.now() });
            let mut quiet = self.lowers.settle(world);
            let news = !self.uppers.announced() && self.announce(world);
            quiet &= self.uppers.settle(world, news, |upper| self.node.has_room(upper));
            if let Some(misbehaved) = progress.misbehaved {
                let what = misbehaved.what;
                world.print(format_args!("member device {} is closed: who serves it {what}", misbehaved.port));
            }
            self.report_clients(world);
            self.reported.changes(self.node.layer(), world);
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

impl RaidPd {
    /// Ends what clients have asked that died since.
    #[cold]
    fn forget<W: World>(&mut self, world: &mut W) {
        while let Some(upper) = self.uppers.left() {
            let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut self.memory);
            self.node.upper_gone(upper, &mut Around { uppers, lowers, payload, now: world.now() });
        }
    }

    /// Looks which members are ready, and does not wait for the others for ever: an array may bear that they are missing.
    #[cold]
    fn look_below<W: World>(&mut self, world: &mut W) {
        let now = world.now();
        loop {
            let waiting = self.lowers.refresh(now);
            self.until = waiting.until.filter(|_| waiting.late.is_none());
            let Some(port) = waiting.late else { return };
            self.gone(port, world);
        }
    }

    /// What the supervisor and the manager ask.
    #[cold]
    #[inline(never)]
    fn asked<W: World>(&mut self, from: ChannelSet, world: &mut W) {
        while let Some(port) = self.lowers.given_up(self.reporter.supervised()) {
            self.gone(port, world);
        }
        if self.reporter.answer(from) {
            self.show(world);
        }
    }

    fn gone<W: World>(&mut self, port: u8, world: &W) {
        let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut self.memory);
        self.node.event(port, Event::Gone, &mut Around { uppers, lowers, payload, now: world.now() });
    }

    /// Shows the manager its figures.
    #[cold]
    fn show<W: World>(&mut self, world: &mut W) {
        let figures = &mut self.reporter.figures;
        figures.set(Counter::InFlight, u64::try_from(self.node.in_flight()).unwrap_or(u64::MAX));
        figures.set(Counter::Malformed, self.uppers.malformed());
        figures.set(Counter::Misbehaved, self.uppers.misbehaved().into());
        self.obey(world);
        if let Some(refusal) = self.orders.look(self.node.layer_mut(), world.now()) {
            world.print(format_args!("{refusal}"));
        }
        let rows = self.orders.rows(self.node.layer(), world);
        self.reporter.publish(world, rows);
    }

    /// Does what the operator has ordered since.
    fn obey<W: World>(&mut self, world: &mut W) {
        let Some(order) = self.reporter.work() else { return };
        let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut self.memory);
        let around = &mut Around { uppers, lowers, payload, now: world.now() };
        let orders = &mut self.orders;
        let obeyed = self.node.control(around, |raid, io| orders.obey(order, raid, io));
        let (reply, refusal) = obeyed.unwrap_or((Reply::Absent, None));
        self.reporter.acknowledge(order.0, reply);
        let name = link(world, u8::try_from(order.1.how).unwrap_or(u8::MAX)).map_or("", |link| link.volume.as_str());
        let about = if matches!(order.1.verb, Verb::ArrayCheck | Verb::ArrayRepair) { "" } else { name };
        match refusal {
            Some(refusal) => world.print(format_args!("told to {} {about}: {refusal}", order.1.verb.text())),
            None => world.print(format_args!("told to {} {about}: {reply}", order.1.verb.text())),
        }
    }

    /// Tells the client what it has, once the array is put together or it is known why not.
    fn announce<W: World>(&mut self, world: &mut W) -> bool {
        if let Some(fault) = self.node.layer().fault() {
            report::fault(fault, self.node.layer(), world);
            // Nobody is to wait for what never comes.
            self.uppers.announce(Limits::default(), |_| whole(&Limits::default(), READING));
            return true;
        }
        let Some(limits) = self.node.limits() else { return false };
        self.reported.array(self.node.layer(), world);
        let node = &self.node;
        self.uppers.announce(limits, |upper| {
            let own = node.limits_of(upper).unwrap_or(Limits { capacity: 0, ..limits });
            whole(&own, if limits.read_only { READING } else { READING | CHANGING })
        });
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
