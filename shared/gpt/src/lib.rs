// SPDX-License-Identifier: MIT
//! Partition tables: GPT (UEFI 2.10, section 5) and MBR, with logical partitions.
//!
//! [`Probe`] reads a table without doing I/O itself, [`Partitions`] is the layer that gives each of its clients one
//! partition. Nothing on the disk is trusted: every size and count is checked and bounded, and nothing is written.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod chain;
mod copies;
mod engine;
mod fault;
mod guid;
mod probe;
mod select;
mod table;
pub mod wire;

#[cfg(test)]
mod tests;

pub use engine::{Partitions, SCRATCH_BYTES, UPPERS_MAX};
pub use fault::{Error, Fault, Kind};
pub use guid::Guid;
pub use probe::{Extent, FEED_MAX, Probe};
pub use select::{NotFound, Select};
pub use table::{PARTITIONS_MAX, Partition, Scheme, Table, Type};
