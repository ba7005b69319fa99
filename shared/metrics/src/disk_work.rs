// SPDX-License-Identifier: MIT
//! What a driver can be told to do with one of its disks, beside reading and writing; and what it says of that.
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

mod grow;
mod reply;
mod rows;

pub use grow::Grow;
pub use reply::{Progress, Reply};
pub use rows::{DiskSpace, DiskWork, DiskZones, ZONES_PER_ROW, ZoneRow};
pub(crate) use rows::{SPACES, WORKS, ZONES};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Give the disk all its blocks anew, empty. `first`: bytes of a block, 0 for those that it has; `how`: see [`erase`].
    Format,
    /// Make all that was ever written to the device unreadable. `how`: see [`sanitize`].
    Sanitize,
    /// Make a namespace, and attach it here. `first`: bytes of a block, 0 for the disk's own; `count`: blocks.
    Create,
    /// Remove a namespace with all its blocks. `first`: its number.
    Delete,
    /// Let this controller reach a namespace. `first`: its number.
    Attach,
    /// Let it no longer. `first`: its number.
    Detach,
    /// Tell which namespaces there are.
    Namespaces,
    /// Take a power state. `first`: its number.
    Power,
    /// Take power states by itself when idle. `first`: the longest wait that this may cause, in microseconds; 0: no longer.
    IdlePower,
    /// Tell how zones are. `first`: a block of the first of them.
    Zones,
    /// Open the zone that begins with block `first`.
    OpenZone,
    /// Close it.
    CloseZone,
    /// Make it full.
    FinishZone,
    /// Empty it.
    ResetZone,
    /// Empty every zone.
    ResetZones,
    /// Read blocks without giving them away, to find those that cannot be read. `first`: the first block; `count`: how many, 0 for all
    /// from there on.
    Verify,
    /// Compare all copies, or parity, of an array; the disk is then a volume.
    ArrayCheck,
    /// The same, and mend what is known to be wrong; `how` 1: make alike all that differs.
    ArrayRepair,
    /// Leave a member behind. `how`: the port of its device below the array's layer.
    ArrayFail,
    /// Forget a device that is no member any more. `how`: its port.
    ArrayRemove,
    /// Make a device a spare of the array, which takes the place of a member that is missing. `how`: its port; `first` and
    /// `count`: a new identifier.
    ArrayAdd,
    /// Make a device that was left behind the member again that it was: it gets what it lacks, where the array has a bitmap that
    /// tells it. `how`: its port.
    ArrayReAdd,
    /// Give an array other members, another chunk, layout or level: see [`Grow`].
    ArrayGrow,
    /// Have a spare take a member's place while that is in service. `how`: the member's port.
    ArrayReplace,
}

impl Verb {
    /// Every verb. The place is its number, from 1: further ones go to the end.
    pub const ALL: [Self; 24] = [
        Self::Format,
        Self::Sanitize,
        Self::Create,
        Self::Delete,
        Self::Attach,
        Self::Detach,
        Self::Namespaces,
        Self::Power,
        Self::IdlePower,
        Self::Zones,
        Self::OpenZone,
        Self::CloseZone,
        Self::FinishZone,
        Self::ResetZone,
        Self::ResetZones,
        Self::Verify,
        Self::ArrayCheck,
        Self::ArrayRepair,
        Self::ArrayFail,
        Self::ArrayRemove,
        Self::ArrayAdd,
        Self::ArrayReAdd,
        Self::ArrayGrow,
        Self::ArrayReplace,
    ];

    /// Its number.
    pub fn number(self) -> u8 {
        let at = Self::ALL.iter().position(|verb| *verb == self).and_then(|at| u8::try_from(at).ok());
        at.map_or(0, |at| at + 1)
    }

    /// Of a number.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Whether it destroys what somebody may have written.
    pub const fn destroys(self) -> bool {
        matches!(self, Self::Format | Self::Sanitize | Self::Delete | Self::ResetZone | Self::ResetZones)
    }

    /// For people, as something that is done.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Sanitize => "sanitize",
            Self::Create => "create namespace",
            Self::Delete => "delete namespace",
            Self::Attach => "attach namespace",
            Self::Detach => "detach namespace",
            Self::Namespaces => "list namespaces",
            Self::Power => "set power state",
            Self::IdlePower => "set idle power states",
            Self::Zones => "report zones",
            Self::OpenZone => "open zone",
            Self::CloseZone => "close zone",
            Self::FinishZone => "finish zone",
            Self::ResetZone => "reset zone",
            Self::ResetZones => "reset every zone",
            Self::Verify => "verify",
            Self::ArrayCheck => "check",
            Self::ArrayRepair => "repair",
            Self::ArrayFail => "fail a member",
            Self::ArrayRemove => "remove a device",
            Self::ArrayAdd => "add a device",
            Self::ArrayReAdd => "re-add a device",
            Self::ArrayGrow => "grow",
            Self::ArrayReplace => "replace a member",
        }
    }
}

/// How [`Verb::Format`] leaves what was written before.
pub mod erase {
    /// It may still lie on the medium.
    pub const NONE: u32 = 0;
    /// It is overwritten or erased.
    pub const DATA: u32 = 1;
    /// Its key is destroyed.
    pub const KEY: u32 = 2;
}

/// How [`Verb::Sanitize`] does it.
pub mod sanitize {
    /// The medium's blocks are erased.
    pub const BLOCKS: u32 = 2;
    /// The medium is overwritten, once, with zeroes.
    pub const OVERWRITE: u32 = 3;
    /// The key of all that was written is destroyed.
    pub const KEY: u32 = 4;
}

/// Something to be done with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What.
    pub verb: Verb,
    /// Which disk, among those of its driver.
    pub unit: u8,
    /// How.
    pub how: u32,
    /// Which, or how large.
    pub first: u64,
    /// How many.
    pub count: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Wire {
    verb: u8,
    unit: u8,
    pad: [u8; 2],
    how: U32,
    first: U64,
    count: U64,
}

impl Work {
    /// Bytes of it.
    pub const BYTES: usize = 24;

    /// It with the disk `unit`, and nothing else.
    pub const fn new(verb: Verb, unit: u8) -> Self {
        Self { verb, unit, how: 0, first: 0, count: 0 }
    }

    /// As bytes.
    pub fn bytes(self) -> [u8; Self::BYTES] {
        let Self { verb, unit, how, first, count } = self;
        let wire =
            Wire { verb: verb.number(), unit, pad: [0; 2], how: how.into(), first: first.into(), count: count.into() };
        zerocopy::transmute!(wire)
    }

    /// From bytes; `None` where this version has no such work.
    pub fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let Wire { verb, unit, pad, how, first, count } = zerocopy::transmute!(*bytes);
        let verb = Verb::of(verb).filter(|_| pad == [0; 2])?;
        Some(Self { verb, unit, how: how.get(), first: first.get(), count: count.get() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any bytes are work that is written as them, or none.
        #[test]
        fn work_is_what_it_was_or_none(mut bytes: [u8; Work::BYTES], sane: bool) {
            if sane {
                bytes[0] %= Verb::ALL.len() as u8 + 2;
                bytes[2..4].fill(0);
            }
            match Work::parse(&bytes) {
                Some(work) => prop_assert_eq!(work.bytes(), bytes),
                None => prop_assert!(!sane || bytes[0] == 0 || usize::from(bytes[0]) > Verb::ALL.len()),
            }
        }
    }

    #[test]
    fn verbs_have_numbers_of_their_own() {
        assert!(Verb::ALL.into_iter().all(|verb| Verb::of(verb.number()) == Some(verb)));
    }
}
