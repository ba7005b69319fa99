// SPDX-License-Identifier: MIT
//! What a port multiplier is asked and told, and how it is found.
use super::Switch;
use super::commands::Outcome;
use super::steps::{Step, Then, Told};
use crate::wire::ata::TaskFile;
use crate::wire::multiplier::{self, CONTROL, DEVICES_MAX, global};
use crate::wire::registers::{port, signature};
use orion_region::Mmio;

/// SERR.DIAG, N and X: the link changed.
const CHANGES: u32 = 1 << 16 | 1 << 26;

/// What a multiplier is asked and told, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Ports,
    Features,
    Wanted,
    Notify,
    /// Later: what has changed.
    Errors,
}

impl Switch {
    /// It is not known what the port has.
    pub(super) fn find<R: Mmio>(&mut self, registers: &R, begin: bool, late: bool) -> Told {
        match self.outcome(registers) {
            Outcome::None => {
                self.soft(registers, CONTROL, begin);
                Told::Go
            }
            Outcome::Done if begin => self.go(Step::Find(false)),
            Outcome::Done => match self.read(registers, port::SIG) {
                signature::MULTIPLIER => self.stop(registers, Then::Arm),
                _ => self.dead("no port multiplier is at the port: name the disk by the port's number alone"),
            },
            Outcome::Failed => self.again(registers),
            Outcome::Pending if late => self.again(registers),
            Outcome::Pending => Told::Wait,
        }
    }

    fn question(&self, ask: Ask) -> TaskFile {
        match ask {
            Ask::Ports => multiplier::read(CONTROL, global::PORTS),
            Ask::Features => multiplier::read(CONTROL, global::FEATURES),
            Ask::Wanted => multiplier::write(CONTROL, global::ERRORS_WANTED, CHANGES),
            Ask::Notify => multiplier::write(CONTROL, global::ENABLED, global::NOTIFIES),
            Ask::Errors => multiplier::read(CONTROL, global::ERRORS),
        }
    }

    pub(super) fn ask_step<R: Mmio>(&mut self, registers: &R, ask: Ask, late: bool) -> Told {
        match self.outcome(registers) {
            Outcome::None => {
                let task = self.question(ask);
                self.ask(registers, &task);
                Told::Go
            }
            Outcome::Done => {
                let value = multiplier::value(&self.answer(CONTROL));
                self.answered(ask, value)
            }
            Outcome::Pending if !late => Told::Wait,
            _ => self.again(registers),
        }
    }

    fn answered(&mut self, ask: Ask, value: u32) -> Told {
        let [low, ..] = value.to_le_bytes();
        match ask {
            Ask::Ports => {
                self.ports = (low & 15).min(DEVICES_MAX);
                self.go(Step::Ask(Ask::Features))
            }
            Ask::Features if self.able.notifies && value & global::NOTIFIES != 0 => self.go(Step::Ask(Ask::Wanted)),
            Ask::Wanted => self.go(Step::Ask(Ask::Notify)),
            Ask::Features | Ask::Notify => {
                self.notifies = ask == Ask::Notify;
                self.go(Step::Serve);
                Told::Up(self.ports)
            }
            Ask::Errors => {
                self.go(Step::Serve);
                let [a, b, ..] = value.to_le_bytes();
                Told::Changed(u16::from_le_bytes([a, b]) & self.named)
            }
        }
    }
}
