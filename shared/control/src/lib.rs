// SPDX-License-Identifier: MIT
//! Commands from clients to the gatekeeper, over a small ring of their own beside the data path.
//!
//! A connection is two pages, each written by one side alone. Every command has one answer; what a peer writes is checked,
//! and a command that makes no sense is answered as [`Refused::Malformed`].
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod ring;
mod wire;

pub use ring::{Client, End, MESSAGE, PAGE, SLOTS, Server};
pub use wire::{Ask, Kind, Name, Refused, VERSION};
