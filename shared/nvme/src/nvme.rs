// SPDX-License-Identifier: MIT
//! The controller as a hardware queue: [`orion_driver::Engine`] with a disk for each configured namespace.
//!
//! Requests are written into the submission queue by `start` and shown to the controller by `kick`, once for a batch. The
//! identifier of a command is the number of its slot. A request that waits past its deadline is aborted; where that does not
//! help, or the controller breaks the protocol or says that it failed, the controller is reset: what was overdue is answered,
//! everything else is sent again, with the deadline that it had.
use crate::queues::{One, Queues, Terms, Wishes};
use crate::wire::register::Capabilities;
use crate::{Fault, wire};
use admin::Admin;
use disk::Disk;
use orion_block::Instant;
use orion_driver::{Counters, Done, Free, Health, REGIONS_MAX, Registers, Setup, Span};
use orion_metrics::Figures;
use slots::Slot;

mod access;
mod admin;
mod admit;
mod answer;
mod append;
mod bring;
mod compared;
mod disk;
mod ended;
mod engine;
mod figures;
mod jobs;
pub(crate) mod memory;
mod ordered;
mod orders;
mod power;
mod recover;
mod slots;
#[cfg(test)]
mod tests;
mod zoned;

use bring::Phase;
pub use memory::DMA_BYTES;
use memory::Memory;
use orders::Orders;
use power::Power;

/// Requests at most.
pub(crate) const MOST: usize = 128;
/// Disks at most.
pub const UNITS: u8 = 16;
/// As a namespace: the first that there is.
const FIRST: u32 = u32::MAX;
/// Resets in a row, without a request that succeeded between them, after which the controller is left alone.
const RESETS_MAX: u8 = 3;

/// A namespace that is to be a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its identifier; `u32::MAX`: the first that there is.
    pub namespace: u32,
    /// Whether policy lets nobody write.
    pub read_only: bool,
    /// Microseconds that requests to it may wait because the controller rests when idle; 0: its power states are left alone.
    pub power_us: u32,
    /// Each write is compared with its payload before it is answered.
    pub verify: bool,
}

impl Place {
    /// The first namespace that there is.
    pub const FIRST: Self = Self { namespace: FIRST, read_only: false, power_us: 0, verify: false };
}

/// An NVMe controller. `T` is what the caller calls its requests by, `Q` its queues: compiled for one pair, no request pays for there
/// being more.
// What each request needs comes first, the tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct Nvme<R, T = u32, Q = One> {
    now: Instant,
    /// Of a request that is submitted now.
    deadline: Instant,
    /// While there is anything to wait for: nothing is due before this.
    watch: Instant,
    /// Requests that the controller has done or failed to do.
    ended: u64,
    /// Requests are taken: the controller works, or none of its disks is there.
    open: bool,
    /// Something but requests is waited for.
    busy: bool,
    sgl: bool,
    /// There was an interrupt since the controller was last looked at.
    told: bool,
    resets: u8,
    queues: Q,
    free: Free<MOST>,
    registers: R,
    memory: Memory,
    disks: [Disk; UNITS as usize],
    regions: [Span; REGIONS_MAX],
    slots: [Slot<T>; MOST],
    done: Done<T, MOST>,
    timeout_ns: u64,
    counters: Counters,
    fault: Option<&'static str>,
    figures: Figures,
    compared: compared::Compared,
    // What is needed to start, and seldom.
    phase: Phase,
    /// When the phase must have come to an end.
    until: Instant,
    /// Whether the engine was told what time it is.
    timed: bool,
    changed: bool,
    /// The controller was ready once.
    known: bool,
    volatile_cache: bool,
    entries: u16,
    wishes: Wishes,
    /// Pairs of queues that the controller has, or is to have.
    pairs: u8,
    capabilities: Capabilities,
    /// Disks that are configured.
    units: u8,
    controller: wire::Controller,
    /// A digest of the name of the controller's subsystem.
    family: u64,
    admin: Admin,
    orders: Orders,
    power: Power,
    zoned: zoned::Zoned,
    health: Health,
}

impl<R: Registers, T: Copy + Default> Nvme<R, T> {
    /// As [`with`](Self::with), with one pair of queues.
    ///
    /// # Errors
    /// [`Fault`] where the controller cannot be used; it is left disabled, without access to memory.
    pub fn new(registers: R, setup: Setup<'_>, places: &[Place]) -> Result<Self, Fault> {
        Self::with(registers, setup, places, Wishes::default())
    }
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Stops the controller, whatever it was doing, and makes it ready, or begins to: one that takes its time becomes ready
    /// later, and its disks have no limits until then. `places` are the namespaces that are its disks, in their order.
    ///
    /// # Errors
    /// [`Fault`] where the controller cannot be used; it is left disabled, without access to memory.
    pub fn with(registers: R, setup: Setup<'_>, places: &[Place], wishes: Wishes) -> Result<Self, Fault> {
        let capabilities = bring::capabilities(&registers)?;
        let (memory, entries) = Memory::new(setup.dma, setup.dma_bus, capabilities)?;
        let mut regions = [Span::default(); REGIONS_MAX];
        regions.iter_mut().zip(setup.regions).for_each(|(to, from)| *to = from.sound());
        let mut disks = [Disk::default(); UNITS as usize];
        if places.is_empty() || places.len() > disks.len() {
            return Err(Fault::Units);
        }
        for (disk, place) in disks.iter_mut().zip(places) {
            (disk.wanted, disk.read_only) = (place.namespace, place.read_only || setup.read_only);
            disk.compares = place.verify;
        }
        memory.settle_predecessor(&registers, capabilities);
        let pairs = wishes.pairs(memory.pairs(&registers, capabilities).min(Q::MOST));
        let by_kind = wishes.weighted && capabilities.weighted();
        let terms = Terms { entries, pairs, by_kind, messages: registers.messages() };
        let queues = Q::new(&memory, capabilities, terms);
        let mut engine = Self {
            now: Instant::default(),
            deadline: Instant(setup.timeout_ns),
            watch: Instant::default(),
            ended: 0,
            open: false,
            busy: true,
            sgl: false,
            told: false,
            resets: 0,
            queues,
            free: Free::new(memory.slots(entries)),
            admin: Admin::new(&memory, capabilities, registers.messages()),
            registers,
            memory,
            disks,
            regions,
            slots: [Slot::default(); MOST],
            done: Done::new(),
            timeout_ns: setup.timeout_ns,
            counters: Counters::default(),
            fault: None,
            figures: Figures::EMPTY,
            compared: compared::Compared::default(),
            phase: Phase::Disable,
            until: Instant(u64::MAX),
            timed: false,
            changed: false,
            known: false,
            volatile_cache: false,
            entries,
            wishes,
            pairs,
            capabilities,
            units: u8::try_from(places.len()).unwrap_or(UNITS),
            controller: zerocopy::FromZeros::new_zeroed(),
            family: 0,
            orders: Orders::EMPTY,
            power: Power::new(places.iter().map(|place| place.power_us).min().unwrap_or(0)),
            zoned: zoned::Zoned::NONE,
            health: Health::default(),
        };
        engine.begin();
        match engine.phase {
            Phase::Dead(fault) => Err(fault),
            _ => Ok(engine),
        }
    }

    /// Requests that the controller holds, or will hold again after a reset.
    pub fn in_flight(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state.is_held()).count()
    }
}
