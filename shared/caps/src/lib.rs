// SPDX-License-Identifier: MIT
//! Storage capabilities and the layer that enforces them.
//!
//! A capability is a right to an extent of a volume. A client holds up to 16 of them in the [windows](WINDOWS) of its
//! connection and names block `n` of window `w` as `w << 40 | n`; a client that knows nothing of windows sees its first
//! grant from block 0. The kernel makes the connection unforgeable, so holding it is the proof.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod budget;
mod capability;
mod commands;
mod events;
mod gatekeeper;
mod grace;
mod image;
mod lanes;
mod listing;
mod refusal;
mod rights;
mod tree;
mod window;

pub use budget::{Budget, DEFAULT_BURST_MS, Pace};
pub use capability::{Capability, Command, Denial, Derivation, Holding, Outcome, TooMany};
pub use events::Event;
pub use gatekeeper::{CAPABILITIES_MAX, CLIENTS_MAX, Gatekeeper};
pub use image::{COMPLETE, IMAGE_MAX, Unreadable, WRITING, crc32c};
pub use listing::Listed;
pub use refusal::{Reason, Refusal};
pub use rights::Rights;
pub use window::{Extent, Place, WINDOW_SHIFT, WINDOWS};
