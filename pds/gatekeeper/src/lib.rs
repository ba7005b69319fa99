// SPDX-License-Identifier: MIT
//! The gatekeeper PD: wires the policy engine of `orion-caps` between the clients' rings and the volumes'.
//!
//! It maps no data region: payload passes by name only.
#![no_std]
#![forbid(unsafe_code)]

mod audit;
mod control;
mod figures;
mod state;
mod supervised;

use audit::Audit;
use control::{Control, Served};
use orion_block::Instant;
use orion_caps::{
    Budget, CAPABILITIES_MAX, CLIENTS_MAX, Capability, Event as Happened, Extent, Gatekeeper, Refusal, Rights,
};
use orion_layer::{Event, Lowers, NoPayload, Node, PeerMisbehaved, Probe, Uppers};
use orion_pd::config::{Config, Grant, NONE, Role};
use orion_pd::links::{LowerRings, UpperRings, look_again};
use orion_pd::supervision::Watch;
use orion_pd::{ChannelSet, InitError, ProtectionDomain, Reporter, World};
use orion_ring::WindowInfo;
use state::State;

/// Requests in flight in the whole gatekeeper.
const SLOTS: usize = 256;
/// The engine and what runs it.
type Capabilities = Node<Gatekeeper, SLOTS>;
/// What it works between.
type Around<'a> = orion_layer::Around<'a, UpperRings, LowerRings>;
/// Refusals that are printed between two summaries, so that a client can't flood the console.
const PRINTED_MAX: u32 = 64;

/// The gatekeeper PD.
#[derive(Debug)]
pub struct GatekeeperPd {
    node: Capabilities,
    /// Times a request now and then.
    probe: Probe,
    control: Control,
    audit: Audit,
    uppers: UpperRings,
    lowers: LowerRings,
    printed: u32,
    malformed: u64,
    misbehaved: u32,
    /// When volumes that are not ready are given up; then, where there is a clock, when to look at the supervisor next.
    until: Option<Instant>,
    reporter: Reporter,
    /// The watch over the supervisor, where there is one.
    watch: Option<Watch>,
    /// Of each client, malformed requests, and whether its connection is closed.
    faults: [(u64, bool); CLIENTS_MAX],
}

impl<W: World> ProtectionDomain<W> for GatekeeperPd {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let mut layer = Gatekeeper::new();
        let mut granted = heapless::Vec::<_, CAPABILITIES_MAX>::new();
        for grant in config.grants {
            let full = InitError("a grant does not fit the gatekeeper's tables: see `orion check`");
            let capability = capability(&config, grant).ok_or(full)?;
            layer.grant(capability).map_err(|_| full)?;
            granted.push(capability).map_err(|_| full)?;
        }
        narrow(&config, &mut layer)?;
        let mut state = State::restore(world, &mut layer);
        let mut audit = Audit::new(world).unwrap_or_else(|unreadable| {
            (layer, state) = (Gatekeeper::new(), Err(unreadable));
            Audit::none()
        });
        let number = state.as_ref().map(|state| state.as_ref().filter(|s| s.restored()).map(State::number));
        audit.started(number.map_err(|unreadable| *unreadable), &granted, world);
        let state = state.unwrap_or_else(|_| {
            world.print(format_args!(
                "the state of an earlier life can't be read: everything is denied until the system is booted again"
            ));
            None
        });
        let life = if state.as_ref().is_some_and(State::restored) { 2 } else { 1 };
        let reporter = Reporter::new(world)?;
        let watch = supervised::watch(&reporter, world);
        Ok(Self {
            node: Node::new(layer, life),
            probe: Probe::new(),
            control: Control::new(world, state)?,
            audit,
            uppers: UpperRings::new(world)?,
            lowers: LowerRings::new(world)?,
            printed: 0,
            malformed: 0,
            misbehaved: 0,
            until: None,
            reporter,
            watch,
            faults: [(0, false); CLIENTS_MAX],
        })
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
            let mut around = Around {
                uppers: &mut self.uppers,
                lowers: &mut self.lowers,
                payload: &mut NoPayload,
                now: world.now(),
            };
            let progress = self.node.run(&mut around);
            let now = around.now;
            if progress.misbehaved.is_some() || self.has_more_to_do() {
                match self.do_more(progress.misbehaved, now, world) {
                    Some(deadline) => return deadline,
                    None => continue,
                }
            }
            // What came after the node looked for it shows here. Both must be told.
            let below = self.lowers.settle(world);
            let above = self.uppers.settle(world, false, |upper| self.node.has_room(upper));
            if below && above {
                return progress.deadline.into_iter().chain(self.until).min();
            }
            if self.uppers.any_left() {
                self.forget(world);
            }
        }
    }
}

