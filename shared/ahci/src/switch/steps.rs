// SPDX-License-Identifier: MIT
//! What is done with a port multiplier, step after step: nothing waits here, each step is looked at again until it is over.
use super::Switch;
use super::ask::Ask;
use super::device::Reset;
use crate::layout;
use crate::wire::multiplier::CONTROL;
use crate::wire::registers::{cmd, fbs, is, link, port};
use orion_block::Instant;
use orion_region::Mmio;

const MS: u64 = 1_000_000;
/// For a port to stop, or to let go of memory (10.3.2), or to forget that a device is busy (3.3.7).
const STOP_NS: u64 = 500 * MS;
/// COMRESET is sent for so long at least (10.4.2), by the port as by the multiplier.
const COMRESET_NS: u64 = MS;
/// For a link to come up.
const LINK_NS: u64 = 1000 * MS;
/// After so long a device's link is looked at again.
const PAUSE_NS: u64 = 10 * MS;
/// For a command to the multiplier.
const ASK_NS: u64 = 5_000 * MS;
/// For a device to spin up.
const SETTLE_NS: u64 = 30_000 * MS;
/// For the devices' commands to end, before one that has come or gone is looked at.
const DRAIN_NS: u64 = 1000 * MS;
/// Resets in a row that have not helped, after which the multiplier is left alone.
const RESETS_MAX: u8 = 3;
/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Turn,
    /// Commands are no longer processed.
    Stop(Then),
    /// FISes are no longer received.
    Deaf,
    /// COMRESET is being sent.
    Reset,
    /// The link is about to come up.
    Link,
    /// The controller forgets that a device is busy (PxCMD.CLO, 3.3.7).
    Override(Then),
    /// The multiplier is reset by software, so that it says what it is: that begins, or ends.
    Find(bool),
    /// The multiplier is asked, or told, something.
    Ask(Ask),
    /// A device is being reset.
    Device(Reset),
    /// Requests are served.
    Serve,
    /// Nothing is at the port.
    Absent,
    /// What is there cannot be used.
    Dead,
}

/// What follows when the port has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It begins anew.
    Begin,
    /// The port's link is reset.
    Reset,
    /// The multiplier is asked what it is.
    Find,
    /// The port is told of the multiplier.
    Arm,
    /// It goes on.
    Resume,
}

/// What devices' ports are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing; to be looked at later.
    Wait,
    /// Nothing; to be looked at again.
    Go,
    /// The controller holds nothing any more. `true`: every device is reset.
    Halted(bool),
    /// The multiplier has so many ports: devices behind it may be reset.
    Up(u8),
    /// A device is ready, with this signature.
    Ready(u8, u32),
    /// There is no device.
    Missing(u8),
    /// A device came, or went.
    Changed(u16),
    /// Nothing is at the port, or what is there can't be used, for this reason.
    Gone(Option<&'static str>),
    /// The controller must be reset: the port does not stop.
    ResetAll,
}

impl Step {
    /// Nanoseconds that it may take, or that it takes.
    const fn patience(self) -> u64 {
        match self {
            Self::Stop(_) | Self::Deaf | Self::Override(_) => STOP_NS,
            Self::Reset | Self::Device(Reset::Sending) => COMRESET_NS,
            Self::Link => LINK_NS,
            Self::Device(Reset::Pause) => PAUSE_NS,
            Self::Find(_) | Self::Device(Reset::Begin | Reset::Greet) => SETTLE_NS,
            Self::Serve => DRAIN_NS,
            _ => ASK_NS,
        }
    }
}

impl Switch {
    pub(super) fn go(&mut self, step: Step) -> Told {
        (self.step, self.began) = (step, None);
        Told::Go
    }

    fn over(&mut self, now: Option<Instant>) -> bool {
        let Some(now) = now else { return false };
        now >= self.began.get_or_insert(now).after(self.step.patience())
    }

    /// When it must be looked at again, at the latest.
    pub fn wake(&self, now: Instant) -> Option<Instant> {
        match self.step {
            Step::Absent | Step::Dead => None,
            Step::Serve if !self.wants() => None,
            Step::Stop(_) | Step::Deaf | Step::Override(_) | Step::Reset | Step::Device(Reset::Sending) => {
                Some(now.after(MS))
            }
            _ => Some(now.after(10 * MS)),
        }
    }

