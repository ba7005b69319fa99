// SPDX-License-Identifier: MIT
//! A request at the device.
use orion_block::Instant;

/// A request at the device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot<T> {
    /// What its sender calls it.
    pub tag: T,
    /// Its blocks.
    pub blocks: u32,
    /// Bytes that the device must have written before the status.
    pub reads: u32,
    /// Whether something follows before it is answered: its [`Rest`].
    pub follows: bool,
    /// When it is given up.
    pub deadline: Instant,
}

/// What follows when the device has done what it was given of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    /// A flush, for a write with FUA: what is found where nothing else was laid down.
    #[default]
    Flush,
    /// More blocks to clear.
    Clear(Part),
    /// Nothing: the driver asked for itself.
    Asked(Question),
}

/// What remains to be cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How.
    pub how: Clear,
    /// First block.
    pub lba: u64,
    /// Blocks; 0 where a flush is all that remains.
    pub blocks: u32,
    /// Whether a flush follows.
    pub flush: bool,
}

/// Ways to clear blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clear {
    /// Discard.
    Discard,
    /// Write zeroes.
    Zeroes,
    /// Secure erase.
    Erase,
}

/// What the driver asks for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Its serial number.
    Id,
    /// How worn it is.
    Lifetime,
}
