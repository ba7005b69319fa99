// SPDX-License-Identifier: MIT
//! The console: prints what every PD writes into its console ring, line by line, each line with the PD's name, and hands
//! the lines that people type to the manager, where there is one.
//!
//! Kernels of release builds print nothing for PDs; this PD owns the UART and prints in every build.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

mod console;
mod input;
mod line;
mod ns16550;
mod pl011;
mod plain;
mod uart;

#[cfg(test)]
mod tests;

pub use console::{Console, MOST_CONSOLES, Ring, Serial};
pub use ns16550::{Ns16550, Ports};
pub use pl011::Pl011;
pub use plain::Plain;
pub use uart::{Stuck, Uart, Wire};
