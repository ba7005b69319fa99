// SPDX-License-Identifier: MIT
//! Bringing adapter and bus up from any state, and down.
//!
//! Whatever went before, the bus is reset: a target may hold it, or wait for a reselection that nobody would understand.
//! Targets are then given the time that SCSI-2 recommends, in which commands only queue.
use crate::chip::Chip;
use crate::connection::Link;
use crate::port::{AmdPort, DMA_BYTES};
use crate::registers::command;
use crate::{Fault, LUNS, TARGETS};
use orion_block::Instant;
use orion_driver::{Registers, Setup};
use orion_scsi::{Choice, Misused, Trouble, Wanted};

/// Nanoseconds from a reset to the first selection (SCSI-2, 5.7: reset to selection time).
const SETTLE_NS: u64 = 250_000_000;
/// Nanoseconds in which the adapter must have seen its own reset of the bus.
const RESET_NS: u64 = 1_000_000_000;

/// The time after a reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Down {
    /// The adapter has said that the bus was reset.
    seen: bool,
    /// When what is waited for is over; `None` where that is not known yet.
    until: Option<Instant>,
}

impl Down {
    /// When the port is to be called.
    pub fn deadline(&self, link: Link) -> Option<Instant> {
        (link == Link::Down).then(|| self.until.unwrap_or(Instant(0)))
    }
}

/// Makes the adapter ready for the first time.
pub fn first<R: Registers>(registers: R, disks: &[Wanted], setup: Setup<'_>) -> Result<AmdPort<R>, Fault> {
    let beyond = |bus: u64, len: u64| bus.checked_add(len).is_none_or(|end| end > 1 << 32);
    let on_bus = |wanted: &Wanted| match wanted.choice {
        Choice::First => true,
        Choice::At(place) => usize::from(place.target) < TARGETS && place.lun < LUNS,
    };
    if !disks.iter().all(on_bus) {
        return Err(Fault::Place);
    }
    if setup.dma.len() < DMA_BYTES || !setup.dma_bus.is_multiple_of(64) || beyond(setup.dma_bus, DMA_BYTES as u64) {
        return Err(Fault::Dma);
    }
    if setup.regions.iter().any(|region| region.size > 0 && beyond(region.bus, region.size)) {
        return Err(Fault::High);
    }
    let chip = Chip::new(registers).ok_or(Fault::Registers)?;
    if !chip.is_there() {
        return Err(Fault::Nothing);
    }
    let mut port = AmdPort::new(chip, setup.dma, setup.dma_bus);
    reset(&mut port);
    Ok(port)
}

/// Resets adapter and bus; all that was under way is forgotten.
pub fn again<R: Registers>(port: &mut AmdPort<R>) -> Result<(), &'static str> {
    if !port.chip.is_there() {
        return Err("the adapter does not answer any more");
    }
    port.clear();
    reset(port);
    Ok(())
}

fn reset<R: Registers>(port: &mut AmdPort<R>) {
    port.chip.set_dma(false);
    port.chip.reset();
    port.targets.iter_mut().for_each(|target| target.was_reset());
    (port.link, port.down) = (Link::Down, Down::default());
    port.chip.command(command::RESET_BUS);
}

/// Leaves the adapter alone, without access to memory.
pub fn abandon<R: Registers>(port: &mut AmdPort<R>) {
    port.chip.set_dma(false);
    port.chip.reset();
    port.clear();
    port.link = Link::Down;
    port.down = Down { seen: true, until: Some(Instant(u64::MAX)) };
}

/// Time has passed.
pub fn watch<R: Registers>(port: &mut AmdPort<R>, now: Instant) -> Result<(), Misused> {
    if port.link != Link::Down {
        return Ok(());
    }
    match port.down.until {
        None => port.down.until = Some(now.after(if port.down.seen { SETTLE_NS } else { RESET_NS })),
        Some(until) if now < until => {}
        Some(_) if !port.down.seen => return Err(Misused("the bus does not come out of its reset")),
        Some(_) => {
            port.link = Link::Free;
            port.chip.set_dma(true);
            port.go();
        }
    }
    Ok(())
}

impl<R: Registers> AmdPort<R> {
    /// The bus was reset: by us, or by somebody else, who has ended all that targets had.
    pub(crate) fn bus_was_reset(&mut self) {
        if self.link != Link::Down {
            self.chip.set_dma(false);
            self.chip.reset();
            self.end_all(None, Trouble::Reset);
            self.managed(false);
            self.targets.iter_mut().for_each(|target| target.was_reset());
            self.forget_connection();
            self.link = Link::Down;
        }
        self.down = Down { seen: true, until: None };
    }
}
