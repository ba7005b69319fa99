// SPDX-License-Identifier: MIT
//! The PD around any driver's engine: wires clients' rings to a device.
//!
//! It maps its device's registers and its own DMA memory. Payload passes by name: the device reaches it, this PD not.
//! What differs from bus to bus is a [`Driver`]: how an engine is made from the PD's configuration.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(any(test, feature = "model"))]
extern crate std;

mod above;
mod function;
#[cfg(feature = "model")]
pub mod model;
mod relay;
mod setup;
mod twice;

pub use above::{Above, Whole};
pub use function::{Site, behind, function, site};
pub use relay::Origin;
pub use setup::{UNMAPPED, each};
pub use twice::{Twice, Wishing};

use core::fmt::Debug;
use orion_block::{Instant, Limits, Route};
use orion_driver::{CHANGED, Counters, Describe, Engine, REGIONS_MAX, Setup, Span, Text, Unit};
use orion_metrics::{Counter, Reply};
use orion_pd::config::Device;
use orion_pd::links::{Offer, UpperRings, whole};
use orion_pd::{Channel, ChannelSet, InitError, ProtectionDomain, Reporter, World};

/// Nanoseconds between two questions to the device how it is.
const REFRESH: u64 = 200_000_000;
/// Faults that are printed: a device must not be able to flood the console.
const PRINTED_MAX: u64 = 16;

/// Of a device's flags: an operator with the right to `admin` may have it do what destroys data.
const ADMIN: u32 = 4;

/// How the engine of one kind of device is made.
pub trait Driver<W: World> {
    /// The engine, whose requests are called by a `T`.
    type Engine<T: Copy + Default + Debug>: Engine<T> + Debug;

    /// The engine of `devices`, which are the disks behind one controller in the order of their units; at least one.
    ///
    /// # Errors
    /// [`InitError`] where the controller cannot be used.
    fn open<T: Copy + Default + Debug>(
        devices: &[Device],
        setup: Setup<'_>,
        world: &mut W,
    ) -> Result<Self::Engine<T>, InitError>;
}

/// The engine of a driver with `A` above it.
type EngineOf<W, D, A> = <D as Driver<W>>::Engine<<A as Above<W>>::Tag>;

/// The PD of a driver, with `A` between its clients and the device.
// The engine first: it has the most fields that each request needs, and what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct DriverPd<W: World, D: Driver<W>, A: Above<W> = Whole> {
    disk: EngineOf<W, D, A>,
    uppers: UpperRings,
    above: A,
    irq: Channel,
    /// There was an interrupt that the kernel still holds back the next for.
    unacknowledged: bool,
    interrupts: u64,
    devices: &'static [Device],
    /// The disks, one bit each, about which a line was printed.
    described: u32,
    misbehaved: u32,
    /// How often limits changed.
    changes: u64,
    /// How often the device was at fault when that was said last, and how often it said something that is no fault.
    faults: u64,
    notices: u64,
    reporter: Reporter,
    /// The device is not asked how it is before.
    refreshes: Instant,
}

impl<W: World, D: Driver<W> + Debug, A: Above<W>> ProtectionDomain<W> for DriverPd<W, D, A> {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let (device, devices) = setup::devices(&world.config())?;
        let (mut regions, irq) = ([Span::default(); REGIONS_MAX], setup::irq(device)?);
        let setup = setup::setup(device, &mut regions, world)?;
        let disk = D::open::<A::Tag>(devices, setup, world)?;
        if devices.len() > EngineOf::<W, D, A>::UNITS.into() {
            return Err(setup::CROWDED);
        }
        let described = describe(&disk, devices, 0, world);
        let (above, uppers, reporter) = (A::assemble(world)?, UpperRings::new(world)?, Reporter::new(world)?);
        Ok(Self {
            above,
            uppers,
            disk,
            irq,
            unacknowledged: false,
            interrupts: 0,
            devices,
            described,
            misbehaved: 0,
            changes: 0,
            faults: 0,
            notices: 0,
            reporter,
            refreshes: Instant(0),
        })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        if self.reporter.asked(from) {
            self.asked(from, world);
        }
        self.uppers.wake(from);
        let interrupted = from.contains(self.irq);
        if interrupted {
            // Before completions are drained: one that comes later must be able to interrupt again.
            self.disk.interrupted();
            self.interrupts += 1;
        }
        // What it completed since it was last asked, it says by an interrupt.
        let mut look = interrupted;
        loop {
            // What came after it was looked for shows as this, or as an interrupt.
            let more = self.run(look, world);
            look = self.disk.expire();
            self.report(world);
            if !look && !more {
                break;
            }
            if self.uppers.any_left() {
                self.forget(world);
            }
        }
        let deadline = self.disk.deadline();
        self.unacknowledged |= interrupted;
        // A device that holds nothing has nothing to say. To acknowledge together with the next wait costs nothing, together with
        // the answers it would be one more call of the kernel.
        if self.unacknowledged && deadline.is_some() {
            self.unacknowledged = false;
            world.irq_ack(self.irq);
        }
        deadline
    }
}

