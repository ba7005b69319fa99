// SPDX-License-Identifier: MIT
//! Ring connections in shared memory: sDDF 0.7's block queues byte for byte, between a [`Client`] and a [`Server`]
//! that do not trust each other.
//!
//! A connection is four regions (see `docs/ring.md`): the server's page, the client's page (absent where the peer is
//! a plain sDDF component), a queue of requests and a queue of answers. Both queues are writable by both sides, so
//! each side keeps its own indices privately, uses only the peer's, and checks those: whatever a peer writes, the
//! worst it can do is to end its own connection ([`PeerMisbehaved`]).
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

pub mod bytes;
mod client;
pub mod codes;
mod counter;
mod error;
pub mod extension;
mod info;
mod lives;
mod page;
pub mod serial;
mod server;
mod shared;
pub mod wire;

pub use client::Client;
pub use counter::Wrap;
pub use error::{AttachError, Full, Interrupted, PeerMisbehaved};
pub use info::{ServerInfo, WINDOWS, WindowInfo};
pub use server::Server;
pub use shared::{Mapped, Memory, Shared, Word};

use orion_block::{Op, Status};

/// A request on the ring. Blocks are counted in the connection's unit ([`Server::unit`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// Chosen by the client; comes back with the answer.
    pub id: u32,
    /// What to do.
    pub op: Op,
    /// Force unit access. Has a meaning for [`Op::Write`] and [`Op::WriteZeroes`] only, and is not carried for others.
    pub fua: bool,
    /// First block; through a gatekeeper `window << 40 | block`.
    pub block: u64,
    /// Number of blocks.
    pub count: u16,
    /// sDDF's `io_or_offset`: byte offset in the client's data region, or a bus address where a driver serves.
    pub address: u64,
}

/// What a server finds on its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A request.
    Request(Submission),
    /// A request with a code that nobody knows, sDDF's BARRIER among them. To be answered like any other request, with
    /// `Error::Invalid`.
    Unknown {
        /// Its id.
        id: u32,
        /// Its code.
        code: u32,
    },
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's id.
    pub id: u32,
    /// How it ended.
    pub status: Status,
    /// Blocks that succeeded, counted from the first. A plain sDDF server may report any number beside an error.
    pub blocks: u16,
}

/// Most entries of a queue.
pub const CAPACITY_MAX: u16 = 32_768;
