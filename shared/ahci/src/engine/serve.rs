// SPDX-License-Identifier: MIT
//! The engine as the PD around it uses it.
use super::Ahci;
use super::places::port_bit;
use crate::layout::UNITS;
use crate::port::{Port, Step};
use crate::wire::registers::hba as register;
use core::fmt;
use orion_block::{Completion, Error, Instant, Limits, Request};
use orion_driver::{Counters, Engine, Health, Registers, Unit};
use orion_metrics::Figures;

impl<R: Registers, T: Copy + Default> Engine<T> for Ahci<R, T> {
    const UNITS: u8 = UNITS;

    fn set_time(&mut self, now: Instant) {
        self.now = now;
        self.deadline = now.after(self.timeout_ns);
        self.clock = true;
    }

    /// Port by port, then the controller's own register (5.5.2): a port that has more to say then interrupts again.
    fn interrupted(&mut self) {
        self.look = true;
        if self.only != 0 {
            self.interrupted_at(0);
            self.registers.write32(register::IS, self.only);
            return;
        }
        let pending = self.registers.read32(register::IS);
        self.interrupted_behind(pending);
        for unit in 0..self.units {
            if self.multiplied & 1 << unit != 0 {
                continue;
            }
            if self.ports.get(unit).is_some_and(|port| port.base != 0 && port_bit(port.base) & pending != 0) {
                self.interrupted_at(unit);
            }
        }
        self.registers.write32(register::IS, pending);
    }

    fn limits(&self, unit: Unit) -> Option<Limits> {
        self.port(unit)?.limits()
    }

    #[inline]
    fn has_room(&self, unit: Unit) -> bool {
        let room = self.ports.get(usize::from(unit.0)).is_some_and(|port| port.free != 0 || !port.serving);
        room && self.done.count() == 0
    }

    #[inline]
    fn start(&mut self, unit: Unit, tag: T, req: &Request) {
        let admitted = match self.ports.get_mut(usize::from(unit.0)) {
            Some(port) => port.admit(tag, req, &self.regions, self.deadline),
            None => Err(Error::Offline),
        };
        let bit = 1u32.wrapping_shl(unit.0.into());
        match admitted {
            Ok(None) => {
                self.dirty |= bit;
                if self.busy & bit == 0 {
                    let watch = if self.busy == 0 { self.deadline } else { self.watch.min(self.deadline) };
                    (self.busy, self.watch) = (self.busy | bit, watch);
                }
            }
            Ok(Some(done)) => self.done.push(tag, done),
            Err(error) => self.done.push(tag, Completion::error(error)),
        }
    }

    #[inline]
    fn finished(&mut self) -> Option<(T, Completion)> {
        loop {
            if self.done.count() > 0 {
                return self.done.pop();
            }
            while self.ending != 0 {
                let unit = self.ending.trailing_zeros();
                let Some(port) = self.ports.get_mut(unit as usize) else { break };
                if port.ended == 0 {
                    self.settle(unit);
                    continue;
                }
                let slot = u8::try_from(port.ended.trailing_zeros()).unwrap_or(0);
                if let Some(answer) = port.finish(slot) {
                    self.ended = self.ended.wrapping_add(1);
                    if self.ended.is_multiple_of(orion_driver::SAMPLED) || answer.1.status.is_err() {
                        self.sample(unit, slot, &answer.1);
                    }
                    return Some(answer);
                }
            }
            if !core::mem::take(&mut self.look) {
                return None;
            }
            self.collect();
        }
    }

    fn has_answers(&self) -> bool {
        self.done.count() > 0
    }

    fn kick(&mut self) {
        if self.dirty & self.multiplied != 0 {
            self.kick_behind();
        }
        while self.dirty != 0 {
            let unit = self.dirty.trailing_zeros();
            self.dirty &= self.dirty.wrapping_sub(1);
            let Some(port) = self.ports.get_mut(unit as usize) else { continue };
            if port.step != Step::Ready || port.has_job() {
                self.advance();
                self.busy |= 1 << unit;
                self.watch = self.watch.min(self.earliest());
            }
            let Some(port) = self.ports.get_mut(unit as usize) else { continue };
            self.kicks += u64::from(port.pump(&self.registers));
        }
    }

    #[inline]
    fn expire(&mut self) -> bool {
        self.now >= self.watch && self.busy != 0 && self.overdue()
    }

    fn deadline(&self) -> Option<Instant> {
        (self.busy != 0).then_some(self.watch)
    }

    fn depth(&self) -> u16 {
        self.ports.iter().take(self.units).map(Port::depth).sum()
    }

    fn figures(&self) -> Figures {
        let in_flight = self.ports.iter().map(|port| port.in_flight() as usize).sum();
        self.counters().figures(&self.figures, self.ended, in_flight)
    }

    fn counters(&self) -> Counters {
        let ports = || self.ports.iter().take(self.units);
        Counters {
            kicks: self.kicks,
            misused: self.gone
                + ports().map(|port| port.misused).sum::<u64>()
                + self.switches.iter().map(|switch| switch.misused).sum::<u64>(),
            timeouts: ports().map(|port| port.timeouts).sum(),
        }
    }

    fn take_fault(&mut self) -> Option<&'static str> {
        let ports = self.ports.iter_mut().take(self.units);
        let switches = self.switches.iter_mut().fold(None, |fault, switch| fault.or_else(|| switch.fault.take()));
        self.fault.take().or(switches).or_else(|| ports.fold(None, |fault, port| fault.or_else(|| port.fault.take())))
    }

    #[inline]
    fn take_change(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    fn refresh(&mut self) {
        for (unit, port) in self.ports.iter_mut().enumerate().take(self.units).filter(|(_, port)| port.serving) {
            port.ask();
            (self.busy, self.dirty) = (self.busy | 1 << unit, self.dirty | 1 << unit);
        }
        self.watch = self.now;
    }

    fn health(&self, unit: Unit) -> Option<&Health> {
        self.port(unit)?.health()
    }

    fn describe(&self, unit: Unit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe_unit(unit, f)
    }
}
