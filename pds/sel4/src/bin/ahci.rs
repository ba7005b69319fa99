// SPDX-License-Identifier: MIT
//! The driver of one AHCI controller.
#![no_std]
#![no_main]
use orion_sel4::start;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<orion_ahci_pd::AhciPd<orion_sel4::Sel4World>>()
}
