// SPDX-License-Identifier: MIT
//! One port with its drive: the commands it holds, and what it is doing.
use crate::layout::{self, SLOTS, TABLE_WORDS};
use crate::switch::Received;
use crate::wire::identify::Drive;
use crate::{Fault, Options};
use core::sync::atomic::AtomicU64;
use orion_block::{Completion, Error, Instant, Limits};
use orion_driver::Health;
use orion_region::{Mmio, Table, Window};

mod admit;
mod behind;
mod errors;
mod issue;
mod job;
mod slots;
mod smart;
mod soft;
mod start;
mod steps;

pub use errors::Trouble;
use job::Job;
pub use slots::{Slot, flag};
pub use steps::{Next, Step};

/// Resets in a row, without a request that succeeded between them, after which a drive is left alone.
const RESETS_MAX: u8 = 3;
/// Times that a request is tried again because of what was not its fault.
const TRIES_MAX: u8 = 5;

/// How commands go to a drive: those of one kind never meet those of the other there (AHCI 1.3.1, section 5.3.2.3 and 9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Not queued: the controller hands them over one after the other.
    #[default]
    Plain,
    /// Native command queuing.
    Queued,
}

/// What the controller can do, as far as its ports ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities {
    /// Commands of a port.
    pub slots: u8,
    /// Native command queuing.
    pub ncq: bool,
    /// Links can go to states of low power by themselves.
    pub low_power: bool,
    /// Drives spin up only when told to.
    pub staggered: bool,
    /// A port can forget that its device is busy.
    pub overrides: bool,
    /// Port multipliers.
    pub multipliers: bool,
    /// Devices behind one are told apart by their FISes.
    pub by_fis: bool,
    /// What devices notify of is kept.
    pub notifies: bool,
}

impl Abilities {
    /// Nothing.
    pub const NONE: Self = Self {
        slots: 0,
        ncq: false,
        low_power: false,
        staggered: false,
        overrides: false,
        multipliers: false,
        by_fis: false,
        notifies: false,
    };
}

/// How a drive is used: what the driver chose of what it can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    pub queued: bool,
    pub dma: bool,
    pub lba48: bool,
    pub fua: bool,
}

/// A port with its drive.
// What each request needs comes first, the tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct Port<T> {
    /// Slots without a request.
    pub free: u32,
    /// Slots that the device holds.
    held: u32,
    /// Slots whose commands are ready to be queued.
    queued: u32,
    /// Slots whose commands are ready to be issued, but not queued.
    plain: u32,
    /// Slots that have ended.
    pub ended: u32,
    /// Slots that were at the device when it was stopped.
    lost: u32,
    /// Slots of which one has made the device fail: issued one at a time, until that one is known.
    suspects: u32,
    /// How those went that the device holds, or the last that it held.
    class: Class,
    pub step: Step,
    /// It may have commands at the controller: always, but behind a port multiplier.
    pub turn: bool,
    /// The port that it shares is not running: what its registers say of commands is nothing to go by.
    pub frozen: bool,
    /// It must say whose each command is: FIS-based switching.
    by_fis: bool,
    /// Clients' requests are taken: there is a drive, or it is being brought back.
    pub serving: bool,
    resets: u8,
    shift: u8,
    mode: Mode,
    most: u32,
    capacity: u64,
    read_only: bool,
    cache: bool,
    list: Table<[AtomicU64; 4]>,
    tables: Table<[AtomicU64; TABLE_WORDS]>,
    /// What commands' headers and FISes say besides: the number behind a port multiplier.
    route: [u64; 2],
    /// Its registers, from the start of the register file.
    pub base: usize,
    slots: [Slot<T>; SLOTS],
    dma: Window,
    dma_bus: u64,
    /// Where the tables lie for the controller.
    tables_bus: u64,
    received: Received,
    /// Its number behind a port multiplier.
    pub device: Option<u8>,
    /// It wants its device to be reset by the multiplier.
    pub wants_reset: bool,
    /// It wants the controller to let go of its commands, which the port it shares must do for it.
    pub wants_halt: bool,
    /// The controller has let go of them.
    released: bool,
    /// It is being made to forget this device's commands alone.
    apart: bool,
    /// It was reset by software since its link was reset.
    softened: bool,
    /// Slots that clients' requests may have.
    mine: u32,
    /// Slots of clients' requests.
    all: u32,
    /// The slot of the driver's own commands.
    spare: u8,
    job: Job,
    /// Whether it went well, once it has ended.
    outcome: Option<bool>,
    /// Clients have asked how the drive is.
    asked: bool,
    /// When the step began; nothing before the first time that it is looked at.
    began: Option<Instant>,
    trouble: Trouble,
    able: Abilities,
    options: Options,
    pub drive: Option<Drive>,
    /// The drive that clients were told of.
    known: Option<Drive>,
    policy_read_only: bool,
    health: Health,
    gathered: Health,
    /// What went wrong last, for people.
    pub fault: Option<&'static str>,
    /// The drive's limits changed.
    pub changed: bool,
    /// Times that it did what it must not do.
    pub misused: u64,
    /// Times that a request took too long.
    pub timeouts: u64,
}

