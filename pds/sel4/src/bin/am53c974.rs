// SPDX-License-Identifier: MIT
//! The driver of a parallel SCSI adapter.
#![no_std]
#![no_main]
use orion_sel4::{Am53c974, start};
use sel4_microkit::{Handler, protection_domain};

#[protection_domain]
fn init() -> impl Handler {
    start::<Am53c974>()
}
