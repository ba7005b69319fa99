// SPDX-License-Identifier: MIT
//! Rows after a driver's figures: what became of work, and what was found by it.
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a driver's page says of the last work of a disk. Any bytes, if its writer is compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DiskWork {
    /// Which kind of row it is.
    pub tag: U16,
    /// The disk, among those of its driver.
    pub unit: u8,
    /// See [`Progress`](super::Progress).
    pub progress: u8,
    /// See [`Verb`](super::Verb).
    pub verb: u8,
    /// Zero.
    pub pad: u8,
    /// How much of it is done, of 1000; 65,535 where the device does not say.
    pub permille: U16,
    /// The sequence of the order; 0 where it was none of this life of the driver.
    pub sequence: U32,
    /// What the device said when it failed: its own number.
    pub status: U16,
    /// Zero.
    pub pad_2: U16,
    /// What came of it: the number of a namespace that was made.
    pub value: U64,
    /// Why it failed, for people; with zeroes after it.
    pub why: [u8; 40],
}

/// A namespace of a device, as its driver wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DiskSpace {
    /// Which kind of row it is.
    pub tag: U16,
    /// The disk that was asked, among those of its driver.
    pub unit: u8,
    /// 1: this controller reaches it.
    pub attached: u8,
    /// Its number.
    pub namespace: U32,
    /// Blocks.
    pub blocks: U64,
    /// Bytes of a block.
    pub block: U32,
    /// Zero.
    pub rest: [u8; 44],
}

/// Zones in a row.
pub const ZONES_PER_ROW: usize = 2;

/// Zones of a disk, as its driver wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DiskZones {
    /// Which kind of row it is.
    pub tag: U16,
    /// The disk, among those of its driver.
    pub unit: u8,
    /// Zones in this row.
    pub count: u8,
    /// Zero.
    pub pad: U32,
    /// The zones.
    pub list: [ZoneRow; ZONES_PER_ROW],
    /// Zero.
    pub rest: U64,
}

/// A zone, as its driver wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ZoneRow {
    /// Its first block.
    pub first: U64,
    /// The block that is written next.
    pub pointer: U64,
    /// Blocks that can be written; above the uppermost byte, which is its state.
    pub capacity: U64,
}

impl ZoneRow {
    /// Nothing.
    pub const EMPTY: Self = Self { first: U64::ZERO, pointer: U64::ZERO, capacity: U64::ZERO };

    /// A zone of the state `state`.
    pub fn new(first: u64, pointer: u64, capacity: u64, state: u8) -> Self {
        let capacity = capacity & u64::MAX >> 8 | u64::from(state) << 56;
        Self { first: first.into(), pointer: pointer.into(), capacity: capacity.into() }
    }

    /// Its state, by the device's own number.
    pub const fn state(&self) -> u8 {
        (self.capacity.get() >> 56) as u8
    }

    /// Blocks that can be written.
    pub const fn blocks(&self) -> u64 {
        self.capacity.get() & u64::MAX >> 8
    }
}

pub(crate) const WORKS: u16 = 7;
pub(crate) const SPACES: u16 = 8;
pub(crate) const ZONES: u16 = 9;

impl DiskWork {
    /// Nothing was done with the disk `unit`.
    pub const fn none(unit: u8) -> Self {
        Self {
            tag: U16::new(WORKS),
            unit,
            progress: 0,
            verb: 0,
            pad: 0,
            permille: U16::MAX_VALUE,
            sequence: U32::ZERO,
            status: U16::ZERO,
            pad_2: U16::ZERO,
            value: U64::ZERO,
            why: [0; 40],
        }
    }
}

impl DiskSpace {
    /// None.
    pub const NONE: Self = Self {
        tag: U16::new(SPACES),
        unit: 0,
        attached: 0,
        namespace: U32::ZERO,
        blocks: U64::ZERO,
        block: U32::ZERO,
        rest: [0; 44],
    };

    /// The namespace `namespace` of `blocks` blocks of `block` bytes.
    pub fn new(unit: u8, namespace: u32, attached: bool, blocks: u64, block: u32) -> Self {
        let (namespace, blocks, block) = (namespace.into(), blocks.into(), block.into());
        Self { unit, attached: u8::from(attached), namespace, blocks, block, ..Self::NONE }
    }
}

impl DiskZones {
    /// None, of the disk `unit`.
    pub const fn none(unit: u8) -> Self {
        Self {
            tag: U16::new(ZONES),
            unit,
            count: 0,
            pad: U32::ZERO,
            list: [ZoneRow::EMPTY; ZONES_PER_ROW],
            rest: U64::ZERO,
        }
    }
}
