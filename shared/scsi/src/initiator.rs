// SPDX-License-Identifier: MIT
//! A driver's engine over any [`Port`]: requests become commands, answers are judged by the rules, commands are sent again,
//! aborted, and given up in time. Each logical unit has one command of its own beside the requests, for questions.
//!
//! A command that gets no answer is escalated so that its request is answered by its deadline: after three quarters of the
//! time ABORT TASK, after seven eighths LOGICAL UNIT RESET, at the end a reset of the transport, which cannot be refused.
use crate::port::{Answer, Command, Data, Event, Misused, Port};
use crate::unit::LogicalUnit;
use crate::{Cdb, Place};
use orion_block::{Completion, Error, Instant};
use orion_driver::{Counters, Done, Free, REGIONS_MAX, Span, WRITE_CACHE, switch};
use orion_metrics::Figures;

mod admit;
mod ended;
mod engine;
mod figures;
mod overdue;
mod own;
mod questions;
mod search;
mod slot;

use own::Memory;
pub use own::OWN;
use search::Search;
use slot::Slot;

/// Most logical units of a controller.
pub const UNITS: usize = 8;
/// Most commands in flight.
pub const MOST: usize = 128;
/// Most requests in flight.
pub const REQUESTS: usize = MOST - UNITS;
/// Resets in a row, without a command that succeeded between them, after which the device is left alone.
const RESETS_MAX: u8 = 3;

/// Which unit a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The first disk of the lowest target that has one.
    First,
    /// This one.
    At(Place),
}

/// A disk that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which it is.
    pub choice: Choice,
    /// Whether nothing may be written though the disk would.
    pub read_only: bool,
    /// Turns its write cache on or off; `None` leaves it as it is.
    pub write_cache: Option<bool>,
}

impl Wanted {
    /// The disk of a configuration: its unit's number, as of [`Choice::of_number`], and its options. `None`: it has no address.
    pub fn of_numbers(unit: u32, read_only: bool, options: u32) -> Option<Self> {
        let choice = Choice::of_number(unit)?;
        Some(Self { choice, read_only, write_cache: switch(options, WRITE_CACHE) })
    }

    /// The disk of this choice, to be read and written, with its cache as it is.
    pub fn of(choice: Choice) -> Self {
        Self { choice, read_only: false, write_cache: None }
    }
}

impl Choice {
    /// That of the number in a disk's configuration: `u32::MAX`, or target << 16 | logical unit.
    pub fn of_number(number: u32) -> Option<Self> {
        if number == u32::MAX { Some(Self::First) } else { Place::of_number(number).map(Self::At) }
    }
}

/// SCSI disks behind one controller. `T` is what the caller calls its requests by.
// What each request needs comes first, the tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct Initiator<P, T = u32> {
    now: Instant,
    /// Of a request that is taken now.
    deadline: Instant,
    /// While a command is at the device, or something is to be done: nothing is due before this.
    watch: Instant,
    ended: u64,
    alive: bool,
    /// Whether it is known what every unit is, so that requests are taken.
    open: bool,
    resets: u8,
    changed: bool,
    /// A task management function is on its way.
    managing: bool,
    timeout_ns: u64,
    counters: Counters,
    fault: Option<&'static str>,
    own: Memory,
    port: P,
    free: Free<MOST>,
    regions: [Span; REGIONS_MAX],
    slots: [Slot<T>; MOST],
    units: [LogicalUnit; UNITS],
    search: Option<Search>,
    /// The disk that is the first there is, until one is found.
    sought: Option<u8>,
    done: Done<T, MOST>,
    figures: Figures,
    /// Commands that were sent and not shown yet.
    staged: bool,
    /// Requests at most.
    depth: u16,
    count: u8,
}

impl<P: Port, T: Copy + Default> Initiator<P, T> {
    /// The disks that are wanted, in the order of their units, behind a port that is ready.
    pub fn new(port: P, disks: &[Wanted], regions: &[Span], timeout_ns: u64) -> Self {
        let mut all = [Span::default(); REGIONS_MAX];
        all.iter_mut().zip(regions).for_each(|(to, from)| *to = reachable(&port, from.sound()));
        let new = |place, disk: &Wanted| LogicalUnit::new(place, disk.read_only, disk.write_cache, port.bytes_max());
        let nothing = Wanted::of(Choice::First);
        let mut units = [new(Place::default(), &nothing).absent("no disk was asked for"); UNITS];
        for (unit, disk) in units.iter_mut().zip(disks) {
            *unit = match disk.choice {
                Choice::At(place) => new(place, disk),
                Choice::First => new(Place::default(), disk).absent("no disk was found on any target"),
            };
        }
        // One disk at most is looked for: the others have places.
        let first = disks.iter().position(|disk| disk.choice == Choice::First);
        let sought = first.and_then(|unit| u8::try_from(unit).ok());
        let requests = port.slots().saturating_sub(number(UNITS)).min(number(REQUESTS));
        let own = Memory::new(&port.own());
        Self {
            now: Instant::default(),
            deadline: Instant(timeout_ns),
            watch: Instant(0),
            ended: 0,
            alive: true,
            open: false,
            resets: 0,
            changed: false,
            managing: false,
            timeout_ns,
            counters: Counters::default(),
            fault: None,
            own,
            port,
            free: Free::new(requests),
            regions: all,
            slots: [Slot::default(); MOST],
            units,
            search: sought.map(Search::new),
            sought,
            done: Done::new(),
            figures: Figures::EMPTY,
            staged: false,
            depth: requests,
            count: u8::try_from(disks.len().min(UNITS)).unwrap_or(0),
        }
    }

    /// The port.
    pub fn port(&self) -> &P {
        &self.port
    }

    /// Requests that are taken and not answered.
    pub fn in_flight(&self) -> usize {
        usize::from(self.depth).saturating_sub(self.free.count())
    }

    /// The slot of a unit's questions.
    fn question_slot(&self, unit: u8) -> u16 {
        self.depth + u16::from(unit)
    }

    fn send(&mut self, slot: u16, place: Place, cdb: Cdb, data: Data) {
        self.staged = true;
        self.port.send(slot, &Command { place, cdb, data });
    }

    /// Something is due at `at`.
    fn watch_until(&mut self, at: Instant) {
        self.watch = self.watch.min(at);
    }
}

/// The region, or none where the device cannot name all of it.
fn reachable(port: &impl Port, span: Span) -> Span {
    if port.reaches(span.bus, span.size) { span } else { Span::default() }
}

/// A small number of ours.
fn number(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}
