// SPDX-License-Identifier: MIT
//! What an operator has a disk told beside reads and writes: one thing at a time, as a way through administrative commands.
//!
//! Namespaces whose blocks are at stake are held back: what is asked of them is `Offline` from then on, what was asked before is
//! waited for. A command that takes its time has an identifier of its own, so that aborts and health go on beside it. After a
//! reset of the controller what may be done twice is done again, and all else has failed.
use super::Nvme;
use super::bring::Phase;
use crate::queues::Queues;
use crate::wire::controller::{fna, oacs};
use crate::wire::manage::{self, sanitizes};
use crate::wire::{status, zone};
use orion_block::Instant;
use orion_driver::Registers;
use orion_metrics::{DiskSpace, DiskWork, Progress, Reply, Row, Verb, Work, erase};

mod commands;
mod found;
mod steps;
mod verify;
mod zones;

pub use found::SPACES_MAX;

/// Nanoseconds between two questions how far it is.
const LOOK_NS: u64 = 1_000_000_000;
/// Nanoseconds that requests have to end that were asked before.
const DRAIN_NS: u64 = 60_000_000_000;
/// Nanoseconds that a command may take beside others: formats are as slow as the device is large.
const LONG_NS: u64 = 12 * 3600 * 1_000_000_000;

/// A command of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To format.
    Format,
    /// To begin to sanitize.
    Sanitize,
    /// To make a namespace.
    Create,
    /// To attach a namespace.
    Attach(u32),
    /// To detach it.
    Detach(u32),
    /// To remove it.
    Delete(u32),
    /// Which namespaces are attached.
    Attached,
    /// Which there are.
    Allocated,
    /// What the namespace of this place in the list is.
    Space(u8),
    /// To take a power state.
    Power,
    /// To rest when idle.
    Rest,
    /// To tell of zones.
    Zones,
    /// To change a zone, or all.
    Zone,
    /// To read blocks and give none away.
    Verify,
}

impl Ask {
    /// Whether it has an identifier of its own, since it may take long. Such a command has no data.
    const fn is_long(self) -> bool {
        matches!(self, Self::Format | Self::Delete(_))
    }

    /// Whether it may be done again where nobody knows whether it was done.
    const fn repeats(self) -> bool {
        !matches!(self, Self::Create | Self::Zone)
    }
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Requests that were asked before are waited for.
    Drain,
    /// This comes next.
    Next(Ask),
    /// The controller has it.
    Sent(Ask),
    /// It sanitizes.
    Sanitizing,
    /// Namespaces are looked at again.
    Settle,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    work: Work,
    step: Step,
    /// Units that are held back, by their numbers' bits.
    held: u16,
    /// When the step must have come to an end.
    until: Instant,
    /// When it is asked next how far it is.
    look: Instant,
}

/// The order that is under way, and what became of the last.
#[derive(Debug)]
pub struct Orders {
    task: Option<Task>,
    row: DiskWork,
    check: verify::Check,
    found: found::Spaces,
}

impl Orders {
    /// None.
    pub const EMPTY: Self =
        Self { task: None, row: DiskWork::none(0), check: verify::Check::NONE, found: found::Spaces::EMPTY };

    /// Whether one is under way.
    pub fn is_active(&self) -> bool {
        self.task.is_some()
    }

    /// When it is to be looked at again.
    pub fn due(&self, soon: Instant) -> Instant {
        self.task.map_or(Instant(u64::MAX), |task| if task.step == Step::Drain { soon } else { task.look })
    }

    /// Rows about it.
    pub fn row(&self, index: usize) -> Option<Row> {
        let some = Progress::of(self.row.progress) != Progress::None;
        match index.checked_sub(1) {
            None => some.then_some(Row::DiskWork(self.row)),
            Some(index) => self.found.row(self.row.unit, index),
        }
    }

    fn progress(&mut self, progress: Progress) {
        self.row.progress = progress.number();
    }
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Takes an order.
    pub(super) fn take_order(&mut self, sequence: u32, work: &Work) -> Reply {
        if matches!(self.phase, Phase::Dead(_)) {
            return Reply::Absent;
        }
        if self.orders.is_active() {
            return Reply::Busy;
        }
        let (ask, held) = match self.planned(work) {
            Ok(planned) => planned,
            Err(reply) => return reply,
        };
        self.orders.found.forget();
        self.begin_check(work);
        self.orders.row = DiskWork {
            verb: work.verb.number(),
            sequence: sequence.into(),
            progress: Progress::Waits.number(),
            ..DiskWork::none(work.unit)
        };
        let now = self.now;
        let step = if held == 0 { Step::Next(ask) } else { Step::Drain };
        self.orders.task = Some(Task { work: *work, step, held, until: self.within(DRAIN_NS), look: now });
        self.hold(held);
        self.watch = now;
        self.busy = true;
        Reply::Begun
    }

