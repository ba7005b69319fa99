// SPDX-License-Identifier: MIT
//! Time, as it is given to engines: none of them reads a clock.

/// Nanoseconds of a clock that never goes back. Its zero is the world's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

impl Instant {
    /// `ns` nanoseconds later; the last instant where that overflows.
    pub const fn after(self, ns: u64) -> Self {
        Self(self.0.saturating_add(ns))
    }
}
