// SPDX-License-Identifier: MIT
//! Audit records of the gatekeeper: what was refused and what was changed, by whom, when and by which line of system.xml.
//!
//! Records form a chain: each holds the SHA-256 of the one before it and of itself, so that an edited, moved, removed or
//! inserted record is found where it stands. What a chain cannot tell by itself is that its end is missing: for that its
//! [`Head`] is to be kept elsewhere.
//!
//! The gatekeeper puts records into a [ring](Producer); a [`Consumer`] (the PD `auditor`, or the launcher of the host world)
//! takes them from there and keeps them: as they are in a file, or in an [extent] of a disk. No record holds data,
//! addresses of memory or keys: there is no place for them.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod chain;
mod codes;
mod describe;
pub mod extent;
mod keeper;
mod log;
mod record;
mod ring;
mod shares;
#[cfg(test)]
mod tests;
mod wire;

pub use chain::{Fault, Head};
pub use keeper::{BLOCKS_MIN, CHUNK, Keeper, Over, Step};
pub use log::{Log, Settled};
pub use record::{GATEKEEPER, Name, Record, What, Why};
pub use ring::{Consumer, Place, Producer, RECORDS_BYTES, SLOTS, TAKEN_BYTES};
pub use wire::{Bytes, RECORD};
