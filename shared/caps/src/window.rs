// SPDX-License-Identifier: MIT
//! Extents, and how a block of a window is named in a request.
use orion_block::{Lba, Request};

/// Windows of a connection.
pub const WINDOWS: usize = 16;
/// Bits of a block number below the window's.
pub const WINDOW_SHIFT: u32 = 40;

/// Consecutive blocks: `first..first + blocks`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// First block.
    pub first: u64,
    /// Number of blocks.
    pub blocks: u64,
}

impl Extent {
    /// Where block `block` of `count` lies when `self` is numbered from 0; `None` where not all of them lie within.
    pub fn locate(&self, block: u64, count: u64) -> Option<u64> {
        let end = block.checked_add(count)?;
        if end > self.blocks {
            return None;
        }
        self.first.checked_add(block)
    }

    /// One past the last block; `None` where that overflows.
    pub fn end(&self) -> Option<u64> {
        self.first.checked_add(self.blocks)
    }
}

/// A block address as a client writes it, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The window; a number of 16 or more names none.
    pub window: u64,
    /// Block within the window.
    pub block: u64,
}

impl Place {
    /// Takes an address apart.
    pub const fn of(lba: Lba) -> Self {
        Self { window: lba.0 >> WINDOW_SHIFT, block: lba.0 & ((1 << WINDOW_SHIFT) - 1) }
    }

    /// The blocks of a request: where they begin and how many they are.
    pub const fn of_request(req: &Request) -> (Self, u64) {
        (Self::of(req.lba), req.blocks as u64)
    }
}
