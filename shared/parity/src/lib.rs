// SPDX-License-Identifier: MIT
//! P and Q of RAID 5 and 6: P is the XOR of the data, Q the sum of the data each multiplied by a power of the generator 2 in
//! GF(2^8) with the polynomial 0x11d (H. P. Anvin, "The mathematics of RAID-6").
//!
//! [`Parity::new`] chooses what the processor has; [`plain`] is the reference that everything is tested against.
#![no_std]
#[cfg(test)]
extern crate std;

pub mod field;
#[cfg(target_arch = "x86_64")]
mod gfni;
mod lanes;
mod machine;
pub mod plain;

pub use machine::Parity;
