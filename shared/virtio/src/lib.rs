// SPDX-License-Identifier: MIT
//! Virtio 1.2 for drivers that never see payload: transports over [`orion_region::Mmio`], a split virtqueue in a DMA
//! region, and the block device's engine.
//!
//! Constants, bit sets and the [`Transport`](virtio_drivers::transport::Transport) trait are those of the crate
//! `virtio-drivers`; its queue and its PCI transport are not used, for the reasons in `docs/virtio-blk.md`.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(any(test, feature = "model"))]
extern crate std;

pub mod blk;
mod bus;
mod fault;
pub mod mmio;
#[cfg(any(test, feature = "model"))]
pub mod model;
pub mod pci;
pub mod queue;
pub mod scsi;

pub use blk::VirtioBlk;
pub use bus::{AnyBus, Bus};
pub use fault::Fault;
pub use mmio::MmioTransport;
pub use pci::{Msi, PciTransport};
pub use queue::{Many, Wishes};
pub use scsi::VirtioScsi;
