// SPDX-License-Identifier: MIT
//! What a port is doing, and what it does next: nothing waits here, each step is looked at again until it is over.
use super::{Job, Port, RESETS_MAX, Trouble};
use crate::wire::registers::{cmd, link, port, signature, tfd};
use orion_block::{Error, Instant};
use orion_region::Mmio;

/// What a port is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is not known which port it is.
    Search,
    /// Others spin up first.
    Turn,
    /// Commands are no longer processed: the controller lets go of them (10.3.2).
    Stop(After),
    /// FISes are no longer received: the controller lets go of the memory.
    Deaf,
    /// COMRESET is being sent (10.4.2).
    Reset,
    /// The link is about to come up.
    Link,
    /// The drive gets ready.
    Settle,
    /// The controller forgets that the drive is busy (PxCMD.CLO, 3.3.7).
    Override,
    /// One of the driver's own commands is all that is issued.
    Job,
    /// Requests are served.
    Ready,
    /// The port multiplier looks after the device.
    Behind,
    /// No drive is there.
    Absent,
    /// The drive is left alone.
    Dead,
}

/// What happens when a port has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It begins anew.
    Begin,
    /// It goes on: the device said what was wrong.
    Recover,
    /// The drive is reset.
    Reset,
    /// The drive is left alone.
    Leave,
}

/// What a port wants of whoever looks after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To be looked at later.
    Wait,
    /// To be looked at again.
    Go,
    /// The controller must be reset: the port does not stop.
    ResetAll,
}

const MS: u64 = 1_000_000;
/// For a port to stop, or to let go of memory (10.3.2).
const STOP_NS: u64 = 500 * MS;
/// COMRESET is sent for so long at least (10.4.2).
const COMRESET_NS: u64 = MS;
/// For a link to come up. Drives answer COMRESET within 10 ms; some ports debounce.
const LINK_NS: u64 = 1000 * MS;
/// For a drive to spin up.
const SETTLE_NS: u64 = 30_000 * MS;
/// For one of the driver's own commands.
const JOB_NS: u64 = 15_000 * MS;

impl Step {
    /// Nanoseconds that it may take; of a COMRESET, that it takes.
    const fn patience(self) -> u64 {
        match self {
            Self::Stop(_) | Self::Deaf | Self::Override => STOP_NS,
            Self::Reset => COMRESET_NS,
            Self::Link => LINK_NS,
            Self::Settle => SETTLE_NS,
            _ => JOB_NS,
        }
    }
}

impl<T: Copy + Default> Port<T> {
    /// Goes to another step.
    pub(super) fn go(&mut self, step: Step) -> Next {
        (self.step, self.began) = (step, None);
        Next::Go
    }

    /// Whether the step has taken so long. Before the time is known nothing takes long.
    fn over(&mut self, now: Option<Instant>, ns: u64) -> bool {
        let Some(now) = now else { return false };
        now >= self.began.get_or_insert(now).after(ns)
    }

    /// When it must be looked at again, at the latest; nothing where only the device, or a client, has something to say.
    pub fn wake(&self, now: Instant) -> Option<Instant> {
        match self.step {
            _ if self.outcome.is_some() => Some(now.after(MS)),
            _ if !self.turn => None,
            Step::Ready if self.job == Job::None => None,
            Step::Behind | Step::Absent | Step::Dead => None,
            Step::Ready | Step::Job => Some(self.began.map_or(now, |began| began.after(JOB_NS))),
            Step::Search => Some(now.after(100 * MS)),
            Step::Turn | Step::Link | Step::Settle => Some(now.after(10 * MS)),
            Step::Stop(_) | Step::Deaf | Step::Override | Step::Reset => Some(now.after(MS)),
        }
    }

    /// Does what can be done now. `turn`: it may spin up.
    pub fn advance<R: Mmio>(&mut self, registers: &R, now: Option<Instant>, turn: bool) -> Next {
        loop {
            match self.step(registers, now, turn) {
                Next::Go => {}
                other => return other,
            }
        }
    }

    fn step<R: Mmio>(&mut self, registers: &R, now: Option<Instant>, turn: bool) -> Next {
        let late = self.turn && self.over(now, self.step.patience());
        match self.step {
            Step::Turn if turn => self.begin(registers),
            Step::Stop(after) if self.let_go(registers) => self.stopped(registers, after, now),
            Step::Stop(_) if late => Next::ResetAll,
            Step::Deaf if self.read(registers, port::CMD) & cmd::FR == 0 => self.listen(registers),
            Step::Deaf if late => Next::ResetAll,
            Step::Reset if late => {
                self.write(registers, port::SCTL, self.power());
                self.go(Step::Link)
            }
            Step::Link if self.read(registers, port::SSTS) & link::DET == link::UP => {
                // Only then does the port take the drive's first FIS (10.4.2).
                self.write(registers, port::SERR, u32::MAX);
                self.go(Step::Settle)
            }
            Step::Link if late => self.left(),
            Step::Settle => self.settle(registers, late),
            Step::Override if self.read(registers, port::CMD) & cmd::CLO == 0 => self.overridden(registers),
            Step::Override if late => Next::ResetAll,
            Step::Job => self.job_step(registers, late),
            Step::Ready => self.ready_step(registers, late),
            _ => Next::Wait,
        }
    }

