// SPDX-License-Identifier: MIT
//! A driver's engine, as the PD around it sees it.
use crate::{Counters, Health, Text};
use core::fmt;
use orion_block::{Completion, Error, Instant, Limits, Request, Route};
use orion_metrics::{Figures, Reply, Row, Work};

/// One of the disks that an engine drives: a namespace, a port's drive, a logical unit. Counted from 0, and fixed at init.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit(pub u8);

/// How the zones of a disk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zones {
    /// Blocks from one to the next: a power of two or not.
    pub blocks: u64,
    /// Most blocks of one append.
    pub append_blocks: u32,
}

/// What [`Engine::take_fault`] says where there is no fault, but a change that those above are to be told of at once.
pub const CHANGED: &str = "its limits changed";

/// A device, or several behind one controller, as a hardware queue. `T` is what the caller calls its requests by.
///
/// A caller asks for [`has_room`](Self::has_room), hands over requests with [`start`](Self::start), shows them to the device
/// with one [`kick`](Self::kick) for all, and takes answers with [`finished`](Self::finished) until there is none. Each request
/// gets exactly one answer, at [`deadline`](Self::deadline) at the latest, whatever the device does.
pub trait Engine<T> {
    /// Disks at most: an engine that says 1 is never asked for another unit than 0.
    const UNITS: u8;

    /// Says what time it is.
    fn set_time(&mut self, now: Instant);

    /// There was an interrupt. To be called before answers are taken: one that comes later must be able to interrupt again.
    fn interrupted(&mut self);

    /// What the disk can do; `None` where it is not there, or not used any more.
    fn limits(&self, unit: Unit) -> Option<Limits>;

    /// Whether there is room for a request to this disk.
    fn has_room(&self, unit: Unit) -> bool;

    /// Takes a request, for which there must be room.
    fn start(&mut self, unit: Unit, tag: T, req: &Request);

    /// The requests that follow are of this client, for engines that have a queue for each.
    fn lane(&mut self, _client: u8) {}

    /// The next request that has ended. Where there is none, the device interrupts at the next.
    fn finished(&mut self) -> Option<(T, Completion)>;

    /// Hands `each` every request that has ended; the device interrupts at the next.
    fn drain(&mut self, mut each: impl FnMut(T, Completion))
    where
        Self: Sized,
    {
        while let Some((tag, done)) = self.finished() {
            each(tag, done);
        }
    }

    /// Whether there are answers for which the device was not needed.
    fn has_answers(&self) -> bool;

    /// Shows the device what was started since the last call.
    fn kick(&mut self);

    /// Gives up on what took too long and does what is due; whether there are answers to take. To be called after those that the
    /// device has made were taken: a driver that was not run for long must not blame the device.
    fn expire(&mut self) -> bool;

    /// When [`expire`](Self::expire) must be called next, at the latest.
    fn deadline(&self) -> Option<Instant>;

    /// Requests that all units together can have in flight.
    fn depth(&self) -> u16;

    /// What was counted so far.
    fn figures(&self) -> Figures;

    /// How often the device was at fault.
    fn counters(&self) -> Counters;

    /// What the device did last that it must not do; said once.
    fn take_fault(&mut self) -> Option<&'static str>;

    /// Whether the limits of a disk changed since this was last asked: it came, left, grew or shrank.
    fn take_change(&mut self) -> bool {
        false
    }

    /// Asks the device how it is, without delaying requests; what it says is in [`health`](Self::health) when it has answered.
    fn refresh(&mut self) {}

    /// How the zones of a disk are that has such.
    fn zones(&self, _unit: Unit) -> Option<Zones> {
        None
    }

    /// Takes a write to wherever a zone was written last, all of it or nothing: `req.lba` is the zone's first block. It is answered
    /// as others are, but the blocks of its answer say where it begins, counted from there. After a reset of the device it may be in
    /// the zone twice, once told of; who appends to a zone does not write to it beside.
    ///
    /// # Errors
    /// Why it was not taken, and is not answered.
    fn append(&mut self, _unit: Unit, _tag: T, _req: &Request) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    /// What the device said of itself; `None` where it says nothing.
    fn health(&self, _unit: Unit) -> Option<&Health> {
        None
    }

    /// Takes something that is to be done with a disk beside requests, by somebody with the right to `admin`; the device is shown
    /// it by the next [`kick`](Self::kick) or [`expire`](Self::expire). How far it is [`report`](Self::report) says. `sequence`
    /// is what the manager calls it.
    fn order(&mut self, _sequence: u32, _work: &Work) -> Reply {
        Reply::Unsupported
    }

    /// The row `index` of what became of such work, and what was found by it; `None` where there are no more.
    fn report(&self, _index: usize) -> Option<Row> {
        None
    }

    /// What the disk is called, wherever it is attached: unlike its serial number, which several behind one controller share.
    fn identity(&self, _unit: Unit) -> Text {
        Text::default()
    }

    /// Which disk it is, and what the way to it over this device is worth, where it may have several.
    fn route(&self, _unit: Unit) -> Route {
        Route::default()
    }

    /// One line about a disk for people: what it is, and how it is driven.
    ///
    /// # Errors
    /// Those of the formatter.
    fn describe(&self, unit: Unit, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A disk in one line.
#[derive(Debug)]
pub struct Describe<'a, E, T>(&'a E, Unit, core::marker::PhantomData<T>);

impl<'a, T, E: Engine<T>> Describe<'a, E, T> {
    /// A disk of `engine`.
    pub fn new(engine: &'a E, unit: Unit) -> Self {
        Self(engine, unit, core::marker::PhantomData)
    }
}

impl<T, E: Engine<T>> fmt::Display for Describe<'_, E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(self.1, f)
    }
}
