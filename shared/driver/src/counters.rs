// SPDX-License-Identifier: MIT
//! How often a device was at fault.

/// Of so many requests one is timed. A power of two.
pub const SAMPLED: u64 = 64;

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Notifications to the device.
    pub kicks: u64,
    /// Resets because the device broke the protocol.
    pub misused: u64,
    /// Resets because a request took too long.
    pub timeouts: u64,
}
