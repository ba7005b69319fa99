// SPDX-License-Identifier: MIT
//! The vocabulary that every layer, ring and driver speaks: block addresses, requests, completions, limits.
//!
//! Nothing here allocates, and nothing here knows where payload lies: a payload is *named* by [`Buf`].
#![no_std]
#![forbid(unsafe_code)]

mod limits;
mod request;
mod route;
mod status;
mod time;

pub use limits::{DiscardReads, Limits};
pub use request::{Buf, Completion, Op, RegionId, Request};
pub use route::{Access, Route};
pub use status::{Error, Status};
pub use time::Instant;

/// Bytes of one sDDF transfer unit: the block of a plain sDDF peer, and the unit of extents in `system.xml`.
pub const POLICY_BLOCK: BlockSize = BlockSize(12);

/// Address of a block, counted in logical blocks of the device it is meant for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lba(pub u64);

/// A block size, as the binary logarithm of its bytes; at least 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockSize(u8);

impl BlockSize {
    /// 512 bytes.
    pub const B512: Self = Self(9);
    /// 4096 bytes.
    pub const B4096: Self = Self(12);

    /// The size with `1 << shift` bytes; `None` unless it is 512 bytes to 64 KiB.
    pub const fn from_shift(shift: u8) -> Option<Self> {
        if shift >= 9 && shift <= 16 { Some(Self(shift)) } else { None }
    }

    /// The size of `bytes`; `None` unless it is a power of two of 512 bytes to 64 KiB.
    pub const fn from_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            512 => Some(Self(9)),
            1024 => Some(Self(10)),
            2048 => Some(Self(11)),
            4096 => Some(Self(12)),
            8192 => Some(Self(13)),
            16384 => Some(Self(14)),
            32768 => Some(Self(15)),
            65536 => Some(Self(16)),
            _ => None,
        }
    }

    /// Bytes of one block.
    pub const fn bytes(self) -> u32 {
        1 << self.0
    }

    /// Binary logarithm of [`bytes`](Self::bytes).
    pub const fn shift(self) -> u8 {
        self.0
    }
}

impl Default for BlockSize {
    fn default() -> Self {
        Self::B512
    }
}
