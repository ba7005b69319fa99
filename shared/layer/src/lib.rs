// SPDX-License-Identifier: MIT
//! A storage layer as a state machine without I/O ([`Layer`]), and what runs it ([`Node`]).
//!
//! Requests come from [`Uppers`], go to [`Lowers`], and their payload is reached, by the few layers that touch it,
//! through [`Payload`]. Whether a neighbour is another PD or is fused into this one differs only in these.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod context;
mod io;
mod layer;
mod layers;
mod local;
mod node;
mod payload;
mod share;
mod slots;
mod split;

pub use context::Io;
pub use io::{Interrupted, Lowers, PeerMisbehaved, Submission, Uppers, turn};
pub use layer::{Event, Id, Layer, Relay, Start};
pub use layers::{Delay, Fault, Faults, Memory, Passthrough};
pub use local::{Local, NoLowers};
pub use node::{Around, Node, PORTS_MAX, Probe, Progress, UPPERS_MAX};
pub use payload::{NoPayload, Payload};
pub use slots::{FANOUT_MAX, SLOTS_MAX};
