// SPDX-License-Identifier: MIT
//! Our extension of sDDF: half a page beside storage_info, and a page of the client's own.
//!
//! Each page is written by its owner alone, and all that is read from the peer's is checked. A page without our magic
//! number and version belongs to a plain sDDF peer.
use crate::info::RIGHTS;
use crate::{PeerMisbehaved, ServerInfo, WINDOWS, WindowInfo, wire};
use core::mem::offset_of;
use orion_block::{Access, BlockSize, DiscardReads, Limits, POLICY_BLOCK, Route};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Byte offset of [`Server`] in the server's page. [`Client`] is at byte 0 of the client's.
pub const SERVER: usize = 2048;
/// "OrnS" in a server's extension.
pub const SERVER_MAGIC: u32 = u32::from_le_bytes(*b"OrnS");
/// "OrnC" in a client's extension.
pub const CLIENT_MAGIC: u32 = u32::from_le_bytes(*b"OrnC");
/// The version of both extensions.
pub const VERSION: u32 = 2;

/// Bits of [`Server::operations`].
pub mod operations {
    /// Read.
    pub const READ: u32 = 1;
    /// Write.
    pub const WRITE: u32 = 1 << 1;
    /// Flush.
    pub const FLUSH: u32 = 1 << 2;
    /// Discard.
    pub const DISCARD: u32 = 1 << 3;
    /// Write zeroes.
    pub const WRITE_ZEROES: u32 = 1 << 4;
    /// Force unit access, of writes and of write zeroes where they are offered.
    pub const FUA: u32 = 1 << 5;
}

/// Bits of [`Server::flags`].
pub mod flags {
    /// Writes must not change while they are in flight.
    pub const STABLE_WRITES: u32 = 1;
    /// Completed writes may be lost until a flush.
    pub const VOLATILE_CACHE: u32 = 1 << 1;
    /// Nothing can be written.
    pub const READ_ONLY: u32 = 1 << 2;
    /// Where the two bits are that say what discarded blocks read as: 0 undefined, 1 zeroes, 2 old content.
    pub const DISCARD_READS_SHIFT: u32 = 8;
}

/// A window of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Window {
    /// Blocks, in the connection's unit; 0: no such window.
    pub blocks: u64,
    /// Bits of `orion_caps::Rights`.
    pub rights: u32,
    /// Zero.
    pub pad: u32,
}

/// The server's extension. Blocks are of `1 << block_shift` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Server {
    /// [`SERVER_MAGIC`].
    pub magic: u32,
    /// [`VERSION`].
    pub version: u32,
    /// Odd while the page changes; a reader that finds it odd, or changed, reads again.
    pub sequence: u32,
    /// The server's life: never 0.
    pub epoch: u32,
    /// Bits of [`operations`].
    pub operations: u32,
    /// Bits of [`flags`].
    pub flags: u32,
    /// The server's logical block, and the unit of a client that takes part: 9 to 16.
    pub block_shift: u32,
    /// The unit below which the medium reads before it writes: 9 to 16.
    pub physical_shift: u32,
    /// Blocks.
    pub capacity: u64,
    /// As in [`Limits`].
    pub max_blocks: u32,
    /// As in [`Limits`].
    pub boundary: u32,
    /// As in [`Limits`].
    pub optimal_blocks: u32,
    /// As in [`Limits`].
    pub atomic_blocks: u32,
    /// As in [`Limits`].
    pub discard_granularity: u32,
    /// As in [`Limits`]; at most 65,535.
    pub queue_depth: u32,
    /// 1: the server is awake and will look at its ring before it sleeps. Changes often: has a cache line of its own.
    pub awake: u32,
    /// The client's life that is served; 0: none.
    pub client: u32,
    /// The disk's own name, as in [`Route`]; zeroes: it has none.
    pub identity: [[u8; 8]; 5],
    /// The digest of its subsystem's name; 0: it has none.
    pub family: u64,
    /// What this way to it is worth: [`Access::code`].
    pub access: u32,
    /// Zero.
    pub pad: u32,
    /// The windows.
    pub windows: [Window; WINDOWS],
}

