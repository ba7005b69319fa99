// SPDX-License-Identifier: MIT
//! The driver PD of a virtio SCSI host: wires the engine of `orion-virtio` to its registers.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

use core::fmt::Debug;
use orion_driver::Setup;
use orion_driver_pd::{Driver, DriverPd, Site, UNMAPPED, Whole, each, site};
use orion_pd::config::Device;
use orion_pd::{InitError, World};
use orion_scsi::{UNITS, Wanted};
use orion_virtio::{AnyBus, Fault, MmioTransport, PciTransport};

const NO_ADDRESS: InitError = InitError("a disk's unit has no address on a SCSI bus: logical units end at 16383");

/// The driver of a virtio SCSI host.
#[derive(Debug)]
pub struct VirtioScsi;

/// Its PD, with `A` between its clients and the device.
pub type VirtioScsiPd<W, A = Whole> = DriverPd<W, VirtioScsi, A>;

impl<W: World> Driver<W> for VirtioScsi
where
    W::Mmio: Debug,
{
    type Engine<T: Copy + Default + Debug> = orion_virtio::VirtioScsi<AnyBus<W::Mmio>, T>;

    fn open<T: Copy + Default + Debug>(
        devices: &[Device],
        setup: Setup<'_>,
        world: &mut W,
    ) -> Result<Self::Engine<T>, InitError> {
        let device = devices.first().ok_or(UNMAPPED)?;
        let wanted = each::<_, UNITS>(devices, |device, read_only| {
            Wanted::of_numbers(device.unit.get(), read_only, device.options.get()).ok_or(NO_ADDRESS)
        })?;
        let bus = bus(device, world)?;
        let [queues, ..] = device.options.get().to_le_bytes();
        orion_virtio::scsi::open_with(bus, &wanted, setup, queues.into()).map_err(explain)
    }
}

fn bus<W: World>(device: &Device, world: &mut W) -> Result<AnyBus<W::Mmio>, InitError> {
    let bus = match site(device, world)? {
        Site::Mapped(registers, offset) => MmioTransport::new(registers, offset).map(AnyBus::Mmio),
        Site::Behind(function) => PciTransport::over(function).map(AnyBus::Pci),
    };
    bus.map_err(explain)
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}