impl<W: World, D: Driver<W>, A: Above<W>> DriverPd<W, D, A> {
    /// Takes what the device completed, hands it what the clients ask; whether there may be more to do at once.
    fn run(&mut self, look: bool, world: &mut W) -> bool {
        let now = world.now();
        self.disk.set_time(now);
        let moved = self.above.run(&mut self.uppers, &mut self.disk, now, look);
        self.disk.kick();
        // Of several disks one may come later than the others: with one there is nothing to ask.
        let changed = EngineOf::<W, D, A>::UNITS > 1 && self.disk.take_change();
        let news = (changed || !self.uppers.announced()) && self.announce(world);
        let (above, disk) = (&self.above, &self.disk);
        let quiet = self.uppers.settle(world, news, |upper| above.has_room(upper, disk));
        moved || !quiet
    }

    /// Tells the clients what they are offered now, where that has changed.
    #[cold]
    #[inline(never)]
    fn follow(&mut self, world: &mut W) {
        if !self.disk.take_change() || !self.uppers.announced() {
            return;
        }
        self.changes = self.changes.saturating_add(1);
        if self.changes <= PRINTED_MAX {
            self.describe(world);
        }
        let Self { above, disk, uppers, .. } = self;
        uppers.announce_each(|upper| offered(above.offer(upper, disk)?, above.route(upper, disk)));
        uppers.settle(world, true, |upper| above.has_room(upper, disk));
    }

    /// Says what the disks are.
    fn describe(&self, world: &mut W) {
        let disks = (0..).map(Unit).zip(self.devices);
        for (unit, device) in disks.filter(|(unit, _)| self.disk.limits(*unit).is_some()) {
            world.print(format_args!("{}: {}", device.name.as_str(), Describe::new(&self.disk, unit)));
        }
    }

    /// What the supervisor and the manager ask.
    #[cold]
    #[inline(never)]
    fn asked(&mut self, from: ChannelSet, world: &mut W) {
        // An idle device that changes says so by an interrupt, which the last one may still hold back.
        if core::mem::take(&mut self.unacknowledged) {
            world.irq_ack(self.irq);
        }
        self.follow(world);
        if self.reporter.answer(from) {
            self.obey(world);
            self.show(world);
        }
    }

    /// Has the device do what the manager has told us, if that is allowed here.
    fn obey(&mut self, world: &mut W) {
        let Some((sequence, work)) = self.reporter.work() else { return };
        let reply = match self.devices.get(usize::from(work.unit)) {
            None => Reply::Absent,
            Some(device) if device.flags.get() & ADMIN == 0 => Reply::Forbidden,
            Some(_) => {
                self.disk.set_time(world.now());
                self.disk.order(sequence, &work)
            }
        };
        // Before the device is told: what a life of this driver began, no other begins again.
        self.reporter.acknowledge(sequence, reply);
        let disk = self.devices.get(usize::from(work.unit)).map_or("?", |device| device.name.as_str());
        world.print(format_args!("{disk}: told to {}: {reply}", work.verb.text()));
    }

    /// Ends what clients have asked that died since, as far as the device has not got it.
    #[cold]
    #[inline(never)]
    fn forget(&mut self, world: &mut W) {
        while let Some(upper) = self.uppers.left() {
            self.above.upper_gone(upper, &mut self.uppers, &mut self.disk, world.now());
        }
    }

