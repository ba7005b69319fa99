// SPDX-License-Identifier: MIT
//! The driver of a virtio SCSI host.
#![no_std]
#![no_main]
use orion_sel4::start;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<orion_virtio_scsi::VirtioScsiPd<orion_sel4::Sel4World>>()
}
