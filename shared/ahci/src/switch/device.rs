// SPDX-License-Identifier: MIT
//! How a device behind a multiplier is reset, and found to be there.
use super::Switch;
use super::commands::Outcome;
use super::steps::{Step, Then, Told};
use crate::wire::ata::TaskFile;
use crate::wire::multiplier::{self, CONTROL, device};
use crate::wire::registers::link;
use orion_region::Mmio;

/// So often a device's link is looked at.
const PAUSES_MAX: u8 = 100;

/// How a device is reset through the multiplier (Serial ATA 3.0, 16.3.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// COMRESET is sent.
    Send,
    /// It is, for a while.
    Sending,
    /// It is sent no more.
    End,
    /// The link is about to come up: it is asked whether it did.
    Link,
    /// It did not yet.
    Pause,
    /// What the port saw meanwhile is forgotten, so that the device's first FIS passes.
    Clear,
    /// As above, of a device that is not there, so that the next change is heard of.
    Forget,
    /// It is reset by software, so that it says what it is.
    Begin,
    /// It says what it is.
    Greet,
}

impl Switch {
    /// A command for a device's port, once.
    fn tell<R: Mmio>(&mut self, registers: &R, task: &TaskFile, late: bool, next: Reset) -> Told {
        match self.outcome(registers) {
            Outcome::None => {
                self.ask(registers, task);
                Told::Go
            }
            Outcome::Done => self.go(Step::Device(next)),
            Outcome::Pending if !late => Told::Wait,
            _ => self.again(registers),
        }
    }

    pub(super) fn device_step<R: Mmio>(&mut self, registers: &R, reset: Reset, late: bool) -> Told {
        let number = self.device;
        let control = |value| multiplier::write(number, device::CONTROL, link::ALWAYS_ACTIVE | value);
        match reset {
            Reset::Send => self.tell(registers, &control(link::COMRESET), late, Reset::Sending),
            Reset::Sending if late => self.go(Step::Device(Reset::End)),
            Reset::Pause if late => self.go(Step::Device(Reset::Link)),
            Reset::Sending | Reset::Pause => Told::Wait,
            Reset::End => self.tell(registers, &control(0), late, Reset::Link),
            Reset::Link => self.device_link(registers, late),
            Reset::Clear | Reset::Forget => {
                let task = multiplier::write(number, device::ERROR, u32::MAX);
                let told = self.tell(registers, &task, late, Reset::Begin);
                if reset == Reset::Forget && self.step == Step::Device(Reset::Begin) {
                    self.go(Step::Serve);
                    return Told::Missing(number);
                }
                told
            }
            Reset::Begin | Reset::Greet => self.greet(registers, reset == Reset::Begin, late),
        }
    }

    fn device_link<R: Mmio>(&mut self, registers: &R, late: bool) -> Told {
        match self.outcome(registers) {
            Outcome::None => {
                self.ask(registers, &multiplier::read(self.device, device::STATUS));
                Told::Go
            }
            Outcome::Done if multiplier::value(&self.answer(CONTROL)) & link::DET == link::UP => {
                self.go(Step::Device(Reset::Clear))
            }
            Outcome::Done => {
                self.pauses = self.pauses.saturating_add(1);
                self.go(Step::Device(if self.pauses > PAUSES_MAX { Reset::Forget } else { Reset::Pause }))
            }
            Outcome::Pending if !late => Told::Wait,
            _ => self.again(registers),
        }
    }

    fn greet<R: Mmio>(&mut self, registers: &R, begin: bool, late: bool) -> Told {
        match self.outcome(registers) {
            Outcome::None => {
                self.soft(registers, self.device, begin);
                Told::Go
            }
            Outcome::Done if begin => self.go(Step::Device(Reset::Greet)),
            Outcome::Done => {
                self.resets = 0;
                self.go(Step::Serve);
                Told::Ready(self.device, multiplier::signature(&self.answer(self.device)))
            }
            Outcome::Pending if !late => Told::Wait,
            _ => {
                // The device does not get ready; the others are not to wait for it.
                let device = self.device;
                self.stop(registers, Then::Resume);
                self.wanted &= !1u16.checked_shl(device.into()).unwrap_or(0);
                Told::Missing(device)
            }
        }
    }
}
