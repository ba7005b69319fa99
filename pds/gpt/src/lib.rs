// SPDX-License-Identifier: MIT
//! The PD that gives each of its clients one partition: wires the layer of `orion-gpt` between the gatekeeper's rings,
//! one for each partition, and the driver's.
//!
//! It maps one page of memory, into which the device puts the table. Clients' payload passes by name.
#![no_std]
#![forbid(unsafe_code)]

mod assemble;
mod report;

pub use assemble::{Scratch, assemble};
pub use report::report;

use orion_block::{Instant, Limits};
use orion_gpt::Partitions;
use orion_layer::{Around, Event, Lowers, Node};
use orion_metrics::Counter;
use orion_pd::links::{LowerRings, UpperRings, look_again, whole};
use orion_pd::{ChannelSet, InitError, ProtectionDomain, Reporter, World};

/// Requests in flight.
const SLOTS: usize = 256;
/// Rights on the one window of a client, as `orion_caps::Rights` has them: read and flush, and those that change blocks.
const READING: u16 = 1 | 4;
const CHANGING: u16 = 2 | 8 | 16;

/// The PD.
#[derive(Debug)]
pub struct GptPd {
    node: Node<Partitions, SLOTS>,
    uppers: UpperRings,
    lowers: LowerRings,
    scratch: Scratch,
    misbehaved: u32,
    /// When a disk that is not ready is given up.
    until: Option<Instant>,
    reporter: Reporter,
}

impl<W: World> ProtectionDomain<W> for GptPd {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let (layer, scratch) = assemble(world)?;
        let (uppers, lowers) = (UpperRings::new(world)?, LowerRings::new(world)?);
        if lowers.count() != 1 {
            return Err(InitError("partitions lie on exactly one disk: build the image again"));
        }
        let reporter = Reporter::new(world)?;
        Ok(Self { node: Node::new(layer, 1), uppers, lowers, scratch, misbehaved: 0, until: None, reporter })
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
            let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut self.scratch);
            let progress = self.node.run(&mut Around { uppers, lowers, payload, now: world.now() });
            let mut quiet = self.lowers.settle(world);
            let news = !self.uppers.announced() && self.announce(world);
            quiet &= self.uppers.settle(world, news, |upper| self.node.has_room(upper));
            if let Some(misbehaved) = progress.misbehaved {
                world.print(format_args!("the disk is closed: its driver {}", misbehaved.what));
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

impl GptPd {
    /// Ends what clients have asked that died since.
    #[cold]
    fn forget<W: World>(&mut self, world: &mut W) {
        while let Some(upper) = self.uppers.left() {
            let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut self.scratch);
            self.node.upper_gone(upper, &mut Around { uppers, lowers, payload, now: world.now() });
        }
    }

    /// Looks whether the disk is ready, and does not wait for it for ever.
    #[cold]
    fn look_below<W: World>(&mut self, world: &mut W) {
        let now = world.now();
        let waiting = self.lowers.refresh(now);
        self.until = waiting.until.filter(|_| waiting.late.is_none());
        if let Some(port) = waiting.late {
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
        let (uppers, lowers, payload) = (&mut self.uppers, &mut self.lowers, &mut self.scratch);
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

    /// Tells each client what it has, once the table is read.
    fn announce<W: World>(&mut self, world: &mut W) -> bool {
        let Some(limits) = self.node.limits() else { return false };
        report(self.node.layer(), world);
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
