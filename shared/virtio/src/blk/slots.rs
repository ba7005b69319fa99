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
    /// Whether a flush follows before it is answered.
    pub flush_after: bool,
    /// When it is given up.
    pub deadline: Instant,
}