impl<T: Copy + Default> Port<T> {
    /// A port whose structures lie in `dma`, four pages.
    pub fn new(dma: Window, dma_bus: u64, able: Abilities, options: Options, read_only: bool) -> Result<Self, Fault> {
        let list = Table::new(&dma, layout::LIST, SLOTS).ok_or(Fault::Dma)?;
        let received = Table::new(&dma, layout::RECEIVED, layout::RECEIVED_MAX).ok_or(Fault::Dma)?;
        let spare = able.slots.saturating_sub(1);
        let tables = Table::new(&dma, layout::TABLES, SLOTS).ok_or(Fault::Dma)?;
        let mut port = Self {
            free: 0,
            held: 0,
            queued: 0,
            plain: 0,
            ended: 0,
            lost: 0,
            suspects: 0,
            class: Class::Plain,
            step: Step::Search,
            turn: true,
            frozen: false,
            by_fis: false,
            serving: false,
            resets: 0,
            shift: 9,
            mode: Mode::default(),
            most: 0,
            capacity: 0,
            read_only,
            cache: false,
            list,
            tables,
            route: [0; 2],
            base: 0,
            slots: [Slot::default(); SLOTS],
            dma,
            dma_bus,
            tables_bus: dma_bus + layout::TABLES as u64,
            received,
            device: None,
            wants_reset: false,
            wants_halt: false,
            released: false,
            apart: false,
            softened: false,
            mine: u32::MAX.checked_shr(32 - u32::from(spare)).unwrap_or(0),
            all: 0,
            spare,
            job: Job::None,
            outcome: None,
            asked: false,
            began: None,
            trouble: Trouble::None,
            able,
            options,
            drive: None,
            known: None,
            policy_read_only: read_only,
            health: Health::default(),
            gathered: Health::default(),
            fault: None,
            changed: false,
            misused: 0,
            timeouts: 0,
        };
        port.lay_out();
        Ok(port)
    }

    fn read<R: Mmio>(&self, registers: &R, register: usize) -> u32 {
        registers.read32(self.base + register)
    }

    fn write<R: Mmio>(&self, registers: &R, register: usize, value: u32) {
        registers.write32(self.base + register, value);
    }

    /// The bit of the slot of the driver's own commands.
    fn spare_bit(&self) -> u32 {
        1 << self.spare
    }

    /// Whether there is nothing that it waits for.
    pub fn is_idle(&self) -> bool {
        let still = matches!(self.step, Step::Ready | Step::Absent | Step::Dead);
        still && self.free == self.all && self.ended == 0 && !self.has_job()
    }

    /// Requests that can be in flight.
    pub fn depth(&self) -> u16 {
        u16::try_from(self.all.count_ones()).unwrap_or(0)
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u32 {
        (self.all & !self.free).count_ones()
    }

    /// What the drive offers.
    pub fn limits(&self) -> Option<Limits> {
        let drive = self.drive.as_ref().filter(|_| self.serving)?;
        Some(Limits {
            block: drive.block,
            physical: drive.physical,
            capacity: self.capacity,
            max_blocks: self.most,
            atomic_blocks: 1,
            queue_depth: self.depth(),
            discard_granularity: u32::from(drive.trim && self.mode.dma),
            discard_reads: if drive.trim_zeroes {
                orion_block::DiscardReads::Zeroes
            } else {
                orion_block::DiscardReads::Undefined
            },
            volatile_cache: self.cache,
            fua: true,
            read_only: self.read_only,
            ..Limits::default()
        })
    }

    /// How commands go to the drive.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What the drive said of itself.
    pub fn health(&self) -> Option<&Health> {
        self.serving.then_some(&self.health)
    }

    /// The answer to a slot that has ended, unless it goes on.
    #[inline]
    pub fn finish(&mut self, slot: u8) -> Option<(T, Completion)> {
        let bit = 1u32.wrapping_shl(slot.into());
        self.ended &= !bit;
        let record = self.slots.get(usize::from(slot))?;
        if record.flags & flag::SPECIAL == 0 && record.error.is_none() {
            let answer = (record.tag, Completion::ok(record.blocks));
            self.free |= bit;
            self.resets = 0;
            return Some(answer);
        }
        self.finish_other(slot)
    }

    /// The record of a slot.
    pub fn slot(&self, slot: u8) -> Option<&Slot<T>> {
        self.slots.get(usize::from(slot))
    }

    #[cold]
    #[inline(never)]
    fn finish_other(&mut self, slot: u8) -> Option<(T, Completion)> {
        let bit = 1u32.wrapping_shl(slot.into());
        if slot == self.spare {
            if self.job != Job::None {
                self.job_ended(true);
            }
            return None;
        }
        let moved = self.moved(slot);
        let record = self.slots.get_mut(usize::from(slot))?;
        let error = record.error.or((record.flags & flag::COUNTED != 0 && moved != record.bytes).then_some(Error::Io));
        if let Some(error) = error {
            self.free |= bit;
            return Some((record.tag, Completion::error(error)));
        }
        self.resets = 0;
        if record.flags & flag::FLUSH_AFTER != 0 {
            self.flush_after(slot);
            return None;
        }
        self.free |= bit;
        Some((record.tag, Completion::ok(record.blocks)))
    }
}
