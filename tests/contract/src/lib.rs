// SPDX-License-Identifier: MIT
//! What every block device and every layer must do, as one suite: the contract of `docs/reliability.md`, clause by clause.
//!
//! The suite asks its questions of a [`Device`]. A new layer takes part with one line: [`Stack`] puts it over a disk in
//! this process, and [`Contract`] is the same suite as a protection domain, for the other worlds.
// The suite stops at the first surprise, and says what it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod checks;
mod device;
mod driven;
mod drivers;
mod layers;
mod pattern;
mod pd;
mod report;
mod several;
mod stack;
mod under;

pub use checks::suite;
pub use device::{Device, Expect};
pub use driven::Driven;
pub use drivers::{
    DrivenAhci, DrivenAm53c974, DrivenBlk, DrivenNvme, DrivenScsi, ahci, am53c974, nvme, nvme_queues, nvme_verified,
    virtio_blk, virtio_scsi,
};
pub use layers::Narrow;
pub use pattern::Numbers;
pub use pd::Contract;
pub use report::Report;
pub use several::Several;
pub use stack::{Bottom, Floor, Memory, OWN, Ram, Stack};
pub use under::Under;
