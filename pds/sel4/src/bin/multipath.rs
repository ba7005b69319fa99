// SPDX-License-Identifier: MIT
//! The layer that joins several ways to one disk.
#![no_std]
#![no_main]
use orion_sel4::start;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<orion_multipath_pd::MultipathPd>()
}
