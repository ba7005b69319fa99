// SPDX-License-Identifier: MIT
//! `system.xml`: parsed, checked, and turned into a plan for a board.
//!
//! `xml` text -> parse -> check -> [`plan::Plan`] -> emitted: a Microkit system description and one configuration
//! blob per PD (for seL4), or processes (by `orion-host`).
#![forbid(unsafe_code)]

pub mod element;
pub mod plan;
