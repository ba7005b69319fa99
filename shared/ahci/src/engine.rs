// SPDX-License-Identifier: MIT
//! The driver as the PD around it sees it.
use crate::hba::{self, Hba};
use crate::layout::{PORT_BYTES, UNITS, UNITS_LEN};
use crate::port::{Next, Port, Step};
use crate::wire::registers::{cmd, hba as register, link, port};
use crate::{Fault, Options, Place};
use core::fmt;
use orion_block::{Completion, Error, Instant, Limits, Request};
use orion_driver::{Counters, Done, Engine, Health, REGIONS_MAX, Registers, Setup, Span, Unit};
use orion_metrics::Figures;
use orion_region::Window;

/// Answers at most for which no device was needed.
const ANSWERS: usize = UNITS_LEN * 32;
/// How often ports are looked at while the driver starts: drives that are ready by then are served at once.
const LOOKS: u32 = 2000;

/// An AHCI controller with its drives. `T` is what the caller calls its requests by.
#[repr(C)]
#[derive(Debug)]
pub struct Ahci<R, T = u32> {
    now: Instant,
    /// Of a request that is submitted now.
    deadline: Instant,
    /// No deadline is before this.
    watch: Instant,
    /// Units that have requests, or wait for something.
    busy: u32,
    /// Units that may have something to show their drive.
    dirty: u32,
    /// Units that may have requests that ended.
    ending: u32,
    /// Drives are to be asked what they have done.
    look: bool,
    /// The time is known.
    clock: bool,
    /// The limits of a unit changed.
    changed: bool,
    alive: bool,
    /// The only port, as a bit, where there is one unit whose port is known.
    only: u32,
    pub(crate) timeout_ns: u64,
    pub(crate) ended: u64,
    pub(crate) kicks: u64,
    regions: [Span; REGIONS_MAX],
    registers: R,
    pub(crate) ports: [Port<T>; UNITS_LEN],
    units: usize,
    hba: Hba,
    fault: Option<&'static str>,
    gone: u64,
    pub(crate) figures: Figures,
    done: Done<T, ANSWERS>,
}

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    /// Takes the controller over, whatever it was doing, and begins to bring up a port for each of `units`. Drives that are not ready yet show later, by [`Engine::take_change`].
    ///
    /// # Errors
    /// [`Fault`] where the controller cannot be used.
    pub fn new(mut registers: R, setup: Setup<'_>, units: &[Place], options: Options) -> Result<Self, Fault> {
        if units.is_empty() || units.len() > UNITS_LEN {
            return Err(Fault::TooMany);
        }
        let hba = hba::take(&mut registers)?;
        let (mut regions, limit) = ([Span::default(); REGIONS_MAX], if hba.wide { u64::MAX } else { 1 << 32 });
        for (to, from) in regions.iter_mut().zip(setup.regions) {
            // What the controller does not reach can't be named.
            *to = Some(from.sound()).filter(|s| s.bus.saturating_add(s.size) <= limit).unwrap_or_default();
        }
        let mut engine = Self {
            now: Instant::default(),
            deadline: Instant(setup.timeout_ns),
            watch: Instant::default(),
            busy: 0,
            dirty: 0,
            ending: 0,
            look: false,
            clock: false,
            changed: false,
            alive: true,
            only: 0,
            timeout_ns: setup.timeout_ns,
            ended: 0,
            kicks: 0,
            regions,
            registers,
            ports: tables(setup.dma, setup.dma_bus, limit, &hba, options, setup.read_only)?,
            units: units.len(),
            hba,
            fault: None,
            gone: 0,
            figures: Figures::EMPTY,
            done: Done::new(),
        };
        engine.assign(units)?;
        hba::listen(&engine.registers);
        engine.busy = (1 << engine.units) - 1;
        for _ in 0..LOOKS {
            engine.advance();
            let settled = |port: &Port<T>| matches!(port.step, Step::Ready | Step::Absent | Step::Dead);
            if engine.ports.iter().take(engine.units).all(settled) {
                break;
            }
        }
        engine.dirty = engine.busy;
        Ok(engine)
    }

    fn assign(&mut self, units: &[Place]) -> Result<(), Fault> {
        let mut named = 0u32;
        for (port, unit) in self.ports.iter_mut().zip(units) {
            port.forbid_writes(unit.read_only);
            if unit.port == Place::ANY {
                continue;
            }
            let bit = 1u32.checked_shl(unit.port).unwrap_or(0) & self.hba.ports & !named;
            if bit == 0 {
                return Err(Fault::Port);
            }
            named |= bit;
            port.place(base(bit.trailing_zeros()));
            self.only = if units.len() == 1 { bit } else { 0 };
        }
        Ok(())
    }

    /// Looks for a drive on ports that nobody has; ports spin up one after the other where they do not by themselves.
    fn search(&mut self, unit: usize) {
        let taken = self.ports.iter().filter(|port| port.base != 0).map(|port| port_bit(port.base)).sum::<u32>();
        for number in (0..32).filter(|n| self.hba.ports & !taken & 1 << n != 0) {
            let base = base(number);
            let command = self.registers.read32(base + port::CMD);
            let there = self.registers.read32(base + port::SSTS) & link::DET == link::UP;
            if there {
                if let Some(port) = self.ports.get_mut(unit) {
                    port.place(base);
                    self.only = if self.units == 1 { port_bit(base) } else { 0 };
                }
                return;
            }
            if command & cmd::SUD == 0 {
                self.registers.write32(base + port::CMD, command | cmd::POD | cmd::SUD);
                if self.hba.able.staggered {
                    return;
                }
            }
        }
    }

    /// Does what is due at each port that is not simply serving.
    fn advance(&mut self) {
        let now = self.clock.then_some(self.now);
        for unit in 0..self.units {
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
    fn reset_all(&mut self) {
        self.gone += 1;
        self.fault = Some("a port did not stop: the controller was reset");
        if hba::reset(&mut self.registers).is_err() {
            return self.lost("the controller does not come out of its reset");
        }
        hba::listen(&self.registers);
        self.ports.iter_mut().take(self.units).for_each(Port::begin_again);
    }

    /// The controller is gone, or of no use: everything is answered.
    #[cold]
    fn lost(&mut self, what: &'static str) {
        self.registers.set_dma(false);
        self.alive = false;
        for (unit, port) in self.ports.iter_mut().enumerate().take(self.units) {
            port.begin_again();
            let _ = port.dead(what);
            self.changed |= core::mem::take(&mut port.changed);
            self.ending |= u32::from(port.ended != 0) << unit;
        }
        self.fault = Some(what);
    }

    fn interrupted_at(&mut self, unit: usize) {
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
    fn overdue(&mut self) -> bool {
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
    fn earliest(&mut self) -> Instant {
        for (unit, port) in self.ports.iter().enumerate().take(self.units) {
            if port.is_idle() {
                self.busy &= !(1 << unit);
            }
        }
        let ports = || self.ports.iter().take(self.units);
        let wakes = ports().filter_map(|port| port.wake(self.now));
        let deadlines = ports().filter_map(Port::oldest);
        wakes.chain(deadlines).min().unwrap_or(Instant(u64::MAX))
    }

    /// Asks each drive what it has done.
    fn collect(&mut self) {
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

    fn port(&self, unit: Unit) -> Option<&Port<T>> {
        self.ports.get(usize::from(unit.0)).filter(|_| usize::from(unit.0) < self.units)
    }

    /// The number of the port that a unit's drive is at; nothing while none was found.
    pub fn port_of(&self, unit: Unit) -> Option<u32> {
        self.port(unit).filter(|port| port.base != 0).map(|port| port_bit(port.base).trailing_zeros())
    }

    /// Whether a unit's commands are queued.
    pub fn is_queued(&self, unit: Unit) -> bool {
        self.port(unit).is_some_and(|port| port.mode().queued)
    }
}

/// Where a port's registers begin.
fn base(number: u32) -> usize {
    register::PORTS + register::PORT_BYTES * number as usize
}

fn port_bit(base: usize) -> u32 {
    1u32.checked_shl(u32::try_from(base.saturating_sub(register::PORTS) / register::PORT_BYTES).unwrap_or(32))
        .unwrap_or(0)
}

/// The tables of each unit, in its part of the DMA memory.
fn tables<T: Copy + Default>(
    dma: Window,
    bus: u64,
    limit: u64,
    hba: &Hba,
    options: Options,
    read_only: bool,
) -> Result<[Port<T>; UNITS_LEN], Fault> {
    let end = bus.checked_add(dma.len() as u64).filter(|end| *end <= limit);
    let aligned = bus.is_multiple_of(4096) && dma.base().addr().get().is_multiple_of(4096);
    if end.is_none() || !aligned || dma.len() < PORT_BYTES * UNITS_LEN {
        return Err(Fault::Dma);
    }
    let mut parts = [const { None }; UNITS_LEN];
    let mut rest = Some(dma);
    for (place, to) in (0u64..).zip(&mut parts) {
        let (part, later) = rest.take().and_then(|rest| rest.split(PORT_BYTES)).ok_or(Fault::Dma)?;
        rest = Some(later);
        *to = Some(Port::new(part, bus + place * PORT_BYTES as u64, hba.able, options, read_only)?);
    }
    let mut ports = parts.into_iter().flatten();
    let mut take = || ports.next().ok_or(Fault::Dma);
    Ok([take()?, take()?, take()?, take()?, take()?, take()?, take()?, take()?])
}

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
        for unit in 0..self.units {
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
            misused: self.gone + ports().map(|port| port.misused).sum::<u64>(),
            timeouts: ports().map(|port| port.timeouts).sum(),
        }
    }

    fn take_fault(&mut self) -> Option<&'static str> {
        let ports = self.ports.iter_mut().take(self.units);
        self.fault.take().or_else(|| ports.fold(None, |fault, port| fault.or_else(|| port.fault.take())))
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
        let Some((port, limits)) = self.port(unit).and_then(|port| Some((port, port.limits()?))) else {
            return write!(f, "no drive");
        };
        let (mode, health) = (port.mode(), port.health().copied().unwrap_or_default());
        let word = |yes, word| if yes { word } else { "" };
        let how = match mode {
            _ if mode.queued => "NCQ",
            _ if mode.dma => "DMA",
            _ => "PIO",
        };
        write!(
            f,
            "SATA port {}, {}, {} blocks of {} bytes, {} requests in flight, {how}{}{}{}{}",
            self.port_of(unit).unwrap_or_default(),
            health.model,
            limits.capacity,
            limits.block.bytes(),
            limits.queue_depth,
            word(!mode.lba48, ", 28-bit addresses"),
            word(limits.volatile_cache, ", volatile cache"),
            word(limits.discard_granularity != 0, ", discard"),
            word(limits.read_only, ", read-only"),
        )
    }
}

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    /// What time it is.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// A unit has no more answers: whether it waits for anything.
    #[inline]
    fn settle(&mut self, unit: u32) {
        let bit = 1u32.wrapping_shl(unit);
        self.ending &= !bit;
        if self.ports.get(unit as usize).is_some_and(Port::is_idle) {
            self.busy &= !bit;
        } else {
            self.dirty |= bit;
        }
    }
}
