// SPDX-License-Identifier: MIT
//! Numbers from a seed.

/// A stream of numbers that only depends on its seed.
pub use orion_contract::Numbers as Random;
