// SPDX-License-Identifier: MIT
//! Commands from clients and from the manager to the gatekeeper, over a small ring of their own beside the data path; and
//! those of operators to the manager, as messages ([`operator`]) or as lines of text ([`text`]).
//!
//! A connection is two pages, each written by one side alone. Every command has one answer; what a peer writes is checked,
//! and a command that makes no sense is answered as [`Refused::Malformed`].
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod disk;
pub mod operator;
mod raid;
mod ring;
pub mod text;
mod wire;

pub use orion_metrics::Verb;
pub use raid::layout;
pub use ring::{Client, End, MESSAGE, PAGE, SLOTS, Server};
pub use wire::{Ask, Kind, Name, Refused, VERSION};
