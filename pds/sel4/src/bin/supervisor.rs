// SPDX-License-Identifier: MIT
//! The supervisor: parent of the PDs of the storage stack, which it restarts.
#![no_std]
#![no_main]
use orion_sel4::start;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<orion_supervisor::Supervisor>()
}