impl GatekeeperPd {
    /// Whether a turn has more to do than to pass requests and answers on.
    #[inline]
    fn has_more_to_do(&mut self) -> bool {
        !self.uppers.announced()
            || self.uppers.any_plain()
            || self.uppers.has_news()
            || self.node.layer().has_events()
            || self.node.layer().has_lanes()
            || self.probe.is_due()
            || self.control.pending(self.uppers.asking())
    }

    /// The rest of a turn, and all that it may cause: when to be called again, or nothing where another turn is due.
    #[cold]
    #[inline(never)]
    fn do_more<W: World>(
        &mut self,
        misbehaved: Option<PeerMisbehaved>,
        now: Instant,
        world: &mut W,
    ) -> Option<Option<Instant>> {
        if let Some((op, ns)) = self.node.look(&mut self.probe, now) {
            self.reporter.figures.record(figures::kind(op), ns);
        }
        let mut served = Served::default();
        let mut around = Around { uppers: &mut self.uppers, lowers: &mut self.lowers, payload: &mut NoPayload, now };
        if self.control.pending(around.uppers.asking()) {
            served = self.control.serve(&mut self.node, &mut around, &mut self.audit, world);
        }
        if self.node.layer().has_lanes() {
            self.node.control(&mut around, |layer, io| layer.give_places(io));
        }
        let below = self.lowers.settle(world);
        let first = !self.uppers.announced() && self.node.ready();
        let news = if first { self.announce(world) } else { served.changed && self.tell() };
        let above = self.uppers.settle(world, news || served.answered, |upper| self.node.has_room(upper));
        if served.manager {
            self.reporter.wake(world);
        }
        if self.report(misbehaved, world) || news || served.answered {
            self.settle(world);
        } else if below && above {
            let again = look_again(&mut self.uppers, &self.lowers, world);
            // Not what the node's turn said: the layer may have been called since.
            let deadline = self.node.deadline();
            return Some(deadline.into_iter().chain(served.deadline).chain(again).chain(self.until).min());
        }
        if self.uppers.any_left() {
            self.forget(world);
        }
        None
    }

    /// Shows what was recorded to who keeps it, and has itself reminded of what is left to record.
    #[cold]
    #[inline(never)]
    fn settle<W: World>(&mut self, world: &mut W) {
        let Some(at) = self.audit.settle(world).again else { return };
        let (uppers, lowers, now) = (&mut self.uppers, &mut self.lowers, world.now());
        let mut around = Around { uppers, lowers, payload: &mut NoPayload, now };
        self.node.control(&mut around, |layer, io| layer.remind(at, io));
    }

    /// Ends what clients have asked that died since.
    #[cold]
    #[inline(never)]
    fn forget<W: World>(&mut self, world: &mut W) {
        while let Some(upper) = self.uppers.left() {
            let (uppers, lowers, now) = (&mut self.uppers, &mut self.lowers, world.now());
            self.node.upper_gone(upper, &mut Around { uppers, lowers, payload: &mut NoPayload, now });
        }
    }

