// SPDX-License-Identifier: MIT
//! What drivers of all buses share: the engine as its PD sees it, the memory that it may name, its tables.
//!
//! An engine is a bottom layer whose lower side is a hardware queue. It is sans-IO as every layer is: it is given its
//! registers, its DMA memory and the time, never reads a clock, never sleeps, never allocates.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(any(test, feature = "model"))]
extern crate std;

mod bottom;
mod counters;
mod engine;
mod health;
#[cfg(feature = "model")]
pub mod model;
mod registers;
mod setup;
mod slots;

pub use bottom::Bottom;
pub use counters::{Counters, SAMPLED, kind, sample};
pub use engine::{CHANGED, Describe, Engine, Unit, Zones};
pub use health::{ATTRIBUTES_MAX, Attribute, HEALTH_ROWS, Health, Text};
pub use registers::Registers;
pub use setup::{LOOK_AHEAD, REGIONS_MAX, Setup, Span, WRITE_CACHE, switch};
pub use slots::{Done, Free};
