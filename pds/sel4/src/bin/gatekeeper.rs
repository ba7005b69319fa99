// SPDX-License-Identifier: MIT
//! The gatekeeper: holds every capability and lets a request pass exactly when one allows it.
#![no_std]
#![no_main]
use orion_sel4::start;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<orion_gatekeeper::GatekeeperPd>()
}
