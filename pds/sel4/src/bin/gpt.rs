// SPDX-License-Identifier: MIT
//! The layer that gives each of its clients one partition of a disk.
#![no_std]
#![no_main]
use orion_sel4::start;
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<orion_gpt_pd::GptPd>()
}
