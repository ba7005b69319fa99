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
use orion_driver_pd::{Driver, Site, Twice, Whole, Wishing, site};
use orion_pd::config::Device;
use orion_pd::{InitError, World};
use orion_virtio::{AnyBus, Fault, Many, MmioTransport, PciTransport, Wishes};

/// The driver of a virtio block device that has one split ring.
#[derive(Debug)]
pub struct VirtioBlk;

/// The driver of one whose queues are as the configuration wishes: several, packed, used in order.
#[derive(Debug)]
pub struct VirtioBlkQueues;

/// The PD of either, with `A` between its clients and the device.
pub type VirtioBlkPd<W, A = Whole> = Twice<W, VirtioBlk, VirtioBlkQueues, A>;

impl<W: World> Wishing<W> for VirtioBlkQueues
where
    W::Mmio: Debug,
{
    fn is_wished(device: &Device) -> bool {
        wishes(device.options.get()) != Wishes::default()
    }
}

/// What the configuration wishes of the device's queues: see [`Device::options`].
fn wishes(options: u32) -> Wishes {
    let [queues, switches, ..] = options.to_le_bytes();
    Wishes {
        queues: if queues > 1 { queues.into() } else { 0 },
        packed: switches & 1 != 0,
        in_order: switches & 2 != 0,
        queue_reset: switches & 4 != 0,
    }
}

impl<W: World> Driver<W> for VirtioBlkQueues
where
    W::Mmio: Debug,
{
    type Engine<T: Copy + Default + Debug> = orion_virtio::VirtioBlk<AnyBus<W::Mmio>, T, Many>;

    fn open<T: Copy + Default + Debug>(
        devices: &[Device],
        setup: Setup<'_>,
        world: &mut W,
    ) -> Result<Self::Engine<T>, InitError> {
        let device = alone(devices)?;
        let wishes = wishes(device.options.get());
        orion_virtio::VirtioBlk::with(bus(device, world)?, setup, wishes).map_err(explain)
    }
}

/// The one disk.
fn alone(devices: &[Device]) -> Result<&Device, InitError> {
    match devices {
        [device] => Ok(device),
        _ => Err(InitError("a virtio block device is one disk: build the image again")),
    }
}

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
        orion_virtio::VirtioBlk::new(bus(alone(devices)?, world)?, setup).map_err(explain)
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
