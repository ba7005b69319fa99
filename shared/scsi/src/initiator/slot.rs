// SPDX-License-Identifier: MIT
//! A request on its way.
use orion_block::{Instant, Request};

/// Where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nowhere: the slot is free.
    #[default]
    Free,
    /// At the device.
    Sent,
    /// At the device, and ABORT TASK was asked for.
    Aborting,
    /// At the device, and a reset of its unit was asked for.
    Resetting,
    /// Here, until it is sent again.
    Waiting,
}

impl Stage {
    /// Whether the device has it.
    pub fn at_device(self) -> bool {
        matches!(self, Self::Sent | Self::Aborting | Self::Resetting)
    }
}

/// A request on its way, or a question to a unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot<T> {
    /// What its sender calls it.
    pub tag: T,
    /// What was asked.
    pub req: Request,
    /// When it is given up.
    pub deadline: Instant,
    /// While it waits: when it is sent again. At the device: when it is aborted.
    pub due: Instant,
    /// Blocks that are done.
    pub done: u32,
    /// Blocks of the command at the device.
    pub part: u32,
    /// Bytes of its payload.
    pub bytes: u32,
    /// The disk.
    pub unit: u8,
    /// Where it is.
    pub stage: Stage,
    /// How often its command was sent and did not go well.
    pub tries: u8,
    /// Its blocks are done, and it ends after a SYNCHRONIZE CACHE.
    pub syncing: bool,
}
