// SPDX-License-Identifier: MIT
//! Small layers of general use.
mod delay;
mod faults;
mod memory;
mod passthrough;

pub use delay::Delay;
pub use faults::{Fault, Faults};
pub use memory::Memory;
pub use passthrough::Passthrough;
