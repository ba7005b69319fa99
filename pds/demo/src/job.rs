// SPDX-License-Identifier: MIT
//! What a job is: something that asks for blocks, slot by slot, and looks at the answers. It names no ring, no clock
//! and no console, so a test can play the disk.
use core::fmt;
use orion_block::{Limits, Op, Status};
use orion_pd::Verdict;

/// Most requests that the demo keeps in flight.
pub const MOST_SLOTS: usize = 64;
/// Windows of a connection.
pub const WINDOWS: usize = 16;

/// The block address of block `block` of window `window`.
pub const fn address_in(window: u8, block: u64) -> u64 {
    ((window as u64) << 40) | block
}

/// What one window may do, as the server announced it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Blocks of the window; 0: there is no such window.
    pub blocks: u64,
    /// Rights: see [`right`].
    pub rights: u16,
}

impl Grant {
    /// Whether the window has the right to `op`.
    pub const fn allows(self, op: Op) -> bool {
        self.rights & right(op) != 0
    }
}

/// The bit of the right that `op` needs.
pub const fn right(op: Op) -> u16 {
    match op {
        Op::Read => 1,
        Op::Write => 2,
        Op::Flush => 4,
        Op::Discard => 8,
        Op::WriteZeroes => 16,
    }
}

/// What a job knows of the other side.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// The limits, with the block unit of all addresses.
    pub limits: Limits,
    /// The windows.
    pub grants: [Grant; WINDOWS],
    /// Bytes of the data region.
    pub data: u64,
}

impl Server {
    /// Bytes of one block.
    pub const fn block(&self) -> u64 {
        self.limits.block.bytes() as u64
    }
}

/// A part of the data region that one request uses.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Number of the slot, below [`MOST_SLOTS`]; also the id of its request.
    pub index: usize,
    /// Bytes from the region's start.
    pub offset: u64,
}

/// A request that a job wants sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The operation.
    pub op: Op,
    /// Window and block, as on the ring.
    pub block: u64,
    /// Blocks.
    pub count: u16,
    /// Bytes from the data region's start to the payload.
    pub address: u64,
}

/// What a job does with a free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It sends a request.
    Send(Ask),
    /// It can go on only after an answer.
    Wait,
    /// It is done, and nothing of it is in flight.
    Done,
}

/// The client's data region. Both directions say whether the bytes lie within it.
pub trait Data {
    /// Copies `bytes` into the region.
    fn put(&self, offset: u64, bytes: &[u8]) -> bool;
    /// Copies bytes of the region out.
    fn get(&self, offset: u64, bytes: &mut [u8]) -> bool;
}

/// Prints a line.
pub type Say<'a> = &'a mut dyn FnMut(fmt::Arguments<'_>);

/// A job that a client does.
pub trait Job {
    /// What to do with the free `slot`.
    fn next(&mut self, slot: Slot, data: &dyn Data) -> Next;
    /// Nothing more can be sent for now.
    fn sent(&mut self) {}
    /// Takes the answer to the request of `slot`: how it ended, and the blocks that succeeded.
    fn answered(&mut self, slot: Slot, status: Status, blocks: u16, data: &dyn Data, say: Say<'_>);
    /// Says how it ended, `elapsed` nanoseconds after its first request. Called once, when it is done.
    fn end(&mut self, elapsed: u64, say: Say<'_>) -> Verdict;
}