    /// The device holds nothing any more.
    fn stopped<R: Mmio>(&mut self, registers: &R, after: After, now: Option<Instant>) -> Next {
        (self.apart, self.released) = (false, false);
        self.lost |= self.held & self.all;
        self.held = 0;
        if let Some(now) = now {
            self.fail_late(now);
        }
        match after {
            After::Begin => {
                let command = self.read(registers, port::CMD);
                self.write(registers, port::CMD, command & !(cmd::FRE | cmd::ST));
                self.go(Step::Deaf)
            }
            After::Recover => self.recover(registers),
            After::Reset => self.comreset(registers),
            After::Leave => self.dead("the drive failed again after every reset: it is left alone"),
        }
    }

    /// Ends what has waited for too long, as far as the device does not hold it.
    pub(super) fn fail_late(&mut self, now: Instant) {
        for slot in Self::each(self.all & !self.free & !self.held & !self.ended) {
            if self.slots.get(usize::from(slot)).is_some_and(|record| record.deadline <= now) {
                self.fail(slot, Error::TimedOut);
            }
        }
    }

    /// Whether the controller has let go of what it held.
    fn let_go<R: Mmio>(&self, registers: &R) -> bool {
        if self.by_fis { self.forgotten(registers) } else { self.read(registers, port::CMD) & cmd::CR == 0 }
    }

    fn settle<R: Mmio>(&mut self, registers: &R, late: bool) -> Next {
        if late {
            return self.soften(registers);
        }
        let busy = self.read(registers, port::TFD) & (tfd::BSY | tfd::DRQ) != 0;
        match self.read(registers, port::SIG) {
            _ if busy => Next::Wait,
            signature::NONE => Next::Wait,
            signature::PACKET => {
                self.dead("the port has a packet device (an optical drive?), which no driver of ours knows")
            }
            signature::MULTIPLIER => self.dead("the port has a port multiplier, which this driver does not know"),
            // Some drives send a signature of their own: IDENTIFY tells.
            _ => {
                self.write(registers, port::IS, u32::MAX);
                let command = self.read(registers, port::CMD) & !(cmd::ATAPI | cmd::PMA);
                self.write(registers, port::CMD, command | cmd::ST);
                self.trouble = Trouble::None;
                self.start_job(registers, Job::Identify)
            }
        }
    }

    /// Bringing the drive up failed: it is tried again a few times.
    pub(super) fn failed<R: Mmio>(&mut self, registers: &R, what: &'static str) -> Next {
        self.fault = Some(what);
        self.misused += 1;
        self.again(registers)
    }

    /// Resets the drive, unless that has not helped so far.
    pub(super) fn again<R: Mmio>(&mut self, registers: &R) -> Next {
        self.resets = self.resets.saturating_add(1);
        self.drop_job();
        let after = if self.resets > RESETS_MAX { After::Leave } else { After::Reset };
        self.stop(registers, after)
    }

    /// No drive is there.
    pub fn left(&mut self) -> Next {
        if self.drive.is_some() {
            self.fault = Some("the drive is gone");
        }
        self.gone(Step::Absent)
    }

    /// The drive can't be used.
    pub fn dead(&mut self, what: &'static str) -> Next {
        self.fault = Some(what);
        self.gone(Step::Dead)
    }

    fn gone(&mut self, step: Step) -> Next {
        self.changed |= self.serving;
        self.drop_job();
        (self.serving, self.drive, self.resets) = (false, None, 0);
        (self.lost, self.suspects, self.asked) = (0, 0, false);
        self.fail_all(Error::Offline);
        self.go(step)
    }

    fn ready_step<R: Mmio>(&mut self, registers: &R, late: bool) -> Next {
        if self.job != Job::None && late {
            self.timeouts += 1;
            self.fault = Some("the drive did not say how it is");
            return self.again(registers);
        }
        self.next_smart(registers);
        Next::Wait
    }

    /// Gives up on requests that have taken too long.
    pub fn expire<R: Mmio>(&mut self, registers: &R, now: Instant) {
        self.fail_late(now);
        let late = Self::each(self.held & self.all).any(|slot| self.late(slot, now));
        if self.step == Step::Ready && late {
            self.timeouts += 1;
            self.fault = Some("a request took too long");
            let _ = self.again(registers);
        }
    }

    fn late(&self, slot: u8, now: Instant) -> bool {
        self.slots.get(usize::from(slot)).is_some_and(|record| record.deadline <= now)
    }

    /// The earliest deadline of a request.
    pub fn oldest(&self) -> Option<Instant> {
        let waiting = self.all & !self.free & !self.ended;
        // While a port stops, what the device holds is answered when it has let go of it.
        let waiting = if self.step == Step::Ready { waiting } else { waiting & !self.held };
        Self::each(waiting).filter_map(|slot| Some(self.slots.get(usize::from(slot))?.deadline)).min()
    }
}
