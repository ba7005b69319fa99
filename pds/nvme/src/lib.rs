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
use orion_driver_pd::{Driver, Twice, Whole, Wishing, behind, each};
use orion_nvme::{Fault, Many, Place, Queues, UNITS, Wishes};
use orion_pci::{BarRegisters, Identity};
use orion_pd::config::Device;
use orion_pd::{InitError, World};

/// Class, subclass and interface of an NVMe controller (NVMe 1.4, section 2.1.5).
const CLASS: [u8; 3] = [1, 8, 2];
/// In a device's options: each write to this disk is compared with its payload.
const VERIFY_WRITES: u32 = 1 << 9;

/// The driver of an NVMe controller with one pair of queues for requests.
#[derive(Debug)]
pub struct Nvme;

/// The driver of one with several.
#[derive(Debug)]
pub struct NvmeQueues;

/// The PD of either, with `A` between its clients and the controller.
pub type NvmePd<W, A = Whole> = Twice<W, Nvme, NvmeQueues, A>;

impl<W: World> Wishing<W> for NvmeQueues
where
    W::Mmio: Debug,
{
    fn is_wished(device: &Device) -> bool {
        let wishes = wishes(device);
        wishes.queues > 1 || wishes.weighted
    }
}

/// What the configuration wishes of the controller's queues: see [`Device::options`].
fn wishes(device: &Device) -> Wishes {
    let [queues, switches, gather, units] = device.options.get().to_le_bytes();
    Wishes { queues, weighted: switches & 8 != 0, gather, gather_us: u16::from(units) * 100 }
}

impl<W: World> Driver<W> for NvmeQueues
where
    W::Mmio: Debug,
{
    type Engine<T: Copy + Default + Debug> = orion_nvme::Nvme<BarRegisters<W::Mmio>, T, Many>;

    fn open<T: Copy + Default + Debug>(
        devices: &[Device],
        setup: Setup<'_>,
        world: &mut W,
    ) -> Result<Self::Engine<T>, InitError> {
        open(devices, setup, world)
    }
}

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
        open(devices, setup, world)
    }
}

/// The microseconds that requests may wait because the device rests when idle; 0: its power states are left alone.
fn rest_us(device: &Device) -> u32 {
    match device.options.get() >> 12 & 15 {
        0 => 0,
        doubled => 50 << doubled,
    }
}

/// The engine of either.
fn open<W: World, T: Copy + Default + Debug, Q: Queues>(
    devices: &[Device],
    setup: Setup<'_>,
    world: &mut W,
) -> Result<orion_nvme::Nvme<BarRegisters<W::Mmio>, T, Q>, InitError>
where
    W::Mmio: Debug,
{
    let device = devices.first().ok_or(explain(Fault::Units))?;
    let is = |found: &Identity| found.class == CLASS;
    let registers = behind(devices, 0, (is, Fault::NotNvme.text()), world)?;
    let places = each::<_, { UNITS as usize }>(devices, |device, read_only| {
        let verify = device.options.get() & VERIFY_WRITES != 0;
        Ok(Place { namespace: device.unit.get(), read_only, power_us: rest_us(device), verify })
    })?;
    orion_nvme::Nvme::with(registers, Setup { read_only: false, ..setup }, &places, wishes(device)).map_err(explain)
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}
