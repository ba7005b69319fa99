// SPDX-License-Identifier: MIT
//! What can go wrong with a connection.
use core::fmt;

/// The peer broke the protocol. The endpoint that says so is closed for good: it uses nothing more of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerMisbehaved {
    /// What it did.
    pub what: &'static str,
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer of a ring broke the protocol: {}", self.what)
    }
}

impl core::error::Error for PeerMisbehaved {}

/// Why a client gets no further answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The server misbehaved.
    Misbehaved(PeerMisbehaved),
    /// The server was restarted and serves again: what was asked and not answered is lost, and is to be asked again. Said
    /// once for each time.
    Restarted,
}

impl From<PeerMisbehaved> for Interrupted {
    fn from(misbehaved: PeerMisbehaved) -> Self {
        Self::Misbehaved(misbehaved)
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misbehaved(misbehaved) => misbehaved.fmt(f),
            Self::Restarted => f.write_str("the server of a ring was restarted: ask again what was not answered"),
        }
    }
}

impl core::error::Error for Interrupted {}

/// As many requests are in flight as the connection carries: take answers first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full: take answers before more requests are pushed")
    }
}

impl core::error::Error for Full {}

/// The memory given for a connection does not fit it: an error of the system description, not of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// Not a number of entries from 1 to 32,768.
    Capacity(u16),
    /// A region is too small.
    TooSmall {
        /// Which one.
        region: &'static str,
        /// Bytes it must have at least.
        needed: usize,
        /// Bytes it has.
        found: usize,
    },
    /// A queue does not begin at a multiple of 8 bytes.
    Unaligned,
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity(found) => {
                write!(f, "a ring of {found} entries is not possible: give it 1 to 32768, best a power of two")
            }
            Self::Unaligned => {
                f.write_str("the ring's queues must begin at a multiple of 8 bytes: map them by whole pages")
            }
            Self::TooSmall { region, needed, found } => {
                write!(f, "the ring's {region} has {found} bytes but needs {needed}: enlarge its region")
            }
        }
    }
}

impl core::error::Error for AttachError {}
