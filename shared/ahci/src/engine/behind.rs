// SPDX-License-Identifier: MIT
//! Units behind port multipliers: who may have commands at the controller, and what the multiplier says to each.
use super::Ahci;
use super::places::port_bit;
use crate::Fault;
use crate::layout::UNITS_LEN;
use crate::port::{Next, Port, Step};
use crate::switch::{Step as Bring, Switch, Told};
use crate::wire::multiplier::CONTROL;
use crate::wire::registers::{is, port};
use orion_block::Instant;
use orion_driver::Registers;

/// How often a multiplier is looked at in a row: one that answers at once is ready after as many.
const LOOKS: u32 = 64;

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    /// A unit is `device` behind the multiplier at `base`, the `nth` of `of`.
    pub(super) fn assign_behind(
        &mut self,
        unit: usize,
        base: usize,
        device: u8,
        (nth, of): (usize, usize),
    ) -> Result<(), Fault> {
        if !self.hba.able.multipliers {
            return Err(Fault::Multiplier);
        }
        let index = self.switches.iter().position(|switch| switch.base == base || switch.base == 0);
        let switch = index.and_then(|index| self.switches.get_mut(index)).ok_or(Fault::TooMany)?;
        let leader = switch.units.trailing_zeros() as usize;
        let part = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (before, rest) = self.ports.split_at_mut_checked(unit).ok_or(Fault::TooMany)?;
        let port = rest.first_mut().ok_or(Fault::TooMany)?;
        port.place_behind(base, device, (part(nth), part(of)), before.get(leader))?;
        if switch.base == 0 {
            *switch = port.switch()?;
        }
        if device >= CONTROL || !switch.join(unit, device) {
            return Err(Fault::Port);
        }
        self.multiplied |= 1 << unit | own(index.unwrap_or(0));
        self.busy |= own(index.unwrap_or(0));
        Ok(())
    }

    /// What the units of a multiplier have to show their drives, each in its turn.
    pub(super) fn kick_behind(&mut self) {
        for index in 0..self.switches.len() {
            let units = self.switches.get(index).map_or(0, |switch| switch.units);
            if units != 0 && self.dirty & (units | own(index)) != 0 {
                self.dirty &= !(units | own(index));
                self.tend(index);
                self.busy |= units & self.working() | own(index);
                self.watch = self.watch.min(self.earliest());
            }
        }
        self.dirty &= !self.multiplied;
    }

    /// Units that are not idle.
    fn working(&self) -> u32 {
        let ports = self.ports.iter().take(self.units).enumerate();
        ports.filter(|(_, port)| !port.is_idle()).fold(0, |all, (unit, _)| all | 1 << unit)
    }

    /// Looks after a multiplier and its devices.
    pub(super) fn tend(&mut self, index: usize) {
        let now = self.clock.then_some(self.now);
        for _ in 0..LOOKS {
            let Some(switch) = self.switches.get_mut(index).filter(|switch| switch.base != 0) else { return };
            let units = switch.units;
            let alone = members(&mut self.ports, units).all(|(_, port)| port.rests());
            match switch.advance(&self.registers, now, alone) {
                Told::Wait => break,
                Told::Go => {}
                Told::ResetAll => return self.reset_all(),
                told => self.hear(index, told),
            }
        }
        if self.serve_behind(index) == Next::ResetAll {
            self.reset_all();
        }
        self.note(index);
    }

    /// Each of a multiplier's devices has its turn, or all have.
    fn serve_behind(&mut self, index: usize) -> Next {
        let now = self.clock.then_some(self.now);
        let Some(switch) = self.switches.get_mut(index) else { return Next::Wait };
        grant(switch, &mut self.ports);
        for (_, port) in members(&mut self.ports, switch.units) {
            let due = if port.step == Step::Ready { port.has_job() } else { port.turn };
            if due && port.advance(&self.registers, now, true) == Next::ResetAll {
                return Next::ResetAll;
            }
            self.kicks += u64::from(port.pump(&self.registers));
        }
        Next::Wait
    }

    /// What the units have to say to the multiplier, and to those above.
    fn note(&mut self, index: usize) {
        let Some(switch) = self.switches.get_mut(index) else { return };
        let mut halt = false;
        for (unit, port) in members(&mut self.ports, switch.units) {
            halt |= core::mem::take(&mut port.wants_halt);
            if core::mem::take(&mut port.wants_reset) {
                switch.reset_device(port.device.unwrap_or(CONTROL));
            }
            self.ending |= u32::from(port.ended != 0) << unit;
            self.changed |= core::mem::take(&mut port.changed);
        }
        if halt {
            switch.halt(&self.registers);
        }
        grant(switch, &mut self.ports);
    }

    /// What a multiplier has told.
    pub(super) fn hear(&mut self, index: usize, told: Told) {
        let Some(switch) = self.switches.get_mut(index) else { return };
        let by_fis = switch.by_fis;
        for (unit, port) in members(&mut self.ports, switch.units) {
            let device = port.device.unwrap_or(CONTROL);
            match told {
                Told::Halted(all) if port.halted(all) && !all => switch.reset_device(device),
                Told::Up(count) if device < count => {
                    port.switch_by_fis(by_fis);
                    port.behind();
                    switch.reset_device(device);
                }
                Told::Up(_) => {
                    let _ = port.dead("the port multiplier has no such port: compare the disk's unit with its ports");
                }
                Told::Ready(which, signature) if which == device => {
                    (switch.turn, port.turn) = (u8::try_from(unit).unwrap_or(0), true);
                    port.greeted(&self.registers, signature);
                }
                Told::Missing(which) if which == device => {
                    let _ = port.left();
                }
                Told::Changed(devices) if devices >> device & 1 != 0 => {
                    if port.holds() {
                        port.wants_halt = true;
                    } else {
                        port.halted(true);
                        port.switch_by_fis(by_fis);
                        switch.reset_device(device);
                    }
                }
                Told::Gone(None) => {
                    let _ = port.left();
                }
                Told::Gone(Some(why)) => {
                    let _ = port.dead(why);
                }
                _ => {}
            }
        }
        self.note(index);
    }

    /// There was an interrupt of these ports: what those with multipliers have to say.
    pub(super) fn interrupted_behind(&mut self, pending: u32) {
        for index in 0..self.switches.len() {
            let Some(switch) = self.switches.get(index) else { continue };
            if switch.base == 0 || port_bit(switch.base) & pending == 0 {
                continue;
            }
            let bits = self.registers.read32(switch.base + port::IS);
            if bits & !is::ENDED != 0 {
                self.unusual_behind(index, bits);
            } else {
                self.registers.write32(switch.base + port::IS, bits);
            }
            let Some(switch) = self.switches.get_mut(index) else { continue };
            grant(switch, &mut self.ports);
            switch.listen(&self.registers);
            let all = switch.units | own(index);
            if switch.wants() || members(&mut self.ports, switch.units).any(|(_, port)| port.step != Step::Ready) {
                (self.busy, self.dirty) = (self.busy | all, self.dirty | all);
                self.watch = self.now;
            }
        }
    }

    #[cold]
    fn unusual_behind(&mut self, index: usize, pending: u32) {
        let Some(switch) = self.switches.get_mut(index) else { return };
        let base = switch.base;
        if pending == u32::MAX && self.registers.read32(base + port::CMD) == u32::MAX {
            return self.lost("the controller is gone");
        }
        let (serr, ends) = (self.registers.read32(base + port::SERR), self.registers.read32(base + port::TFD));
        self.registers.write32(base + port::SERR, serr);
        self.registers.write32(base + port::IS, pending);
        if pending & (is::PCS | is::PRCS) != 0 {
            switch.replug(&self.registers, pending & is::PCS != 0);
        }
        if pending & (is::FATAL | is::OFS) == 0
            || !matches!(switch.step, Bring::Serve | Bring::Find(_) | Bring::Ask(_) | Bring::Device(_))
        {
            return;
        }
        let culprit = if switch.by_fis { switch.culprit(&self.registers) } else { None };
        if switch.by_fis && culprit.is_none() {
            // The link's error: nobody's, and everybody's.
            (switch.misused, switch.fault) = (switch.misused + 1, Some("the link or the bus failed"));
            return switch.restart(&self.registers);
        }
        if switch.holds() && (!switch.by_fis || culprit == Some(CONTROL) || culprit == switch.resetting()) {
            return switch.failed();
        }
        for (_, port) in members(&mut self.ports, switch.units) {
            if culprit.is_some() && culprit == port.device {
                return port.failed_apart(&self.registers, pending);
            }
            if culprit.is_none() && port.holds() {
                let _ = port.error(&self.registers, pending, ends);
                return;
            }
        }
        // Of nobody's command.
        switch.misused += 1;
        switch.restart(&self.registers);
    }

    /// When multipliers must be looked at again. Those that wait for nothing are no longer looked at.
    pub(super) fn earliest_behind(&mut self) -> Option<Instant> {
        let mut earliest = None;
        for (index, switch) in self.switches.iter().enumerate().filter(|(_, switch)| switch.base != 0) {
            if !switch.wants() {
                self.busy &= !own(index);
            }
            let wake = switch.wake(self.now).map_or(u64::MAX, |at| at.0);
            earliest = Some(Instant(wake.min(earliest.map_or(u64::MAX, |at: Instant| at.0))));
        }
        earliest
    }
}

