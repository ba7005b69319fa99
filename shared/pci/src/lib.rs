// SPDX-License-Identifier: MIT
//! PCI for a driver that holds one function and nothing else: its configuration page and a window for its BARs.
//!
//! The driver places the BARs itself, so that nothing depends on firmware, and sets up one interrupt: MSI-X where the
//! function has it, else MSI, else the pin. The function reaches memory only after [`Function::set_dma`]. All that it says of
//! itself (sizes of BARs, places of capabilities) is checked to stay within the window and the page. Section numbers are
//! those of PCI Local Bus 3.0.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(any(test, feature = "model"))]
extern crate std;

mod bars;
mod capabilities;
mod fault;
mod function;
mod interrupt;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod registers;

pub use bars::{Part, Space};
pub use capabilities::{Capabilities, Capability};
pub use fault::Fault;
pub use function::{Function, Identity, set_dma};
pub use interrupt::{Interrupt, Message};
pub use registers::BarRegisters;

#[cfg(test)]
mod tests;

/// Offsets in the configuration page (section 6.1).
mod cfg {
    pub const VENDOR: usize = 0x00;
    pub const DEVICE: usize = 0x02;
    pub const COMMAND: usize = 0x04;
    pub const STATUS: usize = 0x06;
    pub const INTERFACE: usize = 0x09;
    pub const SUBCLASS: usize = 0x0a;
    pub const CLASS: usize = 0x0b;
    pub const HEADER_TYPE: usize = 0x0e;
    pub const BARS: usize = 0x10;
    pub const SUBSYSTEM: usize = 0x2e;
    pub const ROM: usize = 0x30;
    pub const CAPABILITIES: usize = 0x34;
    /// Bytes of a function's configuration that every PCI function has.
    pub const LEN: usize = 0x100;
}

/// Bits of the command register (section 6.2.2).
mod command {
    pub const PORTS: u16 = 1 << 0;
    pub const MEMORY: u16 = 1 << 1;
    pub const MASTER: u16 = 1 << 2;
    pub const NO_INTX: u16 = 1 << 10;
}

/// The low and the high word of `value`.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
const fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}