    /// The first command of an order, and the units that are to be held back for it; or why it cannot be.
    fn planned(&self, work: &Work) -> Result<(Ask, u16), Reply> {
        let disk = self.disks.get(usize::from(work.unit)).filter(|_| work.unit < self.units).ok_or(Reply::Absent)?;
        let offers = |bit| if self.known && self.controller.manages(bit) { Ok(()) } else { Err(Reply::Unsupported) };
        let number = || u32::try_from(work.first).ok().filter(|id| *id != 0 && *id != u32::MAX).ok_or(Reply::Invalid);
        match work.verb {
            Verb::Format => {
                offers(oacs::FORMAT)?;
                self.format_fits(work)?;
                Ok((Ask::Format, self.units_of(disk.id)))
            }
            Verb::Sanitize if !sanitizes(self.controller.sanicap.get(), work.how) => Err(Reply::Unsupported),
            Verb::Sanitize => Ok((Ask::Sanitize, self.all_units())),
            Verb::Create => {
                offers(oacs::NAMESPACES)?;
                self.new_space(work).ok_or(Reply::Invalid)?;
                Ok((Ask::Create, 0))
            }
            Verb::Attach => offers(oacs::NAMESPACES).and_then(|()| Ok((Ask::Attach(number()?), 0))),
            Verb::Detach => {
                offers(oacs::NAMESPACES)?;
                number().map(|id| (Ask::Detach(id), self.units_of(id)))
            }
            Verb::Delete => {
                offers(oacs::NAMESPACES)?;
                number().map(|id| (Ask::Delete(id), self.units_of(id)))
            }
            Verb::Namespaces => Ok((Ask::Attached, 0)),
            Verb::Zones | Verb::OpenZone | Verb::CloseZone | Verb::FinishZone | Verb::ResetZone | Verb::ResetZones => {
                let ask = if work.verb == Verb::Zones { Ask::Zones } else { Ask::Zone };
                let zoned = disk.present && disk.names.set == zone::SET;
                let inside = zoned && work.first < disk.limits.capacity;
                if inside { Ok((ask, 0)) } else { Err(if zoned { Reply::Invalid } else { Reply::Unsupported }) }
            }
            Verb::Verify => self.plan_check(work).map(|ask| (ask, 0)),
            Verb::ArrayCheck | Verb::ArrayRepair | Verb::ArrayFail | Verb::ArrayRemove => Err(Reply::Unsupported),
            Verb::ArrayAdd | Verb::ArrayReAdd | Verb::ArrayGrow | Verb::ArrayReplace => Err(Reply::Unsupported),
            Verb::Power if !self.power.is_known() => Err(Reply::Unsupported),
            Verb::Power => self.power.has(work.first).then_some((Ask::Power, 0)).ok_or(Reply::Invalid),
            Verb::IdlePower if !self.can_rest() => Err(Reply::Unsupported),
            Verb::IdlePower => u32::try_from(work.first).map(|_| (Ask::Rest, 0)).map_err(|_| Reply::Invalid),
        }
    }

    /// Whether the disk can be formatted so, alone.
    fn format_fits(&self, work: &Work) -> Result<(), Reply> {
        let attributes = self.controller.format_attributes();
        let everything = attributes & fna::ALL != 0 || work.how != erase::NONE && attributes & fna::ERASE_ALL != 0;
        let possible = match work.how {
            erase::NONE | erase::DATA => !everything,
            erase::KEY => !everything && attributes & fna::KEY != 0,
            _ => return Err(Reply::Invalid),
        };
        if !possible {
            return Err(Reply::Unsupported);
        }
        self.format_command(work).map(|_| ()).ok_or(Reply::Invalid)
    }

    /// The units of a namespace.
    fn units_of(&self, id: u32) -> u16 {
        let units = (0..).zip(&self.disks).filter(|(unit, disk)| *unit < self.units && disk.id == id);
        units.fold(0, |units, (unit, _)| units | 1 << unit)
    }

    fn all_units(&self) -> u16 {
        u16::try_from((1u32 << self.units) - 1).unwrap_or(u16::MAX)
    }

    /// Takes no more requests of these units.
    fn hold(&mut self, units: u16) {
        for (unit, disk) in (0..).zip(&mut self.disks) {
            if units >> unit & 1 != 0 {
                self.changed |= disk.present;
                (disk.present, disk.held_back) = (false, true);
            }
        }
    }

    /// The order is over.
    fn order_ended(&mut self, progress: Progress, status: u16, why: &str) {
        let Some(task) = self.orders.task.take() else { return };
        for (unit, disk) in (0..).zip(&mut self.disks) {
            disk.held_back &= task.held >> unit & 1 == 0;
        }
        // Those that failed are there as they were before, if the controller still says so.
        self.admin.wanted.units |= task.held;
        let row = &mut self.orders.row;
        row.status = status.into();
        row.why.iter_mut().zip(why.bytes()).for_each(|(to, from)| *to = from);
        self.orders.progress(progress);
    }

    /// The order failed, by what the controller says.
    fn order_refused(&mut self, status: u16) {
        self.order_ended(Progress::Failed, status, manage::why(status));
    }

    /// The controller was reset: it holds nothing of the order any more.
    pub(super) fn order_after_reset(&mut self) {
        let (Some(task), again) = (&mut self.orders.task, self.now) else { return };
        task.look = again;
        match task.step {
            Step::Sent(ask) if ask.repeats() => task.step = Step::Next(ask),
            Step::Sent(_) => self.order_ended(Progress::Failed, status::ABORTED, "the controller was reset meanwhile"),
            Step::Drain | Step::Next(_) | Step::Sanitizing | Step::Settle => {}
        }
    }

    /// The controller is left alone.
    pub(super) fn order_lost(&mut self) {
        self.order_ended(Progress::Failed, 0, "the controller is gone");
        self.admin.wanted.units = 0;
    }

    /// Whether a command that may take long takes too long.
    pub(super) fn order_late(&self) -> bool {
        self.orders
            .task
            .is_some_and(|task| matches!(task.step, Step::Sent(ask) if ask.is_long()) && task.until <= self.now)
    }
}

/// A namespace as it is shown.
fn shown(unit: u8, id: u32, attached: bool, space: &crate::wire::Namespace) -> DiskSpace {
    DiskSpace::new(unit, id, attached, space.size.get(), space.block_bytes())
}