/// The client's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Client {
    /// [`CLIENT_MAGIC`], once the client has read a server's extension that it understands.
    pub magic: u32,
    /// [`VERSION`].
    pub version: u32,
    /// The server's life that the client has agreed to; 0: none.
    pub epoch: u32,
    /// The unit the client counts in: the server's `block_shift`.
    pub block_shift: u32,
    /// The client's life.
    pub life: u32,
    /// The request tail at which this agreement begins.
    pub start: u32,
    /// Zero.
    pub pad: [u32; 10],
    /// 1: the client is awake and will look at its ring before it sleeps.
    pub awake: u32,
    /// Zero.
    pub pad1: [u32; 15],
}

const _: () = {
    assert!(size_of::<Server>() == 384 && SERVER + size_of::<Server>() <= wire::PAGE);
    assert!(size_of::<wire::StorageInfo>() <= SERVER);
    assert!(offset_of!(Server, capacity) == 32);
    assert!(offset_of!(Server, epoch) == 12 && offset_of!(Server, awake) == 64 && offset_of!(Server, client) == 68);
    assert!(
        offset_of!(Server, identity) == 72 && offset_of!(Server, family) == 112 && offset_of!(Server, access) == 120
    );
    assert!(offset_of!(Server, windows) == 128);
    assert!(size_of::<Client>() == 128 && offset_of!(Client, awake) == 64);
    assert!(offset_of!(Client, epoch) == 8 && offset_of!(Client, life) == 16 && offset_of!(Client, start) == 20);
};

/// The shift of sDDF's transfer unit.
const SDDF_SHIFT: u8 = POLICY_BLOCK.shift();

const ODD: PeerMisbehaved = PeerMisbehaved { what: "the server's page holds limits that no device has" };

impl Server {
    /// The extension that says `info`, with `sequence` and `awake` zero.
    pub fn encode(info: &ServerInfo) -> Self {
        let limits = &info.limits;
        Self {
            magic: SERVER_MAGIC,
            version: VERSION,
            sequence: 0,
            epoch: info.epoch,
            operations: encode_operations(limits),
            flags: encode_flags(limits),
            block_shift: u32::from(limits.block.shift()),
            physical_shift: u32::from(limits.physical.shift()),
            capacity: limits.capacity,
            max_blocks: limits.max_blocks,
            boundary: limits.boundary,
            optimal_blocks: limits.optimal_blocks,
            atomic_blocks: limits.atomic_blocks.max(1),
            discard_granularity: limits.discard_granularity,
            queue_depth: u32::from(limits.queue_depth),
            awake: 0,
            client: 0,
            identity: info.route.identity,
            family: info.route.family,
            access: info.route.access.code(),
            pad: 0,
            windows: info.windows.map(|window| Window {
                blocks: window.blocks,
                rights: u32::from(window.rights & RIGHTS),
                pad: 0,
            }),
        }
    }

    /// Whether a server of ours wrote this, in a version that we understand.
    pub fn understood(&self) -> bool {
        self.magic == SERVER_MAGIC && self.version == VERSION
    }

    /// What the server says, checked.
    ///
    /// # Errors
    /// Values that no device can have, or that contradict each other.
    pub fn decode(&self) -> Result<ServerInfo, PeerMisbehaved> {
        let block = block_size(self.block_shift).ok_or(ODD)?;
        let physical = block_size(self.physical_shift).ok_or(ODD)?;
        let offered = |bit| self.operations & bit != 0;
        let read_only = self.flags & flags::READ_ONLY != 0;
        let holds = |blocks: u64| blocks.leading_zeros() >= u32::from(block.shift());
        let consistent = holds(self.capacity)
            && self.windows.iter().all(|window| holds(window.blocks))
            && self.atomic_blocks != 0
            && offered(operations::READ)
            && offered(operations::WRITE) != read_only
            && offered(operations::DISCARD) == (self.discard_granularity != 0);
        if !consistent {
            return Err(ODD);
        }
        let limits = Limits {
            block,
            physical,
            capacity: self.capacity,
            max_blocks: self.max_blocks,
            boundary: self.boundary,
            optimal_blocks: self.optimal_blocks,
            atomic_blocks: self.atomic_blocks,
            queue_depth: u16::try_from(self.queue_depth).map_err(|_| ODD)?,
            discard_granularity: self.discard_granularity,
            discard_reads: decode_discard_reads(self.flags).ok_or(ODD)?,
            stable_writes: self.flags & flags::STABLE_WRITES != 0,
            volatile_cache: self.flags & flags::VOLATILE_CACHE != 0,
            fua: offered(operations::FUA),
            write_zeroes: offered(operations::WRITE_ZEROES),
            read_only,
        };
        let access = Access::from_code(self.access).ok_or(ODD)?;
        let route = Route { identity: self.identity, family: self.family, access };
        Ok(ServerInfo { limits, epoch: self.epoch, windows: self.windows.map(decode_window), route })
    }
}

