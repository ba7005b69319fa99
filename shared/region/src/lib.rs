// SPDX-License-Identifier: MIT
//! Memory that a PD shares with peers and devices: windows on mapped regions, register files, DMA arenas.
#![no_std]

#[cfg(any(test, feature = "model"))]
extern crate std;

pub mod circle;
pub mod fixed;
pub mod mmio;
#[cfg(any(test, feature = "model"))]
pub mod model;
pub mod table;
pub mod window;

pub use circle::Circle;
pub use fixed::Fixed;
pub use mmio::{Mmio, Volatile};
pub use table::Table;
pub use window::Window;
