// SPDX-License-Identifier: MIT
//! What a capability is, and what its holders may ask to be done with capabilities.
use crate::{Budget, Extent, Rights};
use core::fmt;

/// A capability as `system.xml` grants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// The client that holds it.
    pub client: u8,
    /// The window of the client's connection in which it lies.
    pub window: u8,
    /// The volume: the gatekeeper's port to it.
    pub port: u8,
    /// The blocks, in units of 4096 bytes; `blocks == u64::MAX` means to the end of the volume.
    pub extent: Extent,
    /// What may be done with them.
    pub rights: Rights,
    /// What it may use, together with all that is derived from it.
    pub budget: Budget,
    /// The client's part when several want more than there is, beside the others' weights; 0 counts as 1. Of several
    /// grants of a client the largest counts.
    pub weight: u16,
    /// The epoch of the volume in which it no longer holds; 0: it does not expire.
    pub expires: u32,
    /// Line of `system.xml` that gives it, or the grant that it is derived from; 0 if none does.
    pub line: u32,
}

/// A table is full, or two capabilities were given the same window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// A window of a client's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holding {
    /// The client.
    pub client: u8,
    /// The window.
    pub window: u8,
}

/// What is to be derived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Derivation {
    /// The caller's window from which it is derived.
    pub from: u8,
    /// Where it goes: a free window, of the caller (attenuation) or of another client (delegation).
    pub to: Holding,
    /// Blocks of 4096 bytes, counted from the first of the window `from`.
    pub extent: Extent,
    /// Rights; none that `from` lacks.
    pub rights: Rights,
    /// Its own budget, within that of `from`.
    pub budget: Budget,
    /// The epoch in which it ends; 0: when `from` does.
    pub expires: u32,
}

/// What a client may ask for. Who asks is known from the connection, never from the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Derives a capability. Needs the right `derive` on the window it comes from.
    Derive(Derivation),
    /// Takes back a capability and all that is derived from it. The holder of one above it may, or of itself, or of
    /// `admin` on its blocks.
    Revoke(Holding),
    /// Suspends a capability and all that is derived from it. The holder of one above it may, or of `admin`.
    Freeze(Holding),
    /// Ends a suspension: whoever began it may, or who stands above that one.
    Unfreeze(Holding),
    /// Gives a capability another budget, which counts together with those above it. The holder of one above it may, or
    /// of `admin`; not its own holder.
    Limit(Holding, Budget),
    /// Leaves a capability only its first blocks and some of its rights, and those derived from it no more than it has then:
    /// one that has nothing left is taken back. Whoever may revoke it may.
    Narrow {
        /// The capability.
        target: Holding,
        /// Blocks of 4096 bytes that are left, from its first one; 0: as many as it has.
        blocks: u64,
        /// Rights that are left; [`Rights::NONE`]: those that it has.
        rights: Rights,
    },
    /// Asks what a capability is and how much it was used. Whoever may revoke it may, and the holder of `observe` on its
    /// blocks.
    Look(Holding),
    /// Begins the next epoch of the volume of the caller's window. Needs the right `admin` on it.
    Advance {
        /// The window.
        window: u8,
    },
    /// Asks whether the caller may have the device of its window's volume told what is beyond reads and writes. Needs the right
    /// `admin` on it; changes no capability.
    Order {
        /// The window.
        window: u8,
    },
}

/// What a command that was done came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Capabilities that were made, removed, suspended, narrowed or looked at.
    pub affected: u32,
    /// Blocks of 4096 bytes of the capability (0 of one that is removed).
    pub blocks: u64,
    /// What the capability allows now.
    pub rights: Rights,
    /// Requests that it let pass.
    pub passed: u64,
    /// The volume's epoch.
    pub epoch: u32,
}

/// Why a command was not done. It has then changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The volumes are not known yet.
    NotReady,
    /// The caller has no capability in the window.
    NoCapability,
    /// The caller's capability lacks the right to do that, or is suspended.
    Right,
    /// There is no such client or window.
    NoWindow,
    /// The window holds a capability already.
    Taken,
    /// The blocks do not lie within the capability's.
    Extent,
    /// Nothing, or more rights than the capability has, was asked for.
    Rights,
    /// The epoch is over.
    Expired,
    /// There is no such capability on which the caller may act.
    NotYours,
    /// A table, the caller's part of it, or the depth of derivation is used up.
    Full,
}

impl Denial {
    /// Every denial. The order is the number on the wire and in audit records: further ones go to the end.
    pub const ALL: [Self; 10] = [
        Self::NotReady,
        Self::NoCapability,
        Self::Right,
        Self::NoWindow,
        Self::Taken,
        Self::Extent,
        Self::Rights,
        Self::Expired,
        Self::NotYours,
        Self::Full,
    ];
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "the volumes are not ready",
            Self::NoCapability => "there is no capability in that window",
            Self::Right => "the capability lacks the right, or is suspended",
            Self::NoWindow => "there is no such client or window",
            Self::Taken => "the window is taken",
            Self::Extent => "the blocks do not lie within the capability's",
            Self::Rights => "no rights, or more than the capability has",
            Self::Expired => "the epoch is over",
            Self::NotYours => "no such capability below one of the caller's",
            Self::Full => "no room for another capability",
        })
    }
}
