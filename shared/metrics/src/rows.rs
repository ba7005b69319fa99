// SPDX-License-Identifier: MIT
//! Rows after a page's figures: what the gatekeeper holds, and what disks say of themselves. Names are numbers here: the manager knows them from its own
//! configuration.
use crate::array::{self, ArrayDevice, ArrayState};
use crate::disk::{self, DiskAttributes, DiskState, DiskText};
use crate::disk_work::{self, DiskSpace, DiskWork, DiskZones};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a row.
pub const ROW: usize = 64;

const HOLDING: u16 = 1;
const CLIENT: u16 = 2;
const VOLUME: u16 = 3;

/// A capability in a client's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Holding {
    /// Which kind of row it is.
    pub tag: U16,
    /// Number of the client that holds it.
    pub client: u8,
    /// Its window.
    pub window: u8,
    /// Number of the volume.
    pub port: u8,
    /// Client and window of the capability that it was derived from; 255 of a grant.
    pub parent_client: u8,
    /// See `parent_client`.
    pub parent_window: u8,
    /// 1: suspended, itself; 2: because one above it is.
    pub frozen: u8,
    /// Bits of the rights that it was given.
    pub rights: U16,
    /// Bits of the rights that it allows now.
    pub allowed: U16,
    /// The epoch in which it ends; 0: never.
    pub expires: U32,
    /// Line of `system.xml` that it comes of; 0 of none.
    pub line: U32,
    /// Requests of it that wait for its budget.
    pub waiting: U32,
    /// First 4096-byte block on the volume.
    pub first: U64,
    /// 4096-byte blocks.
    pub blocks: U64,
    /// Requests that it let pass.
    pub passed: U64,
    /// Most requests in flight; 0: no limit.
    pub in_flight: U32,
    /// Most requests per second; 0: no limit.
    pub iops: U32,
    /// Most bytes per second; 0: no limit.
    pub bytes: U64,
}

/// A client of the gatekeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Client {
    /// Which kind of row it is.
    pub tag: U16,
    /// Its number.
    pub client: u8,
    /// Not 0: its connection was closed because it broke the protocol.
    pub closed: u8,
    /// Requests in flight.
    pub in_flight: U32,
    rest: [u8; 56],
}

/// A volume below the gatekeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Volume {
    /// Which kind of row it is.
    pub tag: U16,
    /// Its number.
    pub port: u8,
    /// 0: its server has not answered yet; 1: it serves; 2: it is closed.
    pub state: u8,
    /// Its epoch.
    pub epoch: U32,
    /// 4096-byte blocks.
    pub blocks: U64,
    /// Not 0: nothing can be written to it.
    pub read_only: u8,
    rest: [u8; 47],
}

const _: () = assert!(size_of::<Holding>() == ROW && size_of::<Client>() == ROW && size_of::<Volume>() == ROW);
const _: () =
    assert!(size_of::<DiskText>() == ROW && size_of::<DiskState>() == ROW && size_of::<DiskAttributes>() == ROW);

impl Holding {
    /// All zero.
    pub const EMPTY: Self = Self {
        tag: U16::new(HOLDING),
        client: 0,
        window: 0,
        port: 0,
        parent_client: u8::MAX,
        parent_window: u8::MAX,
        frozen: 0,
        rights: U16::ZERO,
        allowed: U16::ZERO,
        expires: U32::ZERO,
        line: U32::ZERO,
        waiting: U32::ZERO,
        first: U64::ZERO,
        blocks: U64::ZERO,
        passed: U64::ZERO,
        in_flight: U32::ZERO,
        iops: U32::ZERO,
        bytes: U64::ZERO,
    };
}

impl Client {
    /// The client of this number.
    pub const fn new(client: u8, closed: bool, in_flight: u32) -> Self {
        Self { tag: U16::new(CLIENT), client, closed: closed as u8, in_flight: U32::new(in_flight), rest: [0; 56] }
    }
}

