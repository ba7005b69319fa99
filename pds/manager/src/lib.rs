// SPDX-License-Identifier: MIT
//! The manager: the one protection domain that faces operators, over stream sockets ([`OnSockets`]) or at the console
//! ([`OnConsole`]).
//!
//! It maps every derived PD's page of figures, read-only, and no data region. What it changes it asks of the gatekeeper,
//! which lets it do what its rights in `system.xml` allow. It trusts neither the pages nor the operators.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod console;
mod core;
mod health;
mod link;
mod sockets;
mod tables;
#[cfg(test)]
mod tests;

pub use console::OnConsole;
pub use sockets::OnSockets;