/// The bit of a multiplier among those of units.
fn own(index: usize) -> u32 {
    1 << (UNITS_LEN + index)
}

/// The ports of these units.
fn members<T>(ports: &mut [Port<T>], units: u32) -> impl Iterator<Item = (usize, &mut Port<T>)> {
    ports.iter_mut().enumerate().filter(move |(unit, _)| units >> unit & 1 != 0)
}

/// Decides who may have commands at the controller now: all where it tells devices apart, else one, each in its turn.
fn grant<T: Copy + Default>(switch: &mut Switch, ports: &mut [Port<T>]) {
    let runs = switch.runs();
    members(ports, switch.units).for_each(|(_, port)| port.frozen = !runs);
    if switch.by_fis {
        return members(ports, switch.units).for_each(|(_, port)| port.turn = runs);
    }
    let now = usize::from(switch.turn);
    let rests = ports.get(now).is_none_or(|port| port.rests());
    let others = switch.wants() || members(ports, switch.units).any(|(unit, port)| unit != now && port.waits());
    let next = |ports: &mut [Port<T>]| {
        let waits =
            members(ports, switch.units).filter(|(_, port)| port.waits()).fold(0u32, |all, (unit, _)| all | 1 << unit);
        // The first after the one that was last.
        let later = waits & u32::MAX.checked_shl(u32::try_from(now).unwrap_or(0) + 1).unwrap_or(0);
        let first = if later != 0 { later } else { waits };
        if first == 0 { now } else { first.trailing_zeros() as usize }
    };
    let turn = match (rests, switch.wants()) {
        _ if switch.works() => None,
        (true, true) => None,
        (true, false) => Some(next(ports)),
        // Who is in the middle of something stays; who serves gives way as soon as it has nothing at the controller.
        (false, _) => Some(now).filter(|now| !others || ports.get(*now).is_some_and(|port| port.step != Step::Ready)),
    };
    switch.turn = turn.and_then(|turn| u8::try_from(turn).ok()).unwrap_or(switch.turn);
    members(ports, switch.units).for_each(|(unit, port)| port.turn = Some(unit) == turn);
}
