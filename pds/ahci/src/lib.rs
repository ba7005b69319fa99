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
use orion_driver_pd::{Driver, DriverPd, Whole, function};
use orion_pci::BarRegisters;
use orion_pd::config::Device;
use orion_pd::{InitError, World};

/// Class, subclass and interface of an AHCI controller (AHCI 1.3.1, section 2.1.5).
const CLASS: [u8; 3] = [1, 6, 1];
/// The BAR with the registers (2.1.11).
const ABAR: usize = 5;
/// A device's flag: nothing may be written to this disk.
const READ_ONLY: u32 = 2;

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
        let device = devices.first().ok_or(explain(Fault::TooMany))?;
        let function = function(device, world)?;
        if function.identity().class != CLASS {
            return Err(InitError(
                "no AHCI controller at the configured place: compare the disk's slot with the machine's devices",
            ));
        }
        let registers = function.registers(ABAR).map_err(|fault| InitError(fault.text()))?;
        let mut places = [Place::FIRST; UNITS as usize];
        let places = places.get_mut(..devices.len()).ok_or(explain(Fault::TooMany))?;
        for (place, device) in places.iter_mut().zip(devices) {
            // Each disk is read-only or not by its own flag, not by that of the first.
            *place = Place::of(device.unit.get(), device.flags.get() & READ_ONLY != 0);
        }
        let setup = Setup { read_only: false, ..setup };
        let wishes = device.options.get();
        let options = Options {
            power: Power::of(wishes >> 16 & 0xff),
            write_cache: switch(wishes, WRITE_CACHE),
            look_ahead: switch(wishes, LOOK_AHEAD),
            ..Options::default()
        };
        orion_ahci::Ahci::new(registers, setup, places, options).map_err(explain)
    }
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}
