// SPDX-License-Identifier: MIT
//! What tests of the audit stand on: the memory of a ring, and a disk that loses and tears writes when power goes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test's means fail by panicking"
)]

mod disk;
mod memory;

pub use disk::Disk;
pub use memory::Ring;