fn encode_operations(limits: &Limits) -> u32 {
    let mut bits = operations::READ | operations::FLUSH;
    let mut offer = |offered: bool, bit: u32| bits |= if offered { bit } else { 0 };
    offer(!limits.read_only, operations::WRITE);
    offer(limits.discard_granularity != 0, operations::DISCARD);
    offer(limits.write_zeroes, operations::WRITE_ZEROES);
    offer(limits.fua, operations::FUA);
    bits
}

fn encode_flags(limits: &Limits) -> u32 {
    let reads = match limits.discard_reads {
        DiscardReads::Undefined => 0,
        DiscardReads::Zeroes => 1,
        DiscardReads::Old => 2,
    };
    let bit = |set: bool, bit: u32| if set { bit } else { 0 };
    reads << flags::DISCARD_READS_SHIFT
        | bit(limits.stable_writes, flags::STABLE_WRITES)
        | bit(limits.volatile_cache, flags::VOLATILE_CACHE)
        | bit(limits.read_only, flags::READ_ONLY)
}

fn decode_discard_reads(bits: u32) -> Option<DiscardReads> {
    match bits >> flags::DISCARD_READS_SHIFT & 3 {
        0 => Some(DiscardReads::Undefined),
        1 => Some(DiscardReads::Zeroes),
        2 => Some(DiscardReads::Old),
        _ => None,
    }
}

fn decode_window(window: Window) -> WindowInfo {
    let rights = u16::try_from(window.rights & u32::from(RIGHTS)).unwrap_or(0);
    WindowInfo { blocks: window.blocks, rights }
}

/// The block size of a shift that a peer wrote.
pub fn block_size(shift: u32) -> Option<BlockSize> {
    BlockSize::from_shift(u8::try_from(shift).ok()?)
}

/// The storage_info that says `info`, not yet ready.
pub fn encode_storage_info(info: &ServerInfo) -> wire::StorageInfo {
    let limits = &info.limits;
    let shift = limits.block.shift();
    let sddf_blocks = |blocks: u64| match shift.checked_sub(SDDF_SHIFT) {
        Some(up) => blocks.saturating_mul(1 << up),
        None => blocks >> (SDDF_SHIFT - shift),
    };
    wire::StorageInfo {
        serial: [0; 64],
        read_only: u8::from(limits.read_only),
        ready: 0,
        sector_size: u16::try_from(limits.block.bytes()).unwrap_or(1 << 15),
        block_size: u16::try_from(sddf_blocks(u64::from(limits.optimal_blocks)).max(1)).unwrap_or(u16::MAX),
        queue_depth: limits.queue_depth,
        cylinders: 0,
        heads: 0,
        blocks: 0,
        pad: 0,
        capacity: sddf_blocks(limits.capacity),
    }
}

/// What a plain sDDF server says of itself: one window of all blocks, for read, write and flush.
///
/// # Errors
/// More blocks than bytes can be addressed.
pub fn decode_storage_info(info: &wire::StorageInfo) -> Result<ServerInfo, PeerMisbehaved> {
    if info.capacity.leading_zeros() < u32::from(SDDF_SHIFT) {
        return Err(ODD);
    }
    let read_only = info.read_only != 0;
    let mut windows = [WindowInfo::default(); WINDOWS];
    if let Some(window) = windows.first_mut() {
        let rights = if read_only { 0b101 } else { 0b111 };
        *window = WindowInfo { blocks: info.capacity, rights };
    }
    let limits = Limits {
        block: POLICY_BLOCK,
        physical: POLICY_BLOCK,
        capacity: info.capacity,
        optimal_blocks: u32::from(info.block_size),
        atomic_blocks: 1,
        queue_depth: info.queue_depth,
        // sDDF does not say, so the worse is assumed.
        volatile_cache: true,
        read_only,
        ..Limits::default()
    };
    Ok(ServerInfo { limits, epoch: 0, windows, route: Route::default() })
}
