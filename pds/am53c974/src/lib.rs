// SPDX-License-Identifier: MIT
//! The driver PD of an AMD Am53C974 SCSI adapter: wires the engine of `orion-am53c974` to the ports behind BAR 0.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

use core::fmt::Debug;
use orion_am53c974::Fault;
use orion_driver::{Setup, WRITE_CACHE, switch};
use orion_driver_pd::{Driver, DriverPd, Whole, function};
use orion_pci::BarRegisters;
use orion_pd::config::Device;
use orion_pd::{InitError, World};
use orion_scsi::{Choice, UNITS, Wanted};

/// Vendor and device of the adapter (data sheet, "PCI configuration space").
const ADAPTER: (u16, u16) = (0x1022, 0x2020);
/// The BAR with its ports.
const BAR: usize = 0;
/// The device record's flag of a disk that may only be read.
const READ_ONLY: u32 = 2;

/// The driver of an adapter.
#[derive(Debug)]
pub struct Am53c974;

/// Its PD, with `A` between its clients and the adapter.
pub type Am53c974Pd<W, A = Whole> = DriverPd<W, Am53c974, A>;

impl<W: World> Driver<W> for Am53c974
where
    W::Mmio: Debug,
{
    type Engine<T: Copy + Default + Debug> = orion_am53c974::Am53c974<BarRegisters<W::Mmio>, T>;

    fn open<T: Copy + Default + Debug>(
        devices: &[Device],
        setup: Setup<'_>,
        world: &mut W,
    ) -> Result<Self::Engine<T>, InitError> {
        let device = devices.first().ok_or(explain(Fault::Place))?;
        let mut all = [Wanted::of(Choice::First); UNITS];
        let wanted = all.get_mut(..devices.len()).ok_or(explain(Fault::Place))?;
        for (to, device) in wanted.iter_mut().zip(devices) {
            let choice = Choice::of_number(device.unit.get()).ok_or(explain(Fault::Place))?;
            let read_only = device.flags.get() & READ_ONLY != 0;
            *to = Wanted { choice, read_only, write_cache: switch(device.options.get(), WRITE_CACHE) };
        }
        let function = function(device, world)?;
        let identity = function.identity();
        if (identity.vendor, identity.device) != ADAPTER {
            return Err(InitError(
                "no Am53C974 at the configured place: compare the disk's slot with the machine's devices",
            ));
        }
        let registers = function.registers(BAR).map_err(|fault| InitError(fault.text()))?;
        orion_am53c974::open(registers, wanted, setup).map_err(explain)
    }
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}
