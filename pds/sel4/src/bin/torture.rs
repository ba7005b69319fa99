// SPDX-License-Identifier: MIT
//! A supervisor that also ends its children: fault injection, for tests.
#![no_std]
#![no_main]
use orion_sel4::{Torture, start};
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<Torture>()
}