impl Volume {
    /// The volume of this number.
    pub const fn new(port: u8, state: u8, epoch: u32, blocks: u64, read_only: bool) -> Self {
        Self {
            tag: U16::new(VOLUME),
            port,
            state,
            epoch: U32::new(epoch),
            blocks: U64::new(blocks),
            read_only: read_only as u8,
            rest: [0; 47],
        }
    }
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A capability.
    Holding(Holding),
    /// A client.
    Client(Client),
    /// A volume.
    Volume(Volume),
    /// A text about a disk.
    DiskText(DiskText),
    /// How a disk is.
    DiskState(DiskState),
    /// Vendor attributes of a disk.
    DiskAttributes(DiskAttributes),
    /// The last work of a disk.
    DiskWork(DiskWork),
    /// A namespace of its device.
    DiskSpace(DiskSpace),
    /// Zones of a disk.
    DiskZones(DiskZones),
    /// How an array is.
    Array(ArrayState),
    /// A device below an array's layer.
    ArrayDevice(ArrayDevice),
}

impl Row {
    /// The disk that it is about, among those of its driver.
    pub fn unit(&self) -> Option<u8> {
        match self {
            Self::DiskText(row) => Some(row.unit),
            Self::DiskState(row) => Some(row.unit),
            Self::DiskAttributes(row) => Some(row.unit),
            Self::DiskWork(row) => Some(row.unit),
            Self::DiskSpace(row) => Some(row.unit),
            Self::DiskZones(row) => Some(row.unit),
            Self::Array(row) => Some(row.unit),
            Self::ArrayDevice(row) => Some(row.unit),
            _ => None,
        }
    }

    /// As bytes.
    pub fn bytes(&self) -> [u8; ROW] {
        match *self {
            Self::Holding(row) => zerocopy::transmute!(row),
            Self::Client(row) => zerocopy::transmute!(row),
            Self::Volume(row) => zerocopy::transmute!(row),
            Self::DiskText(row) => zerocopy::transmute!(row),
            Self::DiskState(row) => zerocopy::transmute!(row),
            Self::DiskAttributes(row) => zerocopy::transmute!(row),
            Self::DiskWork(row) => zerocopy::transmute!(row),
            Self::DiskSpace(row) => zerocopy::transmute!(row),
            Self::DiskZones(row) => zerocopy::transmute!(row),
            Self::Array(row) => zerocopy::transmute!(row),
            Self::ArrayDevice(row) => zerocopy::transmute!(row),
        }
    }

    /// From bytes; `None` where it is no row of this version.
    pub fn parse(bytes: &[u8; ROW]) -> Option<Self> {
        let [low, high, ..] = *bytes;
        match u16::from_le_bytes([low, high]) {
            HOLDING => Some(Self::Holding(zerocopy::transmute!(*bytes))),
            CLIENT => Some(Self::Client(zerocopy::transmute!(*bytes))),
            VOLUME => Some(Self::Volume(zerocopy::transmute!(*bytes))),
            disk::TEXTS => Some(Self::DiskText(zerocopy::transmute!(*bytes))),
            disk::STATE => Some(Self::DiskState(zerocopy::transmute!(*bytes))),
            disk::ATTRIBUTES => Some(Self::DiskAttributes(zerocopy::transmute!(*bytes))),
            disk_work::WORKS => Some(Self::DiskWork(zerocopy::transmute!(*bytes))),
            disk_work::SPACES => Some(Self::DiskSpace(zerocopy::transmute!(*bytes))),
            disk_work::ZONES => Some(Self::DiskZones(zerocopy::transmute!(*bytes))),
            array::ARRAY => Some(Self::Array(zerocopy::transmute!(*bytes))),
            array::DEVICE => Some(Self::ArrayDevice(zerocopy::transmute!(*bytes))),
            _ => None,
        }
    }
}
