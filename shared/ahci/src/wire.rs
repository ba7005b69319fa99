// SPDX-License-Identifier: MIT
//! Numbers and structures of AHCI 1.3.1 and ATA (ACS-3).

pub mod ata;
pub mod fis;
pub mod identify;
pub mod log;
pub mod memory;
pub mod multiplier;
pub mod registers;
pub mod smart;
