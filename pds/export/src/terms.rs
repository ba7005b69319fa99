// SPDX-License-Identifier: MIT
//! How this export turns NBD requests into requests of the ring: fixed once the volume is known.
use crate::arena::{MAX_PAGES, PAGE};
use core::fmt;
use orion_nbd::{Export, Offer};
use orion_pd::sockets::CONNECTIONS;
use orion_ring::{ServerInfo, WindowInfo};

/// Most bytes of one request on the ring that has a payload: 32 pages, as `Arena` bears.
const MAX_PART: u32 = 128 << 10;
/// Least bytes of such a request: every server must answer a read of so many in one chunk ("NBD_CMD_READ").
const MIN_PART: u32 = 64 << 10;
/// Most blocks of one request on the ring that has none.
const MAX_BULK_BLOCKS: u32 = 32 << 10;
const READ: u16 = 1;
const WRITE: u16 = 2;
const FLUSH: u16 = 4;
const DISCARD: u16 = 8;
const ZERO: u16 = 16;

/// How a request with force unit access becomes durable before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The device does it.
    Asked,
    /// A flush follows.
    Flushed,
    /// Nothing is ever lost.
    Given,
}

/// Why a volume cannot be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The data region has less than [`LEAST_DATA`] bytes.
    SmallRegion(usize),
    /// The gatekeeper gives no window 0, or one without blocks.
    NoBlocks,
    /// The volume may not be read.
    NoRead,
}

/// Least bytes of the data region.
pub const LEAST_DATA: usize = CONNECTIONS * MAX_PART as usize;

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallRegion(found) => write!(
                f,
                "the data region has {found} bytes; {CONNECTIONS} connections need {LEAST_DATA}: give the export a larger one"
            ),
            Self::NoBlocks => f.write_str("the gatekeeper gives no blocks to export: check the export's orion:grant"),
            Self::NoRead => f.write_str("the export may not read its volume: give its orion:grant the right to read"),
        }
    }
}

impl core::error::Error for Unfit {}

/// Sizes and rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Binary logarithm of the bytes of a block.
    pub shift: u8,
    /// Most bytes of a request with payload.
    pub part: u32,
    /// Most bytes of a request without.
    pub bulk: u32,
    /// Most bytes of a read that is held whole, so that it can still fail with a simple reply.
    pub whole: u32,
    /// Pages of each connection's share.
    pub share: usize,
    pub durability: Durability,
    pub flush: bool,
}

impl Terms {
    pub(crate) fn new(info: &ServerInfo, data: usize) -> Result<Self, Unfit> {
        let share = (data / CONNECTIONS / PAGE).min(MAX_PAGES);
        if data < LEAST_DATA {
            return Err(Unfit::SmallRegion(data));
        }
        let (limits, window) = (&info.limits, window(info));
        if window.blocks == 0 {
            return Err(Unfit::NoBlocks);
        }
        if window.rights & READ == 0 {
            return Err(Unfit::NoRead);
        }
        let shift = limits.block.shift();
        let most = if limits.max_blocks == 0 { u32::MAX } else { limits.max_blocks };
        let part = most.saturating_mul(limits.block.bytes()).clamp(MIN_PART, MAX_PART) & !(MIN_PART - 1);
        let runs = u32::try_from(share / 64).unwrap_or(0).max(1);
        let flush = window.rights & FLUSH != 0;
        Ok(Self {
            shift,
            part,
            bulk: MAX_BULK_BLOCKS << shift,
            whole: runs * part,
            share,
            durability: match (limits.fua, limits.volatile_cache && flush) {
                (true, _) => Durability::Asked,
                (false, true) => Durability::Flushed,
                (false, false) => Durability::Given,
            },
            flush,
        })
    }

    /// The export as clients see it.
    pub(crate) fn export(&self, name: &'static str, info: &ServerInfo) -> Export<'static> {
        let window = window(info);
        let limits = orion_block::Limits { capacity: window.blocks, ..info.limits };
        let may = |right| window.rights & right != 0;
        let offer = Offer { write: may(WRITE), flush: may(FLUSH), trim: may(DISCARD), zeroes: may(ZERO) };
        Export::new(name, &limits, offer, self.part)
    }
}

fn window(info: &ServerInfo) -> WindowInfo {
    info.windows.first().copied().unwrap_or_default()
}
