// SPDX-License-Identifier: MIT
//! The console: the one PD that owns a UART.
#![no_std]
#![no_main]
use orion_sel4::{Console, start};
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<Console>()
}
