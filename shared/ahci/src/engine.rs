// SPDX-License-Identifier: MIT
//! The driver as the PD around it sees it.
use crate::hba::{self, Hba};
use crate::layout::UNITS_LEN;
use crate::port::{Port, Step};
use crate::switch::Switch;
use crate::{Fault, Options, Place};
use orion_block::Instant;
use orion_driver::{Done, REGIONS_MAX, Registers, Setup, Span, Unit};
use orion_metrics::Figures;

mod behind;
mod care;
mod describe;
mod places;
mod serve;

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
    /// Units that have requests, or wait for something; from [`UNITS_LEN`] on, port multipliers.
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
    /// Units behind port multipliers, and those.
    multiplied: u32,
    /// The only port, as a bit, where there is one unit whose port is known.
    only: u32,
    pub(crate) timeout_ns: u64,
    pub(crate) ended: u64,
    pub(crate) kicks: u64,
    regions: [Span; REGIONS_MAX],
    registers: R,
    pub(crate) ports: [Port<T>; UNITS_LEN],
    switches: [Switch; UNITS_LEN],
    units: usize,
    hba: Hba,
    fault: Option<&'static str>,
    gone: u64,
    pub(crate) figures: Figures,
    done: Done<T, ANSWERS>,
}

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    /// Takes the controller over, whatever it was doing, and begins to bring up a port for each of `units`. Drives that are not
    /// ready yet show later, by [`Engine::take_change`](orion_driver::Engine::take_change).
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
            multiplied: 0,
            only: 0,
            timeout_ns: setup.timeout_ns,
            ended: 0,
            kicks: 0,
            regions,
            registers,
            switches: [const { Switch::unused() }; UNITS_LEN],
            ports: places::tables(setup.dma, setup.dma_bus, limit, &hba, options, setup.read_only)?,
            units: units.len(),
            hba,
            fault: None,
            gone: 0,
            figures: Figures::EMPTY,
            done: Done::new(),
        };
        engine.assign(units)?;
        hba::listen(&engine.registers);
        engine.busy |= (1 << engine.units) - 1;
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

    fn port(&self, unit: Unit) -> Option<&Port<T>> {
        self.ports.get(usize::from(unit.0)).filter(|_| usize::from(unit.0) < self.units)
    }

    /// The number of the port that a unit's drive is at; nothing while none was found.
    pub fn port_of(&self, unit: Unit) -> Option<u32> {
        self.port(unit).filter(|port| port.base != 0).map(|port| places::port_bit(port.base).trailing_zeros())
    }

    /// Whether a unit's commands are queued.
    pub fn is_queued(&self, unit: Unit) -> bool {
        self.port(unit).is_some_and(|port| port.mode().queued)
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }
}
