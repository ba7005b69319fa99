// SPDX-License-Identifier: MIT
//! From the configuration of a PCI device to its function.
use crate::UNMAPPED;
use orion_pci::{BarRegisters, Function, Identity, Message};
use orion_pd::config::Device;
use orion_pd::{InitError, World};

/// The device is not reached in a way that its driver knows.
const NOT_PCI: InitError = InitError(
    "the configuration names a transport that this driver does not know: build the image and its configuration together",
);

/// The PCI function of a device, with its BARs placed and its interrupt set up.
///
/// # Errors
/// [`InitError`] where the device is none of PCI's, or its function cannot be used.
pub fn function<W: World>(device: &Device, world: &mut W) -> Result<Function<W::Mmio>, InitError> {
    let config = world.mmio(device.config_vaddr.get()).ok_or(UNMAPPED)?;
    let bars = world.mmio(device.bar_vaddr.get()).ok_or(UNMAPPED)?;
    let (bus, address) = (device.bar_bus.get(), device.msi_address.get());
    let message = (address != 0).then(|| Message { address, data: device.msi_data.get() });
    let function = match device.transport.get() {
        1 => Function::new(config, bars, bus, message),
        2 => Function::with_ports(config, bars, bus, message),
        _ => return Err(NOT_PCI),
    };
    function.map_err(|fault| InitError(fault.text()))
}

/// The registers behind a BAR of a function of PCI that says of itself that it `is` what this driver drives; else the error is
/// `other`.
///
/// # Errors
/// As [`function`]; and where it has no such BAR.
pub fn behind<W: World>(
    devices: &[Device],
    bar: usize,
    (is, other): (impl Fn(&Identity) -> bool, &'static str),
    world: &mut W,
) -> Result<BarRegisters<W::Mmio>, InitError> {
    let function = function(devices.first().ok_or(UNMAPPED)?, world)?;
    if !is(&function.identity()) {
        return Err(InitError(other));
    }
    function.registers(bar).map_err(|fault| InitError(fault.text()))
}

/// Where a device's registers are.
#[derive(Debug)]
pub enum Site<M> {
    /// In a page of their own or of several devices, from this byte on.
    Mapped(M, usize),
    /// Behind a function of PCI, in memory.
    Behind(Function<M>),
}

/// The device's registers, of a kind of device that there is on PCI and without it.
///
/// # Errors
/// [`InitError`] where they are not mapped, or the function cannot be used.
pub fn site<W: World>(device: &Device, world: &mut W) -> Result<Site<W::Mmio>, InitError> {
    match device.transport.get() {
        0 => {
            let registers = world.mmio(device.config_vaddr.get()).ok_or(UNMAPPED)?;
            let offset = usize::try_from(device.config_offset.get()).map_err(|_| UNMAPPED)?;
            Ok(Site::Mapped(registers, offset))
        }
        1 => function(device, world).map(Site::Behind),
        _ => Err(NOT_PCI),
    }
}
