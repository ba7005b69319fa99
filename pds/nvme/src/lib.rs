// SPDX-License-Identifier: MIT
//! The driver PD of an NVMe controller: wires the engine of `orion-nvme` to the registers behind BAR 0.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

use core::fmt::Debug;
use orion_driver::Setup;
use orion_driver_pd::{Driver, DriverPd, Whole, function};
use orion_nvme::{Fault, Place, UNITS};
use orion_pci::BarRegisters;
use orion_pd::config::Device;
use orion_pd::{InitError, World};

/// Class, subclass and interface of an NVMe controller (NVMe 1.4, section 2.1.5).
const CLASS: [u8; 3] = [1, 8, 2];
/// A device's flag: nothing may be written to this disk.
const READ_ONLY: u32 = 2;

/// The driver of an NVMe controller.
#[derive(Debug)]
pub struct Nvme;

/// Its PD, with `A` between its clients and the controller.
pub type NvmePd<W, A = Whole> = DriverPd<W, Nvme, A>;

impl<W: World> Driver<W> for Nvme
where
    W::Mmio: Debug,
{
    type Engine<T: Copy + Default + Debug> = orion_nvme::Nvme<BarRegisters<W::Mmio>, T>;

    fn open<T: Copy + Default + Debug>(
        devices: &[Device],
        setup: Setup<'_>,
        world: &mut W,
    ) -> Result<Self::Engine<T>, InitError> {
        let device = devices.first().ok_or(explain(Fault::Units))?;
        let function = function(device, world)?;
        if function.identity().class != CLASS {
            return Err(explain(Fault::NotNvme));
        }
        let registers = function.registers(0).map_err(|fault| InitError(fault.text()))?;
        let mut places = [Place::FIRST; UNITS as usize];
        let places = places.get_mut(..devices.len()).ok_or(explain(Fault::Units))?;
        for (place, device) in places.iter_mut().zip(devices) {
            // Each disk is read-only or not by its own flag, not by that of the first.
            *place = Place { namespace: device.unit.get(), read_only: device.flags.get() & READ_ONLY != 0 };
        }
        orion_nvme::Nvme::new(registers, Setup { read_only: false, ..setup }, places).map_err(explain)
    }
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}