    /// The controller was reset: all begins anew.
    ///
    /// Why the multiplier is left alone, if it is: its port did not stop, several times.
    pub fn begin_again(&mut self) -> Option<&'static str> {
        (self.held, self.failed, self.by_fis, self.notified) = (false, false, false, false);
        if self.step == Step::Dead {
            return None;
        }
        self.resets = self.resets.saturating_add(self.is_stopping().into());
        let given_up = self.resets > RESETS_MAX;
        self.go(if given_up { Step::Dead } else { Step::Turn });
        given_up.then_some("the port did not stop after any reset of the controller: the port multiplier is left alone")
    }

    fn is_stopping(&self) -> bool {
        matches!(self.step, Step::Stop(_) | Step::Deaf | Step::Override(_))
    }

    /// The controller is gone.
    pub fn leave(&mut self) {
        (self.step, self.held) = (Step::Dead, false);
    }

    /// The port's link failed or changed: the multiplier, and each device, is reset.
    pub fn restart<R: Mmio>(&mut self, registers: &R) {
        self.stop(registers, Then::Reset);
    }

    /// Has the controller let go of every command.
    pub fn halt<R: Mmio>(&mut self, registers: &R) {
        // A port that is being brought up has nothing to let go of, and must come up first.
        if self.runs() {
            self.stop(registers, Then::Resume);
        }
    }

    pub(super) fn stop<R: Mmio>(&mut self, registers: &R, then: Then) -> Told {
        if let Step::Device(_) = self.step {
            self.reset_device(self.device);
        }
        self.held = false;
        let command = self.read(registers, port::CMD);
        self.write(registers, port::CMD, command & !cmd::ST);
        self.go(Step::Stop(then))
    }

    /// What is next. `alone`: the controller holds no device's command. To be called until it waits.
    pub fn advance<R: Mmio>(&mut self, registers: &R, now: Option<Instant>, alone: bool) -> Told {
        let late = if self.step == Step::Serve && !self.wants() { false } else { self.over(now) };
        match self.step {
            Step::Turn => {
                self.write(registers, port::IE, 0);
                self.stop(registers, Then::Begin)
            }
            Step::Stop(then) if self.read(registers, port::CMD) & cmd::CR == 0 => self.stopped(registers, then, late),
            Step::Deaf if self.read(registers, port::CMD) & cmd::FR == 0 => self.set_up(registers),
            Step::Override(then) if self.read(registers, port::CMD) & cmd::CLO == 0 => self.overridden(registers, then),
            Step::Stop(_) | Step::Deaf | Step::Override(_) if late => Told::ResetAll,
            Step::Reset if late => {
                self.write(registers, port::SCTL, link::ALWAYS_ACTIVE);
                self.go(Step::Link)
            }
            Step::Link if self.read(registers, port::SSTS) & link::DET == link::UP => {
                self.write(registers, port::SERR, u32::MAX);
                self.go(Step::Stop(Then::Find))
            }
            Step::Link if late => {
                self.go(Step::Absent);
                Told::Gone(None)
            }
            Step::Find(begin) => self.find(registers, begin, late),
            Step::Ask(ask) => self.ask_step(registers, ask, late),
            Step::Device(reset) => self.device_step(registers, reset, late),
            Step::Serve => self.serve(registers, alone, late),
            _ => Told::Wait,
        }
    }

    /// The controller holds nothing any more.
    fn stopped<R: Mmio>(&mut self, registers: &R, then: Then, late: bool) -> Told {
        match then {
            Then::Begin => {
                let command = self.read(registers, port::CMD);
                self.write(registers, port::CMD, command & !(cmd::FRE | cmd::PMA));
                self.go(Step::Deaf);
                Told::Halted(true)
            }
            Then::Reset => {
                self.forget(registers);
                self.write(registers, port::SCTL, link::ALWAYS_ACTIVE | link::COMRESET);
                self.go(Step::Reset);
                Told::Halted(true)
            }
            // A device that is busy takes no command, not even a reset by software (10.4.1).
            Then::Find | Then::Resume if self.able.overrides => {
                let command = self.read(registers, port::CMD);
                self.write(registers, port::CMD, command | cmd::CLO);
                self.go(Step::Override(then))
            }
            Then::Find if !late && self.busy(registers, CONTROL) => Told::Wait,
            _ => self.overridden(registers, then),
        }
    }

    /// The port may be started.
    fn overridden<R: Mmio>(&mut self, registers: &R, then: Then) -> Told {
        // A port must not be started while its device is busy (10.3.1).
        if self.busy(registers, if then == Then::Resume { self.device } else { CONTROL }) {
            return self.again(registers);
        }
        let mut command = self.read(registers, port::CMD);
        if then == Then::Arm {
            command |= cmd::PMA;
            self.write(registers, port::CMD, command);
            self.by_fis = self.able.by_fis && command & cmd::FBSCP != 0;
            self.select(registers, CONTROL);
        }
        self.write(registers, port::SERR, u32::MAX);
        self.write(registers, port::IS, u32::MAX);
        self.write(registers, port::CMD, command | cmd::ST);
        match then {
            Then::Find => self.go(Step::Find(true)),
            Then::Arm => self.go(Step::Ask(Ask::Ports)),
            _ => {
                self.go(Step::Serve);
                Told::Halted(false)
            }
        }
    }

    /// Switching by FIS ends; it needs a port that has stopped.
    fn forget<R: Mmio>(&mut self, registers: &R) {
        if core::mem::take(&mut self.by_fis) {
            self.write(registers, port::FBS, 0);
        }
        let command = self.read(registers, port::CMD);
        self.write(registers, port::CMD, command & !cmd::PMA);
    }

    /// Gives the controller the port's memory, and lets it receive.
    fn set_up<R: Mmio>(&mut self, registers: &R) -> Told {
        if self.able.by_fis {
            self.write(registers, port::FBS, 0);
        }
        self.by_fis = false;
        for (register, offset) in [(port::CLB, layout::LIST), (port::FB, layout::RECEIVED)] {
            let [low, high] = crate::hba::halves(self.dma_bus + offset as u64);
            self.write(registers, register, low);
            self.write(registers, register + 4, high);
        }
        self.write(registers, port::SERR, u32::MAX);
        self.write(registers, port::IS, u32::MAX);
        self.write(registers, port::SCTL, link::ALWAYS_ACTIVE);
        let command = self.read(registers, port::CMD) & !(cmd::ICC | cmd::ALPE | cmd::ASP | cmd::PMA);
        let command = command | cmd::POD | cmd::SUD | cmd::ICC_ACTIVE;
        self.write(registers, port::CMD, command);
        self.write(registers, port::CMD, command | cmd::FRE);
        self.write(registers, port::IE, is::WANTED | is::IPMS);
        self.go(Step::Link)
    }

    fn serve<R: Mmio>(&mut self, registers: &R, alone: bool, late: bool) -> Told {
        if !self.wants() {
            return Told::Wait;
        }
        if !self.by_fis && !alone {
            if late {
                self.halt(registers);
                return Told::Go;
            }
            return Told::Wait;
        }
        if self.read(registers, port::CMD) & cmd::ST == 0 {
            return self.go(Step::Stop(Then::Resume));
        }
        if core::mem::take(&mut self.notified) {
            return self.go(Step::Ask(Ask::Errors));
        }
        self.device = u8::try_from(self.wanted.trailing_zeros()).unwrap_or(0);
        self.wanted &= self.wanted.wrapping_sub(1);
        if self.busy(registers, self.device) {
            self.reset_device(self.device);
            return self.stop(registers, Then::Resume);
        }
        self.pauses = 0;
        self.go(Step::Device(Reset::Send))
    }

    /// The multiplier does not do what it is told: it is reset, a few times.
    pub(super) fn again<R: Mmio>(&mut self, registers: &R) -> Told {
        self.misused += 1;
        self.resets = self.resets.saturating_add(1);
        if self.resets > RESETS_MAX {
            return self.dead("the port multiplier failed again after every reset: it is left alone");
        }
        self.fault = Some("the port multiplier did not do what it was told");
        self.stop(registers, Then::Reset)
    }

    pub(super) fn dead(&mut self, what: &'static str) -> Told {
        self.held = false;
        self.go(Step::Dead);
        Told::Gone(Some(what))
    }

    /// Whether a device has failed alone: which, by PxFBS (9.3.6.1).
    pub fn culprit<R: Mmio>(&self, registers: &R) -> Option<u8> {
        let state = self.read(registers, port::FBS);
        let [device, ..] = (state >> fbs::DWE_SHIFT & 15).to_le_bytes();
        (state & fbs::SDE != 0).then_some(device)
    }

    /// What is at the port was taken out, or something was put in: whether anything is there.
    pub fn replug<R: Mmio>(&mut self, registers: &R, exchanged: bool) {
        let up = self.read(registers, port::SSTS) & link::DET == link::UP;
        let waits = matches!(self.step, Step::Turn | Step::Stop(_) | Step::Deaf | Step::Reset | Step::Link);
        if self.step == Step::Dead && exchanged && up {
            self.resets = 0;
            self.go(Step::Turn);
        } else if !waits && (exchanged || up != (self.step != Step::Absent)) {
            self.restart(registers);
        }
    }
}