    /// Looks which volumes are ready, and does not wait for ever: clients of the others have nothing to do with it.
    #[cold]
    fn look_below<W: World>(&mut self, world: &mut W) {
        let now = world.now();
        loop {
            let waiting = self.lowers.refresh(now);
            self.until = waiting.until;
            let Some(port) = waiting.late else { return };
            let (uppers, lowers) = (&mut self.uppers, &mut self.lowers);
            let mut around = Around { uppers, lowers, payload: &mut NoPayload, now };
            self.node.event(port, Event::Gone, &mut around);
            self.audit.volume_closed(port, world);
            report_misbehaved(PeerMisbehaved { port, what: "is not there, or did not become ready in time" }, world);
        }
    }

    /// Tells the clients what they hold, once every volume is known.
    #[cold]
    #[inline(never)]
    fn announce<W: World>(&mut self, world: &mut W) -> bool {
        let Some(limits) = self.node.limits() else { return false };
        let layer = self.node.layer();
        for (granted, size) in layer.oversized(|port| self.lowers.limits(port)) {
            let Extent { first, blocks } = granted.extent;
            if size == 0 {
                let line = granted.line;
                world.print(format_args!(
                    "the grant of system.xml line {line} allows nothing: its volume has no blocks"
                ));
                continue;
            }
            world.print(format_args!(
                "the grant of system.xml line {} reaches beyond its volume: blocks {first}..{} of {size}; it allows nothing until \
                 the disk is larger or the grant smaller",
                granted.line,
                first.saturating_add(blocks),
            ));
        }
        self.uppers.announce(limits, |client| windows(layer, client));
        true
    }

    /// Tells the clients what they hold now.
    #[cold]
    #[inline(never)]
    fn tell(&mut self) -> bool {
        let Some(limits) = self.node.limits() else { return false };
        let layer = self.node.layer();
        self.uppers.announce(limits, |client| windows(layer, client));
        true
    }

    /// Tells of what went wrong; whether something was recorded of it, or is to be.
    fn report<W: World>(&mut self, misbehaved: Option<PeerMisbehaved>, world: &mut W) -> bool {
        let mut told = false;
        if let Some(misbehaved) = misbehaved {
            self.audit.volume_closed(misbehaved.port, world);
            report_misbehaved(misbehaved, world);
            told = true;
        }
        if self.node.layer().has_events() {
            self.report_events(world);
            told = true;
        }
        if self.uppers.take_news() {
            self.report_counts(world);
            told = true;
        }
        told
    }

    #[cold]
    #[inline(never)]
    fn report_events<W: World>(&mut self, world: &mut W) {
        while let Some(event) = self.node.layer_mut().take_event() {
            self.happened(event, world);
        }
    }

    fn happened<W: World>(&mut self, event: Happened, world: &mut W) {
        match event {
            Happened::Refused(refusal) => {
                self.printed = self.printed.saturating_add(1);
                report_refusal(refusal, self.printed, world);
                let shift = self.node.limits().map_or(0, |limits| limits.block.shift());
                self.audit.refused(&refusal, shift, world);
            }
            Happened::Missed(client, refusals) => self.audit.missed(client, u64::from(refusals)),
            Happened::Reminder => {}
        }
    }

    #[cold]
    #[inline(never)]
    fn report_counts<W: World>(&mut self, world: &mut W) {
        let (malformed, misbehaved) = (self.uppers.malformed(), self.uppers.misbehaved());
        if malformed > 0 && self.malformed == 0 {
            world.print(format_args!(
                "a client sent a malformed request; such requests are answered as invalid and counted"
            ));
        }
        for (client, now) in (0..).zip(self.uppers.faults()) {
            let Some(before) = self.faults.get_mut(usize::from(client)) else { break };
            self.audit.faults(client, *before, now, world);
            *before = now;
        }
        if misbehaved > self.misbehaved {
            world.print(format_args!("a client broke the ring protocol; its connection is closed"));
        }
        (self.malformed, self.misbehaved) = (malformed, misbehaved);
    }
}

