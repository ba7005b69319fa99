// SPDX-License-Identifier: MIT
//! The driver PD of a virtio block device: wires the engine of `orion-virtio` to its registers.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

use core::fmt::Debug;
use orion_driver::Setup;
use orion_driver_pd::{Driver, DriverPd, UNMAPPED, Whole};
use orion_pd::config::Device;
use orion_pd::{InitError, World};
use orion_virtio::{AnyBus, Fault, MmioTransport, Msi, PciTransport};

/// The driver of a virtio block device.
#[derive(Debug)]
pub struct VirtioBlk;

/// Its PD, with `A` between its clients and the device.
pub type VirtioBlkPd<W, A = Whole> = DriverPd<W, VirtioBlk, A>;

impl<W: World> Driver<W> for VirtioBlk
where
    W::Mmio: Debug,
{
    type Engine<T: Copy + Default + Debug> = orion_virtio::VirtioBlk<AnyBus<W::Mmio>, T>;

    fn open<T: Copy + Default + Debug>(
        devices: &[Device],
        setup: Setup<'_>,
        world: &mut W,
    ) -> Result<Self::Engine<T>, InitError> {
        let [device] = devices else {
            return Err(InitError("a virtio block device is one disk: build the image again"));
        };
        orion_virtio::VirtioBlk::new(bus(device, world)?, setup).map_err(explain)
    }
}

fn bus<W: World>(device: &Device, world: &mut W) -> Result<AnyBus<W::Mmio>, InitError> {
    let registers = world.mmio(device.config_vaddr.get()).ok_or(UNMAPPED)?;
    match device.transport.get() {
        0 => {
            let offset = usize::try_from(device.config_offset.get()).map_err(|_| explain(Fault::Registers))?;
            MmioTransport::new(registers, offset).map(AnyBus::Mmio).map_err(explain)
        }
        1 => {
            let bars = world.mmio(device.bar_vaddr.get()).ok_or(UNMAPPED)?;
            let address = device.msi_address.get();
            let msi = (address != 0).then(|| Msi { address, data: device.msi_data.get() });
            PciTransport::new(registers, bars, device.bar_bus.get(), msi).map(AnyBus::Pci).map_err(explain)
        }
        _ => {
            Err(InitError("the configuration names a transport that this driver does not know: build the image again"))
        }
    }
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}
