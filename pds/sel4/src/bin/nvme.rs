// SPDX-License-Identifier: MIT
//! The driver of one NVMe controller.
#![no_std]
#![no_main]
use orion_sel4::start;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<orion_nvme_pd::NvmePd<orion_sel4::Sel4World>>()
}