    /// Shows the manager its figures.
    #[cold]
    #[inline(never)]
    fn show(&mut self, world: &mut W) {
        let figures = &mut self.reporter.figures;
        *figures = self.disk.figures();
        figures.set(Counter::Interrupts, self.interrupts);
        figures.set(Counter::Malformed, self.uppers.malformed());
        figures.set(Counter::Misbehaved, self.uppers.misbehaved().into());
        let disks = (0..).zip(self.devices);
        let rows = disks.filter_map(|(unit, device)| {
            let health = self.disk.health(Unit(unit))?;
            let size = self.disk.limits(Unit(unit)).map_or_else(Text::default, |limits| {
                Text::format(format_args!("{} blocks of {} bytes", limits.capacity, limits.block.bytes()))
            });
            Some(health.rows(unit, device.name.as_str(), self.disk.identity(Unit(unit)), size))
        });
        let reports = (0..).map_while(|index| self.disk.report(index));
        self.reporter.publish(world, rows.flatten().chain(reports));
        self.refresh(world.now());
    }

    /// Asks the device how it is, for the next who looks; not as often as somebody may look.
    fn refresh(&mut self, now: Instant) {
        if now >= self.refreshes || now.after(REFRESH) < self.refreshes {
            self.refreshes = now.after(REFRESH);
            // Else the question's time would be over before it is asked, where the PD has slept for long.
            self.disk.set_time(now);
            self.disk.refresh();
            self.disk.kick();
        }
    }

    /// Tells the clients what they are offered, once that is known.
    #[cold]
    #[inline(never)]
    fn announce(&mut self, world: &mut W) -> bool {
        let Self { above, disk, uppers, .. } = self;
        if !above.is_ready(disk) {
            return false;
        }
        if !uppers.announced() {
            above.report(world);
        }
        self.described = describe(disk, self.devices, self.described, world);
        uppers.announce_each(|upper| offered(above.offer(upper, disk)?, above.route(upper, disk)));
        true
    }

    #[inline]
    fn report(&mut self, world: &mut W) {
        if let Some(what) = self.disk.take_fault() {
            self.report_fault(what, world);
        }
        if self.uppers.misbehaved() > self.misbehaved {
            self.report_client(world);
        }
    }

    /// The controller, by its first disk.
    fn name(&self) -> &'static str {
        self.devices.first().map_or("", |device| device.name.as_str())
    }

    #[cold]
    #[inline(never)]
    fn report_client(&mut self, world: &mut W) {
        world.print(format_args!("{}: a client broke the ring protocol; its connection is closed", self.name()));
        self.misbehaved = self.uppers.misbehaved();
    }

    #[cold]
    #[inline(never)]
    fn report_fault(&mut self, what: &str, world: &mut W) {
        self.follow(world);
        if what == CHANGED {
            return;
        }
        let Counters { misused, timeouts, .. } = self.disk.counters();
        let serves = (0..).map(Unit).zip(self.devices).any(|(unit, _)| self.disk.limits(unit).is_some());
        if serves && misused + timeouts == self.faults {
            // A warning: nothing was reset for that.
            self.notices += 1;
            if self.notices <= PRINTED_MAX {
                world.print(format_args!("{}: {what}", self.name()));
            }
            return;
        }
        self.faults = misused + timeouts;
        let state = if serves { "reset, and serves again" } else { "offline" };
        let last = misused + timeouts == PRINTED_MAX;
        let rest = if last { "; further faults are only counted" } else { "" };
        // That it is offline is said in any case: it is the last word.
        if misused + timeouts <= PRINTED_MAX || !serves {
            world.print(format_args!(
                "{}: {what}; the disk is {state} ({misused} protocol errors, {timeouts} timeouts so far){rest}",
                self.name(),
            ));
        }
    }
}

/// Prints a line about each disk that is there, but those that are `described`; which are now.
#[cold]
#[inline(never)]
fn describe<T, E: Engine<T>, W: World>(disk: &E, devices: &[Device], described: u32, world: &mut W) -> u32 {
    let news = |unit: &Unit| described >> unit.0 & 1 == 0 && disk.limits(*unit).is_some();
    let new = (0..32).map(Unit).zip(devices).filter(|(unit, _)| news(unit));
    new.fold(described, |described, (unit, device)| {
        world.print(format_args!("{}: {}", device.name.as_str(), Describe::new(disk, unit)));
        described | 1 << unit.0
    })
}

/// What a client is offered of a disk: a driver holds its device and refuses nobody who was given a ring to it.
fn offered(limits: Limits, route: Route) -> Option<Offer> {
    Some(Offer { limits, windows: whole(&limits), route })
}
