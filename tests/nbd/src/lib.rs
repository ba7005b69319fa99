// SPDX-License-Identifier: MIT
//! What the tests of the NBD export share: a device in memory, and two kinds of streams to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a library of tests: what is wrong must fail them"
)]
mod client;
pub mod common;
mod device;
mod duplex;
mod memory;
mod serve;
mod tools;

pub use client::{Client, Reply, Rig};
pub use device::{Device, Fault};
pub use duplex::{Duplex, Peer};
pub use memory::Region;
pub use serve::{Address, Served};
pub use tools::{missing, run};
