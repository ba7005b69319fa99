// SPDX-License-Identifier: MIT
//! The driver PD of an AHCI controller: wires the engine of `orion-ahci` to the registers behind BAR 5.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

use core::fmt::Debug;
use orion_ahci::{Fault, Options, Place, Power, UNITS};
use orion_driver::{LOOK_AHEAD, Setup, WRITE_CACHE, switch};
use orion_driver_pd::{Driver, DriverPd, Whole, behind, each};
use orion_pci::{BarRegisters, Identity};
use orion_pd::config::Device;
use orion_pd::{InitError, World};

/// Class, subclass and interface of an AHCI controller (AHCI 1.3.1, section 2.1.5).
const CLASS: [u8; 3] = [1, 6, 1];
/// The BAR with the registers (2.1.11).
const ABAR: usize = 5;
const OTHER: &str = "no AHCI controller at the configured place: compare the disk's slot with the machine's devices";

/// The driver of an AHCI controller.
#[derive(Debug)]
pub struct Ahci;

/// Its PD, with `A` between its clients and the controller.
pub type AhciPd<W, A = Whole> = DriverPd<W, Ahci, A>;

impl<W: World> Driver<W> for Ahci
where
    W::Mmio: Debug,
{
    type Engine<T: Copy + Default + Debug> = orion_ahci::Ahci<BarRegisters<W::Mmio>, T>;

    fn open<T: Copy + Default + Debug>(
        devices: &[Device],
        setup: Setup<'_>,
        world: &mut W,
    ) -> Result<Self::Engine<T>, InitError> {
        let registers = behind(devices, ABAR, (|found: &Identity| found.class == CLASS, OTHER), world)?;
        let places =
            each::<_, { UNITS as usize }>(devices, |device, read_only| Ok(Place::of(device.unit.get(), read_only)))?;
        let setup = Setup { read_only: false, ..setup };
        let wishes = devices.first().map_or(0, |device| device.options.get());
        let options = Options {
            power: Power::of(wishes >> 16 & 0xff),
            write_cache: switch(wishes, WRITE_CACHE),
            look_ahead: switch(wishes, LOOK_AHEAD),
            ..Options::default()
        };
        orion_ahci::Ahci::new(registers, setup, &places, options).map_err(explain)
    }
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}
