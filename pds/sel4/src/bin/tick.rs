// SPDX-License-Identifier: MIT
//! The clock: wakes whoever has a deadline, each time the kernel refills its budget.
#![no_std]
#![no_main]
use orion_sel4::forever;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    forever::<orion_tick::Tick>()
}
