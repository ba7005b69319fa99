// SPDX-License-Identifier: MIT
//! The driver of a virtio block device with the partition layer in the same PD.
#![no_std]
#![no_main]
use orion_sel4::start;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<orion_stack::VirtioBlkGpt<orion_sel4::Sel4World>>()
}
