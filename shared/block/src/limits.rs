// SPDX-License-Identifier: MIT
//! What a block device can do, computed up the stack.
use crate::BlockSize;

/// What a block reads as after it was discarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiscardReads {
    /// The old content or anything else, perhaps different each time.
    #[default]
    Undefined,
    /// Zeroes.
    Zeroes,
    /// What it held before.
    Old,
}

/// What a device promises and bears. Changes only with an event to the upper side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The unit of every address and count.
    pub block: BlockSize,
    /// The unit below which the medium reads before it writes.
    pub physical: BlockSize,
    /// Number of blocks.
    pub capacity: u64,
    /// Most blocks of one request; 0 means no limit.
    pub max_blocks: u32,
    /// No request may cross a multiple of this many blocks; 0 means none.
    pub boundary: u32,
    /// Requests of a multiple of this many blocks are served best; 0 means no preference.
    pub optimal_blocks: u32,
    /// Blocks that are written all or not at all when power fails; at least 1.
    pub atomic_blocks: u32,
    /// Requests that can be in flight.
    pub queue_depth: u16,
    /// Discards smaller than this many blocks have no effect; 0 where discard is not offered.
    pub discard_granularity: u32,
    /// What discarded blocks read as.
    pub discard_reads: DiscardReads,
    /// Writes must not change while they are in flight, since they are read more than once.
    pub stable_writes: bool,
    /// Completed writes may be lost until a flush.
    pub volatile_cache: bool,
    /// Force unit access is offered.
    pub fua: bool,
    /// Write zeroes is offered.
    pub write_zeroes: bool,
    /// Nothing can be written.
    pub read_only: bool,
}
