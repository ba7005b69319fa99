// SPDX-License-Identifier: MIT
//! A device's registers, with what its bus lets a driver do.
use orion_region::Mmio;

/// The register file of a device: offset 0 is its first register.
pub trait Registers: Mmio {
    /// Lets the device reach memory, or not. Off until the first call. Does nothing where the bus has no such switch.
    fn set_dma(&mut self, _on: bool) {}

    /// Whether interrupts are messages, which need no acknowledgement at the device.
    fn messages(&self) -> bool {
        false
    }

    /// Whether the function's MSI-X is on: where messages are MSI, or a pin, some devices want interrupts set up otherwise.
    fn vectors(&self) -> u16 {
        1
    }
}
