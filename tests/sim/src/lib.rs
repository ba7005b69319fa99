// SPDX-License-Identifier: MIT
//! The simulated world: every PD of a plan in one thread, under a seeded scheduler, with virtual time.
//!
//! The PDs' code is the very code of the other worlds; only drivers are replaced, by disks in memory. The same seed
//! gives the same run.
// Tests stop at the first surprise, and say what it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod disk;
mod fused;
mod garbage;
mod machine;
mod memory;
mod random;
mod world;

pub use machine::{Machine, Outcome};
pub use random::Random;
pub use world::SimWorld;
