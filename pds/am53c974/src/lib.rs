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
use orion_driver::Setup;
use orion_driver_pd::{Driver, DriverPd, Whole, behind, each};
use orion_pci::{BarRegisters, Identity};
use orion_pd::config::Device;
use orion_pd::{InitError, World};
use orion_scsi::{UNITS, Wanted};

/// Vendor and device of the adapter (data sheet, "PCI configuration space").
const ADAPTER: (u16, u16) = (0x1022, 0x2020);
/// The BAR with its ports.
const BAR: usize = 0;
const OTHER: &str = "no Am53C974 at the configured place: compare the disk's slot with the machine's devices";

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
        let wanted = each::<_, UNITS>(devices, |device, read_only| {
            let wanted = Wanted::of_numbers(device.unit.get(), read_only, device.options.get());
            wanted.ok_or(explain(Fault::Place))
        })?;
        let is = |found: &Identity| (found.vendor, found.device) == ADAPTER;
        let registers = behind(devices, BAR, (is, OTHER), world)?;
        orion_am53c974::open(registers, &wanted, setup).map_err(explain)
    }
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}
