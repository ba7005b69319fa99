// SPDX-License-Identifier: MIT
//! From the configuration of a PCI device to its function.
use crate::UNMAPPED;
use orion_pci::{Function, Message};
use orion_pd::config::Device;
use orion_pd::{InitError, World};

/// The device is not reached over PCI.
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
