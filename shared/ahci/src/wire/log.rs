// SPDX-License-Identifier: MIT
//! The log of queued commands' errors (ACS-3, section A.14): which command failed, and how.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Log page 10h.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct QueuedError {
    /// Bits 0 to 4: its tag; bit 7: it was not a queued command.
    pub tag: u8,
    /// Reserved.
    pub reserved: u8,
    /// Status.
    pub status: u8,
    /// Error.
    pub error: u8,
    /// The rest of the task file, sense data.
    pub rest: [u8; 507],
    /// All 512 bytes add up to 0.
    pub checksum: u8,
}

impl QueuedError {
    /// The slot that failed and its error register, if the page is whole and speaks of a queued command.
    pub fn failed(&self) -> Option<(u8, u8)> {
        let sum = self.as_bytes().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        (sum == 0 && self.tag & 0x80 == 0).then_some((self.tag & 0x1f, self.error))
    }
}

const _: () = assert!(size_of::<QueuedError>() == 512);
