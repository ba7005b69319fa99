// SPDX-License-Identifier: MIT
//! Rows after a driver's figures: what its disks say of themselves. `orion-driver` makes them of a disk's health, and that of
//! them again.
use zerocopy::byteorder::little_endian::{I16, U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a text.
pub const TEXT: usize = 40;
/// Counts of a disk.
pub const COUNTS: usize = 7;
/// Vendor attributes in a row.
pub const PER_ROW: usize = 6;

/// A text about a disk. Any bytes, if its writer is compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DiskText {
    /// Which kind of row it is.
    pub tag: U16,
    /// The disk, among those of its driver.
    pub unit: u8,
    /// 0: its name in the system; 1: its model; 2: its serial number; 3: its firmware's revision; 4: what it is called,
    /// wherever it is attached; 5: its power state; 6: its size; 7: what came of comparing writes; 8: which of
    /// its zones changed by themselves.
    pub what: u8,
    /// The text, with zeroes after it.
    pub text: [u8; TEXT],
    rest: [u8; 20],
}

/// How a disk is, in numbers; of each the largest (of the temperature, the least) says that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DiskState {
    /// Which kind of row it is.
    pub tag: U16,
    /// The disk, among those of its driver.
    pub unit: u8,
    /// 0: it is well; 1: it says that it is failing.
    pub failing: u8,
    /// Degrees Celsius.
    pub temperature: I16,
    /// Per cent of its life that is used.
    pub used: u8,
    /// Per cent of its spare blocks that are left.
    pub spare: u8,
    /// Its counts, in `orion-driver`'s order.
    pub counts: [U64; COUNTS],
}

/// Some vendor attributes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DiskAttributes {
    /// Which kind of row it is.
    pub tag: U16,
    /// The disk, among those of its driver.
    pub unit: u8,
    /// Zero.
    pub pad: u8,
    /// Each: number, value, worst, threshold, and six bytes of the vendor's own. Those of number 0 are none.
    pub list: [[u8; 10]; PER_ROW],
}

pub(crate) const TEXTS: u16 = 4;
pub(crate) const STATE: u16 = 5;
pub(crate) const ATTRIBUTES: u16 = 6;

impl DiskText {
    /// The first 40 bytes of `text`.
    pub fn new(unit: u8, what: u8, text: &str) -> Self {
        let mut bytes = [0; TEXT];
        bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Self { tag: TEXTS.into(), unit, what, text: bytes, rest: [0; 20] }
    }
}

impl DiskState {
    /// Of the disk `unit`, nothing is known.
    pub const fn unknown(unit: u8) -> Self {
        Self {
            tag: U16::new(STATE),
            unit,
            failing: u8::MAX,
            temperature: I16::new(i16::MIN),
            used: u8::MAX,
            spare: u8::MAX,
            counts: [U64::MAX_VALUE; COUNTS],
        }
    }
}

impl DiskAttributes {
    /// None, of the disk `unit`.
    pub const fn none(unit: u8) -> Self {
        Self { tag: U16::new(ATTRIBUTES), unit, pad: 0, list: [[0; 10]; PER_ROW] }
    }
}
