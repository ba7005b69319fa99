// SPDX-License-Identifier: MIT
//! Disks on a parallel SCSI bus behind an AMD Am53C974 (PCscsi): a transport of `orion-scsi`'s initiator.
//!
//! The adapter is a bus with one conversation at a time. The engine selects a target, follows it through the bus's phases, lets
//! it disconnect and takes it up again when it reselects; payload moves by the adapter's DMA engine. Sections are those of
//! AMD's data sheet of the Am53C974 (also in that of the Am79C974, publication 18681) and of SCSI-2 (X3.131-1994).
#![no_std]
#![forbid(unsafe_code)]
#[cfg(any(test, feature = "model"))]
extern crate std;

mod chip;
mod connection;
mod fault;
mod message;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod phases;
mod port;
mod queue;
mod registers;
mod slot;
mod start;
mod sync;
#[cfg(test)]
mod tests;

pub use fault::Fault;
use orion_driver::{Registers, Setup};
use orion_scsi::{Initiator, Wanted};
pub use port::AmdPort;

/// Disks behind an adapter. `T` is what the caller calls its requests by.
pub type Am53c974<R, T = u32> = Initiator<AmdPort<R>, T>;

/// Commands that the driver holds: at the targets, or in its own queue.
pub const SLOTS: usize = 40;
/// Targets beside the adapter, which is number 7.
pub const TARGETS: usize = 7;
/// Logical units of a target: as many as IDENTIFY can name.
pub const LUNS: u16 = 8;

/// Resets the adapter and its bus, whatever they were doing; the disks are those that are wanted.
///
/// # Errors
/// [`Fault`] where the adapter cannot be used; it is left reset, without access to memory.
pub fn open<R: Registers, T: Copy + Default>(
    registers: R,
    disks: &[Wanted],
    setup: Setup<'_>,
) -> Result<Am53c974<R, T>, Fault> {
    let (regions, timeout_ns) = (setup.regions, setup.timeout_ns);
    let port = start::first(registers, disks, setup)?;
    Ok(Initiator::new(port, disks, regions, timeout_ns))
}
