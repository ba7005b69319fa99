// SPDX-License-Identifier: MIT
//! A record as bytes: 256 of them, little-endian, with what is not used zero.
use crate::codes;
use crate::record::{Name, Record, What};
use orion_caps::{Extent, Rights};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a record.
pub const RECORD: usize = 256;
/// A record's bytes.
pub type Bytes = [u8; RECORD];
/// Bytes of a SHA-256.
pub(crate) const HASH: usize = 32;
/// First bytes of a record: its version is the last of them.
pub(crate) const MAGIC: [u8; 4] = *b"OAR1";

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Wire {
    pub magic: [u8; 4],
    /// What it tells; see `codes`.
    what: u8,
    /// The operation or command that was refused.
    op: u8,
    /// Why.
    why: u8,
    /// The client's number; see [`Record::client`].
    client: u8,
    pub sequence: U64,
    time: U64,
    count: U64,
    first: U64,
    blocks: U64,
    state: U64,
    line: U32,
    rights: U16,
    window: u8,
    to_window: u8,
    shift: u8,
    pad: [u8; 7],
    who: Name,
    to: Name,
    volume: Name,
    pub previous: [u8; HASH],
    /// Of all before it.
    pub hash: [u8; HASH],
}
const _: () = assert!(size_of::<Wire>() == RECORD);

impl Record {
    /// The record's bytes, not yet part of a chain: see [`Head::link`](crate::Head::link).
    pub fn emit(&self) -> Bytes {
        let (what, op, why) = codes::emit(self.what);
        zerocopy::transmute!(Wire {
            magic: MAGIC,
            what,
            op,
            why,
            client: self.client,
            sequence: self.sequence.into(),
            time: self.time.into(),
            count: self.count.into(),
            first: self.extent.first.into(),
            blocks: self.extent.blocks.into(),
            state: self.state.into(),
            line: self.line.into(),
            rights: self.rights.bits().into(),
            window: self.window,
            to_window: self.to_window,
            shift: self.shift,
            pad: [0; 7],
            who: self.who,
            to: self.to,
            volume: self.volume,
            previous: [0; HASH],
            hash: [0; HASH],
        })
    }

    /// What a record's bytes tell. Whether they are as they were written only the chain says.
    pub fn parse(bytes: &Bytes) -> Self {
        let wire: Wire = zerocopy::transmute!(*bytes);
        Self {
            what: codes::parse(wire.what, wire.op, wire.why).unwrap_or(What::Unknown(wire.what)),
            client: wire.client,
            sequence: wire.sequence.get(),
            time: wire.time.get(),
            count: wire.count.get(),
            extent: Extent { first: wire.first.get(), blocks: wire.blocks.get() },
            state: wire.state.get(),
            line: wire.line.get(),
            rights: Rights::from_bits(wire.rights.get()),
            window: wire.window,
            to_window: wire.to_window,
            shift: wire.shift,
            who: wire.who,
            to: wire.to,
            volume: wire.volume,
        }
    }

    /// The number of the client that a record's bytes count for.
    pub(crate) fn client_of(bytes: &Bytes) -> u8 {
        let wire: Wire = zerocopy::transmute!(*bytes);
        wire.client
    }
}
