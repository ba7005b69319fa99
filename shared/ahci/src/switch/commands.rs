// SPDX-License-Identifier: MIT
//! The commands to a multiplier and to its devices that are nobody's request: each is alone in a slot kept for them.
use super::Switch;
use crate::wire::ata::TaskFile;
use crate::wire::multiplier::CONTROL;
use crate::wire::registers::{fbs, port, tfd};
use crate::wire::{fis, memory};
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{Ordering, fence};
use orion_region::Mmio;

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// None was issued yet.
    None,
    /// It is under way.
    Pending,
    /// It has ended.
    Done,
    /// It has failed.
    Failed,
}

impl Switch {
    /// Issues a command to the multiplier itself.
    pub(super) fn ask<R: Mmio>(&mut self, registers: &R, task: &TaskFile) {
        let [first, second] = fis::words(task);
        let port = u64::from(CONTROL);
        self.issue(registers, CONTROL, [first | port << 8, second], memory::head(false, 0) | port << 12);
    }

    /// Issues one half of a reset by software (10.4.1): `begin`, or the end of it, which the device answers.
    pub(super) fn soft<R: Mmio>(&mut self, registers: &R, device: u8, begin: bool) {
        let words = fis::control(device, if begin { fis::SOFT_RESET } else { 0 });
        let flags = if begin { memory::header::RESET | memory::header::CLEAR_BUSY } else { 0 };
        self.issue(registers, device, words, memory::head(false, 0) | u64::from(flags) | u64::from(device) << 12);
    }

    fn issue<R: Mmio>(&mut self, registers: &R, device: u8, words: [u64; 2], head: u64) {
        let (Some(header), Some(table)) = (self.list.get(self.slot.into()), self.tables.get(self.slot.into())) else {
            return;
        };
        table[0].store(words[0], Relaxed);
        table[1].store(words[1], Relaxed);
        header[0].store(head, Relaxed);
        fence(Ordering::Release);
        self.select(registers, device);
        self.write(registers, port::CI, 1 << self.slot);
        (self.held, self.failed) = (true, false);
    }

    /// What is written and read next is `device`'s, where devices are told apart by their FISes (9.3.3).
    pub(super) fn select<R: Mmio>(&self, registers: &R, device: u8) {
        if self.by_fis {
            self.write(registers, port::FBS, fbs::EN | u32::from(device) << fbs::DEV_SHIFT);
        }
    }

    /// What came of the command issued last. One that has ended is forgotten.
    pub(super) fn outcome<R: Mmio>(&mut self, registers: &R) -> Outcome {
        if core::mem::take(&mut self.failed) {
            self.held = false;
            return Outcome::Failed;
        }
        if !self.held {
            return Outcome::None;
        }
        if self.read(registers, port::CI) & 1 << self.slot != 0 {
            return Outcome::Pending;
        }
        self.held = false;
        Outcome::Done
    }

    /// Whether a device is still busy.
    pub(super) fn busy<R: Mmio>(&self, registers: &R, device: u8) -> bool {
        self.select(registers, device);
        self.read(registers, port::TFD) & (tfd::BSY | tfd::DRQ) != 0
    }
}
