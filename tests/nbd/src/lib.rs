// SPDX-License-Identifier: MIT
//! What the tests of the NBD export share: a device in memory, and two kinds of streams to it.
mod device;
mod duplex;
mod memory;
mod serve;
mod tools;

pub use device::{Device, Fault};
pub use duplex::{Duplex, Peer};
pub use memory::Region;
pub use serve::{Address, Served};
pub use tools::{missing, run};
