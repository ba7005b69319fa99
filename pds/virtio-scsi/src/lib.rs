// SPDX-License-Identifier: MIT
//! The driver PD of a virtio SCSI host: wires the engine of `orion-virtio` to its registers.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

use core::fmt::Debug;
use orion_driver::{Setup, WRITE_CACHE, switch};
use orion_driver_pd::{Driver, DriverPd, Site, UNMAPPED, Whole, site};
use orion_pd::config::Device;
use orion_pd::{InitError, World};
use orion_scsi::{Choice, UNITS, Wanted};
use orion_virtio::{AnyBus, Fault, MmioTransport, PciTransport};

/// The device record's flag of a disk that may only be read.
const READ_ONLY: u32 = 2;

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
        let (wanted, count) = wanted(devices)?;
        let bus = bus(device, world)?;
        let [queues, ..] = device.options.get().to_le_bytes();
        let wanted = wanted.get(..count).unwrap_or_default();
        orion_virtio::scsi::open_with(bus, wanted, setup, queues.into()).map_err(explain)
    }
}

/// The disks of the configuration, in their order, and how many there are.
fn wanted(devices: &[Device]) -> Result<([Wanted; UNITS], usize), InitError> {
    let mut all = [Wanted::of(Choice::First); UNITS];
    for (to, device) in all.iter_mut().zip(devices) {
        let choice = Choice::of_number(device.unit.get());
        let choice =
            choice.ok_or(InitError("a disk's unit has no address on a SCSI bus: logical units end at 16383"))?;
        let read_only = device.flags.get() & READ_ONLY != 0;
        *to = Wanted { choice, read_only, write_cache: switch(device.options.get(), WRITE_CACHE) };
    }
    Ok((all, devices.len().min(UNITS)))
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
