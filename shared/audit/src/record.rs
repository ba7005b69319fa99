// SPDX-License-Identifier: MIT
//! What a record tells.
use orion_block::Op;
use orion_caps::{Extent, Reason, Rights};
use orion_control::{Kind, Refused};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The number that stands for the gatekeeper itself, where a record is not of a client.
pub const GATEKEEPER: u8 = u8::MAX;

/// A name of system.xml, padded with zeroes; at most 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Name([u8; 40]);

impl Name {
    /// No name.
    pub const NONE: Self = Self([0; 40]);

    /// The name with the first 40 bytes of `text`.
    pub fn new(text: &str) -> Self {
        let mut name = [0; 40];
        name.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Self(name)
    }

    /// The name's characters. What can be no part of a name, and might steer a terminal, is shown as `?`.
    pub fn chars(&self) -> impl Iterator<Item = char> {
        let text = self.0.iter().take_while(|byte| **byte != 0);
        text.map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' })
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::NONE
    }
}

/// What a record is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// The gatekeeper started with the grants of system.xml. `count`: grants; `extent.first`: their checksum.
    #[default]
    Started,
    /// The gatekeeper was restarted. `state`: the state that it took over; a change of a later number was not kept.
    Restarted,
    /// The gatekeeper was restarted and its state can't be read: everything is denied from there on.
    StateLost,
    /// A grant of system.xml, at the start: `who` has `extent` of `volume` in `window`.
    Granted,
    /// `who` derived `to_window` of its own from `window`.
    Attenuated,
    /// `who` derived `to_window` of `to` from `window`.
    Delegated,
    /// `who` took back `to_window` of `to` and what was derived from it, `count` capabilities in all.
    Revoked,
    /// `who` suspended `to_window` of `to`.
    Frozen,
    /// `who` ended that.
    Unfrozen,
    /// `who` began the next epoch of the volume of `window`, in which `count` capabilities expired. `extent.first`: the epoch.
    Advanced,
    /// `who` gave `to_window` of `to` another budget: `extent.first` requests and `extent.blocks` bytes per second, `count` in
    /// flight; 0 for no limit.
    Limited,
    /// `who` left `to_window` of `to` no more than `extent` and `rights`.
    Narrowed,
    /// A request of `who` was refused. `extent`, in blocks of `1 << shift` bytes, as the client counts.
    Refused(Op, Reason),
    /// A command of `who` was refused.
    Denied(Option<Kind>, Why),
    /// `count` refusals of `who` that have no records of their own: there was no room for them, or they came too fast.
    Counted,
    /// `who` broke the protocol of its ring; its connection was closed.
    Closed,
    /// The server of `volume` broke the protocol of its ring; the volume was closed.
    VolumeClosed,
    /// `who` had the device of the volume of `window` told to do something: the verb's number is `extent.first`, what it is about
    /// `extent.blocks`.
    Ordered,
    /// Something that this version does not know.
    Unknown(u8),
}

/// Why a command was refused.
pub type Why = Refused;

/// What a record tells. What `what` does not speak of is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// Nanoseconds of the gatekeeper's clock.
    pub time: u64,
    /// What it is about.
    pub what: What,
    /// The number of the client whose share it takes; [`GATEKEEPER`] where none's.
    pub client: u8,
    /// Who did it.
    pub who: Name,
    /// The other client.
    pub to: Name,
    /// The volume or disk.
    pub volume: Name,
    /// The window of `who`.
    pub window: u8,
    /// The window of `to`.
    pub to_window: u8,
    /// Blocks of 4096 bytes on the volume, where `what` says nothing else.
    pub extent: Extent,
    /// Binary logarithm of the bytes of a block of a refused request.
    pub shift: u8,
    /// Rights of the capability.
    pub rights: Rights,
    /// The line of system.xml whose grant allowed or did not suffice; 0 where there is none.
    pub line: u32,
    /// How many.
    pub count: u64,
    /// The number of the gatekeeper's state that holds the change.
    pub state: u64,
}
