// SPDX-License-Identifier: MIT
//! What faces bytes of others, each as a plain function of some bytes: it must neither panic nor hang, and what it makes of
//! them must hold together.
//!
//! `corpus/TARGET` holds inputs that `cargo test` replays. `make fuzz` makes new ones, guided by coverage (see
//! `docs/testing.md`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

pub mod corpus;
pub mod mutate;
mod targets;

pub use targets::{TARGETS, Target};
