// SPDX-License-Identifier: MIT
//! SATA drives behind an AHCI controller (AHCI 1.3.1), one unit for each port that is used: [`orion_driver::Engine`] over the
//! controller's registers.
//!
//! The engine is sans-IO: given its registers, its DMA memory and the time, it brings ports up, keeps up to 32 commands at each
//! drive, and recovers from errors as the standard says. `docs/ahci.md` lists what is implemented, by section.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(any(test, feature = "model"))]
extern crate std;

mod engine;
mod fault;
mod figures;
mod hba;
mod layout;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod options;
mod port;
mod switch;
#[cfg(test)]
mod tests;
pub mod wire;

pub use engine::Ahci;
pub use fault::Fault;
pub use layout::{PORT_BYTES, UNITS};
pub use options::{Options, Place, Power};
