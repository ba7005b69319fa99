// SPDX-License-Identifier: MIT
//! The simulated world: whole machines in one thread, under a seeded scheduler, with virtual time.
//!
//! The PDs' code is the very code of the other worlds, drivers included; devices are the drivers' own models with
//! simulated disks behind them, on which everything goes wrong that disks do wrong. Clients keep a journal, and what they
//! find is compared with what is legal. The same seed gives the same run.
// Tests stop at the first surprise, and say what it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod arrays;
mod case;
mod client;
mod controller;
mod deaths;
mod device;
mod disk;
mod events;
mod faults;
mod garbage;
pub mod history;
mod journal;
mod machine;
mod memory;
mod operator;
pub mod plain;
mod puppet;
mod random;
mod run;
mod shrink;
mod stage;
mod system;
mod world;

pub use arrays::{ArrayCase, KINDS, named, run_arrays, run_beyond};
pub use case::Case;
pub use client::{Job, Part};
pub use disk::{Attached, DiskShape, SimDisk};
pub use events::{Event, Events};
pub use faults::{Fault, FaultSet};
pub use journal::Journal;
pub use machine::{Machine, Outcome, Pace};
pub use puppet::{Habit, Strings, Told, Wish};
pub use random::Random;
pub use run::{Ran, run};
pub use shrink::{attempt, attempt_arrays, shorten, shrink};
pub use system::System;
pub use world::{Common, SimWorld};
