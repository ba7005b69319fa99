// SPDX-License-Identifier: MIT
//! What a session serves: a name, a size, and what may be done.
use crate::wire::{InfoBlockSize, info, transmission as t};
use orion_block::Limits;

/// Most bytes of a read's or a write's payload: the largest that any client sends without asking ("Block size
/// constraints").
pub const MAX_PAYLOAD: u32 = 32 << 20;
const DEFAULT_PREFERRED: u32 = 4096;

/// What the holder of the volume may do with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Blocks may be written.
    pub write: bool,
    /// Flush may be sent.
    pub flush: bool,
    /// Blocks may be discarded.
    pub trim: bool,
    /// Zeroes may be written without payload.
    pub zeroes: bool,
}

/// A volume as NBD clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export<'a> {
    /// Its name; the empty name means it too.
    pub name: &'a str,
    /// Bytes; a multiple of `minimum`.
    pub size: u64,
    /// Bytes of which every offset and length must be a multiple.
    pub minimum: u32,
    /// Bytes of the requests that are served best.
    pub preferred: u32,
    /// Most bytes of a read that is asked for in one chunk.
    pub unfragmented: u32,
    /// Transmission flags, without [`t::SEND_DF`], which depends on the session.
    flags: u16,
}

impl<'a> Export<'a> {
    /// The first `limits.capacity` blocks of a device with these limits, as far as `offer` allows. Reads of up to
    /// `unfragmented` bytes (at least 65,536, "NBD_CMD_READ") can be answered in one chunk.
    pub fn new(name: &'a str, limits: &Limits, offer: Offer, unfragmented: u32) -> Self {
        let minimum = limits.block.bytes();
        let optimal = limits.optimal_blocks.saturating_mul(minimum);
        let preferred = if optimal.is_power_of_two() { optimal } else { 0 };
        Self {
            name,
            size: limits.capacity.saturating_mul(u64::from(minimum)),
            minimum,
            preferred: preferred.max(DEFAULT_PREFERRED).max(minimum).min(MAX_PAYLOAD),
            unfragmented,
            flags: flags(limits, offer),
        }
    }

    /// The transmission flags of a session, with structured replies or without.
    pub const fn flags(&self, structured: bool) -> u16 {
        if structured { self.flags | t::SEND_DF } else { self.flags }
    }

    /// Whether a transmission flag is set.
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Whether `name` means this export.
    pub fn is_named(&self, name: &[u8]) -> bool {
        name.is_empty() || name == self.name.as_bytes()
    }

    /// The block size constraints.
    pub fn block_size(&self) -> InfoBlockSize {
        InfoBlockSize {
            kind: info::BLOCK_SIZE.into(),
            minimum: self.minimum.into(),
            preferred: self.preferred.into(),
            maximum: MAX_PAYLOAD.into(),
        }
    }
}

fn flags(limits: &Limits, offer: Offer) -> u16 {
    let write = offer.write && !limits.read_only;
    // A device without force unit access does as well where a flush can follow the write, or where nothing is lost anyway.
    let fua = write && (limits.fua || offer.flush || !limits.volatile_cache);
    let zeroes = write && offer.zeroes && limits.write_zeroes;
    let set = |on: bool, flag: u16| if on { flag } else { 0 };
    // All connections reach one device through one queue, so a flush covers them all.
    t::HAS_FLAGS
        | t::CAN_MULTI_CONN
        | set(!write, t::READ_ONLY)
        | set(offer.flush, t::SEND_FLUSH)
        | set(fua, t::SEND_FUA)
        | set(write && offer.trim && limits.discard_granularity > 0, t::SEND_TRIM)
        | set(zeroes, t::SEND_WRITE_ZEROES | t::SEND_FAST_ZERO)
}
