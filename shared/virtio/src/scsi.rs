// SPDX-License-Identifier: MIT
//! The SCSI host's driver (virtio 1.2, section 5.6): a transport of `orion-scsi`'s initiator.
//!
//! Up to eight queues for requests, the control queue for task management, the queue for events. Requests are staged by `send` and
//! shown to the device by `publish`, once for a batch. Nothing that the device can write is trusted.
use crate::{Bus, Fault};
use orion_driver::Setup;
use orion_region::Window;
use orion_scsi::{Data, Initiator, Wanted};

mod memory;
mod port;
mod ring;
mod start;
#[cfg(test)]
mod tests;
pub mod wire;

use memory::Layout;
pub use memory::QUEUES_MAX;
use ring::Ring;
pub use wire::queue;

/// A virtio SCSI host. `T` is what the caller calls its requests by.
pub type VirtioScsi<B, T = u32> = Initiator<VirtioPort<B>, T>;

/// The device as a transport.
// What each command needs comes first.
#[repr(C)]
#[derive(Debug)]
pub struct VirtioPort<B> {
    requests: [Ring; QUEUES_MAX],
    /// The queue that is looked at next.
    turn: u16,
    layout: Layout,
    bus_base: u64,
    memory: Window,
    control: Ring,
    events: Ring,
    /// Buffers for events were given back and not shown yet.
    fresh_events: bool,
    /// The device has a task management function.
    managing: bool,
    bus: B,
    /// The payloads of what the device holds.
    held: [Option<Data>; orion_scsi::MOST],
    targets: u16,
    bytes_max: u32,
    found: start::Found,
    iommu: bool,
}

/// Resets the device, whatever it was doing, and makes it ready; its disks are those that are wanted, of which policy
/// says for each whether it is read-only.
///
/// # Errors
/// [`Fault`] where the device cannot be used; it is left reset, without access to memory.
pub fn open<B: Bus, T: Copy + Default>(bus: B, disks: &[Wanted], setup: Setup<'_>) -> Result<VirtioScsi<B, T>, Fault> {
    open_with(bus, disks, setup, 1)
}

/// As [`open`], with up to `queues` queues for requests: as many as the device has, rounded down to a power of two.
///
/// # Errors
/// As there.
pub fn open_with<B: Bus, T: Copy + Default>(
    bus: B,
    disks: &[Wanted],
    setup: Setup<'_>,
    queues: u16,
) -> Result<VirtioScsi<B, T>, Fault> {
    let (regions, timeout_ns) = (setup.regions, setup.timeout_ns);
    let port = start::first(bus, setup, queues)?;
    Ok(Initiator::new(port, disks, regions, timeout_ns))
}
