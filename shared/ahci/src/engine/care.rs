// SPDX-License-Identifier: MIT
//! What is done beside serving: what is due, what is lost, what has taken too long.
use super::Ahci;
use crate::hba;
use crate::port::{Next, Port, Step};
use crate::switch::{Switch, Told};
use orion_block::Instant;
use orion_driver::{Engine, Registers};

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    /// Does what is due at each port that is not simply serving.
    pub(super) fn advance(&mut self) {
        let now = self.clock.then_some(self.now);
        for index in 0..self.switches.len() {
            self.tend(index);
        }
        for unit in 0..self.units {
            if self.multiplied & 1 << unit != 0 {
                continue;
            }
            if self.ports.get(unit).is_some_and(|port| port.step == Step::Search) {
                self.search(unit);
            }
            let spinning = |port: &Port<T>| matches!(port.step, Step::Link | Step::Settle) && port.drive.is_none();
            let turn = !self.hba.able.staggered || !self.ports.iter().any(spinning);
            let Some(port) = self.ports.get_mut(unit) else { continue };
            let next = port.advance(&self.registers, now, turn);
            self.ending |= u32::from(port.ended != 0) << unit;
            self.changed |= core::mem::take(&mut port.changed);
            if next == Next::ResetAll {
                self.reset_all();
            }
        }
    }

    /// A port does not stop: resets the controller with all its ports.
    #[cold]
    pub(super) fn reset_all(&mut self) {
        self.gone += 1;
        self.fault = Some("a port did not stop: the controller was reset");
        if hba::reset(&mut self.registers).is_err() {
            return self.lost("the controller does not come out of its reset");
        }
        hba::listen(&self.registers);
        self.ports.iter_mut().take(self.units).for_each(Port::begin_again);
        for index in 0..self.switches.len() {
            let given_up = self.switches.get_mut(index).and_then(Switch::begin_again);
            if given_up.is_some() {
                self.hear(index, Told::Gone(given_up));
            }
        }
        for (unit, port) in self.ports.iter_mut().enumerate().take(self.units) {
            self.ending |= u32::from(port.ended != 0) << unit;
            self.changed |= core::mem::take(&mut port.changed);
        }
    }

    /// The controller is gone, or of no use: everything is answered.
    #[cold]
    pub(super) fn lost(&mut self, what: &'static str) {
        self.registers.set_dma(false);
        self.alive = false;
        for (unit, port) in self.ports.iter_mut().enumerate().take(self.units) {
            port.begin_again();
            let _ = port.dead(what);
            self.changed |= core::mem::take(&mut port.changed);
            self.ending |= u32::from(port.ended != 0) << unit;
        }
        self.switches.iter_mut().for_each(Switch::leave);
        self.fault = Some(what);
    }

    pub(super) fn interrupted_at(&mut self, unit: usize) {
        let Some(port) = self.ports.get_mut(unit) else { return };
        match port.interrupted(&self.registers) {
            None => self.lost("the controller is gone"),
            Some(_) => {
                if port.step != Step::Ready || port.has_job() {
                    (self.busy, self.dirty) = (self.busy | 1 << unit, self.dirty | 1 << unit);
                    self.watch = self.now;
                }
            }
        }
    }

    /// What is to be done when the watch has run out.
    #[cold]
    #[inline(never)]
    pub(super) fn overdue(&mut self) -> bool {
        self.collect();
        if self.ending == 0 {
            for unit in 0..self.units {
                let Some(port) = self.ports.get_mut(unit) else { continue };
                port.expire(&self.registers, self.now);
                self.ending |= u32::from(port.ended != 0) << unit;
            }
        }
        self.advance();
        self.dirty = self.busy;
        self.kick();
        self.watch = self.earliest();
        self.ending != 0
    }

    /// When something is due next. Units that wait for nothing are no longer looked at.
    pub(super) fn earliest(&mut self) -> Instant {
        let switches = self.earliest_behind();
        for (unit, port) in self.ports.iter().enumerate().take(self.units) {
            if port.is_idle() {
                self.busy &= !(1 << unit);
            }
        }
        let ports = || self.ports.iter().take(self.units);
        let wakes = ports().filter_map(|port| port.wake(self.now));
        let deadlines = ports().filter_map(Port::oldest);
        wakes.chain(deadlines).chain(switches).min().unwrap_or(Instant(u64::MAX))
    }

    /// Asks each drive what it has done.
    pub(super) fn collect(&mut self) {
        let mut busy = self.busy;
        while busy != 0 {
            let unit = busy.trailing_zeros();
            busy &= busy.wrapping_sub(1);
            if let Some(port) = self.ports.get_mut(unit as usize) {
                port.collect(&self.registers);
                self.ending |= u32::from(port.ended != 0) << unit;
            }
        }
    }

    /// A unit has no more answers: whether it waits for anything.
    #[inline]
    pub(super) fn settle(&mut self, unit: u32) {
        let bit = 1u32.wrapping_shl(unit);
        self.ending &= !bit;
        if self.ports.get(unit as usize).is_some_and(Port::is_idle) {
            self.busy &= !bit;
            // Another device may have waited for this one.
            self.dirty |= bit & self.multiplied;
        } else {
            self.dirty |= bit;
        }
    }
}