#[cold]
#[inline(never)]
fn report_misbehaved<W: World>(PeerMisbehaved { port, what }: PeerMisbehaved, world: &mut W) {
    let config = world.config();
    let volume = config.links_as(Role::Client).nth(usize::from(port)).map_or("?", |(_, l)| l.volume.as_str());
    world.print(format_args!("volume {volume} is closed: its server {what}"));
}

/// Prints the refusal that is the `number`th.
#[cold]
#[inline(never)]
fn report_refusal<W: World>(refusal: Refusal, number: u32, world: &mut W) {
    let config = world.config();
    let client = client_name(&config, refusal.client);
    match number {
        ..PRINTED_MAX => world.print(format_args!("refused {client}: {refusal}")),
        PRINTED_MAX => world.print(format_args!("refused {client}: {refusal}; further refusals are only counted")),
        _ => {}
    }
}

/// Tells the engine which volumes are given only so many requests at once, as their links say.
fn narrow(config: &Config<'_>, layer: &mut Gatekeeper) -> Result<(), InitError> {
    for (port, (_, link)) in (0..).zip(config.links_as(Role::Client)) {
        let (places, lane) = (link.depth.get() & 0xffff, link.depth.get() >> 16);
        let (Ok(places), Ok(lane)) = (u16::try_from(places), u16::try_from(lane)) else { continue };
        let grace_us = u16::try_from(link.grace_us.get()).unwrap_or(u16::MAX);
        if places != 0 && !layer.narrow(port, lane, places, grace_us) {
            return Err(InitError(
                "more than 32 disks that are given only so many requests at once: see `orion check`",
            ));
        }
    }
    Ok(())
}

fn windows(layer: &Gatekeeper, client: u8) -> [WindowInfo; 16] {
    core::array::from_fn(|window| {
        let window = u8::try_from(window).unwrap_or(u8::MAX);
        layer
            .window(client, window)
            .map_or_else(WindowInfo::default, |(blocks, rights)| WindowInfo { blocks, rights: rights.bits() })
    })
}

/// The number of the client called `name`.
fn client_number(config: &Config<'_>, name: &str) -> Option<u8> {
    let at = config.links_as(Role::Server).position(|(_, link)| link.peer.as_str() == name)?;
    u8::try_from(at).ok()
}

fn client_name<'a>(config: &Config<'a>, client: u8) -> &'a str {
    match config.links_as(Role::Server).nth(usize::from(client)) {
        Some((_, link)) => link.peer.as_str(),
        None if manager(config) == Some(client) => "manager",
        None => "?",
    }
}

/// The manager's number to the engine: it has no ring, and comes after all that have one.
fn manager(config: &Config<'_>) -> Option<u8> {
    u8::try_from(config.links_as(Role::Server).count()).ok()
}

/// A grant names links by their index in the table; the engine numbers clients and volumes each from 0.
fn capability(config: &Config<'_>, grant: &Grant) -> Option<Capability> {
    let number = |role, index: u16| {
        let at = config.links_as(role).position(|(i, _)| i == usize::from(index))?;
        u8::try_from(at).ok()
    };
    Some(Capability {
        client: match grant.client.get() {
            NONE => manager(config)?,
            client => number(Role::Server, client)?,
        },
        window: u8::try_from(grant.window.get()).ok()?,
        port: number(Role::Client, grant.volume.get())?,
        extent: Extent { first: grant.first.get(), blocks: grant.blocks.get() },
        rights: Rights::from_bits(grant.rights.get()),
        budget: Budget {
            in_flight: grant.in_flight.get(),
            iops: grant.iops.get(),
            bytes: grant.bandwidth.get(),
            burst_ms: grant.burst_ms.get(),
        },
        weight: u16::try_from(grant.weight.get()).unwrap_or(u16::MAX),
        line: grant.line.get(),
        ..Capability::default()
    })
}
