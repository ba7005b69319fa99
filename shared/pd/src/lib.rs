// SPDX-License-Identifier: MIT
//! What a protection domain (PD) sees of the world it runs in: its configuration, its channels, a clock, a console.
//!
//! A PD is a type that implements [`ProtectionDomain`]; a world (seL4, a Linux process, the simulator) implements
//! [`World`] and calls it. No kernel is named here.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(any(test, feature = "model"))]
extern crate std;

pub mod config;
pub mod links;
#[cfg(feature = "model")]
pub mod model;
mod report;
pub mod sockets;
pub mod supervision;
mod world;

pub use config::Config;
pub use orion_block::Instant;
pub use report::Reporter;
pub use world::{Cause, Channel, ChannelSet, Fault, InitError, Message, ProtectionDomain, Verdict, World};
